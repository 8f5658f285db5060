"""Who is who and where is where, over all sources: decided and said, never assumed."""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workbench.cohort.match import alike, few, plain_id
from workbench.cohort.missing import WORDS
from workbench.cohort.source import Candidate, Remark, Source, absolute, read_json

# ids in which the person is followed by the visit; each is a data set's own, documented, way
VISITS = (
    re.compile(r"(?P<person>OAS[123]_?\d{4,5})_?(?P<session>MR_?\d+)(?:_.*)?", re.IGNORECASE),  # OASIS-1, -2
    re.compile(r"(?P<person>OAS3\d{4})_?(?:MR_?)?(?P<session>d\d{4})(?:_.*)?", re.IGNORECASE),  # OASIS-3
    re.compile(
        r"(?P<person>BraTS-?[A-Za-z]{2,4}-?\d{5})-?(?P<session>\d{3})(?:-t[12][ncwf])?", re.IGNORECASE
    ),  # BraTS 2023 on
    re.compile(r"(?P<person>UPENN-GBM-\d{5})_(?P<session>\d{2})", re.IGNORECASE),
    re.compile(r"(?P<person>UCSF-PDGM-\d{4})_(?P<session>FU\d{3}d)", re.IGNORECASE),
)


# ids that may end in a visit of a person; nobody documents them, so that they are told and not read so
_VISIT = re.compile(
    r"(?P<person>.*\d.*?)[-_. ]?"
    r"(?:(?:session|ses|visit|vis|v|timepoint|time|tp|t|mr|wave|w|scan|followup|fu|year|y|month|m)[-_]?\d{1,3}"
    r"|baseline|bl|followup|fu|pre|post|retest|test|(?<=\d{4})[-_]\d)",
    re.IGNORECASE,
)
MOST_VISITS = 10  # of a person; more ids that begin alike are rather people of one place


@dataclass(frozen=True)
class Same:
    """What the user says of equal names in different data sets; None: nothing, so they are told and kept apart."""

    people: bool | None = None
    sites: bool = False
    by_dataset: bool = False


def settle(sources: list[Source], same: Same) -> list[Remark]:
    """Decide in place who the candidates of all sources are and at which sites; returns what was decided.

    A derivative beside the raw data set that it was made from is the same people, and its copies of raw scans give way
    to them. Of other sources the same ids are the same people only if ``same.people`` says so. Equal names of sites
    are different sites (``dataset/site``) unless ``same.sites``.
    """
    remarks: list[Remark] = []
    for source in sources:
        _drop_nobody(source)
        _split_visits(source)
    for raw, derived in _raw_and_derived(sources):
        _join(raw, derived)
    _sites(sources, same, remarks)
    _same_ids(sources, same, remarks)
    for source in sources:
        _tell_visits(source, same)
        _tell_sexes(source)
    return remarks


def _drop_nobody(source: Source) -> None:
    """ "unknown" and "n/a" are no people."""
    kept = []
    for candidate in source.candidates:
        name = candidate.participant_id.removeprefix("sub-").strip().lower()
        if not name or name in WORDS | {"n/a", "na", "nan"}:
            source.refuse(
                candidate.path,
                f"whose scan it is, is not known ({candidate.participant_id!r})",
                "name the person; without it a person could land on two sides of a split",
            )
        else:
            kept.append(candidate)
    source.candidates = kept


def _split_visits(source: Source) -> None:
    """``OAS1_0001_MR2`` is a visit of the person ``OAS1_0001``."""
    examples: dict[str, tuple[str, str]] = {}
    for candidate in source.candidates:
        prefix = "sub-" if candidate.participant_id.startswith("sub-") else ""
        name = candidate.participant_id.removeprefix("sub-")
        found = next((match for visit in VISITS if (match := visit.fullmatch(name))), None)
        if found:
            person = found["person"].rstrip("_-")
            examples[candidate.participant_id] = (f"{prefix}{person}", found["session"])
            candidate.participant_id = f"{prefix}{person}"
            candidate.session = candidate.session or found["session"]
    if examples:
        people = Counter(person for person, _ in examples.values())
        name, (person, session) = next(iter(examples.items()))
        source.guess(
            f"{len(examples)} ids name a visit: {name} is read as person {person}, session {session} "
            f"({len(people)} people, {sum(n > 1 for n in people.values())} of them with several visits)"
        )


def _tell_visits(source: Source, same: Same) -> None:
    """Ids of which several would be one person if their ends were visits: "sub-01V1" and "sub-01V2"."""
    ids = list(dict.fromkeys(c.participant_id for c in source.candidates))
    groups: dict[str, list[str]] = defaultdict(list)
    for name in ids:
        found = _VISIT.fullmatch(name)
        groups[(found["person"] if found else name).casefold()].append(name)
    several = [group for group in groups.values() if 1 < len(group) <= MOST_VISITS]
    if several and same.people is not False:
        source.guess(
            f"ids that may be visits of a person count as different people ({len(several)}): "
            f"{few([' and '.join(group) for group in several], 3)}; name the person and the session apart if they are, "
            "--different_people if not"
        )


def _tell_sexes(source: Source) -> None:
    """People whose scans say two sexes: is it one person?"""
    sexes: dict[str, set[str]] = defaultdict(set)
    for candidate in source.candidates:
        if sex := candidate.values.get("sex"):
            sexes[candidate.person].add(sex)
    if both := [person for person, said in sexes.items() if len(said) > 1]:
        source.guess(f"{len(both)} people have scans of both sexes: {few(both)}; is each of them one person?")


def _raw_and_derived(sources: list[Source]) -> list[tuple[Source, Source]]:
    """Pairs of a raw data set and a derivative of it: one lies in the other's ``derivatives``, or names it."""
    pairs = []
    roots = {source.root.resolve(): source for source in sources if source.root is not None}
    for root, derived in roots.items():
        description = read_json(root / "dataset_description.json")
        named = [
            root / str(link.get("URL", "")) for link in _dicts(description.get("SourceDatasets")) if link.get("URL")
        ]
        named += (
            [root / str(link) for link in (description.get("DatasetLinks") or {}).values()]
            if isinstance(description.get("DatasetLinks"), dict)
            else []
        )
        for other, raw in roots.items():
            inside = other / "derivatives" in root.parents
            if raw is not derived and (inside or other in {Path(absolute(path)).resolve() for path in named}):
                pairs.append((raw, derived))
    return pairs


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _join(raw: Source, derived: Source) -> None:
    """The people of a derivative are the raw data set's; its scans that raw has too only lend their labels."""
    ids = {plain_id(c.participant_id): c.participant_id for c in raw.candidates}
    scans: dict[tuple[str, str], list[Candidate]] = defaultdict(list)
    for candidate in raw.candidates:
        scans[plain_id(candidate.participant_id), candidate.session].append(candidate)
    kept, lent = [], 0
    for candidate in derived.candidates:
        key = plain_id(candidate.participant_id)
        originals = scans.get((key, candidate.session), [])
        if len(originals) != 1:
            if key in ids:
                candidate.person_of, candidate.participant_id = raw.dataset, ids[key]
                for other in raw.candidates:
                    if other.participant_id == ids[key]:
                        _lend_values(other, candidate)
                        break
            kept.append(candidate)
            continue
        original, lent = originals[0], lent + 1
        if not (original.seg_path or original.seg_parts) and not _other_codes(raw, derived):
            original.seg_path, original.seg_parts = candidate.seg_path, candidate.seg_parts
        if not original.mask_path:
            original.mask_path, original.mask_named = candidate.mask_path, candidate.mask_named
    if derived.candidates:
        if not raw.labels:
            raw.labels = derived.labels
        derived.unused(
            f"it is a derivative of {raw.dataset}, which is a source too: {lent} of its scans are copies of raw scans, "
            f"which are taken in their place, with its labels and masks where they have none; "
            f"{len(kept)} others are kept as scans of the same people"
        )
    derived.candidates = kept


def _other_codes(raw: Source, derived: Source) -> bool:
    return bool(raw.labels and derived.labels and raw.labels != derived.labels)


def _lend_values(raw: Candidate, candidate: Candidate) -> None:
    for name in ("sex", "site"):
        if candidate.values.get(name) is None or name == "site":
            candidate.values[name] = raw.values.get(name)


def _same_ids(sources: list[Source], same: Same, remarks: list[Remark]) -> None:
    for source in sources:
        if groups := alike(dict.fromkeys(c.participant_id for c in source.candidates)):
            source.guess(
                "ids that differ only in zeros, '.0' or case count as different people: "
                + few([" and ".join(group) for group in groups])
            )
    for i, first in enumerate(sources):
        for second in sources[i + 1 :]:
            _two(first, second, same, remarks)


def _two(first: Source, second: Source, same: Same, remarks: list[Remark]) -> None:
    """The same ids in two sources: joined, kept apart, or kept apart and told."""
    names = {plain_id(c.participant_id): (c.person_of or first.dataset, c.participant_id) for c in first.candidates}
    exact = {c.participant_id: (c.person_of or first.dataset, c.participant_id) for c in first.candidates}
    mine = [c for c in second.candidates if plain_id(c.participant_id) in names and not c.person_of]
    if not mine or same.people is False:
        return
    people = sorted({c.participant_id for c in mine})
    if not same.people:
        remarks.append(
            Remark(
                "guess",
                "",
                f"{len(people)} people of {second.dataset} have an id that {first.dataset} has too ({few(people, 3)}): "
                "they count as different people; add --same_people if they are the same (or else a person may land on "
                "two sides of a split), --different_people if they are not",
            )
        )
        return
    contradicting = set()
    sexes = {plain_id(c.participant_id): c.values.get("sex") for c in first.candidates}
    for candidate in mine:
        key = plain_id(candidate.participant_id)
        if candidate.values.get("sex") and sexes[key] and candidate.values["sex"] != sexes[key]:
            contradicting.add(candidate.participant_id)
        candidate.person_of, candidate.participant_id = exact.get(candidate.participant_id, names[key])
    remarks.append(
        Remark("note", "", f"{len(people)} people of {second.dataset} are those of {first.dataset} (--same_people)")
    )
    if contradicting:
        remarks.append(
            Remark(
                "guess",
                "",
                f"{len(contradicting)} people who are said to be the same in {first.dataset} and {second.dataset} "
                f"differ in sex: {few(sorted(contradicting))}",
            )
        )


def _sites(sources: list[Source], same: Same, remarks: list[Remark]) -> None:
    """Equal names of sites in different data sets."""
    if same.by_dataset:
        for source in sources:
            for candidate in source.candidates:
                candidate.values = {**candidate.values, "site_given": candidate.values.get("site")}
                candidate.values["site"] = source.dataset
        return
    where: dict[str, dict[str, None]] = defaultdict(dict)
    for source in sources:
        for candidate in source.candidates:
            if (site := candidate.values.get("site")) is not None:
                where[str(site).casefold()][candidate.person_of or source.dataset] = None
    shared = {site for site, owners in where.items() if len(owners) > 1}
    if not shared:
        return
    told = few(sorted(shared))
    datasets = few(dict.fromkeys(dataset for site in sorted(shared) for dataset in where[site]))
    if same.sites:
        remarks.append(Remark("note", "", f"sites named alike in {datasets} are one site each (--same_sites): {told}"))
        return
    for source in sources:
        for candidate in source.candidates:
            site = candidate.values.get("site")
            if site is not None and str(site).casefold() in shared:
                candidate.values["site"] = f"{candidate.person_of or source.dataset}/{site}"
    remarks.append(
        Remark(
            "guess",
            "",
            f"sites of {datasets} have the same names ({told}): they count as different sites and are called "
            "DATASET/SITE; add --same_sites if they are the same",
        )
    )
