// Builds nifti_view.bundle.js and BUNDLED_LICENSES.txt: node build.js (after npm install).
import { readdirSync, readFileSync, writeFileSync } from "node:fs"
import { dirname, join } from "node:path"
import { fileURLToPath } from "node:url"
import esbuild from "esbuild"

const here = dirname(fileURLToPath(import.meta.url))

// NiiVue can stream zarr from a URL. The workbench never loads from a URL, so that part stays out of the bundle.
const withoutZarr = {
  name: "without-zarr",
  setup(build) {
    build.onResolve({ filter: /^zarrita$/ }, () => ({ path: "zarrita", namespace: "left-out" }))
    build.onLoad({ filter: /.*/, namespace: "left-out" }, () => ({
      contents: "export const slice = null, root = null, open = null, get = null\n"
        + "export class FetchStore { constructor() { throw new Error('zarr is not part of this build') } }\n",
    }))
  },
}

// Two things that NiiVue does to every new volume are left out, since without a GPU they are most of the time until it is
// seen: the gradients for a lighting of the 3D view that is never switched on here, and, where `paint.js` has taken over
// (`gl.painter`), the upload of the values and the shader that makes colours of them, slice by slice.
const CHANGED = {
  "function gradientGL(params) {": "return params.gradientTexture",
  "function setupVolumeTextureData(params) {": "if (params.gl.painter) return { orientShader: params.orientShaderU }",
  "function setupBlendTexture(params) {": "if (params.gl.painter) return params.rgbaTex(null, TEXTURE10_BLEND, [2, 2, 2, 2])",
  "function renderToOutputTexture(params) {": "if (params.gl.painter) return params.gl.painter(params)",
}
let found = false
const changed = {
  name: "changed",
  setup(build) {
    build.onLoad({ filter: /@niivue[\\/]niivue[\\/]build[\\/]niivue[\\/]index\.js$/ }, ({ path }) => {
      let text = readFileSync(path, "utf8")
      for (const [start, first] of Object.entries(CHANGED)) {
        if (text.split(start).length !== 2) throw new Error(`${path}: ${start} is not where it was; look again`)
        text = text.replace(start, `${start}\n  ${first}\n`)
      }
      found = true
      return { contents: text }
    })
  },
}

const result = await esbuild.build({
  entryPoints: [join(here, "nifti_view.js")],
  outfile: join(here, "nifti_view.bundle.js"),
  bundle: true, format: "esm", minify: true, target: "es2022", legalComments: "none", metafile: true,
  plugins: [withoutZarr, changed],
  banner: { js: "/* NiiVue (BSD-2-Clause, see NIIVUE_LICENSE.txt) and its parts (see BUNDLED_LICENSES.txt). Built by build.js. */" },
})

if (!found) throw new Error("NiiVue's file has another name: it was not changed")

const packages = new Set(Object.keys(result.metafile.inputs)
  .map((path) => path.match(/node_modules\/((?:@[^/]+\/)?[^/]+)\//)?.[1]).filter(Boolean))
const texts = [...packages].sort().map((name) => {
  const folder = join(here, "node_modules", name)
  const about = JSON.parse(readFileSync(join(folder, "package.json"), "utf8"))
  const file = readdirSync(folder).find((entry) => /^licen[cs]e/i.test(entry))
  const text = file ? readFileSync(join(folder, file), "utf8")
    : name === "@niivue/niivue" ? "See NIIVUE_LICENSE.txt" : null
  if (text === null) throw new Error(`${name} has no licence file: find its text before shipping it`)
  return `${name} ${about.version} (${about.license})\n\n${text.trim()}\n`
})
writeFileSync(join(here, "BUNDLED_LICENSES.txt"), texts.join(`\n${"-".repeat(80)}\n\n`))
console.log(`bundled: ${[...packages].sort().join(", ")}`)
