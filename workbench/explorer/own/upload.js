// A file of the visitor's own, sent in pieces. The server decides: it says the limit, and may refuse at any piece.
export function render({ model }) {
  const box = document.createElement("div")
  box.innerHTML = `<style>
    .own-file { border: 2px dashed var(--line, #b9c2cd); border-radius: 8px; padding: 14px; text-align: center; font-size: 13px;
              color: var(--ink, #1f2d3d); }
    .own-file.over { border-color: #0072b2; } .own-file p { margin: 6px 0 0; color: var(--quiet, #5b6776); white-space: pre-wrap; }
  </style><label class="own-file" style="display:block"><b>Choose a NIfTI file</b>, or drop it here
    <input type="file" accept=".nii,.gz" style="display:block; margin:8px auto 0"><p></p></label>`
  const label = box.querySelector("label"), input = box.querySelector("input"), say = box.querySelector("p")
  const PIECE = 2 * 2 ** 20
  let sending = null // {file, at}; the next piece goes when the server has taken the last one

  function start(file) {
    if (!file) return
    sending = null
    if (file.size > model.max_bytes) { // saves the way; the server checks for itself
      model.send_msg({ kind: "too large", name: file.name, size: file.size })
      return
    }
    sending = { file, at: 0 }
    next()
  }

  async function next() {
    const job = sending
    if (!job) return
    const data = await job.file.slice(job.at, job.at + PIECE).arrayBuffer()
    if (sending !== job) return
    model.send_msg({ kind: "piece", name: job.file.name, size: job.file.size, at: job.at, data })
    job.at += data.byteLength
  }

  input.addEventListener("change", () => { start(input.files[0]); input.value = "" })
  label.addEventListener("dragover", (event) => { event.preventDefault(); label.classList.add("over") })
  label.addEventListener("dragleave", () => label.classList.remove("over"))
  label.addEventListener("drop", (event) => {
    event.preventDefault()
    label.classList.remove("over")
    start(event.dataTransfer.files[0])
  })
  model.on("taken", () => { if (sending && model.taken === sending.at && sending.at < sending.file.size) next() })
  model.on("said", () => { say.textContent = model.said; box.dataset.said = model.said })
  say.textContent = model.said
  return box
}
