// The legend: rows of what lies over a scan, as each viewer tells them. Used inside the bundle for one viewer, and alone
// (this file is also a component) below several, where what they share is said once.
// A row: {slot, title, colors: [css, …], low, high, note} of a map, {slot, title, labels: [{name, color, extra}]}, or {text, hint}.

const MOST = 8 // labels of one row

export const TOLD = "nifti-view-legend"

function element(kind, className, text = "") {
  const made = document.createElement(kind)
  made.className = className
  made.textContent = text // never HTML: names come from data
  return made
}

export function drawn(row) {
  const line = element("span", "told") // not "row": Bootstrap has a rule of its own for that, and its sheet is on some pages
  line.title = row.hint ?? ""
  if (row.title) line.append(element("b", "", `${row.title} `))
  if (row.colors) {
    const ramp = element("span", "ramp")
    ramp.style.background = `linear-gradient(to right, ${row.colors.join(",")})`
    line.append(row.low, ramp, row.high)
    if (row.note) line.append(element("span", "quiet", ` ${row.note}`))
  }
  for (const { name, color, extra } of (row.labels ?? []).slice(0, MOST)) {
    const swatch = element("span", row.outline ? "swatch outlined" : "swatch")
    swatch.style[row.outline ? "borderColor" : "background"] = `rgb(${color.join(",")})`
    line.append(swatch, extra ? `${name} ${extra}` : name)
  }
  if ((row.labels ?? []).length > MOST) line.append(` and ${row.labels.length - MOST} more`)
  if (row.text) line.append(row.text)
  return line
}

export const STYLE = `
  .legend { display: flex; flex-wrap: wrap; gap: 1px 18px; padding: 3px 2px 0; line-height: 18px; font-size: 12px;
            font-variant-numeric: tabular-nums; color: var(--ink, inherit); }
  .legend.common { height: 62px; box-sizing: border-box; overflow: auto; align-content: flex-start; } /* the pictures must not jump */
  .legend b { font-weight: 600; } .legend .quiet { color: var(--quiet, #5b6776); }
  .legend .swatch { display: inline-block; box-sizing: border-box; width: 12px; height: 12px; border-radius: 2px; margin: 0 4px 0 8px; vertical-align: -2px; }
  .legend .outlined { border: 3px solid; background: none; }
  .legend .ramp { display: inline-block; width: 90px; height: 10px; border-radius: 2px; margin: 0 6px; vertical-align: -1px; }
`

// rows of several viewers as one list: what is alike stands once
export function together(lists) {
  const seen = new Map()
  for (const rows of lists) for (const row of rows) {
    const labels = row.labels?.map((label) => ({ ...label, extra: lists.length > 1 ? undefined : label.extra }))
    const key = JSON.stringify([row.slot, row.title, row.text, row.low, row.high, row.labels ? 0 : row.note])
    const had = seen.get(key)
    if (!had) seen.set(key, labels ? { ...row, labels } : row)
    else if (labels) had.labels.push(...labels.filter((label) => !had.labels.some((one) => one.name === label.name)))
  }
  return [...seen.values()]
}

// the component: one legend for all viewers of a group
export function render({ model }) {
  const root = element("div", "legend common"), style = document.createElement("style"), told = new Map()
  style.textContent = STYLE
  root.tabIndex = 0 // it scrolls
  root.setAttribute("role", "group")
  root.setAttribute("aria-label", "Legend")
  const draw = () => root.replaceChildren(style, ...together([...told.values()]).map(drawn))
  const hear = ({ detail }) => {
    if (detail.group !== model.group) return
    if (detail.rows) told.set(detail.from, detail.rows)
    else told.delete(detail.from)
    draw()
  }
  document.addEventListener(TOLD, hear)
  model.on("remove", () => document.removeEventListener(TOLD, hear))
  document.dispatchEvent(new CustomEvent(`${TOLD}-wanted`, { detail: { group: model.group } }))
  draw()
  return root
}
