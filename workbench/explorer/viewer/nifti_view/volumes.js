// Pure functions over the voxels and headers that NiiVue holds; no viewer, no page.
const BINS = 4096

export function number(value) {
  if (!Number.isFinite(value)) return "–"
  const size = Math.abs(value)
  return size !== 0 && (size < 0.01 || size >= 1e5) ? value.toExponential(1) : String(Number(value.toPrecision(size < 1 ? 3 : 4)))
}

// Bokeh hands dictionaries over as Maps
export function plain(value) {
  if (value instanceof Map) return Object.fromEntries([...value].map(([key, inner]) => [key, plain(inner)]))
  if (Array.isArray(value)) return value.map(plain)
  return value && value.constructor === Object ? Object.fromEntries(Object.entries(value).map(([k, v]) => [k, plain(v)])) : value
}

export function histogram({ img, hdr }) {
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
export function massThreshold({ max, counts }, percent) {
  const mass = counts.map((count, i) => count * (i + 0.5))
  const total = mass.reduce((a, b) => a + b, 0), voxels = counts.reduce((a, b) => a + b, 0)
  if (!total) return [1, 1]
  let low = BINS, kept = 0, high = BINS, above = 0
  while (low > 0 && kept < (total * percent) / 100) kept += mass[--low]
  while (high > 1 && above + counts[high - 1] <= voxels / 1000) above += counts[--high]
  // never exactly 0: voxels without attention stay clear
  return [Math.max((low / BINS) * max, max * 1e-6), Math.max((high / BINS) * max, max * 1e-6)]
}

export function distinct(img, slope, inter) {
  const found = new Set()
  for (let i = 0; i < img.length; i++) found.add(img[i])
  return [...new Set([...found].map((v) => Math.round(v * slope + inter)))].filter((v) => v !== 0).sort((a, b) => a - b)
}

export function spread(i) { // hues a golden angle apart, for maps with many unnamed labels
  const hue = (i * 137.508) % 360, f = (n, k = (n + hue / 30) % 12) => 0.55 - 0.38 * Math.max(-1, Math.min(k - 3, 9 - k, 1))
  return [f(0), f(8), f(4)].map((v) => Math.round(255 * v))
}

export function threshold({ img }, share = 1) {
  let low = 0, sum = 0, count = 0
  for (let i = 0; i < img.length; i += 7) if (img[i] < low) low = img[i]
  const none = low === img[0] ? low : 0 // in SD, or CT, what is beside the head is the lowest value and not 0
  for (let i = 0; i < img.length; i += 7) if (img[i] > none) { sum += img[i] - none; count++ }
  const mean = count ? sum / count : 0
  return (value) => value - none > share * mean
}

// centre of mass in world mm of the voxels that `keep` keeps, or null where there are none
export function centre({ img, hdr }, keep) {
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

// a point through an affine of 16 numbers, row by row
export function moved(affine, [x, y, z]) {
  return [0, 4, 8].map((row) => affine[row] * x + affine[row + 1] * y + affine[row + 2] * z + affine[row + 3])
}

export function affineInverse(m) {
  const [a, b, c, , d, e, f, , g, h, i] = m
  const rows = [[e * i - f * h, c * h - b * i, b * f - c * e], [f * g - d * i, a * i - c * g, c * d - a * f],
                [d * h - e * g, b * g - a * h, a * e - b * d]]
  const size = a * rows[0][0] + b * rows[1][0] + c * rows[2][0], shift = [m[3], m[7], m[11]]
  return [...rows.flatMap((row) => {
    const own = row.map((v) => v / size)
    return [...own, -own.reduce((sum, v, k) => sum + v * shift[k], 0)]
  }), 0, 0, 0, 1]
}

// labels cut down to the voxels at their surface: those with one of six neighbours outside the label
export function surface(labels, dims) {
  const [, nx, ny, nz] = dims, out = new Uint16Array(labels.length), steps = [1, nx, nx * ny]
  for (let z = 0, i = 0; z < nz; z++) for (let y = 0; y < ny; y++) for (let x = 0; x < nx; x++, i++) {
    const label = labels[i]
    if (!label) continue
    const edge = x === 0 || y === 0 || z === 0 || x === nx - 1 || y === ny - 1 || z === nz - 1
    if (edge || steps.some((step) => labels[i - step] !== label || labels[i + step] !== label)) out[i] = label
  }
  return out
}

// NiiVue's words for rows of axial slices from the lower to the upper end of what is looked at, each with its letters
export function mosaic(nv, { low, high }, [rows, columns]) {
  const many = rows * columns, middle = [0, 1].map((k) => (low[k] + high[k]) / 2)
  const at = (i) => {
    const share = 0.08 + 0.84 * (i / (many - 1)) // the very ends hold nothing
    return nv.frac2mm(Float32Array.from([...middle, low[2] + (high[2] - low[2]) * share]))[2].toFixed(1)
  }
  return Array.from({ length: rows }, (_, row) => "A L+ " + Array.from({ length: columns }, (_, column) => at(columns * row + column)).join(" ")).join(" ; ")
}
