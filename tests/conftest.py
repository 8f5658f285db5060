"""Fixtures every room's tests may use."""

from __future__ import annotations

import os
import shutil
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import pytest

from tests.slurm_commands import put_slurm

os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")  # as the command line does: tests start processes beside their own
if "PYTEST_XDIST_WORKER" in os.environ:  # the cores are shared by the test processes
    os.environ.setdefault("OMP_NUM_THREADS", "1")

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:  # started by a shell's &: processes of the tests would inherit it
    signal.signal(signal.SIGINT, signal.default_int_handler)

CHROMIUM_ARGS = [
    "--headless=new",
    "--no-sandbox",
    "--use-gl=angle",
    "--use-angle=swiftshader",
    "--enable-unsafe-swiftshader",
    # SwiftShader draws the canvas alone and not the page around it: the same picture, a quarter less processor time
    "--disable-gpu-compositing",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]

# what `make test FAST=1` leaves out: whatever needs a study that was prepared and pretrained, or a browser, and these
LONG_FIXTURES = {"study", "browser"}
LONG = (
    "analysis/embed/",
    "analysis/reliability/test_travelling.py",
    "analysis/test_real_geometry.py",
    "batch/test_batch.py",
    "batch/test_notebook.py",
    "batch/test_slurm_job.py",
    "engine/test_contrast.py",
    "cohort/test_apart.py::test_a_cohort",
    "cohort/test_cohort.py::test_the_real_data",
    "explorer/app/test_page.py",
    "explorer/parts/test_live.py",
    "finetune/test_segment.py",
    "fuzz/",
    "notebooks/test_kernel.py",
    "notebooks/test_quickstart.py",
    "notebooks/test_tour.py",
    "predict/",
    "prepare/test_prepare.py::test_kill_9",
    "prepare/test_real.py",
    "prepare/test_store.py::test_a_large_store",
    "pretrain/test_",
    "runs/test_hold.py",
    "runs/test_parts.py",
    "runs/test_spread.py",
    "simulate/",
    "slurm/",
    "study/test_job.py",
    "study/cells/test_on_slurm.py",
    "study/test_looks.py",
    "test_docs.py",
    "test_readme.py",
    "test_wheel.py",
    "ui/",
)


@pytest.fixture
def slurm(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Commands that look like Slurm's."""
    return put_slurm(tmp_path / "fake", monkeypatch)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    for item in items:
        place = item.path.relative_to(Path(__file__).parent).as_posix() + "::" + item.name
        if LONG_FIXTURES & set(getattr(item, "fixturenames", ())) or place.startswith(LONG):
            item.add_marker("long")
    # files with long ones first (`--no-loadscope-reorder` leaves it so), or one process is left alone with the longest
    long = {item.path for item in items if item.get_closest_marker("long")}
    items.sort(key=lambda item: item.path not in long)


if TYPE_CHECKING:
    from workbench.pretrain.config import PretrainConfig


@pytest.fixture(scope="session")
def real_data() -> Path:
    """Folder of the real scans (``oasis1/``, ``ixi/``, …); the test is skipped, saying so, where it is absent."""
    folder = Path(os.environ.get("WORKBENCH_TEST_DATA") or Path(__file__).parents[2] / "shared" / "data")
    if not folder.is_dir():
        pytest.skip(f"no real data at {folder}: set WORKBENCH_TEST_DATA to the folder that holds oasis1/, ixi/, …")
    return folder.resolve()


class Study:
    """A tiny prepared study: folders of the cohort, the split and the store, and settings of a tiny encoder."""

    encoder: ClassVar = {"preset": "micro", "image_size": 16, "patch": 8, "registers": 1}
    objective: ClassVar = {"prototypes_cls": 32, "prototypes_patch": 32, "head_hidden": 32, "head_bottleneck": 16}

    def __init__(self, root: Path) -> None:
        self.cohort, self.split, self.store, self.encoder_run = (root / n for n in ("cohort", "split", "store", "pre"))

    def pretrain(self, out: Path, **changes: Any) -> PretrainConfig:
        from workbench.pretrain.config import PretrainConfig

        return PretrainConfig.build(
            {
                "out": out,
                "store": self.store,
                "split": self.split,
                "encoder": self.encoder,
                "epochs": 2.0,
                "objective": self.objective,
                "batch_size": 2,
                "workers": 0,
                "warmup_epochs": 1.0,
                "accelerator": "cpu",
                **changes,
            }
        )


def _light_up_hippocampi(source: Path) -> None:
    """Bright hippocampi are learnt in a few steps, and tell whether labels lie on their voxels."""
    from workbench.volumes import Volume, read_volume, write_volume

    for seg_path in source.glob("derivatives/manual/sub-*/**/*_dseg.nii.gz"):
        name = seg_path.name.replace("_dseg", "_T1w")
        path = source / name.split("_")[0] / "anat" / name
        scan, labels = read_volume(path), read_volume(seg_path, labels=True)
        write_volume(path, Volume(scan.data + (labels.data > 0) * scan.data.max(), scan.affine))


def make_study(root: Path) -> Study:
    """Twelve phantoms of two sites in three orientations, gathered, split and prepared at 3 mm."""
    from workbench.cohort import CohortConfig, SplitConfig, run_cohort, run_split
    from workbench.prepare.config import PrepareConfig
    from workbench.prepare.prepare import run_prepare
    from workbench.testing import write_bids

    made = Study(root)
    source = write_bids(root / "phantoms", people=12, simulated=True)
    _light_up_hippocampi(source)
    run_cohort(CohortConfig(out=made.cohort, sources=[source], workers=1))
    run_split(SplitConfig(out=made.split, cohort=made.cohort, fractions=(0.5, 0.0, 0.5)))
    run_prepare(PrepareConfig(out=made.store, cohort=made.cohort, spacing=3.0, workers=1))
    return made


@pytest.fixture(scope="session")
def study(tmp_path_factory: pytest.TempPathFactory) -> Study:
    """A tiny study and an encoder pretrained on it for a few steps; made once, never changed by a test."""
    from workbench.pretrain.train import run_pretrain

    made = make_study(tmp_path_factory.mktemp("study"))
    run_pretrain(made.pretrain(made.encoder_run))
    return made


@pytest.fixture(scope="session")
def browser() -> Iterator[Any]:
    """One Chromium for every room: an imported fixture would start a second one, which one process cannot have."""
    why = None
    executable = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("chromium-browser")
    if executable is None:
        why = "no Chromium found: install it (apt install chromium) or set CHROMIUM to its path"
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        why = "playwright is not installed: pip install 'volta-workbench[dev]'"
    if why:
        if os.environ.get("CI") == "true":
            pytest.fail(why)
        pytest.skip(why)
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=executable, args=CHROMIUM_ARGS)
        yield chromium
        chromium.close()
