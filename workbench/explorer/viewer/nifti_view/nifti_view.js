// The 3D view: what is on screen is a function of the model's properties, and of nothing else.
//
// Each volume has its own property (the bytes of a NIfTI file), so that switching an overlay never sends the scan
// again. `looks` says how each is drawn. Every change ends in one call of `show()`, which compares what is loaded
// with what is wanted; changes that arrive while it works are taken up in its next round.
import { DRAG_MODE, Niivue, NVImage, cmapper } from "@niivue/niivue"

import { savePicture } from "./picture.js"
import { affineInverse, centre, distinct, histogram, massThreshold, mosaic, moved, number, plain, spread, surface, threshold } from "./volumes.js"

const SLOTS = ["base", "rgb", "attention", "beside", "similarity", "truth", "prediction", "error"] // bottom layer first
const LABELS = new Set(["truth", "prediction", "error"])
const MAPS = new Set(["attention", "beside", "similarity"])
const LAYOUTS = { multiplanar: 3, axial: 0, coronal: 1, sagittal: 2, render: 4, mosaic: 0 } // NiiVue's numbers
const MOVED = "nifti-view-moved" // viewers of one group tell each other by this event, without the server
const FLICKER_MS = 700
// plasma's course at full opacity: NiiVue's own maps fade out towards zero, which hides where a map is cut
const ATTENTION = { R: [13, 13, 126, 204, 248, 240], G: [8, 8, 3, 71, 149, 249], B: [135, 135, 168, 120, 64, 33],
                    A: [0, 255, 255, 255, 255, 255], I: [0, 1, 64, 128, 192, 255] }
// viridis' course, so that a similarity is never taken for an attention
const SIMILARITY = { R: [68, 68, 59, 33, 94, 253], G: [1, 1, 82, 145, 201, 231], B: [84, 84, 139, 140, 98, 37],
                     A: [0, 255, 255, 255, 255, 255], I: [0, 1, 64, 128, 192, 255] }
// from dark to light blue
const BESIDE = { R: [3, 3, 8, 40, 110, 205], G: [20, 20, 80, 150, 205, 250], B: [60, 60, 130, 190, 225, 255],
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
  .volume-view .caption { position: absolute; left: 8px; bottom: 6px; color: #ffd166; font-size: 13px; pointer-events: none;
                      text-shadow: 0 0 3px #000, 0 0 3px #000; }
  .volume-view .save { position: absolute; right: 6px; bottom: 6px; font-size: 12px; opacity: .75; cursor: pointer;
                      background: #1f2d3d; color: #fff; border: 1px solid #5b6776; border-radius: 4px; padding: 2px 8px; }
  .volume-view .save:hover, .volume-view .save:focus { opacity: 1; }
  .volume-view .hidden { opacity: .35; }
  .volume-view .ramp { display: inline-block; width: 90px; height: 10px; border-radius: 2px; margin: 0 6px; vertical-align: -1px; }
`

const shared = (globalThis.__niftiViewPlaces ??= new Map()) // group -> world mm: a viewer that comes later starts there

export function render({ model, el }) {
  const root = document.createElement("div")
  root.className = "volume-view"
  root.innerHTML = `<style>${STYLE}</style><div class="stage"><canvas tabindex="0"></canvas><div class="note"></div>`
    + `<div class="caption"></div><button class="save" type="button" title="Save this picture as PNG">PNG</button></div>`
    + `<div class="readout"></div><div class="legend"></div>`
  const [canvas, note, readout, legend, caption, save] =
    ["canvas", ".note", ".readout", ".legend", ".caption", ".save"].map((s) => root.querySelector(s))

  const nv = new Niivue({
    backColor: [0, 0, 0, 1], crosshairColor: [0.2, 0.9, 0.4, 0.8], crosshairWidth: 0.7, crosshairWidthUnit: "mm", crosshairGap: 7, fontColor: [1, 1, 1, 1],
    fontMinPx: 15, dragAndDropEnabled: false, loadingText: "", logLevel: "silent", isOrientationTextVisible: true,
    showAllOrientationMarkers: true, multiplanarShowRender: 1, multiplanarLayout: 2, multiplanarPadPixels: 4,
    show3Dcrosshair: true, showLegend: false, isColorbar: false, viewModeHotKey: "", clipPlaneHotKey: "",
    cycleClipPlaneHotKey: "", isResizeCanvas: true, textHeight: -1, dragMode: DRAG_MODE.windowing, centerMosaic: true, tileMargin: 6,
  })
  nv.addColormap("attention", ATTENTION)
  nv.addColormap("similarity", SIMILARITY)
  nv.addColormap("beside", BESIDE)
  nv.onLocationChange = tell

  const loaded = {} // slot -> {key, image, names, histogram}
  const me = Symbol("viewer")
  let attached = null, working = false, again = false, gone = false, following = false
  let ticker = null, tick = 0, automatic = null // the window that NiiVue chose for the scan
  let untouched = null // where the crosshair began, while it may still go to a segmentation

  // for tests and for other scripts: the state as data attributes, and a way to the viewer
  root.dataset.state = "empty"
  root.niftiView = { nv, moveTo, loaded, turn, pause }

  async function show() {
    again = true
    if (working) return
    working = true
    try {
      while (again && !gone) {
        await null // one message of the server changes many properties: they are one round
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
    if (!attached) attached = pageIsThere().then(() => nv.attachToCanvas(canvas, true)).then(introduce)
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
    if (newBase && loaded.base) automatic = [loaded.base.image.cal_min, loaded.base.image.cal_max]
    for (const slot of wanted) dress(slot, loaded[slot], looks[slot] ?? {})
    nv.opts.isRadiologicalConvention = model.radiological
    nv.opts.sliceType = LAYOUTS[model.layout] ?? 3
    nv.opts.sliceMosaicString = model.layout === "mosaic" && loaded.base ? mosaic(loaded.base.image) : ""
    layer(wanted.map((slot) => loaded[slot].image))
    if (newBase && wanted.length) {
      const there = model.linked && shared.get(model.group)
      there ? moveTo(here(there)) : start()
      untouched = there || loaded.truth || loaded.prediction ? null : root.dataset.mm
    } else if (untouched && (loaded.truth || loaded.prediction)) {
      if (untouched === root.dataset.mm) start() // the segmentation came after the scan, and nobody has moved yet
      untouched = null
    }
    beat(wanted)
    note.textContent = wanted.length ? "" : model.empty
    explain(wanted, looks)
    if (wanted.length) nv.createOnLocationChange()
    else readout.textContent = ""
    root.dataset.volumes = JSON.stringify(wanted)
    root.dataset.window = JSON.stringify(loaded.base ? [loaded.base.image.cal_min, loaded.base.image.cal_max] : [])
    root.dataset.linked = String(model.linked)
    root.dataset.scan = model.scan
    root.dataset.convention = model.radiological ? "radiological" : "neurological"
    root.dataset.state = wanted.length ? "ready" : "empty"
    const { ticket } = model // once the picture is really there
    if (ticket !== model.shown) requestAnimationFrame(() => setTimeout(() => { model.shown = ticket }))
  }

  // making the shaders ready may take a second of the one thread that also draws the table and the plots: those first
  function pageIsThere() {
    const idle = (done) => window.requestIdleCallback ? requestIdleCallback(done, { timeout: 2000 }) : done()
    return new Promise((resolve) => setTimeout(() => idle(resolve), 50))
  }

  // say how this browser draws, and that volumes may come: the page around the viewer is there by now
  function introduce() {
    const { gl } = nv, info = gl.getExtension("WEBGL_debug_renderer_info")
    const software = /swiftshader|llvmpipe|software|basic render/i.test(gl.getParameter(info?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER))
    nv.opts.multiplanarShowRender = software ? 0 : 1 // never, or always: without a GPU it takes longer than all the rest
    model.drawn_by = software ? "software" : "gpu"
  }

  // what makes a loaded volume the wanted one: its bytes (by reference: they are replaced, never changed) and what
  // is baked in when it is loaded
  const numbers = new WeakMap()
  let next = 0
  function identity(slot, look) {
    const bytes = model[slot]
    if (!numbers.has(bytes)) numbers.set(bytes, ++next)
    return JSON.stringify([numbers.get(bytes), look.affine ?? null,
                           LABELS.has(slot) ? [look.labels ?? null, model.outline && slot !== "error"] : null])
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
    if (LABELS.has(slot)) keepLabels(entry, look.labels, model.outline && slot !== "error")
    else if (MAPS.has(slot)) entry.histogram = histogram(image)
    return entry
  }

  // label codes -> 1..n in the order of `wanted` [{code, name, color}], everything else -> 0; or every code when not told
  function keepLabels(entry, wanted, outline) {
    const { image } = entry, slope = image.hdr.scl_slope || 1, inter = image.hdr.scl_inter || 0
    const list = wanted ?? distinct(image.img, slope, inter).map((code, i) => ({ code, name: `label ${code}`, color: spread(i) }))
    const index = new Map(list.map((label, i) => [label.code, i + 1]))
    const indices = new Uint16Array(image.img.length)
    for (let i = 0; i < indices.length; i++) {
      const value = image.img[i]
      if (value !== 0 || inter !== 0) indices[i] = index.get(Math.round(value * slope + inter)) ?? 0
    }
    image.img = outline ? surface(indices, image.hdr.dims) : indices
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
    image.colorbarVisible = false
    if (slot === "base") {
      const chosen = model.window?.length === 2 ? model.window : automatic
      if (chosen) [image.cal_min, image.cal_max] = chosen
      image.opacity = 1
      return
    }
    image.opacity = off(slot) ? 0 : look.opacity ?? 0.6
    if (!MAPS.has(slot)) return
    // by turns in the same colours, together in others
    const turns = (model.flicker ?? []).length === 2
    const colors = slot === "similarity" ? "similarity" : slot === "beside" && !turns ? "beside" : "attention"
    if (image.colormap !== colors) image.colormap = colors // to set it is to look at every voxel again
    // 2: colours from zero and nothing below cal_min (in this NiiVue, 1 is the one that fades); 0: from cal_min
    image.colormapType = look.range ? 0 : 2
    const [low, high] = look.range ?? massThreshold(entry.histogram, look.mass ?? 25)
    Object.assign(entry, { low, high })
    image.cal_min = low
    image.cal_max = high
  }

  // flicker: two overlays by turns, at the same place and with their own scales
  function off(slot) {
    const pair = model.flicker ?? []
    return pair.length === 2 && pair.includes(slot) && pair.every((s) => loaded[s]) && pair[tick % 2] !== slot
  }

  function beat(wanted) {
    const pair = model.flicker ?? [], on = pair.length === 2 && pair.every((s) => wanted.includes(s))
    if (on && ticker === null) ticker = setInterval(turn, FLICKER_MS)
    if (!on && ticker !== null) { clearInterval(ticker); ticker = null }
    title()
  }

  function pause() { clearInterval(ticker) }

  function turn() {
    if (working || gone) return
    tick++
    const looks = plain(model.looks) ?? {}
    for (const slot of model.flicker) if (loaded[slot]) dress(slot, loaded[slot], looks[slot] ?? {})
    nv.updateGLVolume()
    title()
  }

  function title() {
    const now = ticker === null ? "" : model.flicker[tick % 2]
    const looks = plain(model.looks) ?? {}
    caption.textContent = [model.caption, now && `▶ ${looks[now]?.title ?? now}`].filter(Boolean).join("   ")
    root.dataset.flicker = now
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

  function start() {
    moveTo(startingPoint())
    if (model.group) shared.set(model.group, placeOf(JSON.parse(root.dataset.mm)))
  }

  function moveTo(mm) {
    if (!mm || !nv.volumes.length) return
    nv.scene.crosshairPos = nv.mm2frac(mm, 0, true)
    nv.drawScene()
    nv.createOnLocationChange()
  }

  // a place that viewers of a group share: world millimetres, and the share of the brain's box where it is known
  function placeOf(mm) {
    return { mm, share: model.box.length === 16 ? moved(affineInverse(model.box), mm) : null }
  }

  function here({ mm, share }) {
    return share && model.box.length === 16 ? moved(model.box, share) : mm
  }

  // another viewer of the group has moved: to the same place here
  function follow({ detail }) {
    if (gone || detail.from === me || !model.linked || !model.group || detail.group !== model.group || !loaded.base) return
    following = true
    try { moveTo(here(detail)) } finally { following = false }
  }

  function released({ button }) {
    if (!loaded.base || gone) return
    const { cal_min, cal_max } = loaded.base.image, [low, high] = JSON.parse(root.dataset.window || "[]")
    if (button === 2 && (cal_min !== low || cal_max !== high)) { // the window was dragged: let the numbers follow
      root.dataset.window = JSON.stringify([cal_min, cal_max])
      model.window = [cal_min, cal_max]
    }
    if (button === 0 && model.pick && root.dataset.mm) model.picked = JSON.parse(root.dataset.mm)
  }

  function tell({ mm, values }) {
    if (!loaded.base) return
    root.dataset.mm = JSON.stringify([...mm].slice(0, 3).map((v) => Math.round(v * 1000) / 1000))
    root.dataset.value = String(values[0]?.value)
    if (model.group && !following && !working) {
      const now = placeOf([...mm].slice(0, 3))
      shared.set(model.group, now)
      if (model.linked) document.dispatchEvent(new CustomEvent(MOVED, { detail: { from: me, group: model.group, ...now } }))
    }
    const sides = [["right", "left"], ["anterior", "posterior"], ["superior", "inferior"]]
    const place = sides.map(([plus, minus], i) => `${Math.abs(mm[i]).toFixed(1)} ${mm[i] < 0 ? minus : plus}`).join(", ")
    const triple = ["x", "y", "z"].map((axis, i) => `${axis} ${mm[i] < 0 ? "−" : "+"}${Math.abs(mm[i]).toFixed(1)}`).join("  ")
    const looks = plain(model.looks) ?? {}
    readout.replaceChildren(item("Crosshair", `${triple} mm`, place))
    for (const { name, value } of values) {
      const slot = name.split(".")[0], entry = loaded[slot]
      if (!entry) continue
      if (slot === "rgb") continue // a colour has no number
      const unit = looks[slot]?.unit ? ` ${looks[slot].unit}` : ""
      const text = entry.labels ? (entry.labels[Math.round(value) - 1]?.name ?? "–")
        : slot === "similarity" && value <= -1 ? "–" : number(value) + unit // -1 stands for what is not brain
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
    if (model.step > 1) legend.append(item("", `every ${["", "", "2nd", "3rd"][model.step] ?? `${model.step}th`} voxel`,
      "This browser draws without a GPU. Places and values are those of the voxels shown; “Every voxel” shows all"))
    for (const slot of wanted.slice(1)) {
      const entry = loaded[slot], look = looks[slot] ?? {}, row = item(look.title ?? slot, "")
      if (MAPS.has(slot)) {
        const ramp = document.createElement("span")
        ramp.className = "ramp"
        const lut = nv.colormap(entry.image.colormap)
        const stops = [1, 64, 128, 192, 255].map((i) => `rgb(${lut[4 * i]},${lut[4 * i + 1]},${lut[4 * i + 2]})`)
        ramp.style.background = `linear-gradient(to right, ${stops.join(",")})`
        const unit = look.unit ? ` ${look.unit}` : ""
        if (look.range) row.append(number(entry.low), ramp, number(entry.high) + unit)
        else row.append("0", ramp, `${number(entry.high)}${unit} · shown from ${number(entry.low)} up`)
      } else if (slot === "rgb") row.append(look.unit ?? "")
      else {
        for (const { name, color, extra } of entry.labels.slice(0, 6)) {
          const swatch = document.createElement("span")
          swatch.className = "swatch"
          swatch.style.background = `rgb(${color.join(",")})`
          row.append(swatch, extra ? `${name} ${extra}` : name)
        }
        if (entry.labels.length > 6) row.append(` and ${entry.labels.length - 6} more`)
      }
      if (LABELS.has(slot)) segmentations.append(row)
      else legend.append(row)
    }
    const { cal_min, cal_max } = loaded.base.image
    legend.append(item("Window", `${number(cal_min)} to ${number(cal_max)}`, "Drag with the right mouse button: up and down "
      + "for the level, left and right for the width"))
  }

  for (const name of [...SLOTS, "looks", "radiological", "layout", "empty", "window", "outline", "flicker", "caption", "linked", "scan", "step", "ticket", "box"])
    model.on(name, show)
  document.addEventListener(MOVED, follow)
  canvas.addEventListener("mouseup", (event) => setTimeout(() => released(event)))
  save.addEventListener("click", () => savePicture(nv, canvas, model, [readout, legend].map((e) => e.innerText)))
  model.on("remove", () => {
    gone = true
    document.removeEventListener(MOVED, follow)
    if (ticker !== null) clearInterval(ticker)
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
