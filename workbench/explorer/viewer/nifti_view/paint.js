// The colours of a volume by the processor, where there is no GPU: what NiiVue's orient shaders make of it, slice by
// slice, takes a renderer without a GPU ten times as long as a loop over the voxels. The shaders' rules are kept
// (nearest voxel, colours from the window, soft edges of labels, one overlay over the other); see fragOrientShader and
// fragOrientShaderAtlas in NiiVue. Colours are 32-bit numbers, red in the lowest byte.

const KINDS = [2, 4, 16, 64, 512] // NIfTI's numbers for what is one value a voxel here
const LABELS = 1002

// from now on volumes get their colours here; NiiVue keeps all else (build.js lets it ask `gl.painter`)
export function paintByProcessor(nv) {
  const ask = nv.refreshLayers.bind(nv), places = new Map()
  let below = null // the overlays so far
  nv.refreshLayers = (item, layer) => {
    const able = nv.volumes.every(({ hdr, modulationImage }) => KINDS.includes(hdr.datatypeCode) && modulationImage === null)
    nv.gl.painter = able && ((asked) => {
      const colours = painted(nv, item, layer, asked, places)
      below = layer > 1 ? over(below, colours) : colours
      upload(nv.gl, asked, below)
    })
    try { ask(item, layer) } finally { nv.gl.painter = null }
  }
}

function upload(gl, { backDims: [, x, y, z], outTexture, layer }, colours) {
  gl.activeTexture(gl.TEXTURE9)
  gl.bindTexture(gl.TEXTURE_3D, outTexture)
  gl.texSubImage3D(gl.TEXTURE_3D, 0, 0, 0, 0, x, y, z, gl.RGBA, gl.UNSIGNED_BYTE, new Uint8Array(colours.buffer))
}

function painted(nv, item, layer, { backDims, mtx, opacity }, places) {
  const { hdr, img } = item, key = [...mtx, ...backDims, ...hdr.dims].join()
  if (!places.has(key)) {
    if (places.size > 1) places.delete(places.keys().next().value) // of the scan and of its overlays: they are large
    places.set(key, sources(mtx, backDims, hdr.dims))
  }
  const at = places.get(key)
  if (hdr.intent_code === LABELS) return labelColours(img, at, backDims, item.colormapLabel.lut, opacity)
  return valueColours(img, at, backDims, table(nv.colormap(item.colormap), layer, opacity), [hdr.scl_slope, hdr.scl_inter], [item.cal_min, item.cal_max])
}

// 256 colours of a map, each there or not but for the scan's
function table(lut, layer, opacity) {
  return Uint32Array.from({ length: 256 }, (_, i) => {
    const alpha = layer > 0 ? (lut[4 * i + 3] ? 255 : 0) : lut[4 * i + 3]
    return colour(lut, i, Math.round(alpha * opacity))
  })
}

const colour = (lut, i, alpha) => ((alpha << 24) | (lut[4 * i + 2] << 16) | (lut[4 * i + 1] << 8) | lut[4 * i]) >>> 0

// which voxel of an image each voxel of a grid shows, -1 outside; null where each shows its own.
// `mtx` takes shares of the grid to shares of the image
export function sources(mtx, [, nx, ny, nz], [, fx, fy, fz]) {
  const at = new Int32Array(nx * ny * nz)
  const row = (k, n) => [mtx[4 * k] / nx * n, mtx[4 * k + 1] / ny * n, mtx[4 * k + 2] / nz * n, mtx[4 * k + 3] * n]
  const [X, Y, Z] = [row(0, fx), row(1, fy), row(2, fz)]
  let own = nx === fx && ny === fy && nz === fz
  for (let z = 0, i = 0; z < nz; z++) for (let y = 0; y < ny; y++) {
    const [u, v, w] = [X, Y, Z].map((r) => r[1] * (y + 0.5) + r[2] * (z + 0.5) + r[3])
    for (let x = 0; x < nx; x++, i++) {
      const a = u + X[0] * (x + 0.5), b = v + Y[0] * (x + 0.5), c = w + Z[0] * (x + 0.5)
      // the far face of the image belongs to its last voxel
      const inside = a >= 0 && a <= fx && b >= 0 && b <= fy && c >= 0 && c <= fz
      at[i] = inside ? Math.min(a | 0, fx - 1) + fx * (Math.min(b | 0, fy - 1) + fy * Math.min(c | 0, fz - 1)) : -1
      own &&= at[i] === i
    }
  }
  return own ? null : at
}

export function valueColours(img, at, [, nx, ny, nz], lut, [slope, inter], [low, high]) {
  const out = new Uint32Array(nx * ny * nz), range = Math.max(1e-5, Math.abs(high - low)), from = Math.min(low, high)
  const scale = (256 * slope) / range, shift = (256 * (inter - from)) / range
  for (let i = 0; i < out.length; i++) {
    const j = at === null ? i : at[i]
    if (j < 0) continue
    const value = img[j] * scale + shift
    // what is above the threshold is seen; of no number (NaN) there is no colour
    out[i] = lut[value > 0 ? (value < 2 ? 2 : value >= 255 ? 255 : value | 0) : 0]
  }
  return out
}

// labels are the fainter the more of their six neighbours have none: a soft edge
export function labelColours(img, at, [, nx, ny, nz], lut, opacity) {
  const shown = at === null ? img : at.length && Uint16Array.from(at, (j) => (j < 0 ? 0 : img[j]))
  const out = new Uint32Array(nx * ny * nz), seen = (label) => (lut[4 * label + 3] ? 1 : 0), row = nx * ny
  for (let z = 0, i = 0; z < nz; z++) for (let y = 0; y < ny; y++) for (let x = 0; x < nx; x++, i++) {
    const label = shown[i]
    if (!label) continue
    const many = seen(label) + seen(shown[x > 0 ? i - 1 : i]) + seen(shown[x < nx - 1 ? i + 1 : i]) + seen(shown[y > 0 ? i - nx : i])
      + seen(shown[y < ny - 1 ? i + nx : i]) + seen(shown[z > 0 ? i - row : i]) + seen(shown[z < nz - 1 ? i + row : i])
    out[i] = colour(lut, label, Math.round((255 * opacity * many) / 7))
  }
  return out
}

// one over the other (Porter and Duff); writes into `above`
export function over(below, above) {
  for (let i = 0; i < above.length; i++) {
    const top = above[i], low = below[i], a = (top >>> 24) / 255, b = ((low >>> 24) / 255) * (1 - a)
    if (a === 0) above[i] = low // with its colour even where it is clear: between voxels the colours are mixed
    if (a === 0 || b === 0) continue
    const sum = a + b
    let mixed = Math.round(255 * sum) << 24
    for (let k = 0; k < 24; k += 8) mixed |= Math.round((((top >>> k) & 255) * a + ((low >>> k) & 255) * b) / sum) << k
    above[i] = mixed >>> 0
  }
  return above
}
