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
#   title: 2. Pretraining
# ---

# %% [markdown]
# # 2. Pretraining: learning from scans without labels
#
# **Question: did the network learn something, or did it collapse?**
#
# A *vision transformer* cuts a volume into patches of a few voxels and turns each into a vector, a *patch token*; one
# extra vector, the *CLS token*, stands for the whole scan. VolTA (after arXiv 2605.16775) trains it with four tasks:
#
# - each patch should get the token that a slowly changing copy of the network, the *teacher*, gives it, and no other
#   patch of the scan (`patch`);
# - the same place in another view of the scan, cropped, turned and recoloured, should get that token too (`cross`);
# - hidden blocks of voxels should be painted back in (`reconstruction`);
# - CLS should say where in the head its view lies (`cls`).
#
# None of this needs a label. The result is an *encoder*, which notebooks 03 to 07 put to use.
#
# *A research tool. Not for diagnosis.*

# %% [markdown]
# ## Settings
#
# `store` and `split` come from notebook 01. The network and the training are scaled down so that this takes minutes on
# two CPU cores; `configs/pretrain-paper.yaml` has the settings for a GPU. Other settings need another `out`: a run
# folder never mixes results of two settings.

# %% tags=["parameters"]
out = "runs/02_pretrain"  # folder of this notebook's run
store = "runs/01_cohort/store"  # PretrainConfig.store (needed): prepared scans
split = "runs/01_cohort/split"  # PretrainConfig.split (None): only its training people are seen
preset = "micro"  # EncoderConfig.preset (small): size of the network
image_size = 40  # EncoderConfig.image_size (96): edge of a training crop, voxels
patch = 8  # EncoderConfig.patch (16): edge of a patch, voxels
objective = {
    "name": "volta", "weight_reconstruction": 3.0, "ema": 0.99,
}  # PretrainConfig.objective (volta): what is learnt; other names: mae, simclr
epochs = 20.0  # PretrainConfig.epochs (300.0): passes over the training scans
warmup_epochs = 2.0  # PretrainConfig.warmup_epochs (10.0): of them with a rising learning rate
batch_size = 8  # PretrainConfig.batch_size (8): scans in one step
learning_rate = 0.016  # PretrainConfig.learning_rate (0.0005): per 256 scans
workers = 1  # PretrainConfig.workers (1): processes that read scans ahead; 0 for very small data
seed = 0  # PretrainConfig.seed (0): of everything random

# %%
from pathlib import Path

import holoviews as hv
import pandas as pd

import workbench as wb

wb.plots.offline()
runs = Path(out).resolve()

# %% [markdown]
# ## Training
#
# The bar tells how long it will take. You may interrupt the cell (the black square): the run stops between two steps
# and saves its state, and running the cell again goes on from there.
#
# The paper's own way, by *prototypes* (`alignment_cls` and `alignment_patch`), collapses with a handful of scans in a
# step; the documentation's page on pretraining has what was seen.

# %%
run = wb.pretrain(
    out=runs / "encoder", store=store, split=split,
    encoder={"preset": preset, "image_size": image_size, "patch": patch},
    # two views of a scan differ in zoom, contrast and shape; no flip, since sides matter
    views={"scale": (0.2, 0.9), "rotation": 20, "flip": 0, "contrast": 1.0, "drawn_contrast": 0.9, "bend": 0.02},
    objective=objective, epochs=epochs, warmup_epochs=warmup_epochs, batch_size=batch_size,
    learning_rate=learning_rate, workers=workers, seed=seed)
titled = wb.plots.titles(run.simulated)
metrics = run.metrics()
seen = run.provenance["participants"]
steps = int(metrics["step"].max())
print(titled(f"{steps} steps on {run.provenance['scans']} scans of {len(seen)} people"))

# %% [markdown]
# ## What it saw
#
# Whom it has seen is part of the encoder, person by person. If any of them is later tested, the workbench refuses, even
# if the scan has another file name.

# %%
encoder = wb.load_encoder(run)
weights = sum(w.numel() for w in encoder.network.parameters())
print(titled(f"{weights:,} weights; has seen {', '.join(sorted(seen)[:3])} …"))
encoder

# %% [markdown]
# ## The curves
#
# On the left the losses of the three tasks, each from its first value (1) on, because their units differ. They are
# *not* errors that must fall to zero: student and teacher move together, so those of the tokens may even rise.

# %%
losses = [name for name in metrics if name.startswith("loss_")] or ["loss"]
relative = metrics.assign(**{name: metrics[name] / metrics[name].dropna().iloc[0] for name in losses})
told = [f"{term}_{what}" for what in ("top1", "chance", "entropy", "kl") for term in ("cls", "patch", "cross")]
health = [name for name in told if name in metrics]
curves = [wb.plots.training_curves(relative, losses, label="loss / first loss", title=titled("the losses"), width=300)]
if health:
    curves.append(wb.plots.training_curves(metrics, health, label="share of tokens",
                                           title=titled("does a token find its own?"), width=300))
hv.Layout(curves).opts(shared_axes=False)

# %% [markdown]
# Read the right figure first: how often a token finds its own place first among all the brain's tokens, in the same
# view (`patch_top1`) and in the other (`cross_top1`), and how often chance would. What can go wrong is **collapse**:
# all tokens become alike, and both stay at chance. With prototypes the figure shows the teacher's entropy and the KL
# between student and teacher instead; an entropy near 1 with a KL near 0 is the collapse there. MAE and SimCLR have no
# such figure.

# %%
last = metrics.dropna(subset=[*losses, *health]).iloc[-1]
first = metrics.dropna(subset=losses).iloc[0]
alarm = run.provenance.get("alarm", {}).get("why")
print(f"alarm: {alarm}" if alarm else "No collapse alarm was raised.")
pd.DataFrame({"first step": first[losses + health], f"step {last['step']:.0f}": last[losses + health]}).round(3)

# %% [markdown]
# ## How fast
#
# `waiting for data` is the share of the time in which the network had nothing to do; near 0 means that reading scans is
# no bottleneck.

# %%
typical = metrics[["volumes_per_s", "data_wait", "memory_gb"]].median()
print(f"{typical['volumes_per_s']:.1f} views a second, {typical['data_wait']:.0%} waiting for data, "
      f"{typical['memory_gb']:.1f} GB of memory; {run.status['seconds']:.0f} s in all")

# %% [markdown]
# ## What this can show, and what not
#
# Curves like these show that the training ran and did not obviously fail. They say **nothing** about whether the
# encoder is useful; a falling loss and a useless encoder go well together. That is the business of notebooks 03 and 04,
# which hold it against the same network with random weights.

# %%
wb.record(out, steps=steps, people=len(seen), scans=run.provenance["scans"], alarm=bool(alarm),
          seconds=run.status["seconds"], simulated=run.simulated, **{name: last[name] for name in losses + health})
print(f"encoder: {run.path}")
