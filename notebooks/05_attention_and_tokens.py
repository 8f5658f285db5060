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
#   title: 5. Attention and tokens
# ---

# %% [markdown]
# # 5. Attention and tokens: where does the encoder look, and what does it think is alike?
#
# **Questions: does attention favour a structure more than places of the same size anywhere in the brain? And is the
# token of a hippocampus in one person found in the hippocampus of another?**
#
# Pretty maps prove nothing: random weights make pretty maps too. So each map here stands beside the same map from
# random weights (called `random beside` in the tables: the same architecture that has learnt nothing), and each claim
# beside what chance would give.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings

# %% tags=["parameters"]
out = "runs/05_attention_and_tokens"  # folder of this notebook's runs: attend, tokens
store = "runs/01_cohort/store"  # AttendConfig.store (needed): prepared scans
encoder = "runs/02_pretrain/encoder"  # AttendConfig.encoder (needed): the pretraining run
scans = []  # AttendConfig.scans (): scans that get maps; empty means all
query = "cls"  # AttendConfig.query (cls): who looks; also register:1, voxel:X,Y,Z or region:NAME
regions = ["left_hippocampus", "right_hippocampus"]  # AttendConfig.regions (the same): structures held against chance
placed = 200  # AttendConfig.placed (200): places of the same size drawn for each structure
token_query = "region:left_hippocampus"  # TokensConfig.query (region:left_hippocampus): whose token is looked for
seed = 0  # AttendConfig.seed (0): of random weights and places

# %%
from pathlib import Path

import pandas as pd
from IPython.display import display

import workbench as wb

wb.plots.offline()
runs = Path(out).resolve()
prepared = wb.open_store(store)
files = prepared.index.set_index("scan_id")
titled = wb.plots.titles(prepared.simulated)
mapped = list(scans) or list(prepared.scan_ids)
labelled = [scan for scan in mapped if all(prepared.codes(scan, region) for region in regions)]
print(titled(f"{len(mapped)} scans get maps, "
             f"{len(labelled)} of them have outlines of {', '.join(regions) or 'nothing'}"))


def structure_in(scan_id):
    """Where the first structure lies in a scan, in mm, so that all pictures are cut there; the middle without one."""
    if scan_id not in labelled or not regions:
        return None
    return wb.plots.densest_point(wb.read_volume(files.loc[scan_id, "seg_path"], labels=True),
                                  prepared.codes(scan_id, regions[0]))

# %% [markdown]
# ## Attention
#
# In the last block the CLS token gathers information from the patches with weights that sum to 1. A map shows them as
# multiples of an equal share: 1 means "as much as any patch", 3 three times as much. The blocks that you see are the
# patches. Nothing is smoothed, so that the map does not look finer than it is. Slices go through the first structure of
# `regions` where the scan has outlines.

# %%
attention = wb.attend(out=runs / "attend", store=store, encoder=encoder, scans=scans, query=query,
                      regions=regions, placed=placed, seed=seed)


def attention_of(scan_id):
    scan, folder = wb.read_volume(files.loc[scan_id, "path"]), attention.path / "volumes"
    pictures = [wb.plots.slices(scan, wb.read_volume(folder / f"{scan_id}_desc-{name}_map.nii.gz"), opacity=0.5,
                                overlay_value=f"{words}, × equal share", at=structure_in(scan_id))
                for name, words in (("attnmean", "pretrained"), ("attnmeanrandom", "random weights"))]
    return (pictures[0] + pictures[1]).opts(
        title=titled(f"{scan_id}: attention of {query}, pretrained above, random weights below"),
        shared_axes=False).cols(3)


wb.plots.choose(attention_of, mapped, (labelled or mapped)[0])

# %% [markdown]
# Only what differs between the two rows can come from learning. A first check: how much of the attention falls outside
# the brain, where there is nothing to see? `spread evenly` is what it would be if every patch got the same: the share
# of the picture that is not brain. An encoder that has learnt to leave the background alone lies below it.

# %%
mean_head = attention.read_table("attention").query("head == 'mean'").set_index("scan_id")
outside = pd.DataFrame({
    "pretrained": mean_head["outside_brain"], "spread evenly": mean_head["outside_if_even"],
    "random weights": attention.read_table("attention_random").set_index("scan_id")["outside_brain"]})
by_person = outside.groupby(files.loc[outside.index, "participant"].to_numpy()).mean()
print(titled(f"share of the attention outside the brain, mean of {len(by_person)} people with 95 % intervals"))
rows = {name: wb.stats.bootstrap_interval(by_person[name].to_numpy(), seed=seed) for name in outside}
pd.DataFrame({"outside the brain": {name: f"{found.estimate:.1%} [{found.low:.1%}, {found.high:.1%}]"
                                    for name, found in rows.items()}})

# %% [markdown]
# The same by site, and the paired difference over the people who have both maps: the row `pretrained - random beside`
# is the one that speaks about learning, where its interval leaves out 0.

# %%
print(titled("share of the attention outside the brain by site, with 95 % intervals over people"))
attention.read_table("outside_summary").round(3)

# %% [markdown]
# ### More than chance?
#
# For each structure, places of the same size are drawn at random inside the brain. `rank` is the share of them that
# get less attention than the structure: 0.5 is what chance gives, 1 means more than any other place. `ratio` is the
# attention inside over the mean of those places. Random weights need not lie at 0.5, since they answer to brightness
# and position too: the row `pretrained - random beside` is the one that speaks about learning, whichever its sign.

# %%
if "region_summary" in attention.tables():
    summary = attention.read_table("region_summary")
    summary["row"] = summary["region"].str.replace("_", " ") + ", " + summary["weights"]
    shown = summary[~summary["weights"].str.contains(" - ")]
    display(wb.plots.intervals(shown, "row", estimate="rank", low="rank_low", high="rank_high", reference=0.5,
                               quantity="rank among places of the same size (95 % interval over people)",
                               title=titled("attention to structures")))
    display(summary.drop(columns="row").round(2))
else:
    print("No scan has outlines of these structures, so this comparison is left out.")

# %% [markdown]
# ## Tokens: what is alike?
#
# Take the token of one place in one person and compare it (cosine) with every token of another person. If the encoder
# knows anatomy, the most similar token lies in the same structure, through which the slices are cut. In the map, 1
# means the same direction, 0 unrelated.

# %%
source = labelled[0] if labelled else ""
check = [region for region in regions if labelled]
tokens = wb.tokens(out=runs / "tokens", store=store, encoder=encoder, scans=scans, source=source,
                   query=token_query, structures=check, seed=seed)


def similar_to(scan_id):
    overlay = wb.read_volume(tokens.path / "volumes" / f"{scan_id}_desc-similarity_map.nii.gz")
    return wb.plots.slices(wb.read_volume(files.loc[scan_id, "path"]), overlay, overlay_value="cosine", opacity=0.5,
                           at=structure_in(scan_id), title=titled(f"{scan_id}: similar to {token_query} of {source}"))


if source:
    others = [scan for scan in mapped if files.loc[scan, "participant"] != files.loc[source, "participant"]]
    wb.plots.choose(similar_to, [*others, source], next((scan for scan in labelled if scan in others), source))
else:
    print("No outlines, so there is no place to start from: give token_query as voxel:X,Y,Z for a map.")

# %% [markdown]
# ### How often is the structure found?
#
# Over all pairs of people: `hit` is the share of queries whose most similar token lies in the same structure, `chance`
# the share that a token drawn at random from the brain would hit. `hit_by_position` is the sobering rival: it takes the
# token at the same relative position in the brain, without looking at the image at all. `wrong_side` is how often the
# left structure was found on the right, or the other way round, and `distance_mm` how far the most similar token lies
# from the structure.

# %%
if "site_pairs" in tokens.tables():
    pairs = tokens.read_table("site_pairs")
    columns = ["hit", "chance", "hit_by_position", "wrong_side", "distance_mm"]
    pairs["where"] = (pairs["source_site"] == pairs["target_site"]).map({True: "same site", False: "another site"})
    found = pairs.groupby(["structure", "where", "weights"])[columns].mean()
    print(titled("correspondence between people, mean over pairs of sites (n and intervals in the next table)"))
    display(found.round(2))
    print(titled("the hits by pair of sites, with 95 % intervals over people"))
    display(pairs[["structure", "source_site", "target_site", "weights", "people", "hit", "hit_low", "hit_high",
                   "chance"]].round(2))

# %% [markdown]
# If `hit` is above `chance` but not above `hit_by_position`, the tokens may know no more than where in the picture they
# are. If it falls from "same site" to "another site", they know the scanner too.
#
# ### The tokens as colours
#
# The first three principal components of the tokens of many scans as red, green and blue: the same colour in two people
# means a similar token. A colour that follows the tissue says that tokens know what they stand on; one that follows the
# place alone (a rainbow from front to back) says that they know where they are. The volumes
# (`tokens/volumes/*_rgb.nii.gz`) open in any viewer, and in the explorer.

# %%
def colours_of(scan_id):
    return wb.plots.slices(wb.read_volume(files.loc[scan_id, "path"]), opacity=0.7, at=structure_in(scan_id),
                           colours=wb.read_rgb(tokens.path / "volumes" / f"{scan_id}_desc-tokens_rgb.nii.gz"),
                           title=titled(f"{scan_id}: its tokens as colours"))


share = tokens.read_table("colours")["variance_share"].sum()
print(titled(f"the three colours hold {share:.0%} of the variance of the tokens"))
wb.plots.choose(colours_of, mapped, (labelled or mapped)[0])

# %% [markdown]
# ## What this can show, and what not
#
# Attention says where information was *taken from*, not that it was used for a decision; and similar tokens may be
# similar in position or in noise. That is why the tables above carry the rivals. With few people the intervals are
# wide.

# %%
def mean_of(run, table, column):
    """Mean over structures (and pairs of sites) for the pretrained weights; None where nothing was outlined."""
    return run.read_table(table).query("weights == 'pretrained'")[column].mean() if table in run.tables() else None


wb.record(out, scans=len(mapped), outside_brain=outside["pretrained"].mean(),
          outside_brain_random=outside["random weights"].mean(), rank=mean_of(attention, "region_summary", "rank"),
          hit=mean_of(tokens, "site_pairs", "hit"), chance=mean_of(tokens, "site_pairs", "chance"),
          simulated=prepared.simulated)
print(f"{attention.path}\n{tokens.path}")
