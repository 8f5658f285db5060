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
#   title: 3. Segmentation
# ---

# %% [markdown]
# # 3. Segmentation: does pretraining help to outline a structure?
#
# **Question: with the same labels, the same steps and the same architecture, is the outline better if the encoder was
# pretrained?**
#
# A decoder (UNETR) is put on the encoder of notebook 02, and both are trained on the training people's outlines. This
# is done twice, once from the pretrained weights and once from random ones. Only this *pair* of runs can tell what
# pretraining contributed; a good Dice of the first alone may come from the architecture or from the labels.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings

# %% tags=["parameters"]
out = "runs/03_segmentation"  # folder of this notebook's runs, one for each arm
store = "runs/01_cohort/store"  # SegmentConfig.store (needed): prepared scans
split = "runs/01_cohort/split"  # SegmentConfig.split (needed): whom to train on and whom to test on
encoder = "runs/02_pretrain/encoder"  # SegmentConfig.encoder (None): the pretraining run
structures = ["left_hippocampus", "right_hippocampus"]  # SegmentConfig.structures (the same): what is outlined
steps = 120  # SegmentConfig.steps (400): optimiser steps
features = 8  # SegmentConfig.features (16): channels of the decoder at full resolution
learning_rate = 0.003  # SegmentConfig.learning_rate (0.0001): peak of AdamW's learning rate
label_fraction = 1.0  # SegmentConfig.label_fraction (1.0): share of the training people whose outlines are used
seed = 0  # SegmentConfig.seed (0): of new weights, order and augmentation

# %%
from pathlib import Path

import pandas as pd
from IPython.display import display

import workbench as wb

wb.plots.offline()
runs = Path(out).resolve()

# %% [markdown]
# ## Two arms that differ in nothing but their first weights
#
# Interrupt the cell if you must: each arm saves its state and goes on when you run the cell again.

# %%
arms = {init: wb.segment(
    out=runs / init, init=init, store=store, split=split, encoder=encoder, structures=structures, steps=steps,
    features=features, learning_rate=learning_rate, label_fraction=label_fraction, seed=seed)
    for init in ("pretrained", "random")}
simulated = any(run.simulated for run in arms.values())
titled = wb.plots.titles(simulated)
who = arms["pretrained"].provenance["participants"]
print(titled(f"trained on {len(who['train'])} people, tested on {len(who['test'])} others"))
wb.plots.run_curves({f"{init} weights": run.metrics() for init, run in arms.items()}, "loss",
                    title=titled("training loss"), width=560)

# %% [markdown]
# A faster fall of one curve is a hint, not a result: the loss is on the training people.
#
# ## The scores, by person
#
# - **Dice**: overlap of two outlines, 0 (none) to 1 (the same voxels).
# - **HD95**: the distance in mm that 95 % of the one surface keeps from the other; an empty outline counts as the
#   diagonal of the scan.
# - **Surface Dice**: share of the two surfaces that lie within 1 mm of each other.
# - **Volume error**: predicted minus true volume, in ml.
#
# Left and right of one head are not two independent pieces of evidence: scores are averaged within a person first, and
# `n` counts people. All are computed in each scan's own space. The interval is a 95 % bootstrap interval of the mean
# over people.

# %%
scores = pd.concat([run.read_table("dice").query("split == 'test'").assign(arm=init) for init, run in arms.items()])
measures = ["dice", "hd95_mm", "surface_dice_1mm", "volume_error_ml"]
people = scores.groupby(["arm", "site", "participant"])[measures].mean().reset_index()


def estimate(values):
    found = wb.stats.bootstrap_interval(values.to_numpy(), seed=seed)
    return {"n": found.n, "estimate": found.estimate, "low": found.low, "high": found.high}


print(titled(f"means over {people['participant'].nunique()} test people, with 95 % intervals"))
pd.DataFrame([{"measure": measure, "arm": arm, **estimate(rows[measure])}
              for measure in measures for arm, rows in people.groupby("arm")]).round(3)

# %% [markdown]
# ## By site
#
# A mean over sites hides a site where the method fails.

# %%
by_site = pd.DataFrame([{"site": site, "arm": arm, **estimate(rows["dice"])}
                        for (site, arm), rows in people.groupby(["site", "arm"])])
by_site["row"] = by_site["site"] + ", " + by_site["arm"] + " (n = " + by_site["n"].astype(str) + ")"
display(wb.plots.intervals(by_site, "row", quantity="Dice", title=titled("Dice of test people by site")))
by_site.drop(columns="row").round(3)

# %% [markdown]
# ## The comparison
#
# The same person under both networks: pretrained minus random. This difference, not the two means above, is the
# evidence, because it takes out that some brains are harder than others. The sentence below is made from the numbers
# and never says more than they do. Under it are the numbers themselves, where *a* is the pretrained arm.

# %%
by_arm = {arm: rows for arm, rows in people.groupby("arm")}
found = wb.stats.compare(by_arm["pretrained"]["dice"], by_arm["pretrained"]["participant"],
                         by_arm["random"]["dice"], by_arm["random"]["participant"], seed=seed)
print(wb.stats.verdict(found.interval, a="pretrained", b="random weights", what="Dice", p=found.p,
                       detectable=found.detectable,
                       marks=["simulated data"] if simulated else []))
found

# %% [markdown]
# ## How it looks
#
# Numbers hide how an outline looks. Shown first is the person whose Dice is the median, not the best; in JupyterLab the
# menu goes from the worst to the best. Above the true outline (blue), below the predicted one (orange).

# %%
ranked = arms["pretrained"].read_table("dice").query("split == 'test'").groupby("scan_id")["dice"].mean().sort_values()
prepared = wb.open_store(store)
files = prepared.index.set_index("scan_id")


def outlines(scan_id):
    scan = wb.read_volume(files.loc[scan_id, "path"])
    truth = wb.read_volume(files.loc[scan_id, "seg_path"], labels=True)
    predicted = wb.read_volume(arms["pretrained"].path / "volumes" / f"{scan_id}_dseg.nii.gz", labels=True)
    true_codes = {name: prepared.codes(scan_id, name)[0] for name in structures}
    own_codes = {name: i + 1 for i, name in enumerate(structures)}
    where = wb.plots.densest_point(truth, true_codes.values())  # both at one place
    return (wb.plots.slices(scan, truth, codes=true_codes, source="truth", at=where)
            + wb.plots.slices(scan, predicted, codes=own_codes, at=where)).opts(
        title=titled(f"{scan_id}: true and predicted outline, Dice {ranked[scan_id]:.2f}"), shared_axes=False).cols(3)


wb.plots.choose(outlines, list(ranked.index), ranked.index[len(ranked) // 2])

# %% [markdown]
# ## What this can show, and what not
#
# The interval is about other people under *these two trained networks*. It does not contain that another seed of
# pretraining or of fine-tuning might turn the difference round, and where it shows none, the sentence says which
# difference so few people could have found. After so few steps both arms are far from trained: a head start is not a
# better end. And a decoder with a path from the voxels solves an easy task without an encoder, so "no difference" on
# easy data does not mean that pretraining is useless. For evidence use several pretraining seeds, sites held out
# (`train_sites`, `test_sites`), fewer labels (`label_fraction`) and a learning rate chosen for each arm on validation
# people. Notebook **08** does this for any number of encoders and tasks.

# %%
wb.record(out, people=found.interval.n, dice=found.mean_a, dice_random=found.mean_b, difference=found.interval.estimate,
          difference_low=found.interval.low, difference_high=found.interval.high, p=found.p, simulated=simulated)
print("\n".join(str(run.path) for run in arms.values()))
