// A button, and a window that goes through the steps, with a frame around what each is about.

export function render({ model }) {
  const make = (tag, css = "", text = "") => Object.assign(document.createElement(tag), { textContent: text, style: css })
  const open = make("button", "font:14px system-ui,sans-serif;height:30px;padding:0 12px;border:1px solid currentColor;border-radius:6px;background:none;color:inherit;cursor:pointer", "Tour")
  const frame = make("div", "position:fixed;z-index:9000;pointer-events:none;box-sizing:border-box;border:3px solid #f2a900;border-radius:8px;box-shadow:0 0 0 100vmax rgba(0,0,0,.35)")
  const box = make("div", "position:fixed;z-index:9001;width:min(420px,90vw);background:#fff;color:#1f2d3d;border-radius:8px;padding:14px 18px;font:14px/1.45 system-ui,sans-serif;box-shadow:0 4px 24px rgba(0,0,0,.4)")
  box.className = "tour"
  box.setAttribute("role", "dialog")
  let at = null, timer = null
  const target = (where) => where.startsWith("#") ? document.querySelector(where)
    : [...globalThis.Bokeh.index.query((view) => view.model.name === where)].map((view) => view.el).find((el) => el.getBoundingClientRect().width)
  const place = () => {
    const area = target(model.steps[at][0])?.getBoundingClientRect()
    frame.style.display = area ? "block" : "none"
    if (!area) return
    Object.assign(frame.style, { left: `${area.left}px`, top: `${area.top}px`, width: `${area.width}px`, height: `${area.height}px` })
    const size = box.getBoundingClientRect(), beside = area.right + size.width + 16 < innerWidth ? area.right + 12 : area.left - size.width - 12
    box.style.left = `${beside > 0 ? beside : Math.max(8, (innerWidth - size.width) / 2)}px`
    box.style.top = `${Math.min(area.height > innerHeight / 2 ? area.top + 60 : area.bottom + 12, innerHeight - size.height - 8)}px`
  }
  const close = () => {
    clearInterval(timer)
    frame.remove()
    box.remove()
    at = null
    open.focus()
  }
  const go = (step) => {
    at = step
    model.send_msg(step)
    const [, title, words] = model.steps[step], row = make("div", "display:flex;gap:8px;align-items:center;margin-top:10px")
    const button = (text, act) => {
      const one = make("button", "font:inherit;padding:4px 14px;cursor:pointer", text)
      one.addEventListener("click", act)
      return one
    }
    const last = step === model.steps.length - 1, next = button(last ? "Done" : "Next", () => (last ? close() : go(step + 1)))
    row.append(make("span", "flex:1;color:#5b6675", `${step + 1} of ${model.steps.length}`), ...(step ? [button("Back", () => go(step - 1))] : []), ...(last ? [] : [button("Close", close)]), next)
    box.replaceChildren(make("h3", "margin:0 0 6px;font-size:16px", title), make("div", "", words), row)
    box.setAttribute("aria-label", title)
    document.body.append(frame, box)
    place()
    next.focus()
  }
  open.addEventListener("click", () => {
    if (at === null) timer = setInterval(place, 250) // the page that a step opens comes a moment later
    go(0)
  })
  const escape = (event) => { if (at !== null && event.key === "Escape") close() }
  document.addEventListener("keydown", escape)
  model.on("remove", () => {
    document.removeEventListener("keydown", escape)
    clearInterval(timer)
    frame.remove()
    box.remove()
  })
  return open
}
