// Pictures with a caption; a click tells the server which. Names come from data: they are set as text, never as HTML.

const STYLE = `
  .gallery { display: flex; flex-wrap: wrap; gap: 6px; align-content: flex-start; overflow-y: auto; height: 100%; }
  .gallery button { all: unset; box-sizing: border-box; cursor: pointer; width: 121px; border: 2px solid transparent; border-radius: 5px;
                    padding: 2px; font: 11px system-ui, sans-serif; color: var(--ink, #1f2d3d); }
  .gallery button:hover, .gallery button:focus-visible { background: var(--shade, #eef1f5); }
  .gallery button[aria-current=true] { border-color: #D81B60; }
  .gallery img, .gallery .none { display: block; width: 113px; height: 96px; object-fit: contain; background: #000; border-radius: 3px; }
  .gallery .none { color: #c9ced6; display: flex; align-items: center; justify-content: center; text-align: center; }
  .gallery span { display: block; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; line-height: 15px; }
  .gallery i { display: inline-block; width: 8px; height: 8px; border-radius: 50%; margin-right: 4px; }
`

export function render({ model }) {
  const root = document.createElement("div"), style = document.createElement("style")
  root.className = "gallery"
  style.textContent = STYLE
  const value = (item, key) => (item instanceof Map ? item.get(key) : item[key])
  const draw = () => {
    root.replaceChildren(style, ...model.items.map((item) => {
      const button = document.createElement("button"), source = value(item, "src")
      let picture
      if (source) {
        picture = document.createElement("img")
        picture.src = source
        picture.alt = value(item, "title")
      } else {
        picture = document.createElement("div")
        picture.className = "none"
        picture.textContent = "no picture"
      }
      const lines = [value(item, "title"), value(item, "note")].map((text) => {
        const span = document.createElement("span")
        span.textContent = text
        span.title = text
        return span
      })
      if (value(item, "color")) {
        const dot = document.createElement("i")
        dot.style.background = value(item, "color")
        lines[1].prepend(dot)
      }
      button.append(picture, ...lines)
      button.dataset.id = value(item, "id")
      button.addEventListener("click", () => model.send_msg(value(item, "id")))
      return button
    }))
    mark()
  }
  const mark = () => {
    for (const button of root.querySelectorAll("button")) button.setAttribute("aria-current", String(button.dataset.id === model.chosen))
  }
  model.on("items", draw)
  model.on("chosen", mark)
  draw()
  return root
}
