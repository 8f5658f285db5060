// Keys, the address of the page, and whether the server still answers. All act on the document, so this component
// shows nothing itself but a bar where the connection is lost.

// in these the keys belong to the one who types
const TYPING = "textarea, select, [contenteditable], input:not([type=checkbox]):not([type=radio]):not([type=range]):not([type=button])"
// a change of these is a step that Back takes back; a slider's is none
const STEPS = ["view", "case", "embed_run", "runs_beside", "scans_beside", "show_against"]
const BEAT_MS = 4000, PATIENCE_MS = 12000, MEND_MS = 1000
const ROLES = { ".tabulator-tableholder": "rowgroup", ".tabulator-table": "none", ".tabulator-footer": "rowgroup",
                ".tabulator-footer-contents": "row", ".tabulator-paginator": "gridcell" }

const MENDED = /Checkbox|Slider|Spinner|Tabulator/ // models whose elements lack a name or a role

function set(element, name, value) {
  if (element && element.getAttribute(name) !== value) element.setAttribute(name, value)
}

export function render({ model }) {
  let returning = false // what the server sends now answers a step back
  const pressed = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.composedPath()[0]?.matches?.(TYPING)) return
    if (!model.keys.includes(event.key)) return
    event.preventDefault()
    model.send_msg(event.key)
  }
  const address = () => {
    const query = new URLSearchParams(model.search), before = new URLSearchParams(location.search), theme = before.get("theme")
    if (theme) query.set("theme", theme)
    const to = `${location.pathname}?${query}${location.hash}`
    const step = !returning && history.state?.explorer && STEPS.some((name) => query.get(name) !== before.get(name))
    history[step ? "pushState" : "replaceState"]({ explorer: true }, "", to)
    returning = false
  }
  const back = () => {
    returning = true
    model.send_msg({ search: location.search })
    setTimeout(() => { returning = false }, 1500) // nothing may have changed
  }

  // the server answers each beat; where it does not, is it gone, or has it only forgotten this page?
  let heard = Date.now(), bar = null
  const beat = async () => {
    if (Date.now() - heard > PATIENCE_MS) {
      const there = await fetch("static/js/bokeh.min.js", { method: "HEAD", cache: "no-store" }).then(() => true, () => false)
      if (Date.now() - heard > PATIENCE_MS) say(there)
    }
    try { model.send_msg({ beat: Date.now() }) } catch { /* told by the bar */ }
  }
  const say = (there) => {
    if (!bar) {
      bar = document.createElement("div")
      bar.className = "connection-lost"
      bar.setAttribute("role", "alert")
      bar.style.cssText = "position:fixed;inset:0 0 auto 0;z-index:9999;background:#a8071a;color:#fff;padding:8px 16px;font:14px system-ui;display:flex;gap:16px;align-items:center"
      const words = document.createElement("span"), button = document.createElement("button")
      button.textContent = "Reload; the place is kept"
      button.style.cssText = "font:inherit;padding:2px 12px;cursor:pointer"
      button.addEventListener("click", () => location.reload())
      bar.append(words, button)
      document.body.append(bar)
    }
    bar.dataset.server = there ? "back" : "gone"
    bar.firstChild.textContent = there ? "The connection to the server was lost; it answers again. What is shown here does not change any more."
      : "The server does not answer. What is shown here does not change any more."
  }
  model.on("answered", () => { heard = Date.now(); bar?.remove(); bar = null })
  const timer = model.beats ? setInterval(beat, BEAT_MS) : null

  // Bokeh gives boxes to tick and sliders no name, and Tabulator calls the whole of it a grid, its page buttons too:
  // a screen reader needs both. Again and again, since what is drawn anew has lost them; by one walk through the views,
  // and written only where it is not so already, or an open page would keep a processor busy
  const mendAll = () => {
    if (document.hidden) return
    set(document.getElementById("main"), "role", "main")
    for (const view of globalThis.Bokeh?.index?.query((view) => MENDED.test(view.model.type)) ?? []) {
      const { model, shadow_el: inside } = view
      if (!inside) continue
      set(inside.querySelector("input[type=checkbox]"), "aria-label", model.label ?? "")
      for (const handle of inside.querySelectorAll(".noUi-handle")) set(handle, "aria-label", model.title ?? "")
      for (const [way, more] of [["up", "higher"], ["down", "lower"]])
        set(inside.querySelector(`.bk-spin-btn-${way}`), "aria-label", `${model.title}: ${more}`)
      const table = inside.querySelector(".tabulator")
      if (!table) continue
      // of a table that begins with another page than the first, Panel 1.9 draws the rows under a pager that says 1
      const told = table.querySelector(".tabulator-page.active")?.textContent
      if (told && told !== String(model.page)) view.setMaxPage?.()
      for (const [part, role] of Object.entries(ROLES)) set(table.querySelector(part), "role", role)
      for (const input of table.querySelectorAll(".tabulator-col input")) {
        const title = input.closest(".tabulator-col").querySelector(".tabulator-col-title")?.textContent ?? ""
        set(input, "aria-label", `Filter ${title}`)
      }
    }
  }
  const mending = setInterval(mendAll, MEND_MS)

  document.addEventListener("keydown", pressed)
  window.addEventListener("popstate", back)
  model.on("search", address)
  model.on("remove", () => {
    document.removeEventListener("keydown", pressed)
    window.removeEventListener("popstate", back)
    clearInterval(mending)
    if (timer !== null) clearInterval(timer)
  })
  address()
  const nothing = document.createElement("span")
  nothing.className = "page-script"
  return nothing
}
