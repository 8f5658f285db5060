"""A BIDS folder: every T1w with its person, its session, and what was derived from it."""

from __future__ import annotations

from collections import Counter, defaultdict
from pathlib import Path

from workbench.cohort.contrasts import CONTRASTED
from workbench.cohort.headers import NAMES, find
from workbench.cohort.layouts.bids_names import find_scans, suffix_of
from workbench.cohort.layouts.bids_tables import fill_values
from workbench.cohort.layouts.derivatives import COPIES, OWN_SPACE, attach_derivatives
from workbench.cohort.layouts.layout import Layout, Options
from workbench.cohort.layouts.sidecars import Sidecars
from workbench.cohort.match import few
from workbench.cohort.scanner import scanner_of
from workbench.cohort.source import Candidate, Source, absolute, entities_of, is_simulated, stem_of
from workbench.errors import WorkbenchError


def read_bids(root: Path, dataset: str, options: Options | None = None) -> Source:
    """List the scans of a contrast below ``root``, with or without a session level; only small text files are opened.

    ``participants.tsv`` and ``sub-*_sessions.tsv`` give the columns (a session's own value wins), the scan's
    ``.json`` the scanner where the tables are silent, ``derivatives/*`` (and ``root``, if it is a derivative itself)
    segmentations and brain masks. Of copies of a scan in several spaces the one in its own is taken.

    Args:
        root: The folder that holds ``sub-*``.
        dataset: Name for the data set.
        options: What the user asks for.

    Raises:
        WorkbenchError: there is no scan of the contrast at all.
    """
    source = Source(dataset, root=root)
    contrast = options.contrast if options else "T1w"
    suffix = suffix_of(contrast)
    found = find_scans(root, source, contrast)
    if not found:
        near = [f"{Path(row['path']).relative_to(root)}: {row['cause']}" for row in source.set_aside]
        raise WorkbenchError(
            f"{root}: no {contrast} scan found",
            remedy=f"give the data set that it was derived from, {root.parents[1]}"
            if root.parent.name == "derivatives"
            else "name the files as BIDS does, or list them in a CSV",
            cause=f"looked for sub-*/[ses-*/]anat/sub-*_{'ce-*_' * (contrast == CONTRASTED)}{suffix}.nii[.gz]"
            + (f"; there are {few(near, 3)}" if near else ""),
        )
    simulated = is_simulated(root)
    found.reverse()
    candidates = []
    while found:  # paths go as the candidates come: together they would be the most of what a large cohort takes
        if (candidate := _candidate(found.pop(), root, source, simulated)) is not None:
            candidates.append(candidate)
    source.candidates = _own_space(_once(candidates, source), source)
    fill_values(root, source)
    sidecars = Sidecars(root, suffix)
    for candidate in source.candidates:
        if not find(candidate.values, NAMES["scanner"]) and (scanner := scanner_of(sidecars.of(candidate.path))):
            candidate.values["scanner"] = scanner
    if sidecars.unread:
        told = few([f"{path.relative_to(root)} ({cause})" for path, cause in sidecars.unread.items()], 3)
        source.unused(f"{len(sidecars.unread)} sidecars cannot be read, their scanner is not known: {told}")
    attach_derivatives(root, source, options.segmentations if options else None)
    return source


def _candidate(path: Path, root: Path, source: Source, simulated: bool) -> Candidate | None:
    entities, folders = entities_of(path), path.relative_to(root).parts
    person = folders[0]
    session = folders[1] if folders[1].startswith("ses-") else ""
    named = (f"sub-{entities.pop('sub', '')}", f"ses-{ses}" if (ses := entities.pop("ses", "")) else "")
    if named != (person, session):
        # whose scan it is cannot be told, and a guess could put one person on two sides of a split
        says, lies = (" ".join(both).strip() for both in (named, (person, session)))
        source.refuse(
            path, f"the name says {says}, its folder {lies}", "rename the file or move it", participant_id=person
        )
        return None
    return Candidate(
        source.dataset,
        person,
        absolute(path),
        session=session,
        entities="_".join(f"{key}-{value}" for key, value in entities.items()),
        simulated=simulated,
    )


def _once(candidates: list[Candidate], source: Source) -> list[Candidate]:
    """Each scan once, where it is there as .nii.gz and .nii, say."""
    taken: dict[str, Path] = {}
    kept = []
    order = sorted(candidates, key=lambda c: (str(c.path.parent), not c.path.name.endswith(".gz"), c.path.name))
    for candidate in order:
        path = candidate.path
        if other := taken.get(stem := str(path.parent / stem_of(path))):
            source.refuse(
                path,
                f"the same scan is there as {other.name[len(stem_of(other)) :]}, which is used",
                "remove one of the two",
                participant_id=candidate.participant_id,
            )
            continue
        taken[stem] = path
        kept.append(candidate)
    return kept


def _own_space(candidates: list[Candidate], source: Source) -> list[Candidate]:
    """Of copies of one scan (``space-``, ``res-``, ``desc-``) the one in the scan's own space; the others are said."""
    copies: dict[tuple[str, str, frozenset[str]], list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        own = frozenset(e for e in candidate.entities.split("_") if e.split("-")[0] not in COPIES)
        copies[candidate.participant_id, candidate.session, own].append(candidate)
    kept = {id(min(group, key=_distance)) for group in copies.values()}
    if dropped := [c for c in candidates if id(c) not in kept]:
        kinds = Counter("_".join(e for e in c.entities.split("_") if e.split("-")[0] in COPIES) for c in dropped)
        told = few([f"{kind or 'without space- or desc-'} ({n})" for kind, n in kinds.most_common()])
        source.unused(f"{len(dropped)} further copies of scans are not taken, a scan counts once: {told}")
    elsewhere = [c for c in candidates if id(c) in kept and _distance(c)[0]]
    if elsewhere:
        spaces = sorted({entities_of(c.path).get("space", "") for c in elsewhere})
        source.guess(
            f"{len(elsewhere)} scans are there only in another space ({few(spaces)}) and are taken as they are there"
        )
    return [c for c in candidates if id(c) in kept]


def _distance(candidate: Candidate) -> tuple[bool, bool, bool, int, str]:
    """How far a copy is from the scan as it was taken."""
    entities = entities_of(candidate.path)
    return (
        entities.get("space", "").casefold() not in OWN_SPACE,
        "res" in entities or "den" in entities,
        entities.get("desc", "") not in ("", "preproc"),
        len(entities),
        candidate.path.name,
    )


def _recognises(path: Path) -> bool:
    return path.is_dir() and any(folder.is_dir() for folder in path.glob("sub-*"))


LAYOUT = Layout("BIDS", "a folder with sub-*/[ses-*/]anat/sub-*_T1w.nii[.gz]", _recognises, read_bids, contrasts=True)
