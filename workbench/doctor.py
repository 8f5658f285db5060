"""What is installed here, which devices there are, and what to do about what is missing: ``workbench doctor``."""

from __future__ import annotations

import contextlib
import importlib.metadata
import os
import platform
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import workbench
from workbench.extras import EXTRAS, PROJECT
from workbench.runs.pool import available_cpus

CORE = "core"


@dataclass(frozen=True)
class Finding:
    """One thing looked at. ``kind``: ok; note (something works less well, or is not there and need not be); missing."""

    name: str
    kind: Literal["ok", "note", "missing"]
    text: str
    remedy: str = ""

    def __str__(self) -> str:
        sign = {"ok": "ok     ", "note": "note   ", "missing": "MISSING"}[self.kind]
        return f"{sign}  {self.name:<10} {self.text}" + (f"\n{'':<20}→ {self.remedy}" if self.remedy else "")


def examine() -> list[Finding]:
    """Everything, in the order in which a person would ask. Looks only; nothing is installed or written."""
    return [
        _python(),
        *_packages(),
        _devices(),
        _threads(),
        _memory(),
        *_disk(),
        _kernel(),
        _chromium(),
        _slurm(),
        *_leftovers(),
    ]


def _python() -> Finding:
    return Finding(
        "python",
        "ok",
        f"{platform.python_version()} at {sys.executable}; workbench "
        f"{workbench.__version__} at {Path(workbench.__file__).parent}",
    )


def requirements() -> dict[str, list[str]]:
    """What each extra asks for (``core``: without any), as in ``papermill>=2.6``."""
    found: dict[str, list[str]] = {CORE: []}
    for line in importlib.metadata.requires(PROJECT) or []:
        requirement, _, marker = line.partition(";")
        extra = re.search(r"extra\s*==\s*['\"]([\w-]+)['\"]", marker)
        found.setdefault(extra[1] if extra else CORE, []).append(requirement.strip())
    return found


def _packages() -> Iterator[Finding]:
    try:
        asked = requirements()
    except importlib.metadata.PackageNotFoundError:
        yield Finding(
            "packages",
            "missing",
            f"{PROJECT} is not installed, only its source is here",
            "pip install -e '.[all]' in the folder of pyproject.toml",
        )
        return
    for extra, what in {CORE: "all jobs", **EXTRAS}.items():
        lines = [line for line in asked.get(extra, []) if not line.startswith(PROJECT)]
        if not lines:  # installed when this extra did not exist yet
            continue
        states = {line: _installed(line) for line in lines}
        wrong = [f"{line} ({state})" for line, (fits, state) in states.items() if not fits]
        command = f"pip install '{PROJECT}{'' if extra == CORE else f'[{extra}]'}'"
        if wrong:
            yield Finding(
                extra,
                "missing" if extra == CORE else "note",
                f"for {what}, these are needed: " + ", ".join(wrong),
                command,
            )
        else:
            names = ", ".join(f"{_name(line)} {state}" for line, (_, state) in states.items())
            yield Finding(extra, "ok", f"{what}: {names}")


def _installed(requirement: str) -> tuple[bool, str]:
    """Whether a requirement is met, and the version that is there."""
    from packaging.requirements import Requirement

    try:
        version = importlib.metadata.version(_name(requirement))
    except importlib.metadata.PackageNotFoundError:
        return False, "not installed"
    fits = Requirement(requirement).specifier.contains(version, prereleases=True)
    return fits, version if fits else f"{version} is installed"


def _name(requirement: str) -> str:
    return re.split(r"[\s<>=!~\[(;]", requirement, maxsplit=1)[0]


def _devices() -> Finding:
    try:
        import torch
    except ImportError as error:
        return Finding("devices", "missing", f"torch cannot be imported: {error}", f"pip install '{PROJECT}'")
    if torch.cuda.is_available():
        cards = [torch.cuda.get_device_properties(i) for i in range(torch.cuda.device_count())]
        said = ", ".join(f"{i}: {card.name}, {card.total_memory / 1e9:.0f} GB" for i, card in enumerate(cards))
        return Finding("devices", "ok", f"{said}; bfloat16 {'yes' if torch.cuda.is_bf16_supported() else 'no'}")
    if torch.backends.mps.is_available():
        return Finding("devices", "ok", "mps (Apple GPU)")
    if shutil.which("nvidia-smi"):
        build = torch.version.cuda or "none: a build for the CPU"
        return Finding(
            "devices",
            "note",
            f"there is an NVIDIA driver, but torch {torch.__version__} sees no GPU (its CUDA: {build})",
            "install torch without constraints-cpu.txt; check CUDA_VISIBLE_DEVICES and `nvidia-smi`",
        )
    return Finding("devices", "ok", "cpu only; take configs/pretrain-cpu.yaml, and small grids")


def _threads() -> Finding:
    cores = available_cpus()
    asked = os.environ.get("OMP_NUM_THREADS")
    text = f"{cores} cores for this process; OMP_NUM_THREADS is {asked or 'not set'}"
    if asked and asked.isdigit() and int(asked) > cores:
        return Finding("threads", "note", text, "more threads than cores slow each other down: set it lower")
    return Finding("threads", "ok", text)


def _memory() -> Finding:
    shared = Path("/dev/shm")
    if shared.is_dir() and (free := shutil.disk_usage(shared).free) < 1e9:
        return Finding(
            "memory",
            "note",
            f"only {free / 1e9:.1f} GB of shared memory (/dev/shm) for workers that load data",
            "in Docker: --ipc=host or --shm-size=8g; else --workers 0",
        )
    try:
        total = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    except (ValueError, OSError):
        return Finding("memory", "note", "how much there is is not known on this system")
    return Finding("memory", "ok", f"{total:.0f} GB")


def _disk() -> Iterator[Finding]:
    for name, folder in {"disk": Path.cwd(), "temp": Path(tempfile.gettempdir())}.items():
        free = shutil.disk_usage(folder).free / 1e9
        text = f"{free:.0f} GB free at {folder}"
        if not os.access(folder, os.W_OK):
            yield Finding(name, "missing", f"{folder} cannot be written to", "change to another folder, or set TMPDIR")
        elif free < 10:
            yield Finding(
                name,
                "missing" if free < 1 else "note",
                text,
                "a prepared cohort takes about 10 MB a scan at 1 mm; make room, or write elsewhere",
            )
        else:
            yield Finding(name, "ok", text)


def _kernel() -> Finding:
    try:
        from jupyter_client.kernelspec import KernelSpecManager
    except ImportError:
        return Finding("kernel", "note", "there is no Jupyter here", f"pip install '{PROJECT}[notebooks]'")
    specs = KernelSpecManager().get_all_specs()
    if "python3" not in specs:
        return Finding(
            "kernel",
            "note",
            "Jupyter has no kernel 'python3', which the notebooks ask for",
            f"{sys.executable} -m ipykernel install --sys-prefix",
        )
    python = specs["python3"]["spec"]["argv"][0]
    if Path(python).is_absolute() and Path(python).parent != Path(sys.executable).parent:
        return Finding(
            "kernel",
            "note",
            f"notebooks would run in another Python: {python}",
            f"{sys.executable} -m ipykernel install --sys-prefix",
        )
    return Finding("kernel", "ok", "python3, this Python")


def _chromium() -> Finding:
    path = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if not path:
        return Finding(
            "chromium",
            "note",
            "not found: the browser tests are skipped, nothing else needs it",
            "apt install chromium, or set CHROMIUM to its path",
        )
    version = _output([path, "--version"])
    if version is None:
        return Finding("chromium", "note", f"{path} does not start", "set CHROMIUM to one that does")
    return Finding("chromium", "ok", f"{version.strip()} at {path}")


def _slurm() -> Finding:
    if not shutil.which("squeue"):
        return Finding("slurm", "ok", "not on this machine, and needed only for --executor slurm")
    if _output(["squeue", "--noheader", "--me"]) is None:
        return Finding(
            "slurm",
            "note",
            "installed, but its controller does not answer",
            "`squeue` must work where `workbench batch --executor slurm` is started; see SLURM_CONF",
        )
    return Finding("slurm", "ok", (_output(["sinfo", "--version"]) or "").strip())


def _output(command: list[str]) -> str | None:
    """What a program says, or None if it fails or says nothing for half a minute."""
    try:
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError):
        return None


WORKERS = ("multiprocessing.forkserver", "multiprocessing.spawn", "multiprocessing.resource_tracker", "workbench.")


@dataclass(frozen=True)
class Process:
    """A process as ``/proc`` shows it."""

    pid: int
    parent: int
    owner: int
    words: str


def processes() -> Iterator[Process]:
    """All that can be seen; none where there is no ``/proc``."""
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rsplit(")", 1)[1].split()[1])
            words = (folder / "cmdline").read_bytes().replace(b"\0", b" ").decode(errors="replace")
            yield Process(int(folder.name), parent, folder.stat().st_uid, words)
        except (OSError, IndexError, ValueError):
            continue  # it has ended meanwhile


def orphans(running: Iterable[Process], me: int) -> list[Process]:
    """Worker processes of ``me`` whose parent is gone, so that the system's first process took them in."""
    return [p for p in running if p.owner == me and p.parent == 1 and any(word in p.words for word in WORKERS)]


def _leftovers() -> Iterator[Finding]:
    """What killed runs may have left: processes, semaphores, temporary folders. Looks, and removes nothing."""
    if left := orphans(processes(), os.getuid()):
        pids = " ".join(str(p.pid) for p in left)
        yield Finding(
            "left",
            "note",
            f"{len(left)} worker processes without the one that started them: {pids}",
            f"look at them (`ps -o pid,etime,rss,cmd -p {pids.replace(' ', ',')}`), then `kill {pids}`",
        )
    if old := left_files():
        yield Finding(
            "left",
            "note",
            f"{len(old)} semaphores and temporary folders of more than a day ago that no process of yours uses: "
            f"{', '.join(map(str, old[:3]))}" + (" …" if len(old) > 3 else ""),
            "`workbench doctor --clean` removes them",
        )


def left_files() -> list[Path]:
    """Semaphores, shared memory and temporary folders of workers: our own, older than a day, and used by nobody. Their
    names are those that Python's multiprocessing and torch give; nothing else in these folders is looked at."""
    day_ago, used = time.time() - 86400, in_use()
    old = []
    for folder, patterns in places():
        for path in (path for pattern in patterns for path in folder.glob(pattern)):
            with contextlib.suppress(OSError):
                facts = path.lstat()
                mine = facts.st_uid == os.getuid() and facts.st_mtime < day_ago and not path.is_symlink()
                old += [path] if mine and not any(name.startswith(str(path)) for name in used) else []
    return sorted(old)


def places() -> list[tuple[Path, tuple[str, ...]]]:
    return [(Path("/dev/shm"), ("sem.mp-*", "torch_*")), (Path(tempfile.gettempdir()), ("pymp-*",))]


def in_use() -> set[str]:
    """Files and folders that processes of ours have open or mapped, as far as ``/proc`` shows them."""
    found: set[str] = set()
    for process in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError):
            for line in (process / "maps").read_text().splitlines():
                found.update(line.split(maxsplit=5)[5:])
        with contextlib.suppress(OSError):
            for entry in (process / "fd").iterdir():
                with contextlib.suppress(OSError):
                    found.add(str(entry.readlink()))
    with contextlib.suppress(OSError):  # the socket of a manager lies in such a folder, and is known by its name
        found.update(line.split()[-1] for line in Path("/proc/net/unix").read_text().splitlines()[1:])
    return found


def clean() -> list[Path]:
    """Remove what ``left_files`` lists; returns what was removed. Processes are left to whoever looks at them."""
    removed = []
    for path in left_files():
        with contextlib.suppress(OSError):
            if path.is_dir():
                shutil.rmtree(path)
            else:
                path.unlink()
            removed.append(path)
    return removed
