// The 3D view: what is on screen is a function of the model's properties, and of nothing else.
//
// Each volume has its own property (the bytes of a NIfTI file), so that switching an overlay never sends the scan
// again. `looks` says how each is drawn. Every change ends in one call of `show()`, which compares what is loaded
// with what is wanted; changes that arrive while it works are taken up in its next round.
import { DRAG_MODE, Niivue, NVImage, cmapper } from "@niivue/niivue"

import { arrange, both, boxOf, brightBox, brightEnds, mosaicGrid, zoomTo } from "./frame.js"
import { STYLE as LEGEND_STYLE, TOLD, drawn } from "./legend.js"
import { paintByProcessor } from "./paint.js"
import { savePicture } from "./picture.js"
import { SOLID_STYLE, cells, solidView } from "./solid.js"
import { affineInverse, centre, distinct, histogram, massThreshold, mosaic, moved, number, plain, spread, surface, threshold } from "./volumes.js"

const LAYOUTS = { multiplanar: 3, all: 3, axial: 0, coronal: 1, sagittal: 2, render: 3, mosaic: 0 } // NiiVue's numbers
const PLANES = { axial: 0, coronal: 1, sagittal: 2 }
const MOVED = "nifti-view-moved" // viewers of one group tell each other by this event, without the server
const FLICKER_MS = 700
const NAME = /^ahead:/ // no NIfTI begins so, compressed or not
const STYLE = `
  .volume-view { display: flex; flex-direction: column; width: 100%; height: 100%; font-size: 12px; }
  .volume-view .stage { position: relative; flex: 1 1 0; min-height: 0; background: #000; border-radius: 4px; overflow: hidden; }
  .volume-view canvas { display: block; width: 100%; height: 100%; }
  .volume-view .note { position: absolute; inset: 0; display: flex; align-items: center; justify-content: center;
                      color: #c9ced6; font-size: 14px; pointer-events: none; text-align: center; padding: 2em; }
  .volume-view .note:empty { display: none; }
  .volume-view .readout { flex: 0 0 20px; display: flex; gap: 1px 18px; padding: 3px 2px 0; line-height: 17px; overflow: hidden;
                      white-space: nowrap; font-variant-numeric: tabular-nums; } /* one line: the picture must not jump with it */
  .volume-view .legend { flex: 0 0 62px; box-sizing: border-box; overflow: auto; align-content: flex-start; } /* three lines, for the same reason */
  .volume-view .legend.elsewhere { display: none; }
  .volume-view .readout b { font-weight: 600; }
  .volume-view .caption { position: absolute; left: 8px; bottom: 6px; color: #ffd166; font-size: 13px; pointer-events: none;
                      text-shadow: 0 0 3px #000, 0 0 3px #000; }
  .volume-view .save { position: absolute; right: 6px; bottom: 6px; font-size: 12px; opacity: .75; cursor: pointer;
                      background: #1f2d3d; color: #fff; border: 1px solid #5b6776; border-radius: 4px; padding: 2px 8px; }
  .volume-view .save:hover, .volume-view .save:focus { opacity: 1; }
  ${SOLID_STYLE}${LEGEND_STYLE}
`

const RANGED = "nifti-view-range" // and that a map of theirs has another range
const ranges = (globalThis.__niftiViewRanges ??= new Map()) // "group|slot" -> Map of viewer -> [low, high]
const kept = (globalThis.__niftiViewKept ??= new Map()) // name -> bytes that were sent ahead; a viewer may be drawn anew
const shared = (globalThis.__niftiViewPlaces ??= new Map()) // group -> world mm: a viewer that comes later starts there

export function render({ model, el }) {
  const root = document.createElement("div")
  root.className = "volume-view"
  root.innerHTML = `<style>${STYLE}</style><div class="stage"><canvas class="planes" tabindex="0" role="img" aria-label="No scan yet"></canvas><div class="note"></div>`
    + `<div class="caption"></div><button class="save" type="button" title="Save this picture as PNG, with its scan and legend">PNG</button></div>`
    + `<div class="readout"></div><div class="legend" tabindex="0" role="group" aria-label="Legend"></div>`
  const [canvas, note, readout, legend, caption, save] =
    ["canvas.planes", ".note", ".readout", ".legend", ".caption", ".save"].map((s) => root.querySelector(s))

  const nv = new Niivue({
    backColor: [0, 0, 0, 1], crosshairColor: [0.2, 0.9, 0.4, 0.8], crosshairWidth: 0.7, crosshairWidthUnit: "mm", crosshairGap: 7, fontColor: [1, 1, 1, 1],
    fontMinPx: 15, dragAndDropEnabled: false, loadingText: "", logLevel: "silent", isOrientationTextVisible: true,
    showAllOrientationMarkers: true, multiplanarShowRender: 0, multiplanarLayout: 2, multiplanarPadPixels: 4,
    show3Dcrosshair: true, showLegend: false, isColorbar: false, viewModeHotKey: "", clipPlaneHotKey: "",
    cycleClipPlaneHotKey: "", isResizeCanvas: true, textHeight: -1, dragMode: DRAG_MODE.windowing, centerMosaic: true, tileMargin: 6,
  })
  nv.onLocationChange = tell
  const stage = root.querySelector(".stage")
  const kinds = () => plain(model.kinds) ?? []
  const kindOf = (slot) => kinds().find((kind) => kind.key === slot) ?? {}
  const slots = () => ["base", ...kinds().map((kind) => kind.key)] // bottom layer first
  const isMap = (slot) => kindOf(slot).draws === "map", isLabels = (slot) => kindOf(slot).draws === "labels"
  const outlined = (slot) => kindOf(slot).outline === "always" || (kindOf(slot).outline === "asked" && model.outline)
  // full opacity from the threshold on: NiiVue's own maps fade out, which hides where a map is cut
  for (const { key, ramp } of kinds()) if (ramp?.length) {
    const steps = ramp.map((_, i) => (i === 0 ? 1 : Math.round((255 * i) / (ramp.length - 1))))
    const [R, G, B] = [0, 1, 2].map((k) => [ramp[0][k], ...ramp.map((color) => color[k])])
    nv.addColormap(key, { R, G, B, A: [0, ...ramp.map(() => 255)], I: [0, ...steps] })
  }

  const loaded = {} // slot -> {key, image, names, histogram}
  const me = Symbol("viewer")
  let attached = null, working = false, again = false, gone = false, following = false
  let ticker = null, tick = 0, automatic = null // the window that NiiVue chose for the scan
  let bySoftware = false
  let framed = null, solid = null, solidOf = "" // the brain's box; the 3D view, and what it was made of
  zoomTo(nv, () => (model.whole ? null : framed))
  let untouched = null // where the crosshair began, while it may still go to a segmentation

  // for tests and for other scripts: the state as data attributes, and a way to the viewer
  root.dataset.state = "empty"
  root.niftiView = { nv, moveTo, loaded, turn, pause, savePicture: () => save.click() }

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
      nv.isBusy = false
      note.textContent = `This volume cannot be shown: ${error.message ?? error}`
      root.dataset.state = "error"
      console.warn("nifti view:", error)
    } finally {
      working = false
    }
  }

  async function bringUp() {
    if (!attached) attached = pageIsThere().then(introduce).then(begin)
    await attached
    const looks = plain(model.looks) ?? {}
    const wanted = slots().filter((slot) => model[slot]?.byteLength && (slot === "base" || model.base?.byteLength))
    const bytes = Object.fromEntries(wanted.map((slot) => [slot, content(slot)]))
    const keys = Object.fromEntries(wanted.map((slot) => [slot, identity(slot, looks[slot] ?? {}, bytes[slot])]))
    const newBase = keys.base !== loaded.base?.key
    // another scan: everything goes first, so that no overlay is ever seen on a scan it does not belong to
    for (const slot of slots()) if (loaded[slot] && (newBase || loaded[slot].key !== keys[slot])) {
      delete loaded[slot]
      if (!keys[slot]) leave(slot)
    }
    for (const slot of wanted) if (!loaded[slot] && prepared.has(keys[slot])) loaded[slot] = prepared.get(keys[slot])
    if (newBase && nv.volumes.length && !wanted.every((slot) => loaded[slot])) layer([])
    note.textContent = wanted.length ? (newBase && !loaded.base ? "Loading the scan …" : "") : model.empty
    for (const slot of wanted) loaded[slot] ??= await load(slot, looks[slot] ?? {}, keys[slot], bytes[slot])
    if (gone) return
    nv.isBusy = true // each of the steps below would draw all of it, and one picture is wanted
    if (newBase && loaded.base) automatic = [loaded.base.image.cal_min, loaded.base.image.cal_max]
    for (const slot of wanted) dress(slot, loaded[slot], looks[slot] ?? {})
    nv.opts.isRadiologicalConvention = model.radiological
    nv.opts.sliceType = LAYOUTS[model.layout] ?? 3
    layer(wanted.map((slot) => loaded[slot].image))
    if (wanted.length) {
      framed = both(boxOf(nv, [...(model.frame ?? [])], moved), brightBox(nv, loaded.base.image, loaded.base.ends, moved))
      place()
      makeSolid(wanted)
    }
    if (newBase && wanted.length) {
      const there = model.linked && shared.get(model.group)
      there ? moveTo(here(there)) : start()
      untouched = there || segmented() ? null : root.dataset.mm
    } else if (untouched && segmented()) {
      if (untouched === root.dataset.mm) start() // the segmentation came after the scan, and nobody has moved yet
      untouched = null
    }
    nv.isBusy = false
    nv.drawScene()
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
  const whenIdle = (done) => (window.requestIdleCallback ? requestIdleCallback(done, { timeout: 2000 }) : setTimeout(done))
  function pageIsThere() {
    return new Promise((resolve) => setTimeout(() => whenIdle(resolve), 50))
  }

  // say how this browser draws, and that volumes may come: the page around the viewer is there by now, and they are on
  // their way while the shaders are made ready
  function introduce() {
    const gl = document.createElement("canvas").getContext("webgl2"), info = gl?.getExtension("WEBGL_debug_renderer_info")
    const name = gl?.getParameter(info?.UNMASKED_RENDERER_WEBGL ?? gl.RENDERER) ?? ""
    gl?.getExtension("WEBGL_lose_context")?.loseContext()
    bySoftware = /swiftshader|llvmpipe|software|basic render/i.test(name) // then the 3D view comes when it is asked for
    model.drawn_by = bySoftware ? "software" : "gpu"
  }

  // edges here run along the pixels; to smooth them takes a processor three times as long
  async function begin() {
    await nv.attachToCanvas(canvas, !bySoftware)
    if (bySoftware) paintByProcessor(nv)
  }

  // what makes a loaded volume the wanted one: its bytes (by reference: they are replaced, never changed) and what
  // is baked in when it is loaded
  const numbers = new WeakMap()
  let next = 0
  function identity(slot, look, bytes) {
    if (!numbers.has(bytes)) numbers.set(bytes, ++next)
    return JSON.stringify([numbers.get(bytes), look.affine ?? null,
                           isLabels(slot) ? [look.labels ?? null, outlined(slot)] : null])
  }

  // the volume of a slot; one that was sent ahead is named in place of its bytes
  const mine = new Set()
  const named = (slot) => {
    const text = model[slot]?.byteLength < 100 ? new TextDecoder().decode(model[slot]) : ""
    return NAME.test(text) ? text : null
  }
  function content(slot) {
    const name = named(slot)
    if (name !== null && !kept.has(name)) throw new Error("it was to be here already and is not; choose the scan again")
    return name === null ? model[slot] : kept.get(name)
  }

  // what will probably be asked for next is made ready while somebody looks at this
  let prepared = new Map() // identity -> entry
  async function prepare() {
    const ahead = plain(model.ahead) ?? {}, used = slots().map(named), made = new Map()
    for (const name of mine) if (!used.includes(name)) mine.delete(name) && kept.delete(name)
    for (const { name, bytes } of Object.values(ahead)) mine.add(name) && kept.set(name, bytes)
    prepared = made
    for (const [slot, { look, bytes }] of Object.entries(ahead)) {
      await new Promise(whenIdle)
      if (gone || prepared !== made) return
      const key = identity(slot, look, bytes)
      try { made.set(key, await load(slot, look, key, bytes)) } catch { return } // told when it is really wanted
    }
    if (prepared === made) root.dataset.ahead = String(made.size)
  }

  async function load(slot, look, key, bytes) {
    // a copy, since byte swapping would happen in place and the bytes may be wanted again
    const image = await NVImage.new(bytes.slice(0), `${slot}.nii.gz`)
    if (look.affine) {
      // the affine that the workbench's reader settled on: NiiVue prefers a qform with the higher code, nibabel the sform
      image.hdr.affine = [0, 4, 8, 12].map((row) => look.affine.slice(row, row + 4))
      image.calculateRAS()
    }
    const entry = { key, image }
    if (isLabels(slot)) keepLabels(entry, look.labels, outlined(slot))
    else if (isMap(slot)) entry.histogram = histogram(image)
    if (slot === "base") Object.assign(entry, { ends: brightEnds(image, threshold(image, 0.4)), middle: centre(image, threshold(image)) })
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
    if (!isMap(slot)) return
    // by turns in the same colours, together in others
    const turns = (model.flicker ?? []).length === 2
    const colors = turns && model.flicker.includes(slot) && isMap(model.flicker[0]) ? model.flicker[0] : slot
    if (image.colormap !== colors) image.colormap = colors // to set it is to look at every voxel again
    image.colormapType = 0 // all the colours between threshold and top, nothing below
    const [low, high] = common(slot, look.range ?? massThreshold(entry.histogram, look.mass ?? 25))
    Object.assign(entry, { low, high })
    image.cal_min = low
    image.cal_max = high
  }

  // viewers that stand beside each other use one range: a colour means the same in all of them
  function common(slot, own) {
    if (!model.group) return own
    const key = `${model.group}|${slot}`, all = ranges.get(key) ?? ranges.set(key, new Map()).get(key), had = all.get(me)
    all.set(me, own)
    if (had?.[0] !== own[0] || had?.[1] !== own[1]) document.dispatchEvent(new CustomEvent(RANGED, { detail: { from: me, group: model.group } }))
    return [Math.min(...[...all.values()].map((r) => r[0])), Math.max(...[...all.values()].map((r) => r[1]))]
  }

  function leave(slot) {
    const all = ranges.get(`${model.group}|${slot}`)
    if (all?.delete(me)) document.dispatchEvent(new CustomEvent(RANGED, { detail: { from: me, group: model.group } }))
  }

  function reranged({ detail }) {
    if (!gone && detail.from !== me && detail.group === model.group && loaded.base) show()
  }

  // planes side by side, or in two rows, as large as they can be; the 3D view in its place
  function place() {
    const box = stage.getBoundingClientRect(), { layout } = model
    if (!loaded.base || box.width < 20 || box.height < 20) return
    const { extentsMinOrtho: from, extentsMaxOrtho: to } = loaded.base.image
    const share = framed && !model.whole ? framed : { low: [0, 0, 0], high: [1, 1, 1] }
    const size = [0, 1, 2].map((k) => (share.high[k] - share.low[k]) * Math.abs(to[k] - from[k]))
    let tiles = { solid: [0, 0, box.width, box.height] }
    nv.opts.sliceMosaicString = ""
    if (layout === "mosaic") {
      nv.opts.sliceMosaicString = mosaic(nv, share, mosaicGrid(size, box.width, box.height))
      tiles = {}
    } else if (layout in PLANES) {
      tiles = { [layout]: [0, 0, box.width, box.height] }
    } else if (layout !== "render") {
      tiles = arrange(size, box.width, box.height, layout === "all" ? "always" : bySoftware ? "never" : "where there is room").tiles
    }
    nv.customLayout = Object.entries(tiles).filter(([name]) => name in PLANES).map(([name, [x, y, w, h]]) =>
      ({ sliceType: PLANES[name], position: [x / box.width, y / box.height, Math.min(w / box.width, 1 - x / box.width), Math.min(h / box.height, 1 - y / box.height)] }))
    root.dataset.tiles = JSON.stringify(tiles)
    if (tiles.solid && !solid) {
      solid = solidView(bySoftware)
      stage.insertBefore(solid.root, note)
    }
    if (solid) {
      solid.root.style.display = tiles.solid ? "" : "none"
      if (tiles.solid) {
        const [x, y, w, h] = tiles.solid
        Object.assign(solid.root.style, { left: `${x}px`, top: `${y}px`, width: `${w}px`, height: `${h}px` })
        solid.draw()
      }
    }
    nv.drawScene()
  }

  function resized() {
    if (gone || !loaded.base) return
    place()
    makeSolid(JSON.parse(root.dataset.volumes || "[]"))
  }

  // the 3D view gets what is shown, once the planes are there
  function makeSolid(wanted) {
    if (!solid || solid.root.style.display === "none" || !loaded.base) return
    const shown = wanted.filter((slot) => slot !== "base" && loaded[slot] && !off(slot))
    const now = JSON.stringify([loaded.base.key, loaded.base.image.cal_min, loaded.base.image.cal_max, framed, model.whole,
                                ...shown.map((slot) => [loaded[slot].key, loaded[slot].low, loaded[slot].high])])
    if (now === solidOf) return
    solidOf = now
    setTimeout(() => {
      if (gone || now !== solidOf || !loaded.base) return
      const box = framed && !model.whole ? framed : { low: [0, 0, 0], high: [1, 1, 1] }
      solid.fill(cells(nv, loaded.base.image, shown.filter((slot) => loaded[slot]).map(painter), box, affineInverse))
    }, 30)
  }

  // what one overlay paints into a cell: nothing outside the brain, and a map the more the higher it is
  function painter(slot) {
    const { image, labels, low, high } = loaded[slot]
    if (labels) return { image, paint: (i) => { const label = labels[image.img[i] - 1]; return label ? [...label.color, 230] : null } }
    if (!isMap(slot)) return { image, paint: (i, grey) => (grey > 36 && image.img.length > 3 * i + 2 ? [image.img[3 * i], image.img[3 * i + 1], image.img[3 * i + 2], 120] : null) }
    const lut = nv.colormap(image.colormap), slope = image.hdr.scl_slope || 1, inter = image.hdr.scl_inter || 0
    return { image, paint: (i, grey) => {
      const share = (image.img[i] * slope + inter - low) / (high - low || 1)
      if (share < 0 || grey <= 36) return null
      const c = Math.max(1, Math.min(255, Math.round(255 * share)))
      return [lut[4 * c], lut[4 * c + 1], lut[4 * c + 2], Math.round(70 + 185 * Math.min(1, share))]
    } }
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
    for (const slot of [...model.flicker]) if (loaded[slot]) dress(slot, loaded[slot], looks[slot] ?? {})
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

  const segmented = () => slots().filter((slot) => isLabels(slot) && kindOf(slot).outline !== "never").map((slot) => loaded[slot]).filter(Boolean).at(-1)

  function startingPoint() {
    // where the segmentation is, so that it is seen at once; else the middle of what is bright
    const labelled = segmented()
    return (labelled && centre(labelled.image, (v) => v === 1)) ?? loaded.base.middle
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
    if (solid && framed) {
      const at = nv.scene.crosshairPos, box = model.whole ? { low: [0, 0, 0], high: [1, 1, 1] } : framed
      solid.at([0, 1, 2].map((k) => (at[k] - box.low[k]) / (box.high[k] - box.low[k])))
    }
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
      if (!entry || kindOf(slot).draws === "colours") continue // a colour has no number
      const unit = looks[slot]?.unit ? ` ${looks[slot].unit}` : ""
      const text = entry.labels ? (entry.labels[Math.round(value) - 1]?.name ?? "–")
        : looks[slot]?.unit === "cosine" && value <= -1 ? "–" : number(value) + unit // -1 stands for what is not brain
      readout.append(item(looks[slot]?.title ?? slot, text))
    }
  }

  // the rows of the legend, for the picture, for this viewer, and for one below several
  function rowsOf(wanted, looks) {
    const rows = [], flat = model.layout !== "render" && model.layout !== "sagittal"
    if (flat) rows.push({ text: model.radiological ? "Radiological: the patient's left is on the right of the screen"
      : "Neurological: the patient's left is on the left of the screen" })
    const { cal_min, cal_max } = loaded.base.image
    rows.push({ title: "Window", text: `${number(cal_min)} to ${number(cal_max)}`,
                hint: "Drag with the right mouse button: up and down for the level, left and right for the width" })
    if (model.step > 1) rows.push({ text: `every ${["", "", "2nd", "3rd"][model.step] ?? `${model.step}th`} voxel`,
      hint: "This browser draws without a GPU. Places and values are those of the voxels shown; “Every voxel” shows all" })
    for (const slot of wanted.slice(1)) {
      const entry = loaded[slot], look = looks[slot] ?? {}, title = look.title ?? slot
      if (isMap(slot)) {
        const lut = nv.colormap(entry.image.colormap), unit = look.unit ? ` ${look.unit}` : ""
        const several = (ranges.get(`${model.group}|${slot}`)?.size ?? 1) > 1
        rows.push({ slot, title, low: number(entry.low), high: number(entry.high) + unit,
                    colors: [1, 64, 128, 192, 255].map((i) => `rgb(${lut[4 * i]},${lut[4 * i + 1]},${lut[4 * i + 2]})`),
                    note: `${look.range ? "" : `the strongest ${look.mass ?? 25} %, `}to the maximum${several ? ", the same in all viewers" : ""}` })
      } else if (isLabels(slot)) rows.push({ slot, title, labels: entry.labels, outline: outlined(slot) })
      else rows.push({ slot, title, text: look.unit ?? "" })
    }
    return rows
  }

  let told = []
  function explain(wanted, looks) {
    told = wanted.length ? rowsOf(wanted, looks) : []
    legend.classList.toggle("elsewhere", !model.legend)
    legend.replaceChildren(...(model.legend ? told.map(drawn) : []))
    tellLegend()
    canvas.setAttribute("aria-label", wanted.length ? `Planes of ${model.scan || "the scan"}; arrow keys and wheel move the crosshair` : model.empty || "No scan yet")
  }

  function tellLegend({ detail } = {}) {
    if (model.group && (!detail || detail.group === model.group))
      document.dispatchEvent(new CustomEvent(TOLD, { detail: { from: me, group: model.group, rows: told } }))
  }

  for (const name of [...slots(), "looks", "frame", "whole", "legend", "radiological", "layout", "empty", "window", "outline", "flicker", "caption", "linked", "scan", "step", "ticket", "box"])
    model.on(name, show)
  model.on("ahead", prepare)
  document.addEventListener(MOVED, follow)
  document.addEventListener(RANGED, reranged)
  document.addEventListener(`${TOLD}-wanted`, tellLegend)
  const watcher = new ResizeObserver(resized)
  watcher.observe(stage)
  canvas.addEventListener("mouseup", (event) => setTimeout(() => released(event)))
  save.addEventListener("click", () => savePicture({ nv, canvas, solid, stage, model, rows: told, place: readout.firstChild?.innerText ?? "" }))
  model.on("remove", () => {
    gone = true
    document.removeEventListener(MOVED, follow)
    document.removeEventListener(RANGED, reranged)
    document.removeEventListener(`${TOLD}-wanted`, tellLegend)
    if (model.group) document.dispatchEvent(new CustomEvent(TOLD, { detail: { from: me, group: model.group } }))
    for (const slot of slots()) leave(slot)
    watcher.disconnect()
    solid?.end()
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
