"""All the cells of a study and what each waits for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pandas as pd

from workbench.errors import ConfigError, WorkbenchError
from workbench.finetune.assignment import seen_people
from workbench.model.box import encoder_folder
from workbench.model.export import read_card
from workbench.prepare.store import Store
from workbench.runs import JobConfig, digest_path
from workbench.study.cells.architecture import architecture
from workbench.study.cells.cell import Cell, make_cell
from workbench.study.cells.data import Data, keep_split, usable_scans
from workbench.study.cells.rates import choose_rate
from workbench.study.settings.baselines import ARMS
from workbench.study.settings.config import StudyConfig
from workbench.study.settings.directions import Direction, expand, looked_sides, pretrain_sides, sides
from workbench.study.settings.layers import (
    finetune_config,
    look_config,
    pretrain_config,
    takes_part,
    uses_encoder,
)
from workbench.study.settings.parts import ArmSettings, DataSettings, TaskSettings


@dataclass
class Node:
    """A place in the plan. Its cell is known once what it waits for has ended (a learning rate has to be chosen)."""

    id: str
    after: tuple[str, ...]
    make: Callable[[], Cell]
    about: dict[str, Any] = field(default_factory=dict)
    one_of: tuple[str, ...] = ()
    """Waited for as well, and one good one is enough: the candidates of a learning rate."""


def seed_of(seed: int, finetune_seed: int) -> int:
    """Seed of a fine-tuning: another one for each repeat of pretraining, the same in every arm."""
    return 1000 * seed + finetune_seed


class Plan:
    """Nodes by id, in an order in which each comes after those it waits for. Nothing is written without ``write``."""

    def __init__(self, study: StudyConfig, data: dict[str, Data], *, write: bool = True) -> None:
        self.write = write
        self.study, self.data, self.root = study, data, study.out
        self.nodes: dict[str, Node] = {}
        self.cells: dict[str, Cell] = {}
        self.stores = {name: one.open() for name, one in data.items()}
        self.directions: dict[str, list[Direction]] = {}
        self.no_labels: set[tuple[str, str, str]] = set()
        """Arm, task and direction of baselines that read labels where too few people have them."""
        for name in data:
            self._refuse_mixing(name)
        for name, task in study.tasks.items():
            self._plan_task(name, task)

    def cell(self, node: str) -> Cell:
        if node not in self.cells:
            self.cells[node] = self.nodes[node].make()
        return self.cells[node]

    def in_order(self) -> list[Node]:
        """Nodes as they are to be run: what a report needs first is first.

        First one pretraining and one fold of everything (every task, the first direction and share of labels before
        the others), so that every pair of arms has met; then the other folds, which bring people; then the other
        seeds. What a node waits for comes right before it.
        """
        study, tasks = self.study, list(self.study.tasks)
        arms = [study.reference, *(arm for arm in study.each_arm() if arm != study.reference)]

        def rank(node: Node) -> tuple[int, ...]:
            about = node.about
            task = study.tasks[about["task"]]
            direction = [d.name for d in self.directions[about["task"]]].index(about["direction"])
            share = task.fractions.index(about["fraction"])
            return (
                study.seeds.index(about["seed"]),
                study.finetune_seeds.index(about["finetune_seed"]),
                about["fold"],
                direction + share,
                tasks.index(about["task"]),
                direction,
                arms.index(about["arm"]),
            )

        out: dict[str, Node] = {}

        def put(node: Node) -> None:
            for needed in (*node.after, *node.one_of):
                put(self.nodes[needed])
            out.setdefault(node.id, node)

        for node in sorted((one for one in self.nodes.values() if one.about["stage"] == "test"), key=rank):
            put(node)
        return list(out.values())

    def _plan_task(self, name: str, task: TaskSettings) -> None:
        data, store = self.data[task.data], self.stores[task.data]
        usable = usable_scans(store, task.job, task.settings, f"task {name}")
        self.directions[name] = expand(task.directions, data.usable_sites(usable, store.index), f"task {name}")
        folds = task.folds or self.study.folds
        once = task.looks and not self._pretrained_by_split(name, data.settings)
        for direction in self.directions[name]:
            for fold in range(1 if once else min(self.study.run_folds or folds, folds)):
                split = (
                    looked_sides(store.index, direction)
                    if once
                    else sides(
                        store.index,
                        direction,
                        fold=fold,
                        folds=folds,
                        validation=self.study.validation,
                        seed=self.study.split_seed,
                        stratify=self.study.stratify,
                    )
                )
                path, split_key = keep_split(self.root, split, write=self.write)
                place = _Place(name, task, direction, fold, path, split_key)
                for arm_name, arm in self.study.each_arm().items():
                    if takes_part(self.study, arm_name, name):
                        if (
                            arm_name in ARMS
                            and ARMS[arm_name].labels
                            and not _labelled(store, usable, split, direction)
                        ):
                            self.no_labels.add((arm_name, name, direction.name))
                            continue
                        self._refuse_leak(arm_name, arm, store, split, direction)
                        self._plan_arm(place, arm_name, arm)

    def _pretrained_by_split(self, task: str, data: DataSettings) -> bool:
        """Whether an arm of a task is pretrained anew on the training side of every split."""
        if data.pretrain_sites or data.pretrained_on:
            return False
        arms = self.study.each_arm()
        return any(arm.pretrain is not None and takes_part(self.study, name, task) for name, arm in arms.items())

    def _plan_arm(self, place: _Place, arm_name: str, arm: ArmSettings) -> None:
        for fraction in place.task.fractions:
            about = {
                "task": place.name,
                "kind": place.task.job,
                "direction": place.direction.name,
                "fold": place.fold,
                "arm": arm_name,
                "fraction": fraction,
            }
            rates = () if arm_name in ARMS else place.task.learning_rates  # a baseline has none
            seeds = self.study.seeds_of(place.name, arm_name)
            agains = self.study.finetune_seeds[:1] if place.task.looks else self.study.finetune_seeds
            first = (seeds[0], self.study.finetune_seeds[0])
            tuning = []
            if len(rates) > 1:
                tuning = [
                    self._finetune(place, arm_name, arm, *first, rate, {**about, "stage": "tune"}) for rate in rates
                ]
            for seed in seeds:
                for again in agains:
                    self._finetune(
                        place,
                        arm_name,
                        arm,
                        seed,
                        again,
                        rates[0] if len(rates) == 1 else None,
                        {**about, "stage": "test"},
                        tuning=tuple(tuning),
                    )

    def _finetune(
        self,
        place: _Place,
        arm_name: str,
        arm: ArmSettings,
        seed: int,
        again: int,
        rate: float | None,
        about: dict[str, Any],
        tuning: tuple[str, ...] = (),
    ) -> str:
        about = {**about, "seed": seed, "finetune_seed": again, **({} if rate is None else {"learning_rate": rate})}
        settings, root = self.data[place.task.data], self.root
        encoder = self._encoder(place, arm_name, arm, seed)
        node = "/".join(
            [
                about["stage"],
                place.name,
                about["direction"],
                str(place.fold),
                arm_name,
                f"{about['fraction']:g}",
                f"s{seed}.{again}",
                *([] if rate is None else [f"lr{rate:g}"]),
            ]
        )

        def make() -> Cell:
            path, key = encoder.where()
            chosen = choose_rate([self.cell(one) for one in tuning]) if tuning else rate
            common = {
                "store": settings.path,
                "split": place.split,
                "encoder": path,
                "init": "pretrained" if encoder.pretrained else "random",
                "seed": seed_of(seed, again),
            }
            config: JobConfig = (
                look_config(self.study, place.task, **common)
                if place.task.looks
                else finetune_config(
                    self.study,
                    place.task,
                    arm,
                    name=arm_name,
                    **common,
                    train_sites=place.direction.train,
                    test_sites=place.direction.test,
                    label_fraction=about["fraction"],
                    **({} if chosen is None else {"learning_rate": chosen}),
                    **({"predict": "validation"} if about["stage"] == "tune" and place.task.job == "segment" else {}),
                )
            )
            words = (
                f"{about['stage']} {place.name} {about['direction']} f{place.fold} {arm_name} "
                f"{100 * about['fraction']:g} s{seed}"
            )
            told = about if chosen is None else {**about, "learning_rate": chosen}
            return make_cell(
                root, config, {"store": settings.fingerprint, "split": place.split_key, "encoder": key}, words, told
            )

        # classify scores every side at once, so that its candidates are the cells that are tested, too
        self.nodes[node] = Node(node, encoder.after, make, about, one_of=tuning)
        return node

    def _encoder(self, place: _Place, arm_name: str, arm: ArmSettings, seed: int) -> _Encoder:
        here = self.data[place.task.data]
        source = here.settings.pretrained_on or place.task.data
        data, index = self.data[source], self.stores[source].index
        needed = uses_encoder(self.study, place.task, arm, arm_name)
        if arm.encoder is not None and needed:
            folder = encoder_folder(arm.encoder)
            path, key = folder.resolve(), digest_path(folder)
            return _Encoder((), lambda: (path, key), True)
        if arm.pretrain is None or not needed:
            made = architecture(
                self.root,
                pretrain_config(self.study, source, None).encoder,
                self.stores[place.task.data],
                write=self.write,
            )
            return _Encoder((), lambda: made, False)
        if sites := data.settings.pretrain_sites:
            split, split_key = keep_split(self.root, pretrain_sides(index, sites), write=self.write)
        elif source != place.task.data:
            everybody = pd.DataFrame({"participant": sorted(set(index["participant"]))}).assign(split="train")
            split, split_key = keep_split(self.root, everybody, write=self.write)
        else:
            split, split_key = place.split, place.split_key
        about = {"stage": "pretrain", "data": source, "arm": arm_name, "seed": seed}
        node = f"pretrain/{source}/{split_key[:8]}/{arm_name}/s{seed}"
        if node not in self.nodes:

            def make() -> Cell:
                full = pretrain_config(self.study, source, arm, store=data.path, split=split, seed=seed)
                return make_cell(
                    self.root,
                    full,
                    {"store": data.fingerprint, "split": split_key},
                    f"pretrain {source} {arm_name} s{seed}",
                    about,
                )

            self.nodes[node] = Node(node, (), make, about)
        return _Encoder((node,), lambda: (self.cell(node).folder, self.cell(node).key), True)

    def _refuse_mixing(self, name: str) -> None:
        """Of data whose encoders are pretrained on others: prepared alike, and with nobody of theirs."""
        other = self.data[name].settings.pretrained_on
        if not other:
            return
        mine, theirs = self.stores[name], self.stores[other]
        if mine.fingerprint != theirs.fingerprint:
            raise ConfigError(
                f"data.{name}.pretrained_on: {other} is prepared with other settings",
                cause=f"{mine.settings} here, {theirs.settings} there",
                remedy="give both the same `prepare`",
            )
        same = [column for column in ("participant", "fingerprint") if column in mine.index and column in theirs.index]
        both = {column: set(mine.index[column].dropna()) & set(theirs.index[column].dropna()) for column in same}
        if any(both.values()) and not self.study.transductive:
            first = next(sorted(found)[0] for found in both.values() if found)
            raise WorkbenchError(
                f"data.{name}.pretrained_on: people of {name} are in {other} too",
                cause=f"for example {first}; a test on them measures memory as well as transfer",
                remedy="leave them out of one, or set transductive: true, which marks every number so",
            )

    def _refuse_leak(self, name: str, arm: ArmSettings, store: Store, split: Any, direction: Direction) -> None:
        """An encoder made elsewhere may not have seen anybody who is tested: known before anything starts."""
        if arm.encoder is None or self.study.transductive:
            return
        card = read_card(arm.encoder)
        table = store.index.merge(split, on="participant")
        if seen := seen_people(table[table["site"].isin(direction.test)], card):
            raise WorkbenchError(
                f"arm {name}: {arm.encoder} has seen {len(seen)} people who are tested in '{direction.name}'",
                cause=f"for example {seen[0]}; a test on them measures memory as well as transfer",
                remedy="pretrain without them, or set transductive: true, which marks every number so",
            )


def _labelled(store: Store, usable: pd.Series, split: pd.DataFrame, direction: Direction) -> bool:
    """Whether two people are outlined on the training side of a split, and somebody on the tested one."""
    rows = store.index[usable & store.index["has_seg"]].merge(split, on="participant")
    train = rows[(rows["split"] == "train") & rows["site"].isin(direction.train)]
    test = rows[(rows["split"] == "test") & rows["site"].isin(direction.test)]
    return train["participant"].nunique() > 1 and len(test) > 0


@dataclass(frozen=True)
class _Place:
    """Where in a study: a task, a direction of it, a fold."""

    name: str
    task: TaskSettings
    direction: Direction
    fold: int
    split: Path
    split_key: str


@dataclass(frozen=True)
class _Encoder:
    """What to wait for, and then where it is and what stands for it in keys."""

    after: tuple[str, ...]
    where: Callable[[], tuple[Path, str]]
    pretrained: bool
