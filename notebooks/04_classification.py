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
#   title: 4. Classification
# ---

# %% [markdown]
# # 4. Classification: what does one scan tell about the person?
#
# **Question: can a label of the person be read off the frozen encoder, and is that better than from random weights, or
# from the volume of the brain alone?**
#
# A *linear probe* leaves the encoder as it is and fits one logistic regression on its tokens. If the answer is easy to
# read off, the encoder has made it explicit. Beside it stand the same probe on random weights, and the plainest rival
# there is: one number a scan, the volume in the brain mask. A network that does not beat it has not earned its
# electricity.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings
#
# `target` is a column of the cohort with two values, such as `sex`. Of the two the alphabetically later one counts as
# positive.

# %% tags=["parameters"]
out = "runs/04_classification"  # folder of this notebook's runs, one for each arm
store = "runs/01_cohort/store"  # ClassifyConfig.store (needed): prepared scans
split = "runs/01_cohort/split"  # ClassifyConfig.split (needed): whom to train on and whom to test on
encoder = "runs/02_pretrain/encoder"  # ClassifyConfig.encoder (None): the pretraining run
target = "diagnosis"  # ClassifyConfig.target (sex): what is predicted
specificity = 0.9  # ClassifyConfig.specificity (0.9): where the sensitivity is read off
seed = 0  # ClassifyConfig.seed (0): of random weights and folds

# %%
from pathlib import Path

import pandas as pd
from IPython.display import display

import workbench as wb

wb.plots.offline()
runs = Path(out).resolve()

# %% [markdown]
# ## Three arms, the same people

# %%
task = {"store": store, "split": split, "target": target, "specificity": specificity, "seed": seed}
arms = {
    "pretrained": wb.classify(out=runs / "pretrained", encoder=encoder, **task),
    "random weights": wb.classify(out=runs / "random", encoder=encoder, init="random", **task),
    "brain volume": wb.classify(out=runs / "brain_volume", mode="brain_volume", init="random", **task),
}
simulated = any(run.simulated for run in arms.values())
titled = wb.plots.titles(simulated)
positive = arms["pretrained"].provenance.get("positive")
if positive is None:
    raise wb.WorkbenchError(f"target '{target}': not two classes",
                            remedy="choose a column with two values for this notebook")
tables = {arm: run.read_table("predictions") for arm, run in arms.items()}
one = tables["pretrained"].drop_duplicates("participant")
print(titled(f"people by side and {target}; '{positive}' counts as positive"))
pd.crosstab(one["split"], one["truth"], margins=True)

# %% [markdown]
# ## The scores, by person
#
# - **AUROC**: the chance that a random person of the positive class scores higher than one of the other; 0.5 is
#   guessing.
# - **Balanced accuracy**: mean of the share found right in either class; 0.5 is guessing.
# - **Sensitivity** at a specificity: who is found if at most every tenth of the others may be called wrongly.
# - **Brier score**: mean squared error of the probability; smaller is better, always saying ½ gives 0.25.
#
# Scans of one person are averaged first. Intervals are 95 %, from resampling people within each class.

# %%
scores = pd.concat([run.read_table("scores").query("split == 'test'").assign(arm=arm) for arm, run in arms.items()])
wide = scores[scores["score"] != "ece"].copy()
wide["shown"] = [f"{row.estimate:.2f} [{row.low:.2f}, {row.high:.2f}]" for row in wide.itertuples()]
print(titled(f"scores of {int(scores['n'].max())} test people"))
wide.pivot(index="arm", columns="score", values="shown").loc[list(arms)]

# %%
auroc = scores[scores["score"] == "auroc"]
people = {arm: rows[rows["split"] == "test"].groupby("participant").agg(
    score=("score", "mean"), truth=("truth", "first")) for arm, rows in tables.items()}
display(wb.plots.intervals(auroc, "arm", quantity="AUROC (95 % interval)", reference=0.5,
                           title=titled(f"{target}, test people")))
wb.plots.roc_curves({arm: (rows["score"], rows["truth"] == positive) for arm, rows in people.items()},
                    title=titled(f"ROC for {target} = {positive}"))

# %% [markdown]
# Each step of a curve is one person. With a dozen people one more on the right side moves the AUROC by several
# hundredths. A value well below 0.5 is noise too, or a probe that learnt something else, such as the scanner.

# %% [markdown]
# ## The comparisons
#
# DeLong's test asks whether two AUROCs on the *same* people differ. An interval of the difference that contains 0 means
# that none is shown.

# %%
pairs = [("pretrained", "random weights"), ("pretrained", "brain volume")]
rows = []
for a, b in pairs:
    names, score_a, score_b = wb.stats.paired_people(people[a]["score"], people[a].index.to_numpy(str),
                                                     people[b]["score"], people[b].index.to_numpy(str))
    is_positive = (people[a].loc[names, "truth"] == positive).to_numpy()
    if min(is_positive.sum(), (~is_positive).sum()) < 2:
        print(f"{a} and {b}: fewer than two test people of a class, so there is no test")
        continue
    test = wb.stats.delong(score_a, score_b, is_positive)
    rows.append({"a": a, "b": b, "people": len(names), "AUROC of a": test.a, "AUROC of b": test.b,
                 "difference": test.a - test.b, "low": test.low, "high": test.high, "p (DeLong)": test.p})
print(titled("paired differences of AUROC"))
differences = pd.DataFrame(rows)
differences.round(3)

# %% [markdown]
# ## Is a probability of 0.8 right in eight of ten cases?
#
# *Calibration*: people in bins of the predicted probability (from `low` to `high`; empty bins are left out), the mean
# of what was `predicted` for them, and the share of them that was truly positive (`observed`). A probe on few people
# is rarely calibrated; with fewer than about ten people in a bin its share means little.

# %%
calibration = arms["pretrained"].read_table("reliability").query("split == 'test'")
print(titled("calibration of the pretrained arm, test people"))
calibration.drop(columns="split").round(2)

# %% [markdown]
# ## What this can show, and what not
#
# Whether a label can be read off says nothing about *why*. If patients are older or come from another scanner, age or
# the scanner is enough; look at notebook 01's table again, and at notebook 07. And one split of a few dozen people is
# an anecdote: use several seeds and held-out sites before you believe a difference.

# %%
of = auroc.set_index("arm")
wb.record(out, people=int(of.loc["pretrained", "n"]), auroc=of.loc["pretrained", "estimate"],
          auroc_low=of.loc["pretrained", "low"], auroc_high=of.loc["pretrained", "high"],
          auroc_random=of.loc["random weights", "estimate"], auroc_volume=of.loc["brain volume", "estimate"],
          target=target, simulated=simulated)
print("\n".join(str(run.path) for run in arms.values()))
