"""Segmentations and brain masks in a BIDS folder's ``derivatives/``, matched to scans by their entities."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from workbench.cohort.labels import read_label_table
from workbench.cohort.source import IMAGE_ENDINGS, Candidate, Source, absolute, entities_of, stem_of
from workbench.errors import WorkbenchError

# entities a derivative adds to those of its scan; all others must agree with the scan's
ADDED = {"space", "res", "den", "desc", "label", "seg", "atlas", "scale"}
OWN_SPACE = {"", "T1w", "orig", "native", "individual"}

# scan (absolute path) -> file, for each (derivative, variant); a variant is what `ADDED` spells out, e.g. "desc-aseg"
Found = dict[tuple[str, str], dict[Path, Path]]


def segmentations(root: Path, source: Source, prefer: str | None) -> None:
    """Set ``seg_path`` of the candidates and the source's labels.

    One derivative, and in it one variant, serves the whole data set, so that a label code means one thing.
    """
    found = _find(root, source.candidates, "dseg")
    if not found:
        return
    names = sorted({name for name, _ in found})
    chosen = prefer if prefer in names else names[0]
    variant = min((v for name, v in found if name == chosen), key=lambda v: (-len(found[chosen, v]), len(v), v))
    files = found[chosen, variant]
    for candidate in source.candidates:
        candidate.seg_path = files.get(candidate.path)
    if others := [f"{name} {v}".strip() for name, v in sorted(found) if (name, v) != (chosen, variant)]:
        source.note(
            f"segmentations are taken from derivatives/{chosen}{f' ({variant})' if variant else ''}, "
            f"not from: {', '.join(others)}"
        )
    if missing := len(source.candidates) - len(files):
        source.note(f"{missing} of {len(source.candidates)} scans have no segmentation in derivatives/{chosen}")
    _labels(root / "derivatives" / chosen, variant, files, source)


def brain_masks(root: Path, source: Source) -> None:
    """Set ``mask_path`` of the candidates, from the derivative that has most of them."""
    found = {
        key: files
        for key, files in _find(root, source.candidates, "mask").items()
        if not _variant_of(key[1], "label") and _variant_of(key[1], "desc") in ("", "brain")
    }
    if not found:
        return
    name, variant = chosen = min(found, key=lambda key: (-len(found[key]), "desc-brain" not in key[1], key))
    for candidate in source.candidates:
        candidate.mask_path = found[chosen].get(candidate.path)
    if others := [f"{n} {v}".strip() for n, v in sorted(found) if (n, v) != chosen]:
        source.note(f"brain masks are taken from derivatives/{name} {variant}, not from: {', '.join(others)}")


def _find(root: Path, candidates: list[Candidate], suffix: str) -> Found:
    people: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        people[candidate.participant_id].append(candidate)
    found: Found = defaultdict(dict)
    pipelines = root / "derivatives"
    for pipeline in sorted(p for p in pipelines.iterdir() if p.is_dir()) if pipelines.is_dir() else []:
        for path in sorted(pipeline.glob(f"sub-*/**/sub-*_{suffix}.nii*")):
            if path.name.endswith(IMAGE_ENDINGS):
                folders = path.relative_to(pipeline).parts[:-1]
                match = _match(path, folders, people.get(folders[0], []))
                if match is not None:
                    found[pipeline.name, match[1]].setdefault(match[0].path, absolute(path))
    return dict(found)


def _match(path: Path, folders: tuple[str, ...], candidates: list[Candidate]) -> tuple[Candidate, str] | None:
    """The one scan that ``path`` was derived from, and the variant; None if it is none or could be several."""
    pairs = entities_of(path)
    if f"sub-{pairs.pop('sub', '')}" != folders[0] or pairs.get("space", "") not in OWN_SPACE:
        return None
    session = pairs.pop("ses", next((name[4:] for name in folders if name.startswith("ses-")), ""))
    if session or len(candidates) > 1:  # else there is but one scan, and the session may go without saying
        candidates = [c for c in candidates if c.session.removeprefix("ses-") == session]
    variant = "_".join(f"{key}-{value}" for key, value in pairs.items() if key in ADDED)
    own = {f"{key}-{value}" for key, value in pairs.items() if key not in ADDED}
    fits = [(c, set(c.entities.split("_")) - {""}) for c in candidates]
    exact = [c for c, entities in fits if entities == own]
    looser = [c for c, entities in fits if own < entities]  # "sub-01_dseg" of the only "sub-01_acq-mprage_T1w"
    only = exact or (looser if len(fits) == 1 else [])
    return (only[0], variant) if len(only) == 1 else None


def _variant_of(variant: str, key: str) -> str:
    return next((part.split("-", 1)[1] for part in variant.split("_") if part.startswith(f"{key}-")), "")


def _labels(folder: Path, variant: str, files: dict[Path, Path], source: Source) -> None:
    """Names of the codes: the table of the variant, of the derivative, or beside the first segmentation."""
    beside = next(iter(files.values()))
    places = [folder / f"{variant}_dseg.tsv", folder / "dseg.tsv", beside.with_name(f"{stem_of(beside)}.tsv")]
    table = next((path for path in places if path.is_file()), None)
    if table is None:
        source.note(f"derivatives/{folder.name} has no dseg.tsv, so its label codes have no names")
        return
    try:
        source.labels = read_label_table(table)
    except WorkbenchError as error:
        source.note(f"{table.name} of derivatives/{folder.name} is not used: {error.cause}")
