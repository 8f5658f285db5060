// Keys and the address of the page. Both act on the document, so this component shows nothing itself.

// in these the keys belong to the one who types
const TYPING = "textarea, select, [contenteditable], input:not([type=checkbox]):not([type=radio]):not([type=range]):not([type=button])"

export function render({ model }) {
  const pressed = (event) => {
    if (event.ctrlKey || event.altKey || event.metaKey || event.composedPath()[0]?.matches?.(TYPING)) return
    if (!model.keys.includes(event.key)) return
    event.preventDefault()
    model.send_msg(event.key)
  }
  const address = () => {
    // replaced, not pushed: a slider would fill the way back; the theme is the template's own
    const query = new URLSearchParams(model.search), theme = new URLSearchParams(location.search).get("theme")
    if (theme) query.set("theme", theme)
    history.replaceState(history.state, "", `${location.pathname}?${query}${location.hash}`)
  }
  document.addEventListener("keydown", pressed)
  model.on("search", address)
  model.on("remove", () => document.removeEventListener("keydown", pressed))
  address()
  const nothing = document.createElement("span")
  nothing.className = "page-script"
  return nothing
}
