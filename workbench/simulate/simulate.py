"""`workbench simulate`: a multi-site cohort with a known truth, as a BIDS dataset.

The output folder is a BIDS dataset and a run folder at once. A participant is complete when its T1w is there, because
that is the last of its files to be written and each file appears whole; so a run that was killed goes on with the
participants that lack one, and each participant depends on the seed and itself alone.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
from tqdm.auto import tqdm

from workbench.runs import Run, finished, replacing, start_run
from workbench.runs.pool import available_cpus, in_processes
from workbench.simulate.anatomy import HEAD_LAYERS, TUMOUR_CODES, Anatomy, Look, grid_points
from workbench.simulate.atlas import load_atlas
from workbench.simulate.bids import NOTICE, t1w_sidecar, write_dataset_files
from workbench.simulate.config import Contrast, SimulateConfig
from workbench.simulate.design import Person, Visit, design, visits_of
from workbench.simulate.sites import Site, acquire, site_by_name
from workbench.volumes import Volume, write_volume

SCANS_AN_ATLAS = 10  # a further process has to build the atlas, which takes as long as so many scans of 2 mm

# signal of CSF, grey and white matter where it is not the site's; of necrotic core, enhancing rim and oedema
TISSUE: dict[Contrast, tuple[float, float, float]] = {"T2w": (1.0, 0.62, 0.45), "FLAIR": (0.15, 0.66, 0.52)}
TUMOUR: dict[Contrast, tuple[float, float, float]] = {
    "T1w": (0.35, 0.60, 0.62),
    "T1c": (0.35, 1.30, 0.62),
    "T2w": (0.95, 0.70, 0.85),
    "FLAIR": (0.45, 0.80, 0.95),
}


def run_simulate(config: SimulateConfig, *, overwrite: bool = False) -> Run:
    """Write the dataset to ``config.out``; complete participants of an interrupted run are kept.

    Raises:
        ConfigError: the folder holds something else, or a run with other settings (unless ``overwrite``).
    """
    people = design(config)
    visits = [visit for person in people for visit in visits_of(person, config)]
    done = None if overwrite else finished(config)
    if done is not None and not _missing(config, visits):
        return done
    facts: dict[str, Any] = {"seed": config.seed, "participants": len(people), "scans": len(visits)}
    with start_run(config, overwrite=overwrite, simulated=True, **facts) as run:
        for left_over in config.out.rglob(".partial-*"):  # of a process that was killed while it wrote
            left_over.unlink(missing_ok=True)
        write_dataset_files(config, people)
        todo = _missing(config, visits)
        with tqdm(total=len(visits), initial=len(visits) - len(todo), desc="simulate", unit="scan") as bar:
            for _ in _simulate_all(config, todo):
                bar.update()
    return run


def simulate_visit(visit: Visit, config: SimulateConfig) -> str:
    """Write the scan and labels of one participant and session, the T1w last. Returns the participant's id."""
    person = visit.person
    site = site_by_name(person.site)
    anatomy = Anatomy(person, load_atlas(), visit.session, tumour=config.tumours)
    rng = person.rng(f"scan {visit.session}".strip())
    # the technician centres the slices on the head, roughly
    grid = site.grid(config.spacing, anatomy.centre + rng.normal(0, 2.0, 3))
    look = anatomy.look(grid_points(grid))
    brain = look.brain.reshape(grid.shape)
    image = acquire(
        signal(look, site, rng, head=config.head).reshape(grid.shape),
        brain,
        grid,
        site,
        config.spacing,
        head=config.head,
        rng=rng,
    )
    stem = visit.stem
    derived = config.out / "derivatives" / "simulation"
    source = {"Simulated": True, "Description": NOTICE, "Sources": [f"bids::{stem}_T1w.nii.gz"]}
    write_volume(
        derived / f"{stem}_dseg.nii.gz",
        Volume(look.labels.reshape(grid.shape), grid.affine),
        sidecar={**source, "Manual": False},
    )
    if config.head:
        write_volume(
            derived / f"{stem}_desc-brain_mask.nii.gz",
            Volume(brain.astype(np.uint8), grid.affine),
            sidecar={**source, "Type": "Brain"},
        )
    sidecar = t1w_sidecar(person, site, config)
    for contrast in config.contrasts[1:]:
        own = person.rng(f"scan {visit.session} {contrast}")
        shown = signal(look, site, own, head=config.head, contrast=contrast).reshape(grid.shape)
        other = acquire(shown, brain, grid, site, config.spacing, head=config.head, rng=own)
        write_volume(scan_path(config, visit, contrast), Volume(other, grid.affine), sidecar=sidecar)
    t1w = t1w_path(config, visit)
    t1w.parent.mkdir(parents=True, exist_ok=True)
    with replacing(t1w.with_name(t1w.name.replace(".nii.gz", ".json"))) as path:
        path.write_text(json.dumps(sidecar, indent=2) + "\n")
    write_volume(t1w, Volume(image, grid.affine))
    return person.participant_id


def simulate_participant(person: Person, config: SimulateConfig) -> str:
    """The one scan of a participant who has no sessions."""
    return simulate_visit(Visit(person), config)


def t1w_path(config: SimulateConfig, who: Visit | Person) -> Path:
    return config.out / f"{(who if isinstance(who, Visit) else Visit(who)).stem}_T1w.nii.gz"


def scan_path(config: SimulateConfig, visit: Visit, contrast: Contrast) -> Path:
    suffix = "ce-simulated_T1w" if contrast == "T1c" else contrast
    return config.out / f"{visit.stem}_{suffix}.nii.gz"


def signal(look: Look, site: Site, rng: np.random.Generator, *, head: bool, contrast: Contrast = "T1w") -> np.ndarray:
    """Noise-free signal ``(N,)`` of an anatomy at a site; white matter is about 1.

    Outside the brain lies CSF without end, so that the blur at the border of a stripped brain mixes brain with CSF as
    it would in a head; or, with ``head``, CSF, a dark skull, a bright scalp and air.
    """
    tissue = TISSUE.get(contrast, (site.csf, site.gm, site.wm))
    csf, gm, wm = tissue * np.exp(rng.normal(0, 0.015, 3))
    image = csf * look.csf + gm * look.gm + wm * look.wm
    if look.tumour is not None:
        for code, value in zip(TUMOUR_CODES.values(), TUMOUR[contrast], strict=True):
            image = np.where(look.tumour == code, value, image)
    if head:
        fluid, skull, scalp = HEAD_LAYERS
        image = np.where(look.outside > fluid, 0.12 * site.wm, image)
        image = np.where(look.outside > skull, 0.9 * site.wm, image)
        image = np.where(look.outside > scalp, 0.0, image)
    return image.astype(np.float32)


def _missing(config: SimulateConfig, visits: list[Visit]) -> list[Visit]:
    return [visit for visit in visits if not t1w_path(config, visit).is_file()]


def _simulate_all(config: SimulateConfig, visits: list[Visit]) -> Iterator[str]:
    """Ids as they are finished."""
    work = partial(simulate_visit, config=config)
    workers = config.workers or min(available_cpus(), len(visits) // SCANS_AN_ATLAS)
    workers = max(1, min(workers, len(visits)))
    yield from in_processes(work, visits, workers, lambda visit: visit.stem, begin=_start_worker)


def _start_worker() -> None:
    """One thread a worker: the workers are the parallelism."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    load_atlas()
