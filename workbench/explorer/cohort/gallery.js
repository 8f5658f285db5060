// Pictures with a caption; a click tells the server which. Names come from data: they are set as text, never as HTML.

const STYLE = `
  .gallery { display: flex; flex-wrap: wrap; gap: 6px; align-content: flex-start; overflow-y: auto; height: 100%; }
  .gallery button { all: unset; box-sizing: border-box; cursor: pointer; width: 121px; border: 2px solid transparent; border-radius: 5px;
                    padding: 2px; font: 11px system-ui, sans-serif; color: var(--ink, #1f2d3d); }
  .gallery button:hover, .gallery button:focus-visible { background: var(--shade, #eef1f5); }
  .gallery button[aria-current=true] { border-color: #D81B60; }
  .gallery .frame, .gallery .none { display: flex; position: relative; width: 113px; height: 113px; background: #000; border-radius: 3px;
                    align-items: center; justify-content: center; }
  .gallery img { display: block; }
  .gallery .frame b { position: absolute; top: 50%; color: #fff; font-size: 10px; text-shadow: 0 0 2px #000, 0 0 2px #000; }
  .gallery .frame b:first-of-type { left: 2px; } .gallery .frame b:last-of-type { right: 2px; }
  .gallery .none { color: #c9ced6; text-align: center; }
  .gallery .line { display: flex; align-items: center; line-height: 15px; white-space: pre; }
  .gallery .start { flex: 0 1 auto; min-width: 0; overflow: hidden; text-overflow: ellipsis; }
  .gallery .end { flex: 0 0 auto; max-width: 100%; overflow: hidden; text-overflow: ellipsis; }
  .gallery i { display: inline-block; width: 8px; height: 8px; border-radius: 50%; margin-right: 4px; flex: none; }
`

// names of one cohort begin alike, and what tells them apart is their end: it stays, whatever the font's width
function parts(text) {
  const cut = Math.max(0, text.length - 9)
  return [["start", text.slice(0, cut)], ["end", text.slice(cut)]].map(([name, some]) => {
    const part = document.createElement("span")
    part.className = name
    part.textContent = some
    return part
  })
}

export function render({ model }) {
  const root = document.createElement("div"), style = document.createElement("style")
  root.className = "gallery"
  style.textContent = STYLE
  const value = (item, key) => (item instanceof Map ? item.get(key) : item[key])
  // one scale in mm for all of them: a brain that looks larger is larger
  const draw = () => {
    const largest = Math.max(1, ...model.items.flatMap((item) => value(item, "mm") ?? []))
    const [left, right] = model.sides
    root.replaceChildren(style, ...model.items.map((item) => {
      const button = document.createElement("button"), source = value(item, "src")
      let picture
      if (source) {
        picture = document.createElement("div")
        picture.className = "frame"
        const image = document.createElement("img"), [wide, high] = value(item, "mm")
        image.src = source
        image.alt = value(item, "title")
        image.width = Math.max(1, Math.round((113 * wide) / largest))
        image.height = Math.max(1, Math.round((113 * high) / largest))
        picture.append(image, ...[left, right].map((side) => {
          const letter = document.createElement("b")
          letter.textContent = side
          return letter
        }))
      } else {
        picture = document.createElement("div")
        picture.className = "none"
        picture.textContent = "no picture"
      }
      const lines = [value(item, "title"), value(item, "note")].map((text) => {
        const span = document.createElement("span")
        span.className = "line"
        span.append(...parts(text))
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
  model.on("sides", draw)
  model.on("chosen", mark)
  draw()
  return root
}
