# ---
# jupyter:
#   jupytext:
#     formats: ipynb,py:percent
#     notebook_metadata_filter: title
#     text_representation:
#       extension: .py
#       format_name: percent
#       format_version: '1.3'
#       jupytext_version: 1.19.6
#   kernelspec:
#     display_name: Python 3 (ipykernel)
#     language: python
#     name: python3
#   title: 8. Comparison
# ---

# %% [markdown]
# # 8. Comparison: what may be said?
#
# **Question: which of several encoders is better at which task, and how sure can one be?**
#
# Notebooks 03 and 04 held one encoder against random weights. A *study* does so for any number of arms and tasks,
# repeats it over folds, seeds, shares of the labels and directions of transfer, and writes one report. Everything it
# does stands in one description, which says what is compared *before* there are results. From the shell it is
# `workbench compare --config study.yaml --out FOLDER`; here the same description is written as parameters.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## The study
#
# Each line names the setting of the study that it sets. Three parts matter:
#
# - `pretrain` is what all arms share, and `arms` is what sets each apart. `null` in a YAML, `None` here, is an arm
#   that is not pretrained: the same architecture with random weights.
# - `tasks` are what the encoders have to do. Both of these test people of the sites that were trained on (`within`);
#   for transfer to a site that nobody was trained on write `{"leave_one_out": []}` in its place, or `{"train":
#   ["site1"], "test": ["site2"]}`.
# - `reference` is what every arm is compared with. **Decide what you compare before you look at results.** Each
#   further comparison makes the correction stricter, as it must.
#
# A study that has been run already, in the shell or on a larger machine, is shown in place of this one if you give its
# folder as `finished`.

# %% tags=["parameters"]
out = "runs/08_compare"  # folder of this notebook's run: study
finished = None  # the folder of a finished `workbench compare`, to read it in place of running the study below
data = {"scans": {"store": "runs/01_cohort/store"}}  # StudyConfig.data (needed): prepared scans, by name
pretrain = {
    "encoder": {"preset": "micro", "image_size": 40, "patch": 8},
    "objective": {"weight_reconstruction": 3.0, "ema": 0.99},
    "views": {"scale": [0.2, 0.9], "rotation": 20.0, "flip": 0.0, "contrast": 1.0, "bend": 0.02},
    "epochs": 10.0, "warmup_epochs": 1.0, "batch_size": 8, "learning_rate": 0.016,
}  # StudyConfig.pretrain (nothing): settings of pretraining that all arms share
arms = {
    "random": None,
    "volta": {"pretrain": {}},
    "mae": {"pretrain": {"objective": {"name": "mae"}}},
}  # StudyConfig.arms (needed): what sets each arm apart
compares = ["pretrain.objective"]  # StudyConfig.compares (pretrain.objective): all that arms may differ in
tasks = {
    "hippocampus": {
        "data": "scans", "directions": [{"within": []}],
        "segment": {
            "structures": ["left_hippocampus", "right_hippocampus"], "steps": 80, "features": 8,
            "learning_rate": 0.003,
        },
    },
    "sex": {"data": "scans", "directions": [{"within": []}], "classify": {"target": "sex", "mode": "linear"}},
}  # StudyConfig.tasks (needed): what the encoders have to do
reference = "random"  # StudyConfig.reference (random): the arm that every other one is compared with
folds = 3  # StudyConfig.folds (5): parts of the people, each of which is the test once
run_folds = 1  # StudyConfig.run_folds (None): only so many of them, to save time; None runs all
seeds = [0]  # StudyConfig.seeds (0): repeats of pretraining

# %%
from pathlib import Path

import pandas as pd
from IPython.display import display

import workbench as wb

wb.plots.offline()
runs = Path(out).resolve()

# %% [markdown]
# ## What would be done
#
# Every cell of the study is a run folder of its own, named by a hash of its settings and of what it reads. So this
# list can be told beforehand, and the same study goes on after an interruption and does again only what has changed.

# %%
if finished is None:
    config = wb.StudyConfig(out=runs / "study", data=data, pretrain=pretrain, arms=arms, compares=compares, tasks=tasks,
                            reference=reference, folds=folds, run_folds=run_folds, seeds=seeds)
    print(wb.plan("compare", config))
else:
    given = wb.Run(finished).require_ok().config
    config = wb.StudyConfig.build({name: value for name, value in given.items() if name != "job"})
    print(f"read from {finished}")

# %% [markdown]
# ## Is it fair?
#
# Two arms are a fair pair if they differ in nothing but what is asked about. The table lists every setting in which
# some arm differs from what is shared. One that `compares` does not name would be refused before anything starts:
# forgetting to set a learning rate alike has made many an "improvement".

# %%
settings = wb.check_fair(config)
apart = [setting for setting in settings if setting.arms]
print(f"{len(apart)} settings differ between arms, {len(settings) - len(apart)} are shared")
pd.DataFrame([{"job": setting.group, "setting": setting.name, "shared": str(setting.shared),
               **{arm: str(value) for arm, value in setting.arms.items()}}
              for setting in apart]).fillna("as shared").style.hide(axis="index")

# %% [markdown]
# ## Run it
#
# Interrupt the cell if you must (the black square): every cell under way saves its state, and running it again goes on
# from there.

# %%
run = wb.compare(config) if finished is None else wb.Run(finished)
titled = wb.plots.titles(run.simulated)
cells = run.read_table("cells")
print(titled(f"{len(cells)} cells, {int((cells['state'] == 'ok').sum())} of them well, "
             f"{cells['seconds'].sum() / 60:.1f} minutes of work"))
cells.groupby("stage", sort=False).agg(cells=("cell", "size"), seconds=("seconds", "sum")).round(1)

# %% [markdown]
# ## What may be said
#
# One sentence a comparison, made from its interval and its corrected p value (Holm, over all comparisons of a task);
# it never says more than these do. "No difference shown" is not "there is no difference": it says what this number of
# people could not find. Where it can be told, the sentence adds how large a difference would have had to be.

# %%
differences = run.read_table("differences")
main = differences[differences["metric"].isin(["dice", "auroc", "absolute_error"])].reset_index(drop=True)
print("\n\n".join(f"{row.task}, {row.direction}, {row.fraction:.0%} of the labels: {row.verdict}"
                  for row in main.itertuples()))

# %% [markdown]
# ## The differences
#
# For segmentations: the mean over people of the difference of their Dice, with a bootstrap interval over people and a
# permutation test that flips the sign of people's differences. For classifications: AUROC, DeLong's interval and test.
# An interval that crosses the dashed line contains "none".

# %%
for (task, metric), rows in main.groupby(["task", "metric"], sort=False):
    drawn = rows[["difference", "low", "high"]] * wb.measure(metric).scale
    drawn["row"] = (rows["a"] + " − " + rows["b"] + ", " + rows["direction"] + ", "
                    + rows["fraction"].map("{:.0%}".format) + " (n = " + rows["n"].astype(str) + ")")
    display(wb.plots.intervals(drawn, "row", estimate="difference", reference=0.0, title=titled(task),
                               quantity=f"difference, {wb.measure(metric).words} (95 % interval)"))
main[["task", "direction", "fraction", "metric", "a", "b", "mean_a", "mean_b", "difference", "low", "high", "n", "test",
      "p", "p_holm"]].round(3)

# %% [markdown]
# ## Every arm by itself
#
# The means of the arms with their own intervals. These overlap more than the differences above, because they contain
# that some people are harder than others, which is the same for all arms.

# %%
by_arm = run.read_table("arms")
print(titled("mean of each arm on its test people, with 95 % intervals"))
by_arm[by_arm["metric"].isin(main["metric"])].drop(columns="seeds").round(3)

# %% [markdown]
# ## Person by person
#
# A mean difference may come from everybody a little or from one person alone. Each point is a test person, above the
# site that the scan comes from.

# %%
people = run.read_table("people")
dice = people[(people["metric"] == "dice") & (people["structure"] == "mean")]
for (task, direction, fraction), rows in dice.groupby(["task", "direction", "fraction"], sort=False):
    values = rows.groupby(["participant", "site", "arm"])["value"].mean().unstack("arm")
    for a, b in config.pairs():
        if {a, b} <= set(values):
            each = (values[a] - values[b]).rename("difference").dropna().reset_index()
            print(titled(f"{task}, {direction}, {fraction:.0%} of the labels, n = {len(each)} people"))
            display(wb.plots.by_group(each, "difference", "site", quantity="difference of Dice", width=420,
                                      title=titled(f"{a} − {b}")))

# %% [markdown]
# ## The report
#
# The study has written all this, and more, into one HTML file that opens anywhere: calibration, worst cases, who was
# used and who was set aside, every setting that the arms share, a paragraph for a methods section, and how to run it
# again. Here it is.

# %%
wb.plots.Page(run.path / "report.html")

# %% [markdown]
# ## What this can show, and what not
#
# With one seed the intervals hold for *these trained networks* and other people like the tested ones. They do not
# contain how much the result would change if pretraining were repeated, which may be more than all of it. For a claim
# about a *method* give several `seeds`: the intervals then cover both. One fold of three is a look; run all of them.
# And the arms were trained for minutes: this ranks nothing but these minutes.

# %%
first = main.iloc[0]
wb.record(out, comparisons=len(main), what=f"{first['task']}: {first['metric']}, {first['a']} - {first['b']}",
          people=int(first["n"]), difference=first["difference"], difference_low=first["low"],
          difference_high=first["high"], p_holm=first["p_holm"], sentence=first["verdict"], cells=len(cells),
          simulated=run.simulated)
print(f"{run.path}\n{run.path / 'report.html'}")
