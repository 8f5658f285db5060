"""What a job `group` is about to do; every refusal comes from here."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from workbench.analysis import inputs as made_from
from workbench.analysis.config import GroupConfig
from workbench.analysis.group import membership
from workbench.analysis.group.warp import UNIT, ScanMaps
from workbench.errors import ConfigError, WorkbenchError
from workbench.extras import require
from workbench.prepare.store import Store
from workbench.runs import Run
from workbench.runs.folder import from_there
from workbench.stats.sentence import counted

BESIDE = "random beside"  # as the attend run calls them


class Preflight:
    """What is known before anything is written; every refusal comes from here."""

    def __init__(self, config: GroupConfig) -> None:
        self.config, self.notes = config, []
        attend = Run(config.attend).require_job("attend", "an attend run")
        where = config.store or from_there(str(attend.config["store"]), attend.path)
        self.store = Store(Path(where))
        own = str(attend.config.get("init", "pretrained"))
        self.sources = [ScanMaps(attend, own, "attention", config.head)]
        runs = [attend]
        if config.against is not None:
            against = Run(config.against).require_job("attend", "an attend run")
            kind = str(against.config.get("init", "pretrained"))
            name = kind if kind != own else against.path.resolve().name
            self.sources.append(ScanMaps(against, name if name != own else f"{name} beside", "attention", config.head))
            runs.append(against)
        elif "attention_random" in attend.tables() and config.head == "mean":
            self.sources.append(ScanMaps(attend, BESIDE, "attention_random", "mean"))
        if config.template is not None and config.frame == "box":
            raise ConfigError("--template belongs to --frame affine", remedy="add --frame affine, or leave it out")
        if config.frame == "affine":
            require("SimpleITK", extra="affine", instead="--frame box")
        index = self.store.index
        self.scans = [s for s in self.store.scan_ids if all(s in source.files for source in self.sources)]
        if lost := sum(s in self.sources[0].files for s in self.store.scan_ids) - len(self.scans):
            self.notes.append(f"{counted(lost, 'scan')} left out: {self.sources[-1].run.path.name} has no map of them")
        if not self.scans:
            raise WorkbenchError(
                f"{config.attend}: none of its scans is in the store {self.store.path}"
                if len(self.sources) == 1
                else f"{config.attend} and {self.sources[1].run.path} share no scan of {self.store.path}",
                remedy="give the store that was attended to (--store), and runs of the same scans",
            )
        self.index = index[index["scan_id"].isin(self.scans)].reset_index(drop=True)
        for name in dict.fromkeys([*config.by, *filter(None, [config.within])]):
            membership.require_groups(self.index, name)
        if config.within in config.by:
            raise ConfigError(f"within '{config.within}' there is one group alone", remedy="choose another --within")
        if config.groups:
            if len(config.by) != 1:
                raise ConfigError("--groups are of one column", remedy="give one column with --by")
            there = set(self.sizes(config.by[0], every=True))
            if lost_groups := [g for g in config.groups if g not in there]:
                raise ConfigError(
                    f"no group '{lost_groups[0]}' in {config.by[0]}", remedy=f"there are: {', '.join(sorted(there))}"
                )
        if "mask_kind" in self.index and (
            heads := int(self.index["mask_kind"].astype(str).str.startswith("head").sum())
        ):
            self.notes.append(
                f"{counted(heads, 'scan')} prepared with skull: the box is the head's there, not the brain's"
            )
        self.inputs = made_from.group(config)
        self.facts = {
            "seed": config.seed,
            "store": str(where),
            "encoder": str(attend.config.get("encoder", "")),
            "init": own,
            "preparation": self.store.fingerprint,
            "simulated": self.store.simulated or any(run.simulated for run in runs),
            "transductive": bool(attend.provenance.get("transductive", False)),
            "weights": [source.name for source in self.sources],
            "unit": UNIT,
        }

    @property
    def frame_words(self) -> str:
        config = self.config
        if config.frame == "box":
            return f"the brain's proportional box, voxels of {config.spacing:g} mm, 0 in its middle: mm of the mean box"
        to = "the cohort's own mean brain" if config.template is None else config.template.name
        return f"affine registration (12 numbers) to {to}, voxels of {config.spacing:g} mm"

    def sizes(self, name: str, *, every: bool = False) -> dict[str, int]:
        """People by group, the largest first; of those that are asked for."""
        units = membership.units_of(self.index, name)
        found = units.groupby("group")["participant"].nunique()
        asked = self.config.groups if self.config.groups and not every else ()
        order = list(asked) or sorted(found.index, key=lambda g: (-found[g], g))
        return {g: int(found[g]) for g in order}

    def people_of(self, scans: Any) -> set[str]:
        return set(self.index.loc[self.index["scan_id"].isin(scans), "participant"].astype(str))
