"""The documentation is true: its Python runs, its site builds without a broken link and asks nothing of the network."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from workbench.jobs import JOBS
from workbench.runs.spread import SpreadConfig

REPO = Path(__file__).parents[1]
PAGES = [REPO / "README.md", *sorted((REPO / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^```python(?: title=\"(?P<file>[^\"]+)\")?\n(?P<code>.*?)^```$", re.DOTALL | re.MULTILINE)
EXTEND = [page for page in PAGES if page.parent.name == "extend"]


def blocks(page: Path) -> list[tuple[str | None, str]]:
    """(file it is meant to be, code) of each block of Python of a page."""
    return [(m["file"], m["code"]) for m in BLOCK.finditer(page.read_text())]


def named(page: Path) -> str:
    return str(page.relative_to(REPO))


@pytest.fixture(scope="module")
def work(study, tmp_path_factory) -> Path:
    """A folder with what the pages speak of: data/site1, and work/ with a run of each job."""
    from workbench.analysis import EmbedConfig, run_embed
    from workbench.cohort import CohortConfig, SplitConfig, run_cohort, run_split
    from workbench.finetune import ClassifyConfig, SegmentConfig, run_classify, run_segment
    from workbench.prepare import PrepareConfig
    from workbench.prepare.prepare import run_prepare

    root = tmp_path_factory.mktemp("docs")
    (root / "data").mkdir()
    (root / "work").mkdir()
    (root / "data" / "site1").symlink_to(study.cohort.parent / "phantoms")
    (root / "work" / "pretrain").symlink_to(study.encoder_run)
    before = Path.cwd()
    os.chdir(root)  # the settings that a run keeps are then those that the pages have
    try:
        run_cohort(CohortConfig(out="work/cohort", sources=["data/site1"]))
        run_split(SplitConfig(out="work/split", cohort="work/cohort", fractions=(0.5, 0.0, 0.5)))
        run_prepare(PrepareConfig(out="work/store", cohort="work/cohort", spacing=3))
        common = {"store": "work/store", "encoder": "work/pretrain"}
        run_segment(SegmentConfig(out="work/hippocampus", split="work/split", steps=2, features=4, **common))
        run_classify(ClassifyConfig(out="work/sex", split="work/split", **common))
        run_embed(EmbedConfig(out="work/embed", **common))
    finally:
        os.chdir(before)
    return root


@pytest.mark.parametrize("page", [p for p in PAGES if blocks(p) and p not in EXTEND], ids=named)
def test_the_python_of_a_page_runs(page, work, monkeypatch):
    monkeypatch.chdir(work)
    space: dict[str, object] = {}
    for _, code in blocks(page):
        exec(compile(code, named(page), "exec"), space)


def run_extension(page: Path, folder: Path) -> None:
    """Blocks that are files become modules, whose names the blocks after them have; called in a process of its own."""
    space: dict[str, object] = {}
    for file, code in blocks(page):
        if file is None:
            exec(compile(code, named(page), "exec"), space)
            continue
        path = folder / Path(file).name
        path.write_text(code)
        spec = importlib.util.spec_from_file_location(file.removesuffix(".py").replace("/", "."), path)
        module = importlib.util.module_from_spec(spec)
        sys.modules[spec.name] = module
        spec.loader.exec_module(module)
        space |= {name: value for name, value in vars(module).items() if not name.startswith("_")}


@pytest.mark.parametrize("page", EXTEND, ids=named)
def test_what_a_page_adds_works(page, work, tmp_path):
    """In a process of its own: an objective or a measure that is added stays for the rest of it."""
    code = (
        "import sys; from pathlib import Path; from tests.test_docs import *; run_extension(*map(Path, sys.argv[1:]))"
    )
    if page.stem == "objective":
        code += (
            "\nfrom tests.pretrain.objectives.test_table import "
            "test_every_objective_trains_exports_and_says_what_it_is as contract\ncontract({'name': 'patch_mean'})"
        )
    done = subprocess.run(
        [sys.executable, "-c", code, str(page), str(tmp_path)],
        cwd=work,
        env={**os.environ, "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


@pytest.fixture(scope="module")
def site(tmp_path_factory) -> Path:
    """The site, built as `make docs` does: a link that leads nowhere is an error."""
    pytest.importorskip("mkdocs")
    out = tmp_path_factory.mktemp("site")
    done = subprocess.run(
        [sys.executable, "-m", "mkdocs", "build", "--strict", "-q", "-d", str(out)],
        cwd=REPO,
        env={**os.environ, "NO_MKDOCS_2_WARNING": "1", "PYTHONPATH": str(REPO)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return out


def test_every_job_has_its_page_with_every_setting(site):
    from workbench.cli.flags import leaves

    for name, job in JOBS.items():
        text = (site / "reference" / "jobs" / f"{name}.html").read_text()
        assert [leaf.path for leaf in leaves(job.config_class()) if f"<code>{leaf.path}</code>" not in text] == []


def test_the_face_and_the_notebooks_are_there(site):
    text = (site / "reference" / "python.html").read_text()
    for name in ("load_encoder", "ScanSegmenter", "bootstrap_interval", "find_runs"):
        assert name in text
    assert {p.stem for p in (site / "tutorials").glob("*.html")} >= {"quickstart", "01_cohort", "08_compare"}


def test_the_site_asks_nothing_of_the_network(site):
    """Nothing that a browser fetches by itself is elsewhere: no script, style, font, image or frame."""
    fetched = re.compile(
        r"<(?:script|img|iframe|source|video)\b[^>]*\bsrc=[\"']?(?:https?:)?//"
        r"|<link\b(?=[^>]*\brel=[\"']?(?:stylesheet|preload|preconnect|icon))[^>]*\bhref=[\"']?(?:https?:)?//",
        re.IGNORECASE,
    )
    for page in site.rglob("*.html"):
        assert not fetched.search(page.read_text()), page
    for style in site.rglob("*.css"):
        assert not re.search(r"(?:@import|url\()\s*[\"']?(?:https?:)?//", style.read_text()), style


def test_the_page_on_clusters_names_every_job_that_is_spread() -> None:
    rows = [line for line in (REPO / "docs" / "cluster.md").read_text().splitlines() if line.startswith("| `")]
    spread = [job.name for job in JOBS.values() if issubclass(job.config_class(), SpreadConfig)]
    told = " ".join(line.split("|")[1] for line in rows)
    assert len(spread) > 5 and not [name for name in spread if f"`{name}`" not in told]
