// What is looked at: the box around the brain, and how the planes share the canvas. All boxes here are in NiiVue's
// fractions: 0 to 1 along its three axes, which run right, anterior and superior.

// corners of a box given as 16 numbers from shares to world mm, or null where it does not lie in this scan
export function boxOf(nv, matrix, moved) {
  if (matrix?.length !== 16) return null
  const corners = [0, 1].flatMap((x) => [0, 1].flatMap((y) => [0, 1].map((z) => nv.mm2frac(moved(matrix, [x, y, z]), 0, true))))
  return padded([0, 1, 2].map((k) => Math.min(...corners.map((c) => c[k]))), [0, 1, 2].map((k) => Math.max(...corners.map((c) => c[k]))))
}

// first and last voxel along each axis of what is bright; noise in the air is left out by asking for a share of each slice
export function brightEnds(image, keep) {
  const [, nx, ny, nz] = image.hdr.dims, counts = [nx, ny, nz].map((n) => new Float64Array(n))
  for (let z = 0, i = 0; z < nz; z++) for (let y = 0; y < ny; y++) for (let x = 0; x < nx; x++, i++) {
    if (!keep(image.img[i])) continue
    counts[0][x]++
    counts[1][y]++
    counts[2][z]++
  }
  const ends = counts.map((count) => {
    const enough = 0.01 * Math.max(...count)
    const first = count.findIndex((c) => c > enough)
    return first < 0 ? null : [first - 0.5, count.length - 0.5 - [...count].reverse().findIndex((c) => c > enough)]
  })
  return ends.some((end) => !end) ? null : ends
}

// the box around them
export function brightBox(nv, image, ends, moved) {
  if (!ends) return null
  const rows = image.hdr.affine.slice(0, 3).flat()
  const corners = [0, 1].flatMap((a) => [0, 1].flatMap((b) => [0, 1].map((c) =>
    nv.mm2frac(moved(rows, [ends[0][a], ends[1][b], ends[2][c]]), 0, true))))
  return padded([0, 1, 2].map((k) => Math.min(...corners.map((c) => c[k]))), [0, 1, 2].map((k) => Math.max(...corners.map((c) => c[k]))))
}

// what is bright inside the box of the store: that box has room around the brain, and what is bright may be a neck
export function both(box, bright) {
  if (!box || !bright) return box ?? bright
  const low = box.low.map((v, k) => Math.max(v, bright.low[k])), high = box.high.map((v, k) => Math.min(v, bright.high[k]))
  return high.every((v, k) => v - low[k] > 0.3 * (box.high[k] - box.low[k])) ? { low, high } : box
}

function padded(low, high) {
  const room = high.map((v, k) => 0.03 * (v - low[k]))
  const box = { low: low.map((v, k) => v - room[k]), high: high.map((v, k) => v + room[k]) }
  return box.high.every((v, k) => Number.isFinite(v) && v - box.low[k] > 0.02 && v > 0 && box.low[k] < 1) ? box : null
}

// NiiVue asks these two how large a plane is; both answer with the box while there is one
export function zoomTo(nv, wanted) {
  const size = nv.screenFieldOfViewVox.bind(nv), ends = nv.screenFieldOfViewExtendedVox.bind(nv)
  const corners = (plane, box) => {
    const { extentsMinOrtho: from, extentsMaxOrtho: to } = nv.volumes[0]
    const [low, high] = [box.low, box.high].map((f) => nv.swizzleVec3MM(Float32Array.from(f, (v, k) => from[k] + v * (to[k] - from[k])), plane))
    return [low, high, Float32Array.from(high, (v, k) => v - low[k])]
  }
  nv.screenFieldOfViewVox = (plane = 0) => {
    const box = nv.volumes.length ? wanted() : null
    return box ? corners(plane, box)[2] : size(plane)
  }
  nv.screenFieldOfViewExtendedVox = (plane = 0) => {
    const box = wanted()
    if (!box) return ends(plane)
    const [mnMM, mxMM, fovMM] = corners(plane, box)
    return { ...ends(plane), mnMM, mxMM, fovMM }
  }
}

// Where the planes (and the 3D view) stand: all planes in one scale, as large as they can be.
// Sizes in mm: x right, y anterior, z superior. Gives {tiles: {axial: [left, top, width, height], …}} in pixels.
export function arrange([x, y, z], width, height, with3D) {
  const solid = Math.max(y, z), gap = 4
  const ways = [
    [["axial", 0, 0], ["coronal", 1, 0], ["sagittal", 2, 0], ["solid", 3, 0]],
    [["coronal", 0, 0], ["sagittal", 1, 0], ["axial", 0, 1], ["solid", 1, 1]],
    [["axial", 0, 0], ["coronal", 0, 1], ["sagittal", 0, 2], ["solid", 0, 3]],
  ]
  const sizes = { axial: [x, y], coronal: [x, z], sagittal: [y, z], solid: [solid, solid] }
  let best = null
  for (const [number, all] of ways.entries()) for (const three of [true, false]) {
    const grid = number === 1
    if (with3D === "always" && !three) continue
    if (with3D !== "always" && three !== grid) continue // beside two rows it takes no room from the planes
    const way = three && with3D !== "never" ? all : all.slice(0, 3)
    // in two rows the fourth place is as large as its neighbours leave it
    const own = grid ? { ...sizes, solid: [y, y] } : sizes
    const columns = [0, 1, 2, 3].map((c) => Math.max(0, ...way.filter(([, at]) => at === c).map(([name]) => own[name][0])))
    const rows = [0, 1, 2, 3].map((r) => Math.max(0, ...way.filter(([, , at]) => at === r).map(([name]) => own[name][1])))
    const sum = (list) => list.reduce((a, b) => a + b, 0), used = (list) => list.filter(Boolean).length - 1
    const scale = Math.min((width - gap * used(columns)) / sum(columns), (height - gap * used(rows)) / sum(rows))
    if (best && best.scale >= scale) continue
    const left = (width - scale * sum(columns) - gap * used(columns)) / 2, top = (height - scale * sum(rows) - gap * used(rows)) / 2
    const tiles = Object.fromEntries(way.map(([name, c, r]) => {
      const [wide, high] = own[name].map((v) => v * scale)
      const cell = [columns[c] * scale, rows[r] * scale]
      return [name, [left + sum(columns.slice(0, c)) * scale + gap * c + (cell[0] - wide) / 2,
                     top + sum(rows.slice(0, r)) * scale + gap * r + (cell[1] - high) / 2, wide, high]]
    }))
    best = { scale, tiles }
  }
  return best
}

// how many mosaic slices stand in rows and columns so that they are largest
export function mosaicGrid([x, y], width, height, many = 12) {
  let best = [3, 4], size = 0
  for (let columns = 1; columns <= many; columns++) {
    const rows = Math.ceil(many / columns), scale = Math.min(width / (columns * x), height / (rows * y))
    if (rows * columns === many && scale > size) [best, size] = [[rows, columns], scale]
  }
  return best
}
