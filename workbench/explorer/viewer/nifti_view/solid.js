// The 3D view: the brain with what lies over it, a corner cut away through the crosshair. Drawn by our own ray caster at
// the size that is needed: small while it is turned, in full once it rests, so that a browser without a GPU keeps up.

const MOST = 96 // cells along the longest side of the box
const VERTEX = `#version 300 es
in vec2 corner; out vec2 at; void main() { at = corner; gl_Position = vec4(corner, 0., 1.); }`
const FRAGMENT = `#version 300 es
precision highp float; precision highp sampler3D;
uniform sampler3D tissue, over; uniform vec3 size; uniform mat3 view; uniform vec2 span; uniform vec3 cut;
uniform float edge, glow; uniform bool cutting; uniform int steps;
in vec2 at; out vec4 color;
void main() {
  vec3 ahead = view[2], from = view[0] * at.x * span.x + view[1] * at.y * span.y - ahead * 2.;
  vec3 half_ = size * .5, a = (-half_ - from) / ahead, b = (half_ - from) / ahead, lo = min(a, b), hi = max(a, b);
  float near = max(max(lo.x, lo.y), lo.z), far = min(min(hi.x, hi.y), hi.z);
  color = vec4(0., 0., 0., 1.);
  if (far <= near) return;
  vec3 side = -sign(ahead); // the corner that is cut away is the one that looks at us
  float step_ = 1.8 / float(steps), seen = 0.; vec3 sum = vec3(0.); bool removed = false, skin = false;
  for (float t = near + step_ * .5; t < far; t += step_) {
    vec3 p = (from + ahead * t) / size + .5;
    if (cutting && all(greaterThan(side * (p - cut), vec3(0.)))) { removed = true; continue; }
    float grey = texture(tissue, p).r; vec4 o = texture(over, p);
    if (removed) { // a face of the cut: the slice itself
      removed = false;
      if (grey > edge) { sum += (1. - seen) * mix(vec3(grey), o.xyz, o.a * .85); seen = 1.; break; }
    }
    if (grey > edge) {
      if (!skin) { // lit from the viewer, once: the surface
        skin = true;
        vec3 e = vec3(1.2) / vec3(textureSize(tissue, 0)), n;
        n.x = texture(tissue, p - vec3(e.x, 0., 0.)).r - texture(tissue, p + vec3(e.x, 0., 0.)).r;
        n.y = texture(tissue, p - vec3(0., e.y, 0.)).r - texture(tissue, p + vec3(0., e.y, 0.)).r;
        n.z = texture(tissue, p - vec3(0., 0., e.z)).r - texture(tissue, p + vec3(0., 0., e.z)).r;
        float light = .25 + .75 * max(0., dot(normalize(n + 1e-5), -ahead));
        float w = mix(.95, .42, glow); sum += (1. - seen) * w * vec3(light) * vec3(.86, .84, .80); seen += (1. - seen) * w;
      } else { float w = mix(.3, .012, glow); sum += (1. - seen) * w * vec3(grey); seen += (1. - seen) * w; }
    }
    float w = o.a * o.a * .45; sum += (1. - seen) * w * o.xyz; seen += (1. - seen) * w; // what is weak is clear
    if (seen > .97) break;
  }
  color = vec4(sum, 1.);
}`
const FACES = [["R", [1, 0, 0]], ["L", [-1, 0, 0]], ["A", [0, 1, 0]], ["P", [0, -1, 0]], ["S", [0, 0, 1]], ["I", [0, 0, -1]]]

// values of the images at the cells of a grid over the box, as bytes: grey of the scan, colour and opacity of the rest
export function cells(nv, base, layers, box, inverse) {
  const mm = (f) => nv.frac2mm(Float32Array.from(f), 0, true)
  const origin = mm(box.low), ends = [0, 1, 2].map((k) => mm(box.low.map((v, i) => (i === k ? box.high[i] : v))))
  const sides = ends.map((end) => [0, 1, 2].map((i) => end[i] - origin[i])), lengths = sides.map((s) => Math.hypot(...s))
  const cell = Math.max(...lengths) / MOST, dims = lengths.map((l) => Math.max(4, Math.round(l / cell)))
  const count = dims[0] * dims[1] * dims[2], grey = new Uint8Array(count), colour = new Uint8Array(4 * count)
  const at = (image) => { // index of a voxel is a straight function of that of a cell
    const m = inverse(image.hdr.affine.slice(0, 4).flat()), [, nx, ny, nz] = image.hdr.dims
    const turn = (v) => [0, 4, 8].map((r) => m[r] * v[0] + m[r + 1] * v[1] + m[r + 2] * v[2])
    const start = turn(origin).map((v, k) => v + m[4 * k + 3]), ways = sides.map((s, k) => turn(s).map((v) => v / dims[k]))
    return (i, j, k) => {
      const [a, b, c] = [i + 0.5, j + 0.5, k + 0.5]
      const x = Math.round(start[0] + a * ways[0][0] + b * ways[1][0] + c * ways[2][0])
      const y = Math.round(start[1] + a * ways[0][1] + b * ways[1][1] + c * ways[2][1])
      const z = Math.round(start[2] + a * ways[0][2] + b * ways[1][2] + c * ways[2][2])
      return x < 0 || y < 0 || z < 0 || x >= nx || y >= ny || z >= nz ? -1 : x + nx * (y + ny * z)
    }
  }
  const scan = at(base), { cal_min: black, cal_max: white } = base, slope = base.hdr.scl_slope || 1, inter = base.hdr.scl_inter || 0
  const looks = layers.map((layer) => ({ ...layer, find: at(layer.image) }))
  for (let k = 0, n = 0; k < dims[2]; k++) for (let j = 0; j < dims[1]; j++) for (let i = 0; i < dims[0]; i++, n++) {
    const v = scan(i, j, k)
    if (v >= 0) grey[n] = Math.max(0, Math.min(255, (255 * (base.img[v] * slope + inter - black)) / (white - black || 1)))
    for (const { find, paint } of looks) {
      const o = find(i, j, k), painted = o < 0 ? null : paint(o, grey[n])
      if (painted) colour.set(painted, 4 * n)
    }
  }
  return { dims, lengths, grey, colour }
}

export function solidView(bySoftware) {
  const root = document.createElement("div")
  root.className = "solid"
  root.innerHTML = `<canvas tabindex="0" role="img" aria-label="The brain in 3D: drag to turn, wheel to zoom, double click to reset"></canvas>`
    + `<canvas class="cube" aria-hidden="true"></canvas><div class="tools"><button type="button" class="cutaway" aria-pressed="true"`
    + ` title="A corner taken away up to the crosshair">Cut</button><button type="button" class="reset" title="As it was (double click)">Reset</button></div>`
  const [canvas, cube] = root.querySelectorAll("canvas"), [cutaway, reset] = root.querySelectorAll("button")
  const START = { turn: -35, tilt: 20, zoom: 1.35 }
  let { turn, tilt, zoom } = START, gl = null, program = null, data = null, crosshair = [0.5, 0.5, 0.5], cutting = true
  let moving = false, waiting = null, asked = false, frames = []

  function begin() {
    gl = canvas.getContext("webgl2", { antialias: false, preserveDrawingBuffer: true })
    if (!gl) return false
    program = gl.createProgram()
    for (const [kind, source] of [[gl.VERTEX_SHADER, VERTEX], [gl.FRAGMENT_SHADER, FRAGMENT]]) {
      const shader = gl.createShader(kind)
      gl.shaderSource(shader, source)
      gl.compileShader(shader)
      gl.attachShader(program, shader)
    }
    gl.linkProgram(program)
    if (!gl.getProgramParameter(program, gl.LINK_STATUS)) throw new Error(gl.getProgramInfoLog(program))
    gl.useProgram(program)
    gl.bindBuffer(gl.ARRAY_BUFFER, gl.createBuffer())
    gl.bufferData(gl.ARRAY_BUFFER, new Float32Array([-1, -1, 3, -1, -1, 3]), gl.STATIC_DRAW)
    const place = gl.getAttribLocation(program, "corner")
    gl.enableVertexAttribArray(place)
    gl.vertexAttribPointer(place, 2, gl.FLOAT, false, 0, 0)
    for (const unit of [0, 1]) {
      gl.activeTexture(gl.TEXTURE0 + unit)
      gl.bindTexture(gl.TEXTURE_3D, gl.createTexture())
      for (const [key, value] of [["MIN_FILTER", gl.LINEAR], ["MAG_FILTER", gl.LINEAR], ["WRAP_S", gl.CLAMP_TO_EDGE], ["WRAP_T", gl.CLAMP_TO_EDGE], ["WRAP_R", gl.CLAMP_TO_EDGE]])
        gl.texParameteri(gl.TEXTURE_3D, gl[`TEXTURE_${key}`], value)
    }
    return true
  }

  function fill(made) {
    if (!gl && !begin()) return
    data = made
    gl.pixelStorei(gl.UNPACK_ALIGNMENT, 1)
    gl.activeTexture(gl.TEXTURE0)
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.R8, ...made.dims, 0, gl.RED, gl.UNSIGNED_BYTE, made.grey)
    gl.activeTexture(gl.TEXTURE1)
    gl.texImage3D(gl.TEXTURE_3D, 0, gl.RGBA8, ...made.dims, 0, gl.RGBA, gl.UNSIGNED_BYTE, made.colour)
    root.dataset.cells = made.dims.join(" ")
    draw()
  }

  // columns: right, up and ahead on the screen, in the box
  function ways() {
    const t = (turn * Math.PI) / 180, e = (tilt * Math.PI) / 180
    const ahead = [Math.sin(t) * Math.cos(e), Math.cos(t) * Math.cos(e), -Math.sin(e)]
    const right = [Math.cos(t), -Math.sin(t), 0]
    const up = [Math.sin(t) * Math.sin(e), Math.cos(t) * Math.sin(e), Math.cos(e)]
    return [right, up, ahead]
  }

  function paint() {
    asked = false
    const box = root.getBoundingClientRect()
    if (!data || !gl || box.width < 8) return
    const began = performance.now(), full = Math.min(1, (bySoftware ? 340 : 900) / Math.max(box.width, box.height)), scale = moving ? Math.min(full, (bySoftware ? 130 : 400) / Math.max(box.width, box.height)) : full
    canvas.width = Math.max(8, Math.round(box.width * scale))
    canvas.height = Math.max(8, Math.round(box.height * scale))
    gl.viewport(0, 0, canvas.width, canvas.height)
    const longest = Math.hypot(...data.lengths), size = data.lengths.map((l) => l / longest), set = (name) => gl.getUniformLocation(program, name)
    const span = 0.5 / zoom, wide = canvas.width / canvas.height
    gl.uniform1i(set("tissue"), 0)
    gl.uniform1i(set("over"), 1)
    gl.uniform3fv(set("size"), size)
    gl.uniformMatrix3fv(set("view"), false, ways().flat())
    gl.uniform2f(set("span"), span * Math.max(1, wide), span * Math.max(1, 1 / wide))
    gl.uniform3fv(set("cut"), crosshair)
    gl.uniform1f(set("edge"), 0.14)
    gl.uniform1f(set("glow"), data.colour.some((v, i) => i % 4 === 3 && v) ? 1 : 0)
    gl.uniform1i(set("cutting"), cutting ? 1 : 0)
    gl.uniform1i(set("steps"), bySoftware ? (moving ? 64 : 130) : moving ? 150 : 320)
    gl.drawArrays(gl.TRIANGLES, 0, 3)
    gl.finish()
    orient(box)
    const now = performance.now()
    frames = [...frames.filter((f) => now - f < 1000), now]
    Object.assign(root.dataset, { turn: turn.toFixed(0), tilt: tilt.toFixed(0), zoom: zoom.toFixed(2), frames: String(frames.length),
                                  ms: (now - began).toFixed(0), drawn: moving ? "small" : "full", cut: String(cutting) })
  }

  function draw() {
    if (asked) return
    asked = true
    requestAnimationFrame(paint)
  }

  // letters where right, left, front and back are, however it is turned
  function orient(box) {
    const edge = Math.max(44, Math.min(76, 0.2 * Math.min(box.width, box.height))), dots = window.devicePixelRatio
    cube.width = cube.height = edge * dots
    cube.style.width = cube.style.height = `${edge}px`
    const pen = cube.getContext("2d"), [right, up, ahead] = ways(), dot = (a, b) => a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
    const place = (v, r) => [(edge / 2 + dot(v, right) * r) * dots, (edge / 2 - dot(v, up) * r) * dots]
    pen.textAlign = "center"
    pen.textBaseline = "middle"
    pen.lineWidth = 1.5 * dots
    for (const [name, v] of [...FACES].sort((p, q) => dot(q[1], ahead) - dot(p[1], ahead))) {
      const front = dot(v, ahead) < 0.15, [x, y] = place(v, 0.38 * edge)
      pen.strokeStyle = pen.fillStyle = front ? "#fff" : "rgba(255,255,255,.35)"
      pen.beginPath()
      pen.moveTo(...place(v, 0))
      pen.lineTo(...place(v, 0.26 * edge))
      pen.stroke()
      pen.font = `${front ? "bold " : ""}${13 * dots}px system-ui, sans-serif`
      pen.fillText(name, x, y)
    }
    root.dataset.front = FACES.filter(([, v]) => dot(v, ahead) < -0.5).map(([name]) => name).join("")
  }

  function move(change) {
    change()
    moving = true
    clearTimeout(waiting)
    waiting = setTimeout(() => { moving = false; draw() }, 180)
    draw()
  }

  function home() { move(() => { ({ turn, tilt, zoom } = START) }) }
  let grip = null
  canvas.addEventListener("pointerdown", (event) => { grip = [event.clientX, event.clientY, turn, tilt]; canvas.setPointerCapture(event.pointerId) })
  canvas.addEventListener("pointermove", (event) => {
    if (grip) move(() => {
      turn = grip[2] + (event.clientX - grip[0]) * 0.6
      tilt = Math.max(-90, Math.min(90, grip[3] + (event.clientY - grip[1]) * 0.6))
    })
  })
  for (const end of ["pointerup", "pointercancel"]) canvas.addEventListener(end, () => { grip = null })
  canvas.addEventListener("wheel", (event) => {
    event.preventDefault()
    event.stopPropagation()
    move(() => { zoom = Math.max(0.4, Math.min(8, zoom * Math.exp(-event.deltaY / 500))) }) // away from the hand: nearer
  }, { passive: false })
  canvas.addEventListener("dblclick", home)
  canvas.addEventListener("keydown", (event) => {
    const by = { ArrowLeft: [-10, 0], ArrowRight: [10, 0], ArrowUp: [0, -10], ArrowDown: [0, 10] }[event.key]
    if (!by) return
    event.preventDefault()
    move(() => { turn += by[0]; tilt = Math.max(-90, Math.min(90, tilt + by[1])) })
  })
  cutaway.addEventListener("click", () => { cutting = !cutting; cutaway.setAttribute("aria-pressed", String(cutting)); draw() })
  reset.addEventListener("click", home)

  return {
    root, canvas, fill, draw,
    at(place) { if (place.some((v, k) => v !== crosshair[k])) { crosshair = place; draw() } },
    end() { clearTimeout(waiting); gl?.getExtension("WEBGL_lose_context")?.loseContext() },
  }
}

export const SOLID_STYLE = `
  .volume-view .solid { position: absolute; background: #000; overflow: hidden; }
  .volume-view .solid canvas { position: absolute; inset: 0; width: 100%; height: 100%; cursor: grab; touch-action: none; }
  .volume-view .solid .cube { inset: auto auto 4px 4px; pointer-events: none; }
  .volume-view .solid .tools { position: absolute; right: 6px; top: 6px; display: flex; gap: 4px; }
  .volume-view .solid button { font-size: 12px; background: #1f2d3d; color: #fff; border: 1px solid #8794a5; border-radius: 4px; padding: 1px 7px; cursor: pointer; }
  .volume-view .solid button[aria-pressed=true] { background: #e8ebef; color: #1f2d3d; }
`
