// Saves what is shown as a PNG: which scan, the picture without the black around it, the legend with its colours, and the
// badge. A picture that travels keeps its place and its units.

export function savePicture({ nv, canvas, solid, stage, model, rows, place }) {
  nv.drawScene() // a WebGL canvas is only there to be read right after it was drawn
  const whole = document.createElement("canvas")
  whole.width = canvas.width
  whole.height = canvas.height
  const copy = whole.getContext("2d", { willReadFrequently: true })
  copy.drawImage(canvas, 0, 0)
  if (solid && solid.root.style.display !== "none") {
    const dots = canvas.width / stage.getBoundingClientRect().width
    const [x, y, w, h] = ["left", "top", "width", "height"].map((side) => parseFloat(solid.root.style[side]) * dots)
    copy.drawImage(solid.canvas, x, y, w, h)
    copy.drawImage(solid.root.querySelector(".cube"), x + 4 * dots, y + h - solid.root.querySelector(".cube").height - 4 * dots)
  }
  const [left, top, width, height] = inside(copy, whole.width, whole.height)
  const size = 15 * Math.max(1, window.devicePixelRatio), line = 1.5 * size, out = document.createElement("canvas")
  out.width = Math.max(width, 30 * size)
  const title = [model.scan || model.caption || "scan", model.scan && model.caption !== model.scan ? model.caption : ""].filter(Boolean).join(" · ")
  const lines = [...rows, { text: place }, { text: "Research software, not for diagnosis." }].filter((row) => row.title || row.text || row.labels)
  out.height = height + Math.ceil(line * (lines.length + 2))
  const pen = out.getContext("2d")
  pen.fillStyle = "#fff"
  pen.fillRect(0, 0, out.width, out.height)
  pen.fillStyle = "#1f2d3d"
  pen.font = `bold ${size}px sans-serif`
  pen.fillText(title, size / 2, line * 0.9, out.width - size)
  pen.fillStyle = "#000"
  pen.fillRect(0, line * 1.3, out.width, height)
  pen.drawImage(whole, left, top, width, height, (out.width - width) / 2, line * 1.3, width, height)
  lines.forEach((row, i) => write(pen, row, size, line * 1.3 + height + line * (i + 1)))
  out.toBlob((blob) => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = `${(model.scan || model.caption || "scan").replace(/[^\w.-]+/g, "_").slice(0, 80)}.png`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  }, "image/png")
}

// the part that is not black
function inside(pen, wide, high) {
  const { data } = pen.getImageData(0, 0, wide, high)
  let [left, right, top, bottom] = [wide, 0, high, 0]
  for (let y = 0, i = 0; y < high; y++) for (let x = 0; x < wide; x++, i += 4) if (data[i] + data[i + 1] + data[i + 2] > 30) {
    if (x < left) left = x
    if (x > right) right = x
    if (y < top) top = y
    if (y > bottom) bottom = y
  }
  return right < left ? [0, 0, wide, high] : [left, top, right - left + 1, bottom - top + 1]
}

function write(pen, row, size, y) {
  let x = size / 2
  const say = (text, font = "") => {
    pen.font = `${font}${size}px sans-serif`
    pen.fillStyle = "#1f2d3d"
    pen.fillText(text, x, y)
    x += pen.measureText(text).width + size * 0.4
  }
  if (row.title) say(row.title, "bold ")
  if (row.colors) {
    say(row.low)
    const ramp = pen.createLinearGradient(x, 0, x + 7 * size, 0)
    row.colors.forEach((color, i) => ramp.addColorStop(i / (row.colors.length - 1), color))
    pen.fillStyle = ramp
    pen.fillRect(x, y - size * 0.75, 7 * size, size * 0.8)
    x += 7.4 * size
    say(`${row.high}  ${row.note ?? ""}`)
  }
  for (const { name, color, extra } of (row.labels ?? []).slice(0, 12)) {
    pen.fillStyle = pen.strokeStyle = `rgb(${color.join(",")})`
    pen.lineWidth = size / 5
    if (row.outline) pen.strokeRect(x + 1, y - size * 0.7, size * 0.7, size * 0.7)
    else pen.fillRect(x, y - size * 0.8, size * 0.85, size * 0.85)
    x += size * 1.2
    say(extra ? `${name} ${extra}` : name)
    x += size * 0.5
  }
  if (row.text) say(row.text)
}
