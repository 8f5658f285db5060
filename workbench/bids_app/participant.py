"""The level `participant`: each scan through each model, its derivatives, and a page a person."""

from __future__ import annotations

import json
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from workbench.bids_app.layout import NAME, describe, folder, label_table, stem, write_text
from workbench.bids_app.pictures import picture
from workbench.cohort.contrasts import USUAL, asked_for
from workbench.cohort.gather import read_source
from workbench.cohort.layouts.layout import Options
from workbench.cohort.layouts.table import layout_of
from workbench.cohort.source import Candidate
from workbench.errors import ConfigError, ScanError, WorkbenchError
from workbench.prepare.fingerprint import contrasts_in
from workbench.runs import digest_file
from workbench.study.report.page import page, paragraph, table
from workbench.volumes import Volume, write_volume
from workbench.volumes.given import Given

if TYPE_CHECKING:
    from workbench.predict import ScanEncoder, ScanSegmenter

QUERY = "cls"


@dataclass(frozen=True)
class Models:
    """What is applied to every scan."""

    encoder: ScanEncoder
    encoder_name: str
    segmenter: ScanSegmenter | None = None
    segmenter_name: str = ""

    def contrasts(self, asked: Sequence[str] = ()) -> tuple[str, ...]:
        """What the scans must have for every model: the encoder's contrasts first, and ``asked`` if that is as much.

        Raises:
            ConfigError: a model takes another contrast than those that are asked for.
        """
        takes = {self.encoder_name: taken_by(self.encoder)}
        if self.segmenter is not None:
            takes[self.segmenter_name] = taken_by(self.segmenter)
        every = tuple(dict.fromkeys(name for contrasts in takes.values() for name in contrasts))
        try:
            wanted = asked_for(asked) if asked else every
        except ValueError as error:
            raise ConfigError(str(error)) from error
        if set(wanted) != set(every):
            raise ConfigError(
                f"contrast: asked for {'+'.join(wanted)}",
                cause="; ".join(f"{who} takes {'+'.join(contrasts)}" for who, contrasts in takes.items()),
                remedy="leave --contrast out: the models know what they take",
            )
        return every


def taken_by(model: ScanEncoder | ScanSegmenter) -> tuple[str, ...]:
    return contrasts_in(model.preparation.settings)


@dataclass
class Done:
    """What became of a scan: its pictures, its volumes in ml, and why it could not be used, if so."""

    scan: Candidate
    pictures: list[tuple[str, str]] = field(default_factory=list)
    volumes: dict[str, float] = field(default_factory=dict)
    mask: str = ""
    learnt_from: bool = False
    problem: str = ""


def chosen(bids: Path, people: list[str], sessions: list[str], contrasts: Sequence[str] = USUAL) -> list[Candidate]:
    """The scans of the people and sessions asked for; with or without ``sub-`` and ``ses-``; nothing named means all.

    Of several ``contrasts`` the first is the scan, and the others are its channels.

    Raises:
        WorkbenchError: the folder is no BIDS data set.
        ConfigError: nobody, or no session, of that name.
    """
    layout = layout_of(bids)
    if bids.is_dir() and layout is not None and layout.name != "BIDS":
        raise ConfigError(
            f"{bids}: is no BIDS data set",
            cause=f"it looks like {layout.name}",
            remedy="convert it, or use `workbench cohort` and the jobs after it, which take it as it is",
        )
    scans = read_source(bids, bids.name, Options(contrast=contrasts[0]), tuple(contrasts[1:])).candidates
    for what, asked, prefix, has in (
        ("participant", people, "sub-", {scan.participant_id for scan in scans}),
        ("session", sessions, "ses-", {scan.session for scan in scans}),
    ):
        wanted = {f"{prefix}{name.removeprefix(prefix)}" for name in asked}
        if missing := sorted(wanted - has):
            raise ConfigError(
                f"{what}-label: {', '.join(missing)} has no {contrasts[0]} scan in {bids}",
                cause=f"there are: {', '.join(sorted(filter(None, has))[:10])}",
                remedy="check the label; `workbench cohort --sources` says of every scan why it is not used",
            )
        if wanted:
            scans = [s for s in scans if (s.participant_id if what == "participant" else s.session) in wanted]
    return scans


def run_participants(
    bids: Path, out: Path, scans: list[Candidate], models: Models, contrasts: Sequence[str] = USUAL
) -> list[Done]:
    """Write the derivatives of every scan, and ``sub-XX.html``. What is wrong with one scan does not stop the others.

    Returns:
        What became of each scan, in order.
    """
    describe(out, bids, simulated=bool(models.encoder.card.simulated) or any(scan.simulated for scan in scans))
    if models.segmenter is not None:
        label_table(out, models.segmenter.codes)
    done = []
    for scan in tqdm(scans, desc="scans", unit="scan"):
        one = Done(scan)
        try:
            _one(out, scan, models, one, contrasts[0])
        except WorkbenchError as error:
            one.problem = f"{error.what}" + (f" ({error.cause})" if error.cause else "")
            tqdm.write(f"not used: {stem(scan)}: {one.problem}")
        done.append(one)
    people: dict[str, list[Done]] = defaultdict(list)
    for one in done:
        people[one.scan.participant_id].append(one)
    for person, mine in people.items():
        write_text(out / f"{person}.html", _page(person, mine, models))
    return done


def _one(out: Path, scan: Candidate, models: Models, done: Done, contrast: str) -> None:
    here, name = folder(out, scan), stem(scan)
    digest = digest_file(scan.path)
    encoder = models.encoder
    files = {contrast: scan.path, **scan.channels}
    ready = encoder.prepare(_given(files, taken_by(encoder)), mask=scan.mask_path)
    done.mask, done.learnt_from = ready.mask, digest in set(encoder.card.scans)
    common = {
        "Sources": [f"bids:raw:{_inside(scan, path)}" for path in files.values()],
        "Mask": ready.mask,
        "Simulated": scan.simulated,
    }
    found = encoder.embed(ready)
    rows = [f"{kind}\t" + "\t".join(f"{v:.6g}" for v in getattr(found, kind)) for kind in ("cls", "patch_mean")]
    header = "token\t" + "\t".join(f"d{i}" for i in range(len(found.cls)))
    write_text(here / f"{name}_desc-{NAME}_embedding.tsv", "\n".join([header, *rows]) + "\n")
    told = {**common, "Encoder": models.encoder_name, "LearntFromThisScan": done.learnt_from}
    write_text(here / f"{name}_desc-{NAME}_embedding.json", json.dumps(told, indent=2) + "\n")
    image = encoder.attention(ready, QUERY)
    attention = Volume(np.asarray(image.dataobj, dtype=np.float32), image.affine)
    facts = {**told, "Query": QUERY, "Block": "last", "Heads": "mean", "Units": "times uniform attention"}
    write_volume(here / f"{name}_desc-attn{QUERY}_map.nii.gz", attention, sidecar=facts)
    done.pictures.append(("attention of CLS, times uniform", picture(scan.path, attention)))
    if models.segmenter is not None:
        # its own preparation may differ from the encoder's
        image = models.segmenter.predict(_given(files, taken_by(models.segmenter)), mask=scan.mask_path)
        labels = Volume(np.asarray(image.dataobj).astype(np.uint8), image.affine)
        learnt = digest in set(models.segmenter.card.scans)
        facts = {**common, "Model": models.segmenter_name, "Manual": False, "LearntFromThisScan": learnt}
        write_volume(here / f"{name}_desc-{NAME}_dseg.nii.gz", labels, sidecar=facts)
        voxel_ml = float(abs(np.linalg.det(labels.affine[:3, :3]))) / 1000
        done.volumes = {
            structure: float(np.count_nonzero(labels.data == code)) * voxel_ml
            for structure, code in models.segmenter.codes.items()
        }
        done.learnt_from = done.learnt_from or learnt
        done.pictures.append(("segmentation", picture(scan.path, labels, labels=True)))


def _given(files: dict[str, Path], takes: tuple[str, ...]) -> Given:
    """A person's scan as a model takes it."""
    if missing := [name for name in takes if name not in files]:
        raise ScanError(
            f"no {' and no '.join(missing)} in this session", cause=f"the model takes {'+'.join(takes)}", remedy=""
        )
    return {name: files[name] for name in takes} if len(takes) > 1 else files[takes[0]]


def _inside(scan: Candidate, path: Path) -> str:
    """A file's path in its data set, from the person's folder on."""
    parts = path.parts
    return "/".join(parts[parts.index(scan.participant_id) :])


def _page(person: str, done: list[Done], models: Models) -> str:
    import pandas as pd

    simulated = any(one.scan.simulated for one in done)
    parts = [f"<h1>{escape(person)}</h1>"]
    if simulated:
        parts.append("<p class=badge>SIMULATED DATA</p>")
    parts.append(paragraph("Research only, not for diagnosis.", "note"))
    for one in done:
        parts.append(f"<h2>{escape(stem(one.scan))}</h2>")
        if one.problem:
            parts.append(paragraph(f"Not used: {one.problem}"))
            continue
        if one.learnt_from:
            parts.append(paragraph("A model has learnt from this very scan: what it says of it may be memory."))
        for caption, image in one.pictures:
            parts.append(f"<figure>{image}<figcaption>{escape(caption)}</figcaption></figure>")
        if one.volumes:
            rows = [{"structure": name, "volume in ml": f"{ml:.2f}"} for name, ml in one.volumes.items()]
            parts.append(table(pd.DataFrame(rows)))
        parts.append(paragraph(f"Brain: {one.mask}.", "note"))
    parts.append(paragraph(_made_by(models), "note"))
    return page(person, parts)


def _made_by(models: Models) -> str:
    told = f"Encoder: {models.encoder_name}, {models.encoder.card.objective}."
    return told + (f" Segmentation: {models.segmenter_name}." if models.segmenter is not None else "")
