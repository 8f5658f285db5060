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

// NiiVue works out the gradients of every new scan for a lighting of the 3D view that is never switched on here. Without
// a GPU that is three quarters of the time until a scan is seen.
let found = false
const withoutGradients = {
  name: "without-gradients",
  setup(build) {
    build.onLoad({ filter: /@niivue[\\/]niivue[\\/]build[\\/]niivue[\\/]index\.js$/ }, ({ path }) => {
      const text = readFileSync(path, "utf8"), start = "function gradientGL(params) {"
      if (text.split(start).length !== 2) throw new Error(`${path}: gradientGL is not where it was; look again`)
      found = true
      return { contents: text.replace(start, `${start}\n  return params.gradientTexture\n`) }
    })
  },
}

const result = await esbuild.build({
  entryPoints: [join(here, "nifti_view.js")],
  outfile: join(here, "nifti_view.bundle.js"),
  bundle: true, format: "esm", minify: true, target: "es2022", legalComments: "none", metafile: true,
  plugins: [withoutZarr, withoutGradients],
  banner: { js: "/* NiiVue (BSD-2-Clause, see NIIVUE_LICENSE.txt) and its parts (see BUNDLED_LICENSES.txt). Built by build.js. */" },
})

if (!found) throw new Error("NiiVue's file has another name: its gradients were not left out")

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
