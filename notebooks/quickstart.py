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
#   title: VolTA workbench quickstart
# ---

# %% [markdown]
# # Quickstart: a folder of brain scans in, evidence out
#
# This notebook walks once through the whole workbench, from scans on the disk to results you can look at. You need no
# data and no GPU: unless you name a BIDS folder of your own, it simulates a small cohort of brain MRI from three
# scanners, in which we know what is true. On two CPU cores it takes about six minutes.
#
# | step | question | job |
# |---|---|---|
# | 1–3 | Which scans are there, whose are they, who is kept for the test? | `simulate`, `cohort`, `split` |
# | 4 | How do they become comparable? | `prepare` |
# | 5 | What can a network learn from them without any labels? | `pretrain` |
# | 6–7 | Does that help to outline the hippocampus, or to tell patients from controls? | `segment`, `classify` |
# | 8–9 | What does the network see: what sets scans apart, and where does it look? | `embed`, `attend` |
#
# Every step is one call of the library, and the same step exists on the command line (`workbench prepare --help`).
# Each leaves a **run folder** with its settings, its origin and its results, so nothing depends on this notebook
# staying open, and running a cell again returns what is already there.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings
#
# Everything you may want to change stands in the next cell. The comment says which setting of which job it is, and in
# brackets the default for real work: the values here are scaled down so that the tour is short. For other settings
# choose another `out`: a run folder is never mixed with results of other settings.

# %% tags=["parameters"]
out = "runs/quickstart"  # folder for the runs of this notebook, one folder a job
bids = None  # your own BIDS folder, or a list of them; None simulates a cohort
participants = 36  # SimulateConfig.participants (72): people in the simulated cohort
source_spacing = 2.5  # SimulateConfig.spacing (2.0): voxel size of the simulated scans, mm
fractions = [0.6, 0.0, 0.4]  # SplitConfig.fractions (0.8, 0.0, 0.2): people for training, validation, test
spacing = 2.5  # PrepareConfig.spacing (1.0): voxel size after preparation, mm
preset = "micro"  # EncoderConfig.preset (small): size of the network
image_size = 40  # EncoderConfig.image_size (96): edge of a training crop, voxels
patch = 8  # EncoderConfig.patch (16): edge of a patch, voxels
epochs = 20.0  # PretrainConfig.epochs (300.0): passes over the training scans
batch_size = 8  # PretrainConfig.batch_size (8): scans in one step of pretraining
learning_rate = 0.016  # PretrainConfig.learning_rate (0.0005): per 256 scans
structures = ["left_hippocampus", "right_hippocampus"]  # SegmentConfig.structures (the same): what is outlined
steps = 120  # SegmentConfig.steps (400): steps of fine-tuning
targets = ["diagnosis", "sex"]  # each a ClassifyConfig.target (sex): labels of the person to predict
seed = 0  # PretrainConfig.seed (0): of everything random here

# %%
from pathlib import Path

import holoviews as hv
import numpy as np
import pandas as pd
from IPython.display import display

import workbench as wb

wb.plots.offline()  # the saved notebook then needs no network to show its figures
runs = Path(out).resolve()
print(f"runs go to {runs}")

# %% [markdown]
# ## 1. The scans
#
# The simulator writes a real [BIDS](https://bids.neuroimaging.io) folder, as you would get it from a study:
# T1-weighted scans, `participants.tsv`, and outlines of both hippocampi. Its three "sites" differ the way scanners
# do, in contrast, bias field, noise, resolution and orientation, and its "patients" (AD) differ from controls (CN) by
# a smaller hippocampus and larger ventricles. Because all of this is planted, we can later ask whether a method finds
# it.

# %%
if bids is None:
    wb.simulate(out=runs / "bids", participants=participants, spacing=source_spacing, seed=seed)
    sources = [runs / "bids"]
else:
    sources = [bids] if isinstance(bids, str) else bids

# %% [markdown]
# ## 2. The cohort: who is there, and what had to be set aside
#
# `cohort` opens every scan and checks it: is it readable, three-dimensional, not empty, and does its header say where
# left and right are? A scan that fails is *set aside* with its cause and a remedy, and the rest goes on. Nothing is
# guessed.

# %%
wb.cohort(out=runs / "cohort", sources=sources)
cohort = wb.load_cohort(runs / "cohort")


def titled(text):
    """A figure's title; simulated data are called simulated wherever they are shown."""
    return f"Simulated data: {text}" if cohort.simulated else text


print(titled(f"{len(cohort.table)} scans of {cohort.table['participant'].nunique()} people, "
             f"{len(cohort.set_aside)} files set aside"))
shown = ["scan_id", "site", "sex", "age", "diagnosis", "axcodes", "sx", "sy", "sz"]
display(cohort.table[[name for name in shown if name in cohort.table]].head(6))
if len(cohort.set_aside):
    display(cohort.set_aside[["path", "cause", "remedy"]])

# %% [markdown]
# One row is one scan. `axcodes` tells in which directions the file stores its axes (`RAS`: right, anterior, superior)
# and `sx sy sz` are the edges of a voxel in mm. Below is the same cohort by site. If age, sex or diagnosis were very
# unequal between sites, a network could read them from the scanner alone, so this table is worth a look before any
# result.

# %%
by_site = cohort.table.groupby("site").agg(
    scans=("scan_id", "size"), people=("participant", "nunique"), women=("sex", lambda s: (s == "F").sum()),
    age=("age", "mean"), stored=("axcodes", lambda s: ", ".join(sorted(set(s)))), outlined=("seg_path", "count"))
if "diagnosis" in cohort.table:
    by_site = by_site.join(pd.crosstab(cohort.table["site"], cohort.table["diagnosis"]))
by_site.round(1)

# %% [markdown]
# ## 3. The split: by person, once, for everything
#
# People, not scans, are divided: all scans of one person stay on one side, and each site, diagnosis and sex is shared
# out alike. Pretraining will see the training people only. That matters even though it uses no labels: an encoder
# that has seen a test person's brain has an advantage that no new patient would give it, and the workbench refuses
# such a test.

# %%
known = [column for column in ("site", *targets) if column in cohort.table and cohort.table[column].notna().any()]
wb.split(out=runs / "split", cohort=runs / "cohort", fractions=fractions, stratify=known, seed=seed)
parts = wb.load_split(runs / "split")
cohort_parts = cohort.table.merge(parts, on="participant")
pd.crosstab(cohort_parts["site"], cohort_parts["split"])

# %% [markdown]
# ## 4. Preparation: one grid, one scale
#
# Each scan is turned to RAS, resampled to cubic voxels, cropped to the brain, and its intensities are expressed in
# standard deviations from the mean of its own brain (a z-score). This is done once; from then on any part of any scan
# can be read at random from the *store*. Differences in grid and overall brightness between sites are gone after this
# step. Differences in contrast, noise and sharpness are not, and we will meet them again in step 8.

# %%
wb.prepare(out=runs / "store", cohort=runs / "cohort", spacing=spacing)
store = wb.open_store(runs / "store")
example = store.scan_ids[0]
wb.plots.slices(wb.Volume(store.read(example).astype(np.float32), store.grid(example).affine), value="z-score",
                title=titled(f"{example} as prepared, {store.spacing:g} mm"))

# %% [markdown]
# L and R are the *patient's* left and right, and left is drawn on the left. The axes are millimetres in the scan's
# own world, so a point that you find here is the same point in any other viewer. The grey around the brain is 0,
# which after this step is the brain's own mean.

# %% [markdown]
# ## 5. Pretraining: learning without labels
#
# The network (a *vision transformer*) cuts a volume into patches of a few voxels and turns each into a vector, a
# *patch token*; one extra vector, the *CLS token*, stands for the whole scan. VolTA trains it with four tasks at
# once. Each patch should get the token that a slowly changing copy of the network (the *teacher*) gives it, even where
# the patch was hidden from the student; the same place in another view of the scan should get that token too; the
# hidden voxels should be painted back in; and CLS should say where in the head the view lies. None of this needs an
# expert's label.

# %%
pretraining = wb.pretrain(
    out=runs / "pretrain", store=runs / "store", split=runs / "split",
    encoder={"preset": preset, "image_size": image_size, "patch": patch},
    objective={"weight_reconstruction": 3, "ema": 0.99},
    views={"scale": (0.2, 0.9), "rotation": 20, "flip": 0, "contrast": 1.0, "bend": 0.02},
    epochs=epochs, warmup_epochs=2, batch_size=batch_size, learning_rate=learning_rate, seed=seed)
metrics = pretraining.metrics()
losses = ["loss_cls", "loss_patch", "loss_cross", "loss_reconstruction"]
found = ["patch_top1", "cross_top1", "patch_chance", "cross_chance"]
(wb.plots.training_curves(metrics, losses, label="loss", title=titled("the four losses"), width=300)
 + wb.plots.training_curves(metrics, found, label="share of tokens", title=titled("does a token find its own?"),
                            width=300))

# %% [markdown]
# Read the right figure first. The losses are *not* errors that must fall to zero: student and teacher move together,
# so a loss may even rise. The right figure says how often a token finds its own place first among all the brain's
# tokens, in the same view and in the other one, and how often chance would. What can go wrong is **collapse**: all
# tokens become alike, and both curves stay at chance.

# %%
last = metrics.dropna(subset=found).iloc[-1]
print(f"step {last['step']:.0f}: a token finds its own in {last['patch_top1']:.0%} of cases in the same view (chance "
      f"{last['patch_chance']:.0%}) and in {last['cross_top1']:.0%} in the other (chance {last['cross_chance']:.0%})")
print(pretraining.provenance.get("alarm", {}).get("why", "no collapse alarm was raised"))

# %% [markdown]
# ## 6. Segmentation: does pretraining help to find the hippocampus?
#
# A decoder is put on the encoder and both are trained on the training people's outlines. We do it twice with equal
# settings and equal data: once from the pretrained weights, once from random ones. Only this pair of runs can tell
# what pretraining contributed; a good Dice of the first alone could come from the architecture or from the labels.

# %%
finetuning = {"store": runs / "store", "split": runs / "split", "encoder": runs / "pretrain", "seed": seed}
labelled = cohort.table["seg_path"].notna().any()
if labelled:
    segmentations = {init: wb.segment(out=runs / f"hippocampus-{init}", init=init, structures=structures,
                                      steps=steps, features=8, learning_rate=3e-3, **finetuning)
                     for init in ("pretrained", "random")}
    display(wb.plots.run_curves({init: run.metrics() for init, run in segmentations.items()}, "loss",
                                title=titled("fine-tuning, training loss"), width=560))
else:
    print("no segmentations in this cohort: step 6 is left out")

# %% [markdown]
# The **Dice** score says how well two outlines overlap, from 0 (not at all) to 1 (the same voxels). It is computed on
# the test people, in each scan's own space. We first average over structures within a person, since left and right of
# one head are not two independent pieces of evidence; `n` is the number of people. The interval is a 95 % bootstrap
# interval of the mean over people: how far the mean would move with other people like these. It is `NaN` for a single
# person, and with fewer than about ten it is too narrow to be trusted.

# %%
def mean_and_interval(values):
    """One value a person → n, mean, and the 95 % bootstrap interval of the mean."""
    found = wb.stats.bootstrap_interval(values.to_numpy(), seed=seed)
    return pd.Series({"n": found.n, "mean": found.estimate, "from": found.low, "to": found.high})


if labelled:
    dice = pd.concat([run.read_table("dice").assign(init=init) for init, run in segmentations.items()])
    people = dice.groupby(["site", "participant", "init"])["dice"].mean().unstack("init")
    people["difference"] = people["pretrained"] - people["random"]
    rows = {(site, column): mean_and_interval(group[column])
            for site, group in [*people.groupby("site"), ("all sites", people)] for column in people}
    dice_table = pd.DataFrame(rows).T.rename_axis(["site", "Dice"]).astype({"n": int}).round(3)
    print(titled(f"Dice of {', '.join(structures)} on {len(people)} test people"))
    display(dice_table)

# %% [markdown]
# The rows called `difference` are the comparison: the same person under both networks, pretrained minus random. An
# interval that contains 0 means that this experiment does not show a difference.
#
# Numbers hide how an outline looks, so here is one test scan, and not a flattering one: the person whose pretrained
# Dice is the median. Above the true outline (blue), below the predicted one (orange).

# %%
test_scans = cohort_parts.loc[cohort_parts["split"] == "test", "scan_id"].tolist()
if labelled:
    ranked = segmentations["pretrained"].read_table("dice").groupby("scan_id")["dice"].mean().sort_values()
    case = ranked.index[len(ranked) // 2]
else:
    case = test_scans[0]
row = cohort.table.set_index("scan_id").loc[case]
scan = wb.read_volume(row["path"])

if labelled:
    truth = wb.read_volume(row["seg_path"], labels=True)
    predicted = wb.read_volume(segmentations["pretrained"].path / "volumes" / f"{case}_dseg.nii.gz", labels=True)
    true_codes = {structure: store.codes(case, structure)[0] for structure in structures}
    where = wb.plots.densest_point(truth, true_codes.values())  # both pictures at one place
    display(wb.plots.slices(scan, truth, codes=true_codes, source="truth", at=where,
                            title=titled(f"{case}, true outline")))
    display(wb.plots.slices(scan, predicted, codes={s: i + 1 for i, s in enumerate(structures)}, at=where,
                            title=titled(f"{case}, predicted outline (Dice {ranked[case]:.2f})")))

# %% [markdown]
# ## 7. Classification: what does one scan tell about the person?
#
# A *linear probe* leaves the encoder as it is and fits one logistic regression on its tokens: if the answer is easy
# to read off, the encoder has made it explicit. **AUROC** is the chance that a random member of one class scores
# higher than one of the other: 0.5 is guessing. Beside the pretrained and the random encoder stands the plainest
# rival there is, the brain's volume in ml. A network that does not beat it has not earned its electricity. `low` and
# `high` are the 95 % interval over people.

# %%
scores = []
for target in [t for t in targets if t in cohort.table and cohort.table[t].nunique() == 2]:
    arms = {"pretrained encoder": ("pretrained", {}), "random encoder": ("random", {"init": "random"}),
            "brain volume": ("volume", {"init": "random", "mode": "brain_volume", "encoder": None})}
    for arm, (name, settings) in arms.items():
        run = wb.classify(out=runs / f"{target}-{name}", target=target, **{**finetuning, **settings})
        found = run.read_table("scores").query("split == 'test' and score == 'auroc'").iloc[0]
        scores.append({"target": target, "from": arm, "people": int(found["n"]), "AUROC": found["estimate"],
                       "low": found["low"], "high": found["high"]})
if scores:
    print(titled("classification of test people"))
    display(pd.DataFrame(scores).round(2))
else:
    print(f"no column of {', '.join(targets)} has two values in this cohort: step 7 is left out")

# %% [markdown]
# With a dozen test people one person more or less on the right side moves the AUROC by several hundredths. Treat
# differences of that size as noise. A value well below 0.5 is noise too, or a classifier that learnt something else.

# %% [markdown]
# ## 8. Embeddings: what sets scans apart?
#
# Each scan's CLS token has a few hundred numbers; UMAP lays scans with similar tokens close together on a plane.
# Coloured by site it answers a sobering question: does the network see brains or scanners? Groups by colour mean
# scanners. A random network is the right thing to compare with, since contrast and noise separate sites without any
# learning.

# %%
look = {"store": runs / "store", "encoder": runs / "pretrain", "seed": seed}
panels = []
for init in ("pretrained", "random"):
    run = wb.embed(out=runs / f"embed-{init}", init=init, **look)
    points = run.read_table("projections").merge(run.read_table("scans"), on="scan_id")
    panel = wb.plots.embedding_scatter(points, "umap_1", "umap_2", "site", title=titled(f"{init} encoder"))
    panels.append(panel.opts(responsive=False, frame_width=300, frame_height=300))
hv.Layout(panels).opts(shared_axes=False)

# %% [markdown]
# Distances between far-away groups, and the axes themselves, mean nothing in a UMAP; only who is next to whom does.
# The points are selectable, and in the explorer (last step) a click on a point opens its scan.

# %% [markdown]
# ## 9. Attention: where does the network look?
#
# In the last block, the CLS token gathers information from the patches with weights that sum to 1. The map shows them
# as multiples of an equal share: 1 means "as much as any patch", 3 means three times as much. The blocks that you see
# are the patches; nothing is smoothed, so that the map does not look finer than it is. Under each map stands how much
# of the attention falls outside the brain, where there is nothing to see, and how much would if all patches got the
# same.

# %%
attention = {init: wb.attend(out=runs / f"attend-{init}", init=init, scans=test_scans, **look)
             for init in ("pretrained", "random")}
for init, run in attention.items():
    weights = wb.read_volume(run.path / "volumes" / f"{case}_desc-attnmean_map.nii.gz")
    display(wb.plots.slices(scan, weights, overlay_value="attention, times an equal share", opacity=0.5,
                            title=titled(f"{case}, attention of the {init} encoder")))
    outside = run.read_table("attention").query("head == 'mean'")[["outside_brain", "outside_if_even"]].mean()
    print(f"{init} encoder: {outside['outside_brain']:.1%} of the attention falls outside the brain, spread evenly it "
          f"would be {outside['outside_if_even']:.1%} (mean of {len(test_scans)} test scans)")

# %% [markdown]
# Attention is not an explanation. A random network has bright patches too, which is why its map stands beside the
# other one; only what differs between them can be due to learning, and even that says where information was *taken
# from*, not that it was used for a decision.

# %% [markdown]
# ## What these numbers can and cannot show
#
# They show that the whole chain works on this machine, from files to figures, and that nobody was tested on whom
# training had seen. They **cannot** show that pretraining helps, or that it does not: one seed, one split, a handful
# of test people and minutes of training leave every difference here within the reach of chance. And simulated brains
# are smooth deformations of one template; whatever is found in them is a statement about the method, never about
# patients. For evidence, use real cohorts with sites held out, several seeds and folds, learning rates tuned alike
# for both arms, and hours rather than minutes.
#
# ## Everything that was written

# %%
made = wb.find_runs(runs)
pd.DataFrame([{"run": name, "job": run.job, "state": run.status["state"], "seconds": run.status.get("seconds"),
               "simulated": run.simulated} for name, run in made.items()])

# %% [markdown]
# ## Go on: the explorer
#
# The explorer shows these runs in your browser: click a point of the embedding to open its scan in three planes and
# 3D, and lay attention and segmentations over it. It listens on your own machine only. Start it in a terminal with
# the line printed below.
#
# For your own scans set `bids` to your folder and `out` to a new one in the settings, or run this notebook from a
# terminal:
#
# ```
# workbench notebook --out runs/report --notebook notebooks/quickstart.ipynb \
#     --parameters bids=/data/study out=runs/study
# ```
#
# which leaves the executed notebook and an HTML report that opens anywhere.

# %%
numbers = {f"auroc_{row['target']}_{row['from'].replace(' ', '_')}": row["AUROC"] for row in scores}
if labelled:
    numbers |= {f"dice_{column}": people[column].mean() for column in people}
wb.record(out, scans=len(cohort.table), set_aside=len(cohort.set_aside), simulated=cohort.simulated, **numbers)
print(f"workbench explore {runs}")
