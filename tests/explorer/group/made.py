"""A group run as the job leaves it, with a truth that is known: 8 people a site, B attends to the left more."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd

from workbench.analysis.group.frames import box_frame
from workbench.runs import JobConfig, Run, start_run
from workbench.volumes import Volume, write_volume


class FakeGroup(JobConfig):
    job: ClassVar[str] = "group"
    attend: Path
    frame: str = "box"
    level: float = 0.05


PEAK = np.array([-20.0, 12.0, 8.0])


def write_group_run(folder: Path, *, attend: Path, found: bool = True) -> Run:
    """South attends more to a place in the left, front and top than North; one group of 2 has markup in its name."""
    frame = box_frame(np.array([120.0, 150.0, 110.0]), 6.0)
    mm = frame.grid.to_world(np.stack(np.meshgrid(*map(np.arange, frame.grid.shape), indexing="ij"), -1))
    inside = ((mm / (frame.high - frame.low) * 2) ** 2).sum(-1) < 1
    near = np.exp(-((mm - PEAK) ** 2).sum(-1) / 300)
    with start_run(
        FakeGroup(out=folder, attend=attend),
        simulated=True,
        weights=["pretrained", "random beside"],
        frame_mm=[frame.low.tolist(), frame.high.tolist()],
    ) as run:
        rows = []

        def save(what: str, values: np.ndarray, group: str, other: str = "", weights: str = "pretrained") -> None:
            file = f"volumes/maps/{len(rows):04d}_{what}.nii.gz"
            write_volume(folder / file, Volume(values.astype(np.float32), frame.grid.affine))
            rows.append(
                {
                    "by": "site",
                    "group": group,
                    "other": other,
                    "weights": weights,
                    "what": what,
                    "file": file,
                    "people": 8,
                    "people_other": 8 if other else 0,
                    "unit": "times the brain's mean",
                }
            )

        for name, values in (("brain", np.where(inside, np.sin(mm[..., 1] / 20), 0)), ("common", inside.astype(float))):
            write_volume(folder / "volumes" / f"{name}.nii.gz", Volume(values.astype(np.float32), frame.grid.affine))
        for weights, more in (("pretrained", 2.0), ("random beside", 0.0)):
            means = {"North": np.where(inside, 1.0 + 0.2 * np.cos(mm[..., 0] / 15), 0)}
            means["South"] = np.where(inside, means["North"] + more * near, 0)
            for group, values in {**means, "tiny <i>": means["North"]}.items():
                save("mean", values, group, weights=weights)
            save("difference", means["North"] - means["South"], "North", "South", weights)
            save(
                "p_family", np.where(inside & (near > 0.3) & (more > 0) & found, 0.002, 1.0), "North", "South", weights
            )
            save("q", np.where(inside & (near > 0.2) & (more > 0) & found, 0.01, 1.0), "North", "South", weights)
        pair = {"by": "site", "group": "North", "other": "South"}
        yes, no = (12.5, 0.002) if found else (0.0, 0.4), (0.0, 0.7)
        run.write_table("maps", pd.DataFrame(rows))
        run.write_table(
            "groups",
            pd.DataFrame(
                [("site", "North", 8, 9), ("site", "South", 8, 8), ("site", "tiny <i>", 2, 2)],
                columns=["by", "group", "people", "scans"],
            ),
        )
        run.write_table(
            "differences",
            pd.DataFrame(
                [
                    {
                        **pair,
                        "weights": w,
                        "people": 8,
                        "people_other": 8,
                        "estimable": True,
                        "why": "",
                        "test": "groups",
                        "found_ml": ml,
                        "brain_ml": 1000.0,
                        "p_smallest": p,
                        "p_over_pairs": p,
                        "q_smallest": p,
                    }
                    for w, (ml, p) in (("pretrained", yes), ("random beside", no))
                ]
            ),
        )
        place = {
            **pair,
            "weights": "pretrained",
            **dict(zip("xyz", PEAK, strict=True)),
            "side": "left",
            "octant": "left, front, top",
            "ml": 12.5,
            "t": -9.0,
            "p": 0.002,
            "difference": -2.0,
            "low": -2.4,
            "high": -1.6,
        }
        run.write_table("places", pd.DataFrame([place] if found else [], columns=list(place)))
        structures = [
            {
                "by": "site",
                "kind": kind,
                "structure": name,
                "weights": w,
                "group": g,
                "other": "",
                "share": s,
                "share_low": s - 0.5,
                "share_high": s + 0.5,
                "times": 1.1,
                "times_low": 1.0,
                "times_high": 1.2,
                "people": 8,
            }
            for kind, name in (("structure", "left_hippocampus"), ("octant", "left, front, top"))
            for w in ("pretrained", "random beside")
            for g, s in (("North", 3.0), ("South", 5.0), ("tiny <i>", 4.0))
        ] + [
            {
                **pair,
                "kind": "octant",
                "structure": "left, front, top",
                "weights": "pretrained",
                "share": -2.0,
                "share_low": -2.6,
                "share_high": -1.4,
                "people": 8,
                "people_other": 8,
                "p": 0.002,
                "p_holm": 0.016,
            }
        ]
        run.write_table("structures", pd.DataFrame(structures))
        words = "no sex holds both North and South: a difference may as well be one of sex, and these scans cannot tell"
        run.write_table("confounds", pd.DataFrame([{**pair, "column": "sex", "kind": "wholly", "words": words}]))
        run.write_table("notes", pd.DataFrame({"note": ["site tiny <i>: 2 people: not compared: not estimable"]}))
    return run
