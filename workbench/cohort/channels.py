"""Further contrasts of a session: found by the same reader, put beside the scan of the first contrast."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from pathlib import Path

from workbench.cohort.contrasts import columns_of
from workbench.cohort.headers import spelt
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.match import few
from workbench.cohort.source import Candidate, Source
from workbench.errors import ConfigError, WorkbenchError

TOLD = ("person", "row", "segmentation", "mask")  # kinds of what is set aside that the first contrast has told of


def require_readable(layout: Layout, path: Path, contrasts: tuple[str, ...]) -> None:
    """Refuse to look for a contrast where the layout knows of T1w alone."""
    if not layout.contrasts and contrasts != ("T1w",):
        raise ConfigError(
            f"{path}: contrasts other than T1w are not read from {layout.name}",
            cause=f"asked for {' '.join(contrasts)}",
            remedy="list the files in a table with a column a contrast (path_FLAIR …), or lay them out as BIDS",
        )


def add_channels(source: Source, layout: Layout, path: Path, options: Options, further: tuple[str, ...]) -> None:
    """Give each candidate of ``source`` its files of the ``further`` contrasts: of the same person and session, and of
    several the one whose other entities are the same. What is there and belongs to no candidate is told."""
    for contrast in further:
        try:
            found = layout.read(path, source.dataset, replace(options, contrast=contrast, first=False))
        except WorkbenchError as error:
            source.unused(f"no {contrast}: {error.cause or error.what}")
            continue
        source.set_aside += [row for row in found.set_aside if row["kind"] not in TOLD and row not in source.set_aside]
        by_visit: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
        for candidate in found.candidates:
            by_visit[candidate.participant_id, candidate.session].append(candidate)
        for candidate in source.candidates:  # a table's column with the files is no property of anybody
            candidate.values = {k: v for k, v in candidate.values.items() if spelt(k) not in columns_of(contrast)}
        used: set[Path] = set()
        several = []
        for candidate in source.candidates:
            there = by_visit.get((candidate.participant_id, candidate.session), [])
            same = [one for one in there if _own(one) == _own(candidate)] or there
            if not same:
                continue
            chosen = min(same, key=lambda one: one.path.name)
            if len(same) > 1:
                several.append(chosen.path.name)
            candidate.channels = {**candidate.channels, contrast: chosen.path}
            candidate.volumes = {**candidate.volumes, **chosen.volumes}
            used.add(chosen.path)
        if several:
            source.guess(f"{len(several)} scans have several {contrast}, the first by name is taken: {few(several, 3)}")
        if alone := [one for one in found.candidates if one.path not in used]:
            source.unused(
                f"{len(alone)} {contrast} belong to no scan that is taken: {few([one.path.name for one in alone], 3)}"
            )


def _own(candidate: Candidate) -> frozenset[str]:
    """What tells a scan from others of its session, but for what tells contrasts apart."""
    return frozenset(e for e in candidate.entities.split("_") if e and not e.startswith("ce-"))
