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
#   title: 7. Domain shift
# ---

# %% [markdown]
# # 7. Domain shift: how far apart are the sites, and what would another scanner change?
#
# **Questions: how much of the scanner is in the embedding? Is it the people (age, sex) or the machine? And how far
# does a scan move if only its acquisition changes?**
#
# A method that works at one hospital often fails at the next, because the encoder reads the scanner as well as the
# brain. The first half of this notebook compares sites; the second half keeps the people and changes the scanner.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings
#
# `embed` is the folder of notebook 06. `segment` and `classify` are runs of 03 and 04; set either to `None` to leave it
# out.

# %% tags=["parameters"]
out = "runs/07_domain_shift"  # folder of this notebook's runs: shift-pretrained, shift-random, whatif
embed = "runs/06_embeddings"  # folder with the embed runs pretrained and random
store = "runs/01_cohort/store"  # WhatifConfig.store (needed): prepared scans
encoder = "runs/02_pretrain/encoder"  # WhatifConfig.encoder (needed): the pretraining run
segment = "runs/03_segmentation/pretrained"  # WhatifConfig.segment (None): segment run whose Dice is followed
classify = "runs/04_classification/pretrained"  # WhatifConfig.classify (None): classify run whose score is followed
site = "site"  # ShiftConfig.site (site): column that says where a scan comes from
covariates = ["age", "sex"]  # ShiftConfig.covariates (age, sex): taken out before sites are compared again
smallest_site = 5  # ShiftConfig.smallest_site (5): sites with fewer people are left out
permutations = 1000  # ShiftConfig.permutations (1000): of the people's sites, for the p values
changes = [
    "gamma", "bias", "noise", "blur", "thick_slices",
]  # WhatifConfig.changes (gamma, bias, noise, blur, thick_slices, ghosting, rotation): what another scanner would do
strengths = [0.25, 0.5, 1.0]  # WhatifConfig.strengths (0.25, 0.5, 0.75, 1.0): shares of the full change
people = 6  # WhatifConfig.people (12): people whose scans are changed
seed = 0  # ShiftConfig.seed (0): of folds, permutations and draws

# %%
from pathlib import Path

import holoviews as hv
import pandas as pd
from IPython.display import display

import workbench as wb

wb.plots.offline()
runs = Path(out).resolve()

# %% [markdown]
# ## Can the site be told from the embedding?
#
# A classifier is trained on some people's vectors to name the site, and tested on others. The *balanced accuracy* is 1
# where it always knows, and one over the number of sites where it can only guess (`chance`). Being able to name the
# site is **bad** news for a method that shall work anywhere.

# %%
shifts = {init: wb.shift(
    out=runs / f"shift-{init}", embed=Path(embed) / init, site=site, covariates=covariates, smallest_site=smallest_site,
    permutations=permutations, seed=seed, task=segment if init == "pretrained" else None)
    for init in ("pretrained", "random")}
simulated = any(run.simulated for run in shifts.values())
titled = wb.plots.titles(simulated)
measured = pd.concat([run.read_table("shift").assign(weights=init) for init, run in shifts.items()], ignore_index=True)
for note in shifts["pretrained"].read_table("notes")["note"]:
    print("note:", note)
predicted = measured[measured["measure"].str.startswith("site predicted")].copy()
predicted["row"] = predicted["weights"] + ", " + predicted["space"] + " (n = " + predicted["people"].astype(str) + ")"
display(wb.plots.intervals(predicted, "row", estimate="value", reference=float(predicted["chance"].iloc[0]),
                           quantity="balanced accuracy of the site (95 % interval; dashed: chance)",
                           title=titled("is the site in the embedding?")))
predicted[["weights", "space", "people", "sites", "value", "low", "high", "chance"]].round(2)

# %% [markdown]
# How to read the rows:
#
# - `as it is`: the vectors as the encoder gives them;
# - `without age, sex`: what these explain was taken out. If the accuracy falls, the *people* of the sites differed;
#   what remains is the machine, or something about the people that the table does not know;
# - `ComBat`: after harmonisation (fitted on training people alone), told to leave in what the note above calls kept. It
#   should be close to chance; where it is below chance, the correction has overdone it, which is usual with few people;
# - `random`: the same architecture without learning. If it is as good, the site is in the plain contrast of the images.
#
# ## Which sites are how far apart?
#
# Two distances between the clouds of two sites: *MMD²* and *energy distance*. Both are 0 for two draws from the same
# cloud; the p value is from shuffling people between the two sites, with Holm's correction for the number of pairs.

# %%
pairs = shifts["pretrained"].read_table("site_pairs")
print(titled("distances between sites, pretrained weights"))
pairs[pairs["space"] == "as it is"][["site_a", "site_b", "people_a", "people_b", "mmd2", "mmd2_p_holm", "energy",
                                     "energy_p_holm"]].round(3)

# %% [markdown]
# ## Does the task suffer with the distance?
#
# The score of the task by site, beside how far that site's people are from those the task was trained on. With so few
# sites this is a look, not a test. People of one site are near and far too: the second table has Spearman's correlation
# of score and distance over people, over everybody and within each site of eight tested people or more. Below 0 means
# that the score falls with distance.

# %%
if "task" in shifts["pretrained"].tables():
    print(titled("score by site and distance from the training people"))
    display(shifts["pretrained"].read_table("task").round(3))
    print(titled("how the score goes with distance, over people, with 95 % intervals"))
    display(shifts["pretrained"].read_table("task_distance").round(2))
else:
    print("No task was given.")

# %% [markdown]
# ## What if it were another scanner?
#
# Comparing sites mixes the scanner with the people. Here the people stay and their scans are changed step by step:
# contrast (`gamma`), `bias` field, `noise`, `blur`, `thick_slices`. Strength 1 is a strong change: noise of half the
# brain's standard deviation, a blur of two voxels, slices four times as thick (`workbench whatif --help` has all of
# them). `moved` tells how far the embedding goes, in units of the spread of people within a site: 1 means that changing
# the scanner moves a person as far as another person of the same site would be.

# %%
whatif = wb.whatif(out=runs / "whatif", embed=Path(embed) / "pretrained", store=store, encoder=encoder,
                   changes=changes, strengths=strengths, people=people, segment=segment,
                   classify=classify, seed=seed)
curves = whatif.read_table("curves")
unit = whatif.read_table("unit").iloc[0]


def over_strength(measure, words):
    rows = curves[curves["measure"] == measure]
    return wb.plots.run_curves({change: part for change, part in rows.groupby("change")}, "value", x="strength",
                               label=words, title=titled(words), width=280)


shown = {"moved": "embedding moved (spreads within a site)",
         "attention_correlation": "attention: correlation with before", "dice": "Dice against the labels"}
hv.Layout([over_strength(measure, words) for measure, words in shown.items()
           if curves.loc[curves["measure"] == measure, "value"].notna().any()]).opts(shared_axes=False).cols(2)

# %%
strongest = curves[(curves["strength"] == max(strengths)) & curves["measure"].isin(shown)]
print(titled(f"at strength {max(strengths):g}, mean of {int(curves['people'].max())} people with 95 % intervals"))
display(strongest.pivot(index="change", columns="measure", values=["value", "low", "high"]).swaplevel(axis=1)
        .sort_index(axis=1, level=0, sort_remaining=False).round(2))
print(titled(f"for comparison: the means of the sites are {unit['between_site_means']:.2f} spreads apart"))

# %% [markdown]
# A change that moves scans farther than the sites are apart is a likely reason for their distance, though not a proof.
#
# ### Do decisions flip?
#
# Does the classifier of notebook 04 call a changed scan the other class, and at what strength first (`earliest`; `NaN`
# where none did)?

# %%
flips = whatif.read_table("flips")
if flips["score_unchanged"].notna().any():
    print(titled("scans whose class changes before the full strength"))
    display(flips.groupby("change").agg(scans=("scan_id", "nunique"), flipped=("flips_at", "count"),
                                        earliest=("flips_at", "min")).round(2))
else:
    print("No classifier was given.")

# %% [markdown]
# ## What this can show, and what not
#
# That the site can be predicted shows that it is *in* the vectors, not that a task uses it. ComBat can take out biology
# where sites differ in it. And changes made by a formula are plainer than a real scanner's.

# %%
def accuracy(weights):
    return predicted[(predicted["weights"] == weights) & (predicted["space"] == "as it is")].iloc[0]


moved = strongest[strongest["measure"] == "moved"].set_index("change")["value"]
wb.record(out, site_accuracy=accuracy("pretrained")["value"], site_accuracy_low=accuracy("pretrained")["low"],
          site_accuracy_high=accuracy("pretrained")["high"], site_accuracy_random=accuracy("random")["value"],
          chance=accuracy("pretrained")["chance"], people=int(accuracy("pretrained")["people"]),
          most_moving_change=str(moved.idxmax()), moved=moved.max(), simulated=simulated)
print("\n".join(str(run.path) for run in [*shifts.values(), whatif]))
