"""What the report says in sentences: what was compared on whom, what to keep in mind, and the methods."""

from __future__ import annotations

from collections.abc import Iterator

import pandas as pd

from workbench.measures import MEASURES, main_rows, measure
from workbench.measures.predictions import sensitivity
from workbench.model.export import EncoderCard, architecture_words, read_card
from workbench.stats.sentence import FEW, bracketed, counted
from workbench.study.cells.plan import Plan
from workbench.study.evidence.intervals import ENOUGH
from workbench.study.evidence.looks import NOWHERE
from workbench.study.settings.baselines import ARMS, BASELINES, MARK
from workbench.study.settings.directions import pretrain_sides, spared
from workbench.study.settings.layers import flat, lacks_attention, merged, takes_part, uses_encoder
from workbench.study.settings.parts import LOOKS

KINDS = {
    "segment": "segmentation",
    "classify": "prediction",
    "tokens": "tokens compared between people",
    "attend": "attention",
    "reliability": "people scanned several times",
    "probe": "a linear model of tokens",
}


def lead(plan: Plan, people: pd.DataFrame) -> str:
    """One sentence: which arms, in what, on whom."""
    study = plan.study
    tasks = []
    for name, task in study.tasks.items():
        tested = people[people["task"] == name]
        sites = tested.loc[tested["site"] != NOWHERE, "site"].nunique()
        tasks.append(
            f"{name} ({KINDS[task.job]}; {counted(tested['participant'].nunique(), 'person', 'people')} tested"
            + (f", of {counted(sites, 'site')})" if sites else ")")
        )
    prepared = sum(store.index["participant"].nunique() for store in plan.stores.values())
    return (
        f"{counted(len(study.each_arm()), 'arm')} ({', '.join(study.each_arm())}) compared in "
        f"{counted(len(study.tasks), 'task')}: {'; '.join(tasks)}. Each is compared with “{study.reference}” on "
        f"the same people. {counted(prepared, 'person was', 'people were')} prepared."
    )


def arm_words(plan: Plan) -> Iterator[tuple[str, str]]:
    """Each arm, and what it is."""
    for name, arm in plan.study.each_arm().items():
        own = [f"{key} {value}" for settings in (arm.segment, arm.classify) for key, value in settings.items()]
        if name in ARMS:
            told = f"a baseline, without an encoder: {ARMS[name].words}"
        elif arm.pretrain is not None:
            layers = merged(plan.study.pretrain, arm.pretrain).get("objective", {})
            changed = [f"{key} {value}" for key, value in flat(arm.pretrain).items() if key != "objective.name"]
            told = ", ".join([f"pretrained here ({layers.get('name', 'volta')})", *changed, *own])
        elif arm.encoder is not None:
            told = ", ".join([f"{_made_elsewhere(read_card(arm.encoder))}; {arm.encoder.name})", *own])
        elif any(
            uses_encoder(plan.study, task, arm)
            for task_name, task in plan.study.tasks.items()
            if takes_part(plan.study, name, task_name)
        ):
            told = ", ".join(["not pretrained, random weights", *own])
        else:
            told = ", ".join(["without an encoder", *own])
        yield name, told


def _made_elsewhere(card: EncoderCard) -> str:
    if card.origin is None:
        made = f"{card.objective}, {counted(card.steps, 'step')} on "
        made += counted(len(card.participants), "person", "people")
    else:
        # what it is given differs from arm to arm by design, and is shown
        made = f"{card.objective}, licence {card.origin.licence}, seen {card.seen_words}; "
        made += architecture_words(card.config)
    return f"pretrained elsewhere ({made}" + (", SIMULATED" if card.simulated else "")


def caveats(plan: Plan, arms: pd.DataFrame) -> Iterator[str]:
    """What limits every number of this report."""
    study = plan.study
    if arms["simulated"].any():
        yield (
            "People who are tested are simulated: this shows that the protocol works and how to read it, nothing "
            "about patients."
        )
    if arms["transductive"].any():
        yield "Transductive: where it says so, pretraining has seen the people who are tested, without their labels."
    yield from beside_baselines(plan, arms)
    cards = {name: read_card(arm.encoder) for name, arm in study.each_arm().items() if arm.encoder is not None}
    if unknown := [name for name, card in cards.items() if card.people_unknown]:
        yield (
            f"{', '.join(unknown)}: nobody lists whom it has seen, so that every test of it is possibly transductive: "
            "the people who are tested may be among them."
        )
    if any(card.origin is not None for card in cards.values()):
        yield (
            "Preprocessing differs between arms by design: each encoder made elsewhere is given the intensities, "
            "voxels and channels that it was trained on, as the list of arms says."
        )
    if given := study.given_arms():
        yield (
            f"{', '.join(given)}: one encoder made elsewhere, pretrained once. The seeds repeat its fine-tuning alone "
            "and are averaged; how much another pretraining of it would change is not known."
        )
    if any(arm.pretrain is not None for arm in study.each_arm().values()):
        who = "Each other arm" if given else "Each arm"
        if len(study.seeds) == 1:
            yield (
                f"{who} was pretrained from one seed"
                + (" and fine-tuned from one" if len(study.finetune_seeds) == 1 else "")
                + ": the intervals hold for these trainings, and how much others would change is not in them "
                "(set seeds to have it)."
            )
        elif len(study.seeds) < ENOUGH:
            yield (
                f"{who} was pretrained {len(study.seeds)} times with other seeds. From fewer than {ENOUGH} how much "
                "another pretraining would change is not estimable: the intervals are over people alone, and each "
                "pretraining is shown by itself."
            )
        else:
            yield (
                f"{who} was pretrained {len(study.seeds)} times with other seeds; the intervals have the "
                "variation between pretrainings in them as well as that between people"
                + (", and with so few of them they are wide." if len(study.seeds) < 4 else ".")
            )
    if fewer := study.fewer_seeds():
        yield (
            "Fewer pretrainings: "
            + "; ".join(f"{name}: {n} of {len(study.seeds)}" for name, n in fewer.items())
            + (". Where it is one, how much another would change is not in the interval.")
        )
    if own := {name: arm.seeds for name, arm in study.each_arm().items() if arm.seeds and arm.seeds != study.seeds}:
        yield (
            "Arms with seeds of their own: "
            + "; ".join(f"{name}: {', '.join(map(str, seeds))}" for name, seeds in own.items())
            + ". A pair of arms is compared over the seeds that both have."
        )
    blind = {
        name: sorted(
            task for task in arm.tasks or study.tasks if study.tasks[task].looks and not takes_part(study, name, task)
        )
        for name, arm in study.each_arm().items()
        if name not in ARMS and arm.encoder is None
    }
    if any(blind.values()):
        yield (
            "Without an encoder of their own, and so not in every task: "
            + "; ".join(f"{name} not in {', '.join(tasks)}" for name, tasks in blind.items() if tasks)
            + "."
        )
    if without := {
        name: sorted(task for task in study.tasks if study.tasks[task].job == "attend")
        for name in study.given_arms()
        if lacks_attention(study, name)
    }:
        tasks = dict.fromkeys(task for names in without.values() for task in names)
        yield f"{', '.join(without)}: without attention that can be shown" + (
            f", and so not in {', '.join(tasks)}." if tasks else "."
        )
    short = {
        name: task.folds or study.folds
        for name, task in study.tasks.items()
        if study.run_folds and study.run_folds < (task.folds or study.folds)
    }
    if short:
        yield (
            "Not all folds were run: "
            + "; ".join(f"{name}: {study.run_folds} of {all_}" for name, all_ in short.items())
            + "."
        )
    primary = main_rows(arms)
    if len(few := primary[primary["n"] < FEW]):
        yield (
            f"Fewer than {FEW} people are tested in {counted(few.groupby(['task', 'direction']).ngroups, 'place')}: "
            "intervals are too narrow there."
        )
    yield (
        "“No difference shown” is not “no difference”: each such sentence says which difference these people would "
        "have shown, and where a margin was named, whether the arms are equivalent within it."
    )


def beside_baselines(plan: Plan, arms: pd.DataFrame) -> Iterator[str]:
    """What predicts best without any pretraining, and which arms are not better; or that nothing of it was run."""
    study = plan.study
    predicted = [name for name, task in study.tasks.items() if task.job == "classify"]
    if predicted and not study.baselines:
        yield (
            f"No baselines were run in {', '.join(predicted)} ({', '.join(BASELINES)}): whether an arm says more than "
            "a ruler would is not known (`baselines: all`)."
        )
    if not study.baselines:
        return
    most = main_rows(arms)
    for (task, direction), every in most[most["task"].isin(predicted)].groupby(["task", "direction"], sort=False):
        one = every[every["fraction"] == every["fraction"].max()]
        shown = measure(str(one["metric"].iloc[0]))
        ranked = one.assign(better=one["estimate"] * (-1 if shown.better == "lower" else 1))
        plain = ranked[ranked["arm"].isin(study.baseline_arms())].sort_values("better")
        if not len(plain):
            continue
        best = plain.iloc[-1]
        below = [row.arm for row in ranked.itertuples() if row.arm not in ARMS and row.better <= best["better"]]
        yield (
            f"{task}, {direction}: of the baselines {best['arm'].removeprefix(MARK)} has the best {shown.words}, "
            f"{bracketed(best['estimate'], best['low'], best['high'], shown.number)}, n = {best['n']}"
            + (
                f"; not better than it by estimate: {', '.join(below)}."
                if below
                else "; every other arm is better by estimate."
            )
        )
    if any(ARMS[arm].labels for arm in study.baseline_arms()):
        for task in predicted:
            places = [d.name for d in plan.directions[task]]
            absent = [place for place in places if any(t == task and d == place for _, t, d in plan.no_labels)]
            if absent:
                yield (
                    f"{task}: volumes of structures are no baseline in {', '.join(absent)}, where fewer than two "
                    "people to learn from, or nobody tested, has outlines."
                )
    if blind := [name for name, task in study.tasks.items() if task.job != "classify"]:
        yield f"Baselines predict something of a person, and have no part in {', '.join(blind)}."


def named(task: str) -> str:
    """The measures of a task, as a methods paragraph names them."""
    names = [one.long for one in (*MEASURES.values(), sensitivity(0.9)) if one.task == task and one.long]
    return " and ".join(filter(None, [", ".join(names[:-1]), names[-1]]))


def kept_apart(plan: Plan, data: str) -> str:
    """Who pretraining saw and who is tested, counted."""
    index, sites = plan.stores[data].index, plan.study.data[data].pretrain_sites
    seen = set(pretrain_sides(index, sites).query("split == 'train'")["participant"])
    tasks = [name for name, task in plan.study.tasks.items() if task.data == data]
    asked = {site for task in tasks for d in plan.directions[task] for site in (*d.train, *d.test)}
    tested = set(index.loc[index["site"].isin(asked), "participant"])
    return (
        f"Pretraining saw {counted(len(seen), 'person', 'people')} of {', '.join(sites)}; "
        f"{len(spared(index, sites))} who have scans there and at other sites too were kept out of it, so that "
        f"{len(seen & tested)} of the {counted(len(tested), 'person', 'people')} of the tasks had been seen."
    )


def pretrained_elsewhere(plan: Plan) -> str:
    """Which data have encoders that were pretrained on other people."""
    pairs = [(name, one.pretrained_on) for name, one in plan.study.data.items() if one.pretrained_on]
    return " ".join(
        f"Encoders that are looked at or fine-tuned on {name} were pretrained on all "
        f"{counted(plan.stores[other].index['participant'].nunique(), 'person', 'people')} of {other}, none of whom is "
        f"in {name}."
        for name, other in pairs
    )


def methods(plan: Plan) -> str:
    """A paragraph to paste into a paper."""
    study = plan.study
    told = [
        f"Arms ({', '.join(study.each_arm())}) were compared on the same people under the same settings, except "
        f"{', '.join(study.compares)}"
        + (", and the baselines, each of which reads the settings that it can use." if study.baselines else "."),
        f"People, not scans, were split ({study.folds} folds, {study.run_folds or study.folds} of them run, seed "
        f"{study.split_seed}, stratified by {' and '.join(study.stratify)}); scans of a person stayed together and "
        "near-duplicate images across the split were refused. No person whom pretraining had seen was tested"
        + (" unless marked (transductive)." if study.transductive else "."),
        f"Pretraining was repeated with {counted(len(study.seeds), 'seed')} "
        f"({', '.join(map(str, study.seeds))}"
        + "".join(f"; {name}: {', '.join(map(str, study.seeds_of(name)))} alone" for name in study.fewer_seeds())
        + f") and fine-tuning with {len(study.finetune_seeds)} "
        f"({', '.join(map(str, study.finetune_seeds))}); repeats, folds and scans count as the same people.",
    ]
    told += [kept_apart(plan, name) for name, data in study.data.items() if data.pretrain_sites]
    if rates := {name: t.learning_rates for name, t in study.tasks.items() if len(t.learning_rates) > 1}:
        each = "; ".join(f"{name}: {', '.join(f'{r:g}' for r in values)}" for name, values in rates.items())
        told.append(f"Learning rates were chosen per arm on the same validation people and budget: {each}.")
    if any(task.job == "segment" for task in study.tasks.values()):
        told.append(
            f"{named('segment')} were computed for each person in mm in the scan's own space, and averaged over "
            "structures; a structure that is there and was not found has Dice 0 and the diagonal of the scan as its "
            "distance."
        )
    kinds = {task.settings.get("task", "classes") for task in study.tasks.values() if task.job == "classify"}
    if "classes" in kinds:
        told.append(f"{named('classes')} were computed from one score a person, over the folds together.")
    if "regression" in kinds:
        told.append(f"{named('number').capitalize()} was computed from one number a person, over the folds together.")
    for job in LOOKS:
        if any(task.job == job for task in study.tasks.values()):
            said = named(job)
            told.append(f"{said[0].upper()}{said[1:]} were read from each encoder as it is, without any training.")
    told += [pretrained_elsewhere(plan)] if any(data.pretrained_on for data in study.data.values()) else []
    told.append(
        "Intervals are 95 % bootstrap intervals over people (10,000 resamples)"
        + (
            f", and with {ENOUGH} pretrainings or more two-way random-effects t intervals over seeds and people "
            "(Satterthwaite's degrees of freedom)"
            if len(study.seeds) >= ENOUGH
            else ""
        )
        + ". Paired differences were tested by permutation of signs"
        + (
            ", AUROC with one pretraining by DeLong's test,"
            if any(task.job == "classify" for task in study.tasks.values())
            else ""
        )
        + " with Holm's correction over all comparisons of a task and measure. A difference is called shown "
        "only if its interval excludes 0 and the corrected p is below 0.05. The detectable difference is what "
        "a two-sided paired t test at 0.05 would have found with 80 % power, given the spread and number of "
        "these people."
        + (
            " Equivalence within a margin named before was tested by two one-sided tests at 5 % (the 90 % interval "
            "lies within the margin)."
            if any(task.margin for task in study.tasks.values())
            else ""
        )
    )
    return " ".join(told)
