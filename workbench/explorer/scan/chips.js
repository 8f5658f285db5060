// Switches of the overlays, as one component: a button each, pressed while its overlay is shown.
const STYLE = `
  .chips { display: flex; flex-wrap: wrap; gap: 4px; padding: 2px 0; align-items: center; }
  .chips button { font: 12px system-ui, sans-serif; border: 1px solid var(--line, #c3cbd4); border-radius: 13px; padding: 2px 9px; cursor: pointer;
                  background: var(--paper, #fff); color: var(--ink, #1f2d3d); white-space: nowrap; }
  .chips button:hover { background: var(--shade, #eef1f5); }
  .chips button[aria-pressed=true] { background: #1f4e79; border-color: #1f4e79; color: #fff; font-weight: 600; }
  .chips button.none { color: var(--quiet, #5b6776); border-style: dashed; }
  .chips button[aria-pressed=true].none { color: #fff; background: #5b6776; border-color: #5b6776; }
  .chips button:focus-visible { outline: 3px solid #d9730d; outline-offset: 1px; }
`
export function render({ model }) {
  const root = document.createElement("div"), style = document.createElement("style")
  root.className = "chips"
  root.setAttribute("role", "group")
  root.setAttribute("aria-label", "Overlays")
  style.textContent = STYLE
  const value = (item, key) => (item instanceof Map ? item.get(key) : item[key])
  const draw = () => {
    const focused = root.getRootNode().activeElement?.dataset?.key
    root.replaceChildren(style, ...model.items.map((item) => {
      const button = document.createElement("button"), has = value(item, "has")
      button.type = "button"
      button.dataset.key = value(item, "key")
      button.textContent = value(item, "title")
      button.className = has ? "" : "none"
      button.title = value(item, "help")
      button.setAttribute("aria-pressed", String(value(item, "on")))
      button.addEventListener("click", () => model.send_msg(value(item, "key")))
      return button
    }))
    if (focused) root.querySelector(`[data-key="${focused}"]`)?.focus()
  }
  model.on("items", draw)
  draw()
  return root
}
