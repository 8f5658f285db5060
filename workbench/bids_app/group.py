"""The level `group`: what the participants' level has written, as tables and one page."""

from __future__ import annotations

import json
from html import escape
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from workbench.bids_app.layout import NAME, write_text
from workbench.cohort.source import entities_of, read_json, read_rows
from workbench.errors import WorkbenchError
from workbench.stats.sentence import counted
from workbench.study.report.page import page, paragraph, table
from workbench.volumes import read_volume


def run_group(out: Path) -> list[str]:
    """Write ``group_embeddings.tsv``, ``group_volumes.tsv`` and ``group.html`` of all scans that are in ``out``.

    Volumes are those of the label maps as they lie there; the tables hold every scan, and measures are over people (the
    mean of a person's scans).

    Returns:
        The scans, by name.

    Raises:
        WorkbenchError: the level `participant` has not been run.
    """
    found = sorted(out.glob(f"sub-*/**/*_desc-{NAME}_embedding.tsv"))
    if not found:
        raise WorkbenchError(
            f"{out}: holds no derivatives of a person",
            cause="the level `participant` has not been run on it",
            remedy="run `workbench-bids BIDS_DIR OUT participant` first",
        )
    embeddings = pd.DataFrame([_embedding(path) for path in found])
    volumes = pd.DataFrame([row for path in found for row in _volumes(path, _names(out))])
    write_text(out / "group_embeddings.tsv", embeddings.to_csv(sep="\t", index=False, na_rep="n/a"))
    if len(volumes):
        write_text(out / "group_volumes.tsv", volumes.to_csv(sep="\t", index=False, na_rep="n/a"))
    write_text(out / "group.html", _page(out, embeddings, volumes))
    return list(embeddings["scan"])


def _who(path: Path) -> dict[str, Any]:
    pairs = entities_of(path)
    session = f"ses-{pairs['ses']}" if "ses" in pairs else "n/a"
    return {"participant_id": f"sub-{pairs['sub']}", "session_id": session, "scan": path.name.split("_desc-")[0]}


def _embedding(path: Path) -> dict[str, Any]:
    told = read_json(path.with_suffix(".json"))
    (cls,) = [row for row in read_rows(path) if row["token"] == "cls"]
    seen = {"learnt_from": bool(told.get("LearntFromThisScan")), "mask": told.get("Mask", "n/a")}
    return {**_who(path), **seen, **{name: float(value) for name, value in cls.items() if name != "token"}}


def _names(out: Path) -> dict[int, str]:
    path = out / f"desc-{NAME}_dseg.tsv"
    return {int(row["index"]): row["name"] for row in read_rows(path)} if path.is_file() else {}


def _volumes(embedding: Path, names: dict[int, str]) -> list[dict[str, Any]]:
    path = embedding.with_name(embedding.name.replace("_embedding.tsv", "_dseg.nii.gz"))
    if not path.is_file():
        return []
    labels = read_volume(path, labels=True)
    voxel_ml = float(abs(np.linalg.det(labels.affine[:3, :3]))) / 1000
    return [
        {**_who(embedding), "structure": name, "volume_ml": round(np.count_nonzero(labels.data == code) * voxel_ml, 4)}
        for code, name in names.items()
    ]


def _page(out: Path, embeddings: pd.DataFrame, volumes: pd.DataFrame) -> str:
    description = json.loads((out / "dataset_description.json").read_text())
    people = embeddings["participant_id"].nunique()
    parts = [f"<h1>{escape(str(description['Name']))}</h1>"]
    if description.get("Simulated"):
        parts.append("<p class=badge>SIMULATED DATA</p>")
    parts += [
        paragraph(f"{counted(len(embeddings), 'scan')} of {counted(people, 'person', 'people')}.", "lead"),
        paragraph("Research only, not for diagnosis.", "note"),
    ]
    if learnt := int(embeddings["learnt_from"].sum()):
        parts.append(paragraph(f"A model has learnt from {learnt} of these scans: what it says of them may be memory."))
    if len(volumes):
        parts += ["<h2>Volumes</h2>", table(_summary(volumes)), paragraph(SUMMARY, "note")]
    parts += ["<h2>People</h2>", _links(out, embeddings)]
    return page(str(description["Name"]), parts)


SUMMARY = (
    "By person (the mean of their scans): n, mean, standard deviation, smallest and largest, in ml. Volumes 0 are "
    "people in whom the structure was not found. These are outlines by a model; nobody has looked at them here."
)


def _summary(volumes: pd.DataFrame) -> pd.DataFrame:
    people = volumes.groupby(["structure", "participant_id"])["volume_ml"].mean().reset_index()
    rows = people.groupby("structure")["volume_ml"].agg(["size", "mean", "std", "min", "max"]).round(3).reset_index()
    missing = people[people["volume_ml"] == 0].groupby("structure").size()
    return rows.rename(columns={"size": "n", "std": "sd"}).assign(
        not_found=[int(missing.get(name, 0)) for name in rows["structure"]]
    )


def _links(out: Path, embeddings: pd.DataFrame) -> str:
    lines = []
    for person, scans in embeddings.groupby("participant_id"):
        name = escape(str(person))
        linked = f"<a href='{name}.html'>{name}</a>" if (out / f"{person}.html").is_file() else name
        lines.append(f"<li>{linked}: {escape(', '.join(scans['scan']))}</li>")
    return f"<ul>{''.join(lines)}</ul>"
