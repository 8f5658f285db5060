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
#   title: 1. The cohort
# ---

# %% [markdown]
# # 1. The cohort: what came in, what was set aside, and how sites differ
#
# **Question: which scans may be used, whose are they, and could a network tell the sites apart before it has learnt
# anything about brains?**
#
# Every study with this workbench begins here. Folders of scans go in; out come a checked table of scans (*cohort*), a
# division of the people (*split*) and the scans on one grid and one intensity scale (*store*). Notebooks 02 to 08 read
# these three folders. Without data of your own, leave the settings as they are: a small cohort is simulated, one of its
# scans is damaged on purpose, and we watch what happens to it.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings
#
# Each line names the setting of the library that it sets, with the library's default in brackets.

# %% tags=["parameters"]
out = "runs/01_cohort"  # folder of this notebook's runs: bids, cohort, split, store
sources = None  # your own BIDS or Decathlon folders or CSV tables, a list of paths; None simulates a cohort
damage = 1  # how many of the simulated scans are cut short, to see them set aside
participants = 36  # SimulateConfig.participants (72): people in the simulated cohort
source_spacing = 2.5  # SimulateConfig.spacing (2.0): voxel size of the simulated scans, mm
fractions = [0.6, 0.0, 0.4]  # SplitConfig.fractions (0.8, 0.0, 0.2): people for training, validation, test
stratify = ["site", "diagnosis", "sex"]  # SplitConfig.stratify (site, sex): columns kept alike over the parts
spacing = 2.5  # PrepareConfig.spacing (1.0): voxel size after preparation, mm
seed = 0  # SplitConfig.seed (0): of the simulation and the split

# %%
from pathlib import Path

import holoviews as hv
import pandas as pd
from IPython.display import display

import workbench as wb

wb.plots.offline()  # the saved notebook then needs no network to show its figures
runs = Path(out).resolve()

# %% [markdown]
# ## What comes in
#
# If you gave no `sources`, the next cell writes a simulated study: a [BIDS](https://bids.neuroimaging.io) folder with
# T1-weighted scans from three "scanners", a table of people and outlines of the hippocampi. Then it cuts a file in two,
# as a full disk or a broken transfer would.

# %%
if sources is None:
    wb.simulate(out=runs / "bids", participants=participants, spacing=source_spacing, seed=seed)
    sources = [runs / "bids"]
    if not (runs / "cohort").exists():
        for scan in sorted((runs / "bids").glob("sub-*/anat/*_T1w.nii.gz"))[:damage]:
            scan.write_bytes(scan.read_bytes()[:1000])
            print(f"cut short on purpose: {scan.name}")

# %% [markdown]
# ## Every file is opened and checked
#
# Is it readable to the last voxel, three-dimensional, not empty, and does its header say where left and right are? A
# scan that fails is *set aside* with its cause and a remedy, and the rest goes on. Nothing is repaired by guessing: a
# wrong left and right is worse than a missing scan.

# %%
wb.cohort(out=runs / "cohort", sources=sources)
cohort = wb.load_cohort(runs / "cohort")
titled = wb.plots.titles(cohort.simulated)
people = cohort.table["participant"].nunique()
print(titled(f"{len(cohort.table)} scans of {people} people can be used, {len(cohort.set_aside)} files were set aside"))
cohort

# %%
if len(cohort.set_aside):
    with pd.option_context("display.max_colwidth", None):
        display(cohort.set_aside.assign(path=cohort.set_aside["path"].map(lambda path: Path(path).name))
                [["path", "kind", "cause", "remedy"]])
else:
    print("Nothing was set aside.")

# %% [markdown]
# ## Who is there, by site
#
# This is the table to look at before any result. If patients come from one scanner and controls from another, a
# network that tells the scanners apart seems to tell the patients apart. The same holds for age and sex. `axes` says
# in which directions the files store their voxels (`RAS`: to the right, to the front, upwards); mixtures are fine.
# `scans`, `outlined` and `axes` are of scans, everything after them of people.

# %%
table = cohort.table.assign(site=cohort.table["site"].fillna("unknown"))
person = table.drop_duplicates(["participant", "site"])  # somebody scanned twice at a site counts once
by_site = table.groupby("site").agg(
    scans=("scan_id", "size"), outlined=("seg_path", "count"), axes=("axcodes", lambda s: ", ".join(sorted(set(s)))))
by_site = by_site.join(person.groupby("site").agg(
    people=("participant", "size"), women=("sex", lambda s: (s == "F").sum()), men=("sex", lambda s: (s == "M").sum()),
    age=("age", "mean")))
if "diagnosis" in person:
    diagnoses = pd.crosstab(person["site"], person["diagnosis"].fillna("unknown"))
    by_site = by_site.join(diagnoses.add_prefix("diagnosis "))
by_site.round(1)

# %%
if cohort.table["age"].notna().any():
    display(wb.plots.by_group(table, "age", "site", quantity="age (years)", title=titled("age of each scan by site")))

# %% [markdown]
# The black line is the median of a site. Clouds at different heights mean that age and site go together; notebook 07
# can then take age out before it compares sites, but only where their ages overlap.

# %% [markdown]
# ## The split: by person, once, for everything
#
# All scans of one person stay on one side. The same split serves pretraining, fine-tuning and testing, because an
# encoder that has seen a test person's brain, even without its label, has an advantage that no new patient gives it.

# %%
known = tuple(column for column in stratify if column in cohort.table and cohort.table[column].notna().any())
wb.split(out=runs / "split", cohort=runs / "cohort", fractions=fractions, stratify=known, seed=seed)
parts = wb.load_split(runs / "split")
pd.crosstab(*(table[["participant", "site"]].drop_duplicates().merge(parts, on="participant")[name]
              for name in ("site", "split")))

# %% [markdown]
# The numbers are people, not scans.
#
# ## Preparation, and quality control by site
#
# Each scan is turned to one orientation, resampled to cubic voxels, cropped to the brain, and its intensities become
# z-scores of its own brain (0 is its mean, 1 a standard deviation). Differences in grid and brightness are gone after
# this. Contrast, noise and sharpness still differ.

# %%
prepared = wb.prepare(out=runs / "store", cohort=runs / "cohort", spacing=spacing)
store = wb.open_store(runs / "store")
late = prepared.read_table("set_aside")
print(titled(f"{len(store.scan_ids)} scans prepared at {store.spacing:g} mm, {len(late)} more set aside on the way"))
index = store.index.assign(site=store.index["site"].fillna("unknown"),
                           slice_mm=store.index[["sx", "sy", "sz"]].max(axis=1))
hv.Layout([wb.plots.by_group(index, "brain_ml", "site", quantity="volume in the mask (ml)",
                             title=titled("volume by site")),
           wb.plots.by_group(index, "slice_mm", "site", quantity="longest edge of a voxel as stored (mm)",
                             title=titled("resolution by site"))]).opts(shared_axes=False)

# %% [markdown]
# A volume far from its site's others is the most common sign of a mask that failed. How the mask was found matters as
# much: `given` came with the data, `nonzero` means a scan that was skull-stripped before (all but its constant
# background), `head` a scan with its skull. Volumes of different kinds are not comparable, and a network sees the
# difference. `from_median` is the distance from the median of the site, −0.25 a quarter below it.

# %%
display(pd.crosstab(index["site"], index["mask_kind"]).rename_axis(columns="mask from"))
middle = index.groupby("site")["brain_ml"].transform("median")
index["from_median"] = index["brain_ml"] / middle - 1
print(titled("the five volumes farthest from their site's median"))
index.loc[index["from_median"].abs().nlargest(5).index,
          ["scan_id", "site", "mask_kind", "brain_ml", "from_median"]].round(2)

# %% [markdown]
# ## Look at the scans
#
# In JupyterLab a menu above the picture changes the scan; a batch shows one: the volume farthest from its site's
# median. L and R are the *patient's* left and right, and left is drawn on the left.

# %%
def prepared_scan(scan_id):
    return wb.plots.slices(wb.Volume(store.read(scan_id).astype("float32"), store.grid(scan_id).affine),
                           value="z-score",
                           title=titled(f"{scan_id} as prepared"))


farthest = index.loc[index["from_median"].abs().idxmax(), "scan_id"]
wb.plots.choose(prepared_scan, list(store.scan_ids), farthest)

# %% [markdown]
# ## What to take along
#
# The next cell notes the numbers that a batch puts into its table. Everything else lies in the three run folders, which
# notebook **02** (pretraining) takes as its `store` and `split`.

# %%
wb.record(out, scans=len(cohort.table), people=people, set_aside=len(cohort.set_aside),
          set_aside_in_preparation=len(late),
          sites=index["site"].nunique(), outlined=int(cohort.table["seg_path"].notna().sum()),
          test_people=int((parts["split"] == "test").sum()), simulated=cohort.simulated)
print(f"cohort: {runs / 'cohort'}\nsplit:  {runs / 'split'}\nstore:  {runs / 'store'}")
