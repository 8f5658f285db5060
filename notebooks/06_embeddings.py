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
#   title: 6. Embeddings
# ---

# %% [markdown]
# # 6. Embeddings: what sets scans apart?
#
# **Question: when the encoder puts two scans close together, is it because the brains are alike or because the scanner
# was the same?**
#
# The encoder turns each scan into one vector, its CLS token. Here every scan is embedded, the vectors are laid out on
# a plane, and neighbours are looked up in the full space. The same is done with random weights: contrast and noise
# separate sites without any learning.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings

# %% tags=["parameters"]
out = "runs/06_embeddings"  # folder of this notebook's runs: pretrained, random
store = "runs/01_cohort/store"  # EmbedConfig.store (needed): prepared scans
encoder = "runs/02_pretrain/encoder"  # EmbedConfig.encoder (needed): the pretraining run
token = "cls"  # EmbedConfig.token (cls): which vector; also patch_mean or region:NAME
neighbours = 15  # EmbedConfig.neighbours (15): neighbourhood of the UMAP
color = "site"  # column of the cohort that colours the points
seed = 0  # EmbedConfig.seed (0): of random weights and projections

# %%
from pathlib import Path

import holoviews as hv
import numpy as np
import pandas as pd
from IPython.display import display

import workbench as wb

wb.plots.offline()
runs = Path(out).resolve()

# %%
arms = {init: wb.embed(out=runs / init, init=init, store=store, encoder=encoder, token=token,
                       neighbours=neighbours, seed=seed) for init in ("pretrained", "random")}
simulated = any(run.simulated for run in arms.values())
titled = wb.plots.titles(simulated)
scans = arms["pretrained"].read_table("scans")
seen = (f"pretraining has seen {int(scans['seen_in_pretraining'].sum())} of the scans" if "seen_in_pretraining" in scans
        else "nobody lists whom the encoder has seen")
print(titled(f"{len(scans)} scans of {scans['participant'].nunique()} people; {seen}"))

# %% [markdown]
# ## The plane
#
# Two pictures of the same vectors. **PCA** turns the cloud so that its longest directions lie in the plane: distances
# keep their meaning, but much is folded away. **UMAP** keeps neighbours together: who is next to whom has a meaning,
# the axes and the distance between far-away groups have none. Groups by colour mean that the encoder sees `color`.
# Hover over a point to see whose scan it is.

# %%
def planes(kind):
    panels = []
    for init, run in arms.items():
        points = run.read_table("projections").merge(run.read_table("scans"), on="scan_id")
        panel = wb.plots.embedding_scatter(points, f"{kind}_1", f"{kind}_2", color, title=titled(f"{init} weights"))
        panels.append(panel.opts(responsive=False, frame_width=300, frame_height=280))
    return hv.Layout(panels).opts(shared_axes=False)


display(planes("pca"))
display(planes("umap"))

# %% [markdown]
# ### How much of the truth is in a picture?
#
# `trustworthiness`: are neighbours in the picture neighbours in the full space? `continuity`: the other way round. Both
# are 1 where nothing was torn apart or glued together. Look at a picture with low values as decoration only.

# %%
quality = arms["pretrained"].read_table("quality").query("picture in ('pca', 'umap')")
print(titled("faithfulness of the pictures, pretrained weights"))
quality.round(2)

# %% [markdown]
# ## Neighbours in the full space
#
# No picture is needed to ask what neighbours share. For each scan take its nearest neighbour that is *another person*,
# and see whether it has the same site, sex or diagnosis. `if mixed` is what would be expected if neighbours were drawn
# at random; the difference is what the encoder arranges scans by. `low` and `high` are a 95 % interval over people,
# with everybody's neighbour as it is.

# %%
def shared_with_neighbours(run, column):
    """Share of people whose nearest other person has the same value, its interval, and the same by chance."""
    nearest = run.read_table("neighbours").query("not same_participant").sort_values("rank").drop_duplicates("scan_id")
    known = run.read_table("scans").dropna(subset=[column]).set_index("scan_id")
    pairs = nearest[nearest["scan_id"].isin(known.index) & nearest["neighbour"].isin(known.index)]
    same = known.loc[pairs["scan_id"], column].to_numpy() == known.loc[pairs["neighbour"], column].to_numpy()
    by_person = pd.Series(same).groupby(known.loc[pairs["scan_id"], "participant"].to_numpy()).mean()
    counts = known.drop_duplicates("participant")[column].value_counts()
    chance = (counts * (counts - 1)).sum() / (counts.sum() * (counts.sum() - 1)) if counts.sum() > 1 else np.nan
    found = wb.stats.bootstrap_interval(by_person.to_numpy(), seed=seed)
    return {"people": found.n, "shared": found.estimate, "low": found.low, "high": found.high, "if mixed": chance}


columns = [name for name in ("site", "sex", "diagnosis") if name in scans and scans[name].nunique() > 1]
print(titled("what the nearest other person shares"))
shared = pd.DataFrame([{"column": column, "weights": init, **shared_with_neighbours(run, column)}
                       for column in columns for init, run in arms.items()],
                      columns=["column", "weights", "people", "shared", "low", "high", "if mixed"])
shared.round(2)

# %% [markdown]
# ## Look at neighbours
#
# In JupyterLab choose a scan from the menu; a batch shows the first. Below the scan stands its nearest neighbour of
# another person. What do they share: the brain, the contrast, or the noise?

# %%
files = scans.set_index("scan_id")
nearest = arms["pretrained"].read_table("neighbours").query("not same_participant").sort_values("rank").drop_duplicates(
    "scan_id").set_index("scan_id")


def with_neighbour(scan_id):
    other = nearest.loc[scan_id, "neighbour"]
    pictures = [wb.plots.slices(wb.read_volume(files.loc[name, "path"])) for name in (scan_id, other)]
    return (pictures[0] + pictures[1]).opts(
        title=titled(f"{scan_id} ({files.loc[scan_id, 'site']}) above, its neighbour {other} "
                     f"({files.loc[other, 'site']}) below"), shared_axes=False).cols(3)


wb.plots.choose(with_neighbour, sorted(nearest.index))

# %% [markdown]
# ## What this can show, and what not
#
# A picture suggests and a table counts. Neither says *why* neighbours share a site, which may be its scanner or its
# people: notebook **07** measures with people held out how well the site can be predicted, and what is left of it after
# age and sex. In the explorer (`workbench explore FOLDER`) the same points open their scans.

# %%
site = shared[shared["column"] == "site"].set_index("weights")
wb.record(out, scans=len(scans), same_site=site["shared"].get("pretrained"),
          same_site_random=site["shared"].get("random"),
          if_mixed=site["if mixed"].get("pretrained"), simulated=simulated)
print("\n".join(str(run.path) for run in arms.values()))
