"""Segmentations and brain masks of a BIDS folder, in ``derivatives/`` or (a derivative itself) beside its scans."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from pathlib import Path

from workbench.cohort.labels import HIPPOCAMPI, canonical_structure, read_label_table, side_and_name
from workbench.cohort.layouts.bids_names import NO_SCAN, images_below
from workbench.cohort.match import few
from workbench.cohort.source import IMAGE_ENDINGS, Candidate, Part, Source, absolute, entities_of, stem_of
from workbench.errors import ConfigError, WorkbenchError

# entities a derivative adds to those of its scan; all others must agree with the scan's
ADDED = {"space", "res", "den", "desc", "label", "seg", "atlas", "scale", "hemi", "method", "from"}
COPIES = {"space", "res", "den", "desc"}  # of these, those that tell copies of one scan apart
OWN_SPACE = {"", "t1w", "orig", "native", "individual", "anat", "subject", "scanner"}
LABELS = ("dseg", "seg", "labels", "aseg", "segmentation")  # suffixes of label maps; BIDS' own first
MASKS = ("mask", "roi", "brainmask")
BRAIN = {"brain", "label-brain", "brainmask"} | {
    f"desc-{name}"
    for name in ("brain", "brainmask", "bet", "hdbet", "synthstrip", "robex", "skullstrip", "skullstripped", "deepbet")
}
# suffixes of images, maps and surfaces that are neither labels nor masks
IMAGES = re.compile(
    r"[A-Za-z0-9]*(T[12](star)?w|PDw|PDT2|FLAIR|UNIT1|MP2RAGE|angio|T[12](star|rho)?|R[12](star)?|PD|MTsat|MTR|M0|S0)(map)?"
    r"|probseg|bold|boldref|sbref|dwi|dwiref|cbf|asl|epi|pet|[a-z]*map|xfm|warp|magnitude[12]?|phase.*|mimap|thickness",
)


@dataclass(frozen=True, slots=True)
class Labelled:
    """A label or mask file, and the scan that it belongs to.

    Attributes:
        variant: What tells it from others of its derivative: the entities it adds and, if it is not ``dseg`` or
            ``mask``, its suffix, but not its side: "desc-aseg", "label-hippo_seg".
        side: "left", "right" or "".
        structure: What a ``label-`` that is no side names; "" where it names none.
        kind: "labels" (codes), "part" (a mask of a structure or a side) or "mask" (of the brain, it may be).
    """

    derivative: str
    variant: str
    side: str
    structure: str
    kind: str
    path: Path
    scan: Candidate


# scan (absolute path) → its files, for each (derivative, variant)
Found = dict[tuple[str, str], dict[Path, list[Labelled]]]


def attach_derivatives(root: Path, source: Source, prefer: str | None) -> None:
    """Set segmentations, brain masks and label names of the candidates, and say which label files are not used.

    Args:
        root: The BIDS folder.
        source: Its candidates.
        prefer: "derivative" or "derivative/variant" whose segmentations are taken; None: see ``_choose``.
    """
    beside = root.parent / "derivatives"
    if root.name == "rawdata" and beside.is_dir():
        source.unused("the derivatives beside rawdata are not read: link them into it, as rawdata/derivatives")
    files, rest, others = _find(root, source.candidates)
    files = _sides_of(files)
    labels, brains = _grouped(files, "labels", "part"), _grouped(files, "mask")
    chosen = _segmentations(root, source, labels, prefer)
    mask = _brain_masks(source, brains)
    if others:
        source.unused(
            f"{len(others)} images are neither labels, masks nor scans by their names: "
            f"{few([path.name for path in others])}"
        )
    used = {part.path for c in source.candidates for part in c.seg_parts}
    used |= {path for c in source.candidates for path in (c.seg_path, c.mask_path) if path}
    # what other variants hold is told with the choice, once for all people
    told = {
        one.path
        for group, key_taken in ((labels, chosen), (brains, mask))
        for key, found in group.items()
        if key != key_taken
        for several in found.values()
        for one in several
    }
    unused = [one.path for one in files if one.path not in used | told]
    _tell_unused(source, unused, rest, root)


# which file belongs to which scan -----------------------------------------------------------------------------------


def _find(root: Path, candidates: list[Candidate]) -> tuple[list[Labelled], list[Path], list[Path]]:
    """Every label or mask file with its scan, the files that look like one and belong to no scan, and images of which
    no suffix says what they are."""
    people: dict[str, list[Candidate]] = defaultdict(list)
    for candidate in candidates:
        people[candidate.participant_id].append(candidate)
    found, rest, others = [], [], []
    for name, folder in pipelines(root):
        for person in sorted(path for path in folder.glob("sub-*") if path.is_dir()):
            for path in images_below(person, anatomical=folder == root):
                if not path.name.endswith(IMAGE_ENDINGS):
                    continue
                if (kind := _kind(path)) is None:
                    # beside the scans themselves `bids_names` tells of what nearly is one
                    if NO_SCAN.search(stem_of(path)) if folder == root else not _is_image(path):
                        others.append(path)
                    continue
                folders = path.relative_to(folder).parts[:-1]
                one = _labelled(name, kind, path, folders, people.get(person.name, []))
                found.append(one) if one else rest.append(path)
    return found, rest, others


def pipelines(root: Path) -> list[tuple[str, Path]]:
    """Name and folder of every place below ``root`` in which label files may lie."""
    folder = root / "derivatives"
    inside = sorted(path for path in folder.iterdir() if path.is_dir()) if folder.is_dir() else []
    flat = [("derivatives", folder)] if any(path.name.startswith("sub-") for path in inside) else []
    return [*((path.name, path) for path in inside if not path.name.startswith("sub-")), *flat, (root.name, root)]


def _kind(path: Path) -> str | None:
    """ "labels" or "mask" by the name; None for an image, a probability map …"""
    words = stem_of(path).split("_")
    suffix, keys = words[-1].casefold(), {word.split("-")[0] for word in words[1:] if "-" in word}
    if suffix in LABELS or words[-1].startswith(("seg-", "label-")) or any(word in LABELS for word in words[1:-1]):
        return "labels"
    if suffix in MASKS or suffix.endswith("mask"):
        return "mask"
    return "labels" if keys & {"seg", "label"} and "-" in words[-1] else None  # sub-01_label-hippo_desc-x.nii.gz


def _is_image(path: Path) -> bool:
    """Whether a suffix of BIDS, or of a word in capitals as its suffixes are, says that it is an image or a map."""
    return bool(IMAGES.fullmatch(stem_of(path).split("_")[-1]))


def _sides_of(files: list[Labelled]) -> list[Labelled]:
    """The files, those with a twin on the other side (``desc-hippoL`` and ``desc-hippoR``, ``seg-left…``) as of a side.

    ``hemi-`` and ``label-`` say a side by themselves; in any other word an L at the end may be anything, unless the
    same scan has the same word with an R.
    """
    twins: dict[tuple[str, ...], dict[str, int]] = defaultdict(dict)
    for place, one in enumerate(files):
        for word in [] if one.side else one.variant.split("_"):
            key, _, name = word.rpartition("-")
            side, rest = side_and_name(name)
            if side:
                turned = f"{key}-{rest}" if key else rest
                others = [turned if w == word else w for w in one.variant.split("_")]
                variant = "_".join(w for w in others if w.rpartition("-")[2])
                twins[one.derivative, one.kind, variant, rest, str(one.scan.path)][side] = place
    out = list(files)
    for (_, kind, variant, rest, _), sides in twins.items():
        for side, place in sides.items() if len(sides) == 2 else ():
            one = files[place]
            out[place] = (
                replace(one, side=side, variant="", structure=one.structure or rest or variant, kind="part")
                if kind == "mask"
                else replace(one, side=side, variant=variant, structure=one.structure or rest)
            )
    return out


def _labelled(
    derivative: str, kind: str, path: Path, folders: tuple[str, ...], candidates: list[Candidate]
) -> Labelled | None:
    """The file with the one scan that it was derived from; None if it is of none or could be of several."""
    pairs = entities_of(path)
    if f"sub-{pairs.pop('sub', '')}" != folders[0] or pairs.get("space", "").casefold() not in OWN_SPACE:
        return None
    session = pairs.pop("ses", next((name[4:] for name in folders if name.startswith("ses-")), ""))
    if session or len(candidates) > 1:  # else there is but one scan, and the session may go without saying
        candidates = [c for c in candidates if c.session.removeprefix("ses-") == session]
    own = {f"{key}-{value}" for key, value in pairs.items() if key not in ADDED}
    fits = [(c, {e for e in c.entities.split("_") if e and e.split("-")[0] not in COPIES}) for c in candidates]
    exact = [c for c, entities in fits if entities == own]
    looser = [c for c, entities in fits if own < entities]  # "sub-01_dseg" of the only "sub-01_acq-mprage_T1w"
    only = exact or (looser if len(fits) == 1 else [])
    if len(only) != 1:
        return None
    side, structure = side_and_name(pairs.get("label", ""))
    if pairs.get("hemi"):
        side = side_and_name(pairs["hemi"])[0]
    words = [f"{key}-{value}" for key, value in pairs.items() if key in ADDED and key not in ("hemi", "label")]
    if kind == "mask" and (side or structure) and structure != "brain":
        kind = "part"
    elif structure:
        words.append(f"label-{structure}")
    # words that are no entities: sub-01_brain_mask, sub-01_T1w_lesion_mask
    words += [word for word in stem_of(path).split("_")[1:-1] if "-" not in word and word not in ("T1w", *LABELS)]
    suffix = stem_of(path).split("_")[-1]
    if "-" not in suffix and suffix != {"labels": "dseg", "mask": "mask"}.get(kind):
        words.append(suffix)
    return Labelled(derivative, "_".join(words), side, structure, kind, absolute(path), only[0])


def _grouped(files: list[Labelled], *kinds: str) -> Found:
    found: Found = defaultdict(lambda: defaultdict(list))
    for one in files:
        if one.kind in kinds:
            found[one.derivative, one.variant][one.scan.path].append(one)
    return {key: dict(scans) for key, scans in found.items()}


# segmentations ------------------------------------------------------------------------------------------------------


def _segmentations(root: Path, source: Source, found: Found, prefer: str | None) -> tuple[str, str] | None:
    """One derivative, and in it one variant, serves the whole data set, so that a label code means one thing."""
    if not found:
        return None
    places = dict(pipelines(root))
    tables = {key: _table(places[key[0]], files, source) for key, files in found.items()}
    chosen = _choose(found, tables, prefer)
    if chosen is None:
        return None
    files, labels = found[chosen], tables[chosen]
    unclear = _assign(files, labels, source)
    name, variant = chosen
    if others := [f"{n} {v}".strip() for n, v in sorted(found) if (n, v) != chosen]:
        source.unused(
            f"segmentations are taken from {_where(name, root)}{f' ({variant})' if variant else ''}, "
            f"not from: {', '.join(others)} (--segmentations takes another, for example {others[0].replace(' ', '/')})"
        )
    if missing := sum(not c.seg_path and not c.seg_parts for c in source.candidates):
        source.unused(f"{missing} of {len(source.candidates)} scans have no segmentation in {_where(name, root)}")
    if unclear:
        source.unused(
            f"{len(unclear)} scans have several label files of which nothing says how they belong together: "
            f"{few([path.name for path in unclear])}"
        )
    if not source.labels:
        source.unused(f"{_where(name, root)} has no dseg.tsv, so its label codes have no names")
    return chosen


def _choose(
    found: Found, tables: dict[tuple[str, str], list[tuple[int, str]]], prefer: str | None
) -> tuple[str, str] | None:
    """The wanted variant; by default one whose table names both hippocampi, else any names, else the first
    derivative by name; in a derivative the one with most files, then the plainest name."""
    keys = list(found)
    if prefer:
        name, _, variant = prefer.partition("/")
        mine = [key for key in keys if key[0] == name]
        if variant:
            exact = [key for key in mine if key[1] == variant]
            if mine and not exact:
                there = ", ".join(f"{name}/{v}" for _, v in sorted(mine) if v)
                raise ConfigError(
                    f"segmentations: derivatives/{name} has no variant {variant}",
                    cause=f"there are: {there or f'only {name}, without variants'}",
                    remedy="choose one that is there",
                )
            mine = exact
        keys = mine or keys

    def rank(key: tuple[str, str]) -> tuple[bool, bool]:
        named = {canonical_structure(name) for _, name in tables[key]} | {
            f"{one.side}_{one.structure}".strip("_") for files in found[key].values() for one in files
        }
        return not named >= HIPPOCAMPI, not tables[key]

    best = min((*rank(key), key[0]) for key in keys)
    keys = [key for key in keys if (*rank(key), key[0]) == best]
    bids = {key: key[1].split("_")[-1] not in LABELS and not key[1].startswith("seg-") for key in keys}
    return min(keys, key=lambda key: (not bids[key], -len(found[key]), len(key[1]), key[1]))


def _where(name: str, root: Path) -> str:
    return f"derivatives/{name}" if (root / "derivatives" / name).is_dir() else "the data set itself"


def _assign(files: dict[Path, list[Labelled]], table: list[tuple[int, str]], source: Source) -> list[Path]:
    """Give each scan its segmentation: a file, or the parts of one. Returns the scans for which that is not clear."""
    split = any(one.side or one.kind == "part" for mine in files.values() for one in mine)
    if not split:
        source.labels = table
        unclear = []
        for candidate in source.candidates:
            mine = files.get(candidate.path, [])
            if len(mine) > 1:
                unclear.append(candidate.path)
            elif mine:
                candidate.seg_path = mine[0].path
        return unclear
    names: dict[str, int] = {}
    unclear = []
    for candidate in source.candidates:
        mine = files.get(candidate.path, [])
        if len({(one.side, one.structure) for one in mine}) < len(mine):
            unclear.append(candidate.path)
            continue
        candidate.seg_parts = [_part(one, table, names) for one in mine]
    source.labels = [(code, name) for name, code in names.items()]
    sides = Counter("/".join(sorted(one.side or "both" for one in mine)) for mine in files.values())
    source.note(
        f"files of single sides or structures are put together to one segmentation a scan: "
        f"{', '.join(f'{kind} ({n})' for kind, n in sorted(sides.items()))}"
    )
    return unclear


def _part(one: Labelled, table: list[tuple[int, str]], names: dict[str, int]) -> Part:
    """The codes of a file in the whole: each structure of each side has its own."""

    def code_of(name: str) -> int:
        return names.setdefault(name, len(names) + 1)

    side = {"left": "Left", "right": "Right", "": ""}[one.side]
    if one.kind == "part" or not table:
        name = f"{side} {one.structure.capitalize() or 'structure'}".strip()
        return Part(one.path, code=code_of(name), side=one.side)
    # a table that names sides itself ("Left Hippocampus") is not told another one
    pairs = [(code, f"{side} {name}" if side and not side_and_name(name)[0] else name) for code, name in table]
    return Part(one.path, tuple((code, code_of(name)) for code, name in pairs if code != 0), side=one.side)


# masks --------------------------------------------------------------------------------------------------------------


def _names_brain(variant: str) -> bool:
    return any(part in BRAIN for part in variant.split("_"))


def _may_be_brain(variant: str) -> bool:
    """Whether it says that it is of the brain, or nothing at all of what it is of."""
    other = [w for w in variant.split("_") if w and w.split("-")[0] not in ("space", "res", "den", "atlas", "from")]
    return _names_brain(variant) or other in ([], ["roi"])


def _brain_masks(source: Source, found: Found) -> tuple[str, str] | None:
    """Set ``mask_path`` of the candidates, from the derivative that has most of them; a mask that is not said to be of
    the brain is held to a brain's volume when it is read."""
    named = {key: files for key, files in found.items() if _may_be_brain(key[1])}
    if not_brain := [
        f"{name} {variant} ({len(files)})" for (name, variant), files in found.items() if (name, variant) not in named
    ]:
        source.unused(f"masks that do not say they are of the brain are not used: {', '.join(sorted(not_brain))}")
    found = named
    if not found:
        return None
    name, variant = chosen = min(found, key=lambda key: (-len(found[key]), not _names_brain(key[1]), key))
    for candidate in source.candidates:
        if mine := found[chosen].get(candidate.path):
            candidate.mask_path, candidate.mask_named = mine[0].path, _names_brain(variant)
    if others := [f"{n} {v}".strip() for n, v in sorted(found) if (n, v) != chosen]:
        source.unused(
            f"brain masks are taken from {f'derivatives/{name} {variant}'.strip()}, not from: {', '.join(others)}"
        )
    return chosen


# names of codes, and what is left ------------------------------------------------------------------------------------


def _table(folder: Path, files: dict[Path, list[Labelled]], source: Source) -> list[tuple[int, str]]:
    """Names of the codes: of the tables that fit the files' entities, the most particular one; at the derivative's
    root, else beside the first segmentation."""
    first = next(iter(files.values()))[0].path
    entities = set(entities_of(first).items())
    fits = []
    for place, far in ((folder, 0), (first.parent, 1)):
        for path in place.glob("*.tsv"):
            words = stem_of(path).split("_")
            if words[-1] in LABELS and set(entities_of(path).items()) <= entities:
                fits.append((far, -len(words), path))
    for _, _, path in sorted(fits, key=lambda fit: (fit[0], fit[1], fit[2].name)):
        try:
            return read_label_table(path)
        except WorkbenchError as error:
            source.unused(f"{path.name} of {folder.name} is not used: {error.cause}")
    return []


def _tell_unused(source: Source, unused: list[Path], rest: list[Path], root: Path) -> None:
    """Label files that matched no scan or were not chosen, one line for files that differ only in whose they are."""
    kinds: dict[str, list[Path]] = defaultdict(list)
    for path in [*unused, *rest]:
        entities = entities_of(path)
        name = path.name.replace(f"sub-{entities.get('sub', '')}", "sub-*").replace(
            f"ses-{entities.get('ses', '')}", "ses-*"
        )
        folder = path.relative_to(root).parts
        where = "/".join(folder[:2]) if folder[0] == "derivatives" else "."
        kinds[f"{where}/…/{name}"].append(path)
    for kind, paths in sorted(kinds.items()):
        space = entities_of(paths[0]).get("space", "").casefold()
        why = "in another space" if space not in OWN_SPACE else "no scan of that name, or not chosen"
        source.unused(f"label files not used: {kind} ({len(paths)}; {why})")
