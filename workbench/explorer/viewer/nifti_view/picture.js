// Saves what the canvas shows as a PNG with a caption under it: a picture that travels keeps its place, units and badge.

export function savePicture(nv, canvas, model, lines) {
  nv.drawScene() // a WebGL canvas is only there to be read right after it was drawn
  const text = [model.caption, ...lines.flatMap((part) => part.split("\n")), "Research software, not for diagnosis."]
    .map((line) => (line ?? "").trim()).filter(Boolean)
  const size = 15 * Math.max(1, window.devicePixelRatio), out = document.createElement("canvas")
  out.width = canvas.width
  out.height = canvas.height + Math.ceil(size * 1.4 * (text.length + 0.6))
  const pen = out.getContext("2d")
  pen.fillStyle = "#fff"
  pen.fillRect(0, 0, out.width, out.height)
  pen.drawImage(canvas, 0, 0)
  pen.fillStyle = "#1f2d3d"
  pen.font = `${size}px sans-serif`
  text.forEach((line, i) => pen.fillText(line, size, canvas.height + size * 1.4 * (i + 1), out.width - 2 * size))
  out.toBlob((blob) => {
    const link = document.createElement("a")
    link.href = URL.createObjectURL(blob)
    link.download = `${(model.caption || "scan").replace(/[^\w.-]+/g, "_").slice(0, 80)}.png`
    link.click()
    setTimeout(() => URL.revokeObjectURL(link.href), 1000)
  }, "image/png")
}
