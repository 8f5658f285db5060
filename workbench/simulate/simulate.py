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

import numpy as np
from tqdm.auto import tqdm

from workbench.runs import Run, finished, replacing, start_run
from workbench.runs.pool import available_cpus, in_processes
from workbench.simulate.anatomy import HEAD_LAYERS, Anatomy, Look, grid_points
from workbench.simulate.atlas import load_atlas
from workbench.simulate.bids import NOTICE, t1w_sidecar, write_dataset_files
from workbench.simulate.config import SimulateConfig
from workbench.simulate.design import Person, design
from workbench.simulate.sites import Site, acquire, site_by_name
from workbench.volumes import Volume, write_volume


def run_simulate(config: SimulateConfig, *, overwrite: bool = False) -> Run:
    """Write the dataset to ``config.out``; complete participants of an interrupted run are kept.

    Raises:
        ConfigError: the folder holds something else, or a run with other settings (unless ``overwrite``).
    """
    people = design(config)
    done = None if overwrite else finished(config)
    if done is not None and not _missing(config, people):
        return done
    with start_run(config, overwrite=overwrite, seed=config.seed, simulated=True, participants=len(people)) as run:
        for left_over in config.out.rglob(".partial-*"):  # of a process that was killed while it wrote
            left_over.unlink(missing_ok=True)
        write_dataset_files(config, people)
        todo = _missing(config, people)
        with tqdm(total=len(people), initial=len(people) - len(todo), desc="simulate", unit="scan") as bar:
            for _ in _simulate_all(config, todo):
                bar.update()
    return run


def simulate_participant(person: Person, config: SimulateConfig) -> str:
    """Write the scan and labels of one participant, the T1w last. Returns the participant's id."""
    site = site_by_name(person.site)
    anatomy = Anatomy(person, load_atlas())
    rng = person.rng("scan")
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
    stem = f"{person.participant_id}/anat/{person.participant_id}"
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
    t1w = t1w_path(config, person)
    t1w.parent.mkdir(parents=True, exist_ok=True)
    with replacing(t1w.with_name(f"{person.participant_id}_T1w.json")) as path:
        path.write_text(json.dumps(t1w_sidecar(person, site, config), indent=2) + "\n")
    write_volume(t1w, Volume(image, grid.affine))
    return person.participant_id


def t1w_path(config: SimulateConfig, person: Person) -> Path:
    return config.out / person.participant_id / "anat" / f"{person.participant_id}_T1w.nii.gz"


def signal(look: Look, site: Site, rng: np.random.Generator, *, head: bool) -> np.ndarray:
    """Noise-free signal ``(N,)`` of an anatomy at a site; white matter is about 1.

    Outside the brain lies CSF without end, so that the blur at the border of a stripped brain mixes brain with CSF as
    it would in a head; or, with ``head``, CSF, a dark skull, a bright scalp and air.
    """
    contrast = np.exp(rng.normal(0, 0.015, 3))
    csf = site.csf * contrast[0]
    image = csf * look.csf + site.gm * contrast[1] * look.gm + site.wm * contrast[2] * look.wm
    if head:
        fluid, skull, scalp = HEAD_LAYERS
        image = np.where(look.outside > fluid, 0.12 * site.wm, image)
        image = np.where(look.outside > skull, 0.9 * site.wm, image)
        image = np.where(look.outside > scalp, 0.0, image)
    return image.astype(np.float32)


def _missing(config: SimulateConfig, people: list[Person]) -> list[Person]:
    return [person for person in people if not t1w_path(config, person).is_file()]


def _simulate_all(config: SimulateConfig, people: list[Person]) -> Iterator[str]:
    """Ids as they are finished."""
    work = partial(simulate_participant, config=config)
    workers = max(1, min(config.workers or available_cpus(), len(people)))
    yield from in_processes(work, people, workers, lambda person: person.participant_id, begin=_start_worker)


def _start_worker() -> None:
    """One thread a worker: the workers are the parallelism."""
    from threadpoolctl import threadpool_limits

    threadpool_limits(1)
    load_atlas()
