// The 3D view: what is on screen is a function of the model's properties, and of nothing else.
//
// Each volume has its own property (the bytes of a NIfTI file), so that switching an overlay never sends the scan
// again. `looks` says how each is drawn. Every change ends in one call of `show()`, which compares what is loaded
// with what is wanted; changes that arrive while it works are taken up in its next round.
import { Niivue, NVImage, cmapper } from "@niivue/niivue"

const SLOTS = ["base", "attention", "truth", "prediction"] // from the bottom layer up
const LABELS = new Set(["truth", "prediction"])
const LAYOUTS = { multiplanar: 3, axial: 0, coronal: 1, sagittal: 2, render: 4 } // NiiVue's numbers
const BINS = 4096
// plasma's course at full opacity: NiiVue's own maps fade out towards zero, which hides where a map is cut
const ATTENTION = { R: [13, 13, 126, 204, 248, 240], G: [8, 8, 3, 71, 149, 249], B: [135, 135, 168, 120, 64, 33],
                    A: [0, 255, 255, 255, 255, 255], I: [0, 1, 64, 128, 192, 255] }

const STYLE = `
  .volume-view { display: flex; flex-direction: column; width: 100%; height: 100%; font-size: 12px; }
  .volume-view .stage { position: relative; flex: 1 1 0; min-height: 0; background: #000; border-radius: 4px; overflow: hidden; }
  .volume-view canvas { display: block; width: 100%; height: 100%; }
  .volume-view .note { position: absolute; inset: 0; display: flex; align-items: center; justify-content: center;
                      color: #c9ced6; font-size: 14px; pointer-events: none; text-align: center; padding: 2em; }
  .volume-view .note:empty { display: none; }
  .volume-view .readout, .volume-view .legend { display: flex; flex-wrap: wrap; align-content: flex-start; gap: 1px 18px;
                      padding: 4px 2px 0; line-height: 17px; overflow: auto; font-variant-numeric: tabular-nums; }
  .volume-view .readout { flex: 0 0 37px; } /* fixed, so that the picture does not jump with the length of the text */
  .volume-view .legend { flex: 0 0 75px; }
  .volume-view .legend .labels { display: flex; flex-wrap: wrap; gap: 1px 18px; }
  .volume-view .readout b { font-weight: 600; }
  .volume-view .swatch { display: inline-block; width: 11px; height: 11px; border-radius: 2px; margin: 0 4px 0 8px; vertical-align: -1px; }
  .volume-view .ramp { display: inline-block; width: 90px; height: 10px; border-radius: 2px; margin: 0 6px; vertical-align: -1px; }
`

export function render({ model, el }) {
  const root = document.createElement("div")
  root.className = "volume-view"
  root.innerHTML = `<style>${STYLE}</style><div class="stage"><canvas tabindex="0"></canvas><div class="note"></div></div>`
    + `<div class="readout"></div><div class="legend"></div>`
  const [canvas, note, readout, legend] = ["canvas", ".note", ".readout", ".legend"].map((s) => root.querySelector(s))

  const nv = new Niivue({
    backColor: [0, 0, 0, 1], crosshairColor: [0.2, 0.9, 0.4, 0.8], crosshairWidth: 0.7, crosshairWidthUnit: "mm", crosshairGap: 7, fontColor: [1, 1, 1, 1],
    fontMinPx: 15, dragAndDropEnabled: false, loadingText: "", logLevel: "silent", isOrientationTextVisible: true,
    showAllOrientationMarkers: true, multiplanarShowRender: 1, multiplanarLayout: 2, multiplanarPadPixels: 4,
    show3Dcrosshair: true, showLegend: false, isColorbar: false, viewModeHotKey: "", clipPlaneHotKey: "",
    cycleClipPlaneHotKey: "", isResizeCanvas: true, textHeight: -1,
  })
  nv.addColormap("attention", ATTENTION)
  nv.onLocationChange = tell

  const loaded = {} // slot -> {key, image, names, histogram}
  let attached = null, working = false, again = false, gone = false

  // for tests and for other scripts: the state as data attributes, and a way to the viewer
  root.dataset.state = "empty"
  root.niftiView = { nv, moveTo, loaded }

  async function show() {
    again = true
    if (working) return
    working = true
    try {
      while (again && !gone) {
        again = false
        root.dataset.state = "loading"
        await bringUp()
      }
    } catch (error) {
      note.textContent = `This volume cannot be shown: ${error.message ?? error}`
      root.dataset.state = "error"
      console.warn("nifti view:", error)
    } finally {
      working = false
    }
  }

  async function bringUp() {
    if (!attached) attached = nv.attachToCanvas(canvas, true)
    await attached
    const looks = plain(model.looks) ?? {}
    const wanted = SLOTS.filter((slot) => model[slot]?.byteLength && (slot === "base" || model.base?.byteLength))
    const keys = Object.fromEntries(wanted.map((slot) => [slot, identity(slot, looks[slot] ?? {})]))
    const newBase = keys.base !== loaded.base?.key
    // another scan: everything goes first, so that no overlay is ever seen on a scan it does not belong to
    for (const slot of SLOTS) if (loaded[slot] && (newBase || loaded[slot].key !== keys[slot])) delete loaded[slot]
    if (newBase && nv.volumes.length) layer([])
    note.textContent = wanted.length ? (newBase ? "Loading the scan …" : "") : model.empty
    for (const slot of wanted) if (!loaded[slot]) loaded[slot] = await load(slot, looks[slot] ?? {}, keys[slot])
    if (gone) return
    for (const slot of wanted) dress(slot, loaded[slot], looks[slot] ?? {})
    nv.opts.isRadiologicalConvention = model.radiological
    nv.opts.sliceType = LAYOUTS[model.layout] ?? 3
    layer(wanted.map((slot) => loaded[slot].image))
    if (newBase && wanted.length) moveTo(startingPoint())
    note.textContent = wanted.length ? "" : model.empty
    explain(wanted, looks)
    if (wanted.length) nv.createOnLocationChange()
    else readout.textContent = ""
    root.dataset.volumes = JSON.stringify(wanted)
    root.dataset.convention = model.radiological ? "radiological" : "neurological"
    root.dataset.state = wanted.length ? "ready" : "empty"
  }

  // what makes a loaded volume the wanted one: its bytes (by reference: they are replaced, never changed) and what
  // is baked in when it is loaded
  const numbers = new WeakMap()
  let next = 0
  function identity(slot, look) {
    const bytes = model[slot]
    if (!numbers.has(bytes)) numbers.set(bytes, ++next)
    return JSON.stringify([numbers.get(bytes), look.affine ?? null, LABELS.has(slot) ? look.labels ?? null : null])
  }

  async function load(slot, look, key) {
    // a copy, since byte swapping would happen in place and the bytes may be wanted again
    const image = await NVImage.new(model[slot].slice(0), `${slot}.nii.gz`)
    if (look.affine) {
      // the affine that the workbench's reader settled on: NiiVue prefers a qform with the higher code, nibabel the sform
      image.hdr.affine = [0, 4, 8, 12].map((row) => look.affine.slice(row, row + 4))
      image.calculateRAS()
    }
    const entry = { key, image }
    if (LABELS.has(slot)) keepLabels(entry, look.labels)
    else if (slot === "attention") entry.histogram = histogram(image)
    return entry
  }

  // label codes -> 1..n in the order of `wanted` [{code, name, color}], everything else -> 0; or every code when not told
  function keepLabels(entry, wanted) {
    const { image } = entry, slope = image.hdr.scl_slope || 1, inter = image.hdr.scl_inter || 0
    const list = wanted ?? distinct(image.img, slope, inter).map((code, i) => ({ code, name: `label ${code}`, color: spread(i) }))
    const index = new Map(list.map((label, i) => [label.code, i + 1]))
    const indices = new Uint16Array(image.img.length)
    for (let i = 0; i < indices.length; i++) {
      const value = image.img[i]
      if (value !== 0 || inter !== 0) indices[i] = index.get(Math.round(value * slope + inter)) ?? 0
    }
    image.img = indices
    Object.assign(image.hdr, { datatypeCode: 512, numBitsPerVoxel: 16, scl_slope: 1, scl_inter: 0, intent_code: 1002 })
    const colors = [[0, 0, 0], ...list.map((label) => label.color)]
    image.colormapLabel = cmapper.makeLabelLut({
      R: colors.map((c) => c[0]), G: colors.map((c) => c[1]), B: colors.map((c) => c[2]),
      A: colors.map((_, i) => (i ? 255 : 0)), I: colors.map((_, i) => i),
    })
    entry.labels = list
  }

  function dress(slot, entry, look) {
    const { image } = entry
    image.opacity = slot === "base" ? 1 : look.opacity ?? 0.6
    image.colorbarVisible = false
    if (slot !== "attention") return
    image.colormap = look.colormap ?? "attention"
    image.colormapType = 2 // colours from zero and nothing below cal_min (in this NiiVue, 1 is the one that fades)
    const [low, high] = massThreshold(entry.histogram, look.mass ?? 60)
    Object.assign(entry, { low, high })
    image.cal_min = low
    image.cal_max = high
  }

  function layer(images) {
    nv.volumes = images
    nv.back = images[0] ?? null
    nv.overlays = images.slice(1)
    nv.updateGLVolume()
  }

  function startingPoint() {
    // where the segmentation is, so that it is seen at once; else the middle of what is bright
    const labelled = loaded.truth ?? loaded.prediction
    return (labelled && centre(labelled.image, (v) => v === 1)) ?? centre(loaded.base.image, threshold(loaded.base.image))
  }

  function moveTo(mm) {
    if (!mm || !nv.volumes.length) return
    nv.scene.crosshairPos = nv.mm2frac(mm, 0, true)
    nv.drawScene()
    nv.createOnLocationChange()
  }

  function tell({ mm, values }) {
    if (!loaded.base) return
    root.dataset.mm = JSON.stringify([...mm].slice(0, 3).map((v) => Math.round(v * 1000) / 1000))
    root.dataset.value = String(values[0]?.value)
    const sides = [["right", "left"], ["anterior", "posterior"], ["superior", "inferior"]]
    const place = sides.map(([plus, minus], i) => `${Math.abs(mm[i]).toFixed(1)} ${mm[i] < 0 ? minus : plus}`).join(", ")
    const triple = ["x", "y", "z"].map((axis, i) => `${axis} ${mm[i] < 0 ? "−" : "+"}${Math.abs(mm[i]).toFixed(1)}`).join("  ")
    const looks = plain(model.looks) ?? {}
    readout.replaceChildren(item("Crosshair", `${triple} mm`, place))
    for (const { name, value } of values) {
      const slot = name.split(".")[0], entry = loaded[slot]
      if (!entry) continue
      const text = entry.labels ? (entry.labels[Math.round(value) - 1]?.name ?? "–") : number(value)
      readout.append(item(looks[slot]?.title ?? slot, text))
    }
  }

  function explain(wanted, looks) {
    legend.replaceChildren()
    if (!wanted.length) return
    const side = model.radiological ? "Radiological: the patient's left is on the right of the screen"
      : "Neurological: the patient's left is on the left of the screen"
    const segmentations = document.createElement("span")
    segmentations.className = "labels"
    legend.append(item("", side), segmentations)
    for (const slot of wanted.slice(1)) {
      const entry = loaded[slot], row = item(looks[slot]?.title ?? slot, "")
      if (slot === "attention") {
        const ramp = document.createElement("span")
        ramp.className = "ramp"
        const lut = nv.colormap(entry.image.colormap)
        const stops = [0, 64, 128, 192, 255].map((i) => `rgb(${lut[4 * i]},${lut[4 * i + 1]},${lut[4 * i + 2]})`)
        ramp.style.background = `linear-gradient(to right, ${stops.join(",")})`
        row.append("0", ramp, `${number(entry.high)} · shown from ${number(entry.low)} up`)
      } else {
        for (const { name, color } of entry.labels.slice(0, 6)) {
          const swatch = document.createElement("span")
          swatch.className = "swatch"
          swatch.style.background = `rgb(${color.join(",")})`
          row.append(swatch, name)
        }
        if (entry.labels.length > 6) row.append(` and ${entry.labels.length - 6} more`)
      }
      if (slot === "attention") legend.append(row)
      else segmentations.append(row)
    }
  }

  for (const name of [...SLOTS, "looks", "radiological", "layout", "empty"]) model.on(name, show)
  model.on("remove", () => {
    gone = true
    nv.cleanup()
    nv.gl?.getExtension("WEBGL_lose_context")?.loseContext() // a browser keeps only about 16 contexts
  })
  model.on("after_layout", () => { if (!attached) show() })
  requestAnimationFrame(show)
  return root
}

// text nodes only: names come from data
function item(name, text, title = "") {
  const span = document.createElement("span")
  if (name) {
    const bold = document.createElement("b")
    bold.textContent = `${name} `
    span.append(bold)
  }
  span.append(text)
  span.title = title
  return span
}

function number(value) {
  if (!Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  return size !== 0 && (size < 0.01 || size >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(size < 1 ? 3 : 4)))
}

// Bokeh hands dictionaries over as Maps
function plain(value) {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)]))
  if (Array.isArray(value)) return value.map(plain)
  return value && value.constructor === Object ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)])) : value
}

function histogram({ img, hdr }) {
  const slope = hdr.scl_slope || 1, inter = hdr.scl_inter || 0, counts = new Float64Array(BINS)
  let max = 0
  for (let i = 0; i < img.length; i++) max = Math.max(max, img[i] * slope + inter)
  if (max > 0) for (let i = 0; i < img.length; i++) {
    const value = img[i] * slope + inter
    if (value > 0) counts[Math.min(BINS - 1, Math.floor((value / max) * BINS))]++
  }
  return { max, counts }
}

// [low, high]: the voxels from `low` up hold `percent` of the map's sum; 1 in 1000 of the non-zero voxels is above `high`
function massThreshold({ max, counts }, percent) {
  const mass = counts.map((count, i) => count * (i + 0.5))
  const total = mass.reduce((a, b) => a + b, 0), voxels = counts.reduce((a, b) => a + b, 0)
  if (!total) return [1, 1]
  let low = BINS, kept = 0, high = BINS, above = 0
  while (low > 0 && kept < (total * percent) / 100) kept += mass[--low]
  while (high > 1 && above + counts[high - 1] <= voxels / 1000) above += counts[--high]
  // never exactly 0: voxels without attention stay clear
  return [Math.max((low / BINS) * max, max * 1e-6), Math.max((high / BINS) * max, max * 1e-6)]
}

function distinct(img, slope, inter) {
  const found = new Set()
  for (let i = 0; i < img.length; i++) found.add(img[i])
  return [...new Set([...found].map((v) => Math.round(v * slope + inter)))].filter((v) => v !== 0).sort((a, b) => a - b)
}

function spread(i) { // hues a golden angle apart, for maps with many unnamed labels
  const hue = (i * 137.508) % 360, f = (n, k = (n + hue / 30) % 12) => 0.55 - 0.38 * Math.max(-1, Math.min(k - 3, 9 - k, 1))
  return [f(0), f(8), f(4)].map((v) => Math.round(255 * v))
}

function threshold({ img }) {
  let sum = 0, count = 0
  for (let i = 0; i < img.length; i += 7) if (img[i] > 0) { sum += img[i]; count++ }
  const mean = count ? sum / count : 0
  return (value) => value > mean
}

// centre of mass in world mm of the voxels that `keep` keeps, or null where there are none
function centre({ img, hdr }, keep) {
  const [, nx, ny] = hdr.dims, sum = [0, 0, 0]
  let count = 0
  for (let i = 0; i < img.length; i++) {
    if (!keep(img[i])) continue
    sum[0] += i % nx
    sum[1] += Math.floor(i / nx) % ny
    sum[2] += Math.floor(i / (nx * ny))
    count++
  }
  if (!count) return null
  const [x, y, z] = sum.map((s) => Math.round(s / count)) // a voxel's centre: its value is a stored value
  return hdr.affine.slice(0, 3).map((row) => row[0] * x + row[1] * y + row[2] * z + row[3])
}
