// A picture beside the mouse while it is over the point of a scan. Names come from data: set as text, never as HTML.

const NEAR = 9, BESIDE = 66, EDGE = 120 // pixels: from a point, from the mouse to the picture, the longer edge of it
const DWELL_MS = 120 // a mouse that passes by asks for nothing

// the point under the mouse, in any plot whose points are scans
function under(x, y) {
  for (const view of globalThis.Bokeh?.index?.query((view) => view.model.type === "Figure") ?? []) {
    const box = view.el.getBoundingClientRect()
    if (!box.width || x < box.left || x > box.right || y < box.top || y > box.bottom) continue
    const data = view.model.renderers.map((one) => one.data_source?.data).find((data) => data?.scan_id)
    if (!data) continue
    let found = null, least = NEAR * NEAR
    for (let i = 0; i < data.x.length; i++) {
      const across = box.left + view.frame.x_scale.compute(data.x[i]) - x, down = box.top + view.frame.y_scale.compute(data.y[i]) - y
      if (across * across + down * down < least) [least, found] = [across * across + down * down, String(data.scan_id[i])]
    }
    if (found !== null) return found
  }
  return null
}

export function render({ model }) {
  const value = (item, key) => (item instanceof Map ? item.get(key) : item?.[key])
  const box = document.createElement("div")
  box.className = "hover-picture"
  box.style.cssText = "position:fixed;z-index:900;pointer-events:none;display:none;background:#000;color:#fff;padding:4px;border-radius:4px;font:11px system-ui,sans-serif"
  document.body.append(box)
  let over = null, timer = null, at = [0, 0], waiting = false
  const hide = () => { box.style.display = "none" }
  const moved = (event) => {
    at = [event.clientX, event.clientY]
    if (waiting || event.buttons) return
    waiting = true
    requestAnimationFrame(() => {
      waiting = false
      const found = under(...at)
      if (found === over) return
      over = found
      hide()
      clearTimeout(timer)
      if (found !== null) timer = setTimeout(() => (value(model.shown, "id") === found ? show() : model.send_msg(found)), DWELL_MS)
    })
  }
  const show = () => {
    const source = value(model.shown, "src")
    if (over === null || value(model.shown, "id") !== over || !source) return hide()
    const [wide, high] = value(model.shown, "mm"), scale = EDGE / Math.max(wide, high, 1)
    const image = document.createElement("img"), row = document.createElement("div"), name = document.createElement("div")
    image.src = source
    image.alt = ""
    image.width = Math.max(1, Math.round(wide * scale))
    image.height = Math.max(1, Math.round(high * scale))
    row.style.cssText = "display:flex;align-items:center;gap:3px"
    const [left, right] = value(model.shown, "sides")
    row.append(left, image, right)
    name.textContent = `${value(model.shown, "title")} · ${Math.round(wide)} × ${Math.round(high)} mm`
    box.replaceChildren(row, name)
    box.dataset.scan = over
    box.style.display = "block"
    // below the mouse or above it: what the point is called stands at its side
    const size = box.getBoundingClientRect(), below = at[1] + BESIDE + size.height < innerHeight
    box.style.left = `${Math.min(Math.max(at[0] - size.width / 2, 4), innerWidth - size.width - 4)}px`
    box.style.top = `${below ? at[1] + BESIDE : Math.max(at[1] - BESIDE - size.height, 4)}px`
  }
  document.addEventListener("mousemove", moved)
  model.on("shown", show)
  model.on("remove", () => {
    document.removeEventListener("mousemove", moved)
    clearTimeout(timer)
    box.remove()
  })
  return document.createElement("span")
}
