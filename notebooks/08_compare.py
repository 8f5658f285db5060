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
# **Question: of two arms that were tested on the same people, is one better, and how sure can one be?**
#
# This notebook trains nothing. It reads finished runs of notebooks 03 and 04, pairs them person by person, and states
# for each comparison the difference, its 95 % interval, a p value that is corrected for the number of comparisons, and
# one sentence that does not say more than that.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings
#
# A comparison is a pair of run folders of the same job: `[first, second]`, and the difference is first minus second.
# **Decide which ones you want before you look at results.** Each further one makes the correction stricter, as it must.

# %% tags=["parameters"]
out = "runs/08_compare"  # folder of this notebook's results
pairs = [
    ["runs/03_segmentation/pretrained", "runs/03_segmentation/random"],
    ["runs/04_classification/pretrained", "runs/04_classification/random"],
    ["runs/04_classification/pretrained", "runs/04_classification/brain_volume"],
]  # the comparisons, each two finished runs of segment or of classify
alpha = 0.05  # a difference is called shown if the interval excludes 0 and the corrected p is below this
seed = 0  # of the resampling

# %%
from pathlib import Path

import pandas as pd
from IPython.display import display

from workbench import plots
from workbench.batch import record
from workbench.errors import WorkbenchError
from workbench.plots.cells import titles
from workbench.plots.estimates import by_group, intervals
from workbench.runs import Run
from workbench.stats import compare, delong, holm, paired_people, verdict
from workbench.stats.interval import Interval

plots.offline()

# %% [markdown]
# ## Are the arms comparable?
#
# Two arms are a fair pair if they differ only in what is asked about. Below are the settings in which they differ; if
# more stands there than you meant to change, the comparison answers another question.

# %%
def differences(a, b):
    one, other = a.config, b.config
    return {name: f"{one.get(name)} | {other.get(name)}" for name in sorted(one.keys() | other.keys())
            if name != "out" and one.get(name) != other.get(name)}


opened = [(Run(a).require_ok(), Run(b).require_ok()) for a, b in pairs]
for a, b in opened:
    if a.job != b.job or a.job not in ("segment", "classify"):
        raise WorkbenchError(f"{a.path} and {b.path}: cannot be compared", cause=f"runs of '{a.job}' and '{b.job}'",
                             remedy="give two runs of segment, or two of classify")
simulated = any(run.simulated for pair in opened for run in pair)
titled = titles(simulated)
marks = (["simulated data"] if simulated else []) + (
    ["transductive"] if any(run.provenance.get("transductive") for pair in opened for run in pair) else [])
pd.DataFrame([{"comparison": f"{a.path.parent.name}: {a.name} − {b.name}", "job": a.job,
               "differ in": "; ".join(f"{name}: {values}" for name, values in differences(a, b).items())}
              for a, b in opened]).style.hide(axis="index")

# %% [markdown]
# ## The differences
#
# For segmentations: mean Dice of each person under both arms, a bootstrap interval of the mean difference over people,
# and a permutation test that flips the sign of people's differences. For classifications: AUROC, DeLong's interval and
# test. p values are corrected together (Holm).

# %%
def segmented(a, b):
    tables = [run.read_table("dice").query("split == 'test'") for run in (a, b)]
    found = compare(tables[0]["dice"], tables[0]["participant"].to_numpy(str), tables[1]["dice"],
                    tables[1]["participant"].to_numpy(str), seed=seed)
    return {"what": "Dice", "first": found.mean_a, "second": found.mean_b, "interval": found.interval, "p": found.p,
            "detectable": found.detectable}


def classified(a, b):
    tables = [run.read_table("predictions").query("split == 'test'") for run in (a, b)]
    names, scores_a, scores_b = paired_people(tables[0]["score"], tables[0]["participant"].to_numpy(str),
                                              tables[1]["score"], tables[1]["participant"].to_numpy(str))
    truth = tables[0].drop_duplicates("participant").set_index("participant")["truth"]
    test = delong(scores_a, scores_b, (truth[names] == a.provenance["positive"]).to_numpy())
    return {"what": f"AUROC of {a.config['target']}", "first": test.a, "second": test.b,
            "interval": Interval(test.a - test.b, test.low, test.high, len(names)), "p": test.p, "detectable": None}


rows = [{"comparison": f"{a.name} − {b.name}", **(segmented if a.job == "segment" else classified)(a, b)}
        for a, b in opened]
for row, p in zip(rows, holm([row["p"] for row in rows]), strict=True):
    row["p (Holm)"] = float(p)
table = pd.DataFrame([{**{key: row[key] for key in ("comparison", "what", "first", "second")},
                       "difference": row["interval"].estimate, "low": row["interval"].low, "high": row["interval"].high,
                       "n": row["interval"].n, "p": row["p"], "p (Holm)": row["p (Holm)"]} for row in rows])
print(titled(f"{len(table)} comparisons on test people, first − second"))
table.round(3)

# %%
drawn = table.assign(row=table["what"] + ": " + table["comparison"] + " (n = " + table["n"].astype(str) + ")")
intervals(drawn, "row", estimate="difference", reference=0.0, quantity="difference (95 % interval; dashed: none)",
          title=titled("first arm − second arm"))

# %% [markdown]
# ## What may be said
#
# "No difference shown" is not "there is no difference": it says what this number of people could not find. For Dice the
# sentence adds how large a difference would have had to be.

# %%
sentences = [verdict(row["interval"], a=row["comparison"].split(" − ")[0], b=row["comparison"].split(" − ")[1],
                     what=row["what"], p=row["p (Holm)"], comparisons=len(rows), detectable=row["detectable"],
                     alpha=alpha, marks=marks) for row in rows]
print("\n\n".join(sentences))

# %% [markdown]
# ## Person by person
#
# A mean difference may come from everybody a little or from one person alone. Each point is a test person, above the
# site that the scan comes from.

# %%
def paired_differences(a, b):
    """A row a test person: the Dice of run a minus that of run b."""
    of_a, of_b = (run.read_table("dice").query("split == 'test'").groupby(["participant", "site"])["dice"].mean()
                  for run in (a, b))
    return (of_a - of_b).rename("difference").dropna().reset_index()


for a, b in opened:
    if a.job == "segment":
        display(by_group(paired_differences(a, b), "difference", "site", quantity="difference of Dice", width=420,
                         title=titled(f"Dice, {a.name} − {b.name}, each test person")))

# %% [markdown]
# ## What this can show, and what not
#
# The intervals hold for *these two trained networks* and other people like the tested ones. They do not contain how
# much the result would change if pretraining were repeated with another seed, which may be more than all of it. For a
# claim about the *method*, repeat pretraining and the fine-tunings with several seeds and give `compare(…, seeds_a=,
# seeds_b=)` the seed of each row.

# %%
first = table.iloc[0]
Path(out).mkdir(parents=True, exist_ok=True)
table.to_csv(Path(out) / "comparisons.csv", index=False)
record(out, comparisons=len(table), what=first["what"], people=int(first["n"]), difference=first["difference"],
       difference_low=first["low"], difference_high=first["high"], p_holm=first["p (Holm)"],
       sentence=sentences[0], simulated=simulated)
print(Path(out).resolve() / "comparisons.csv")
