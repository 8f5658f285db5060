"""The part of the state that says which groups of people are looked at. It is in the address, as all of it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import param

ONE = ""  # in place of a second group: the mean of the first


class GroupState(param.Parameterized):
    """A group run and what of it is shown."""

    if TYPE_CHECKING:

        def __getattr__(self, name: str) -> Any: ...

    group_run: Any = param.Selector(default=None, objects=[], allow_None=True, label="Group run")
    group_by: Any = param.Selector(default=None, objects=[], allow_None=True, label="Groups by")
    group_a: Any = param.Selector(default=None, objects=[], allow_None=True, label="Group")
    group_b: Any = param.Selector(default=ONE, objects={"no other: the mean": ONE}, label="minus")
    group_weights: Any = param.Selector(default=None, objects=[], allow_None=True, label="Weights")
    group_found: Any = param.Selector(
        default="p_family",
        label="Differences shown",
        objects={
            "found (p over all places)": "p_family",
            "found: false-discovery rate": "q",
            "all, tested or not": "all",
        },
    )
    group_layout: Any = param.Selector(
        default="mosaic",
        label="View",
        objects={"Axial slices": "mosaic", "Planes": "multiplanar", "Planes + 3D": "all"},
    )

    def offer_groups(self) -> None:
        """New choices after the runs were looked for again; what is chosen stays chosen where it still exists."""
        self._offer("group_run", self.catalog.of_job("group"))
        self._offer_columns()

    @param.depends("group_run", watch=True)
    def _offer_columns(self) -> None:
        columns, weights = [], []
        if self.group_run:
            with self.guarded():
                maps = self.catalog.table(self.group_run, "maps")
                columns, weights = ([str(v) for v in maps[c].unique()] for c in ("by", "weights"))
        self._offer("group_weights", weights)
        self._offer("group_by", columns)
        self._offer_members()

    @param.depends("group_by", watch=True)
    def _offer_members(self) -> None:
        groups: list[str] = []
        if self.group_run and self.group_by:
            with self.guarded():
                table = self.catalog.table(self.group_run, "groups")
                groups = [str(g) for g in table.loc[table["by"] == self.group_by, "group"]]
        kept = self.group_b if self.group_b in groups else ONE
        self._offer("group_a", groups)
        self.param["group_b"].objects = {"no other: the mean": ONE, **{g: g for g in groups}}
        self.group_b = kept
