"""Settings of the jobs that look into an encoder."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import Field, model_validator

from workbench.runs import LATER, JobConfig
from workbench.runs.spread import SpreadConfig

HIPPOCAMPI = ("left_hippocampus", "right_hippocampus")


class LookConfig(SpreadConfig):
    """What every look into an encoder shares."""

    store: Path
    """Prepared store (the out folder of `workbench prepare`)."""
    encoder: Path
    """Pretraining run (or exported model folder) whose encoder is used."""
    init: Literal["pretrained", "random"] = "pretrained"
    """`random` takes only the architecture of `encoder` and draws new weights: the null to hold beside it."""
    seed: int = Field(0, ge=0)
    """Seed of everything drawn: random weights, projections, places, references."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device kind."""


class EmbedConfig(LookConfig):
    """Embed every scan, and project the embeddings once."""

    job: ClassVar[str] = "embed"

    regions: tuple[str, ...] = HIPPOCAMPI
    """Structures whose mean token is stored too, for the scans that have them in their labels."""
    token: str = "cls"
    """Which embedding is projected: cls, patch_mean, or region:NAME with one of the regions. All are stored."""
    neighbours: int = Field(15, ge=2)
    """UMAP's neighbourhood (at most the number of scans less one)."""
    min_dist: float = Field(0.1, ge=0, lt=1)
    """UMAP's smallest distance between points."""
    perplexity: float = Field(30.0, gt=1)
    """t-SNE's perplexity (at most a third of the number of scans)."""
    reference: Path | None = None
    """Earlier embed run whose frozen reference the scans are placed against; without it this run makes its own."""
    reference_scans: int = Field(2000, ge=3)
    """Scans that the projections are fitted on, drawn by the seed where there are more; the others are placed against
    them, each alone."""
    listed: int = Field(10, ge=1)
    """Nearest neighbours in the full space that are listed for each scan."""


class AttendConfig(LookConfig):
    """Write attention maps as NIfTI in each scan's own space, with what they must be held against."""

    job: ClassVar[str] = "attend"

    query: str = "cls"
    """Who looks: cls, register:1, voxel:X,Y,Z (world mm, RAS+, of the scan itself), region:NAME (mean over its voxels
    of their tokens)."""
    block: int | Literal["rollout"] = -1
    """Which block, from 0, or from the end when negative; `rollout` follows attention through all blocks."""
    heads: bool = True
    """A map for each head beside the mean (a rollout has only the mean)."""
    field: Literal["whole", "windows"] = "whole"
    """How a scan larger than the training crop is read: `whole` in one pass with interpolated positions; `windows` of
    the crop's size, merged."""
    overlap: float = Field(0.5, ge=0, lt=1)
    """Overlap of the windows."""
    merge: Literal["gaussian", "constant"] = "gaussian"
    """Weight of a window at its voxels: a Gaussian about its centre (σ an eighth of its edge), or 1."""
    shifts: int = Field(1, ge=1, le=8)
    """Finer maps: the patch grid is shifted by patch / shifts along each axis and the shifts³ maps are averaged."""
    interpolation: Literal["nearest", "linear"] = "nearest"
    """Enlargement to voxels; nearest lets tokens look like tokens."""
    cumulated: tuple[Annotated[float, Field(gt=0, lt=1)], ...] = ()
    """Shares of the attention in the brain, such as 0.5 0.6 0.9: also a map of the smallest sets of tokens that hold
    them (each voxel has the smallest share whose set it is in), and how much of the brain each set takes."""
    sanity: bool = True
    """Also the same maps from random weights, and for each region its attention against volume-matched regions placed
    at random in the brain."""
    regions: tuple[str, ...] = HIPPOCAMPI
    """Regions of that comparison; scans without labels are left out of it."""
    placed: int = Field(200, ge=10)
    """Regions placed at random for each scan and region."""
    scans: tuple[str, ...] = ()
    """Scan ids; empty means all."""
    split: Path | None = Field(None, json_schema_extra=LATER)
    """Only people on the tested side of this split."""


class TokensLookedAt(LookConfig):
    """How the patch tokens of a scan are read, and whose, where labels say what was to be found."""

    block: int = -1
    """Block whose tokens are used, from 0, or from the end when negative; the last one's are normed."""
    shifts: int = Field(1, ge=1, le=8)
    """Patch grids along each axis that are tested, each shifted by a fraction of a patch: tokens as large as before,
    but closer together. (Maps and colours have one grid.)"""
    grids: int = Field(1, ge=1, le=4, json_schema_extra=LATER)
    """Patch grids along each axis over which each token is averaged, each shifted by a fraction of a patch: 2 reads a
    scan eight times, and where the grid happens to cut a structure matters less."""
    standardise: bool = False
    """In the test, tokens of each scan less their mean over its brain and divided by their deviation there, channel by
    channel: takes away what a scanner does to all tokens of a scan alike."""
    sanity: bool = True
    """The same test with random weights of the same architecture."""
    split: Path | None = Field(None, json_schema_extra=LATER)
    """Only people on the tested side of this split, to learn from or look from, and to be tested."""


class TokensConfig(TokensLookedAt):
    """Compare patch tokens between scans: heat maps, correspondence checked against labels, colours from a PCA."""

    job: ClassVar[str] = "tokens"

    source: str = ""
    """Scan that holds the query of the heat maps; empty writes none."""
    query: str = "region:left_hippocampus"
    """Whose token is looked for from `source`: voxel:X,Y,Z (world mm, RAS+) or region:NAME (mean over its voxels)."""
    scans: tuple[str, ...] = ()
    """Scans that get maps; empty means all. The check against labels always takes every labelled scan."""
    rgb: bool = True
    """Write the first three principal components of the tokens as an RGB volume of each scan."""
    reference_scans: int = Field(50, ge=1)
    """Scans that the principal components are fitted on, drawn by the seed."""
    structures: tuple[str, ...] = HIPPOCAMPI
    """Structures whose correspondence is checked; empty checks none."""
    sources_per_site: int = Field(20, ge=1)
    """People of each site whose tokens are looked for in the scans of everybody else."""
    disturb: float = Field(0.0, ge=0, le=90)
    """Also check in scans that are turned by this many degrees about a random axis, shifted, and cut to a third of
    their volume, where the place in the box no longer tells what is there; 0 does not."""


class ProbeConfig(TokensLookedAt):
    """What tokens know of a structure, as far as a linear model can say it, from few labelled people of one site."""

    job: ClassVar[str] = "probe"

    against: tuple[Path, ...] = ()
    """Other encoders (runs, folders or names) that learn from the same people and are tested on the same."""
    structures: tuple[str, ...] = HIPPOCAMPI
    """Structures that are looked for, each by a model of its own; scans that lack one are left out."""
    labelled: tuple[int, ...] = (2, 5, 10, 0)
    """How many people of a site are learnt from; 0 takes all of them but those of the fold that is tested."""
    draws: int = Field(5, ge=1)
    """How often few people are drawn."""
    folds: int = Field(5, ge=2)
    """Folds by person where all are learnt from (at most the people of the site)."""

    @model_validator(mode="after")
    def _in_one_process(self) -> ProbeConfig:
        if self.executor != "here":
            raise ValueError("executor: a probe is one process, since its models learn from the tokens of many scans")
        return self


class ShiftConfig(JobConfig):
    """How far sites are apart in an embedding, and how much of that is left after age and sex, or after ComBat."""

    job: ClassVar[str] = "shift"

    embed: Path
    """Embed run whose vectors are compared."""
    token: str = "cls"
    """Which embedding: cls, patch_mean, or region:NAME."""
    site: str = "site"
    """Column that says where a scan comes from: site, scanner, dataset …"""
    covariates: tuple[str, ...] = ("age", "sex")
    """Columns that are regressed out, and that ComBat keeps; people who lack one are left out of both."""
    combat: bool = True
    """Also after ComBat (neuroHarmonize), fitted in each fold on the training people alone."""
    folds: int = Field(5, ge=2)
    """Folds by person of every cross-validation (at most the people of the smallest site)."""
    neighbours: int = Field(10, ge=1)
    """Neighbourhood of the mixing of sites (at most the people less one)."""
    permutations: int = Field(1000, ge=19)
    """Permutations of the people's sites; the smallest p is one over this plus one."""
    smallest_site: int = Field(5, ge=2)
    """Sites with fewer people are left out, and said so."""
    most_people: int = Field(2000, ge=10)
    """Where there are more, distances, silhouette and mixing are of this many people, drawn by the seed, and of more
    where a site would have fewer than `smallest_site` among them; so are, of either side, the distances of a `task`.
    The notes and the n of each row say so."""
    task: Path | None = None
    """Classify or segment run: its performance by site, beside the distance from the people it was trained on."""
    seed: int = Field(0, ge=0)
    """Seed of folds, permutations, draws and bootstraps."""


class ReliabilityConfig(JobConfig):
    """How far repeated scans of the same people agree (sessions, scanners, sites), and how much of what varies is the
    person's: of an encoder (`store` with `encoder`), and of finished runs (`runs`)."""

    job: ClassVar[str] = "reliability"

    runs: tuple[Path, ...] = ()
    """Finished runs: embed (its vectors), segment (Dice and volumes of the tested people), classify (their scores)."""
    store: Path | None = None
    """Prepared store, with `encoder`: people who were scanned several times are embedded here."""
    encoder: Path | None = None
    """Pretraining run, exported model folder, or a name that `workbench encoders` lists."""
    init: Literal["pretrained", "random"] = "pretrained"
    """`random` takes only the architecture of `encoder` and draws new weights: the null to hold beside it."""
    token: str = "cls"
    """Which embedding: cls, patch_mean; of an embed run region:NAME too."""
    across: str = ""
    """Column that says under which condition a scan was made: scanner, site, session, another one of the cohort, or
    `scan` (a person's scans in the order of their ids). Empty takes that of scanner, site and session in which most
    people have several levels, and says so."""
    split: Path | None = None
    """Only people on the tested side of this split."""
    seen: bool = False
    """Also people whom the encoder's pretraining has seen; every number is then transductive."""
    components: int = Field(10, ge=1)
    """Principal components of an embedding whose reliability is told."""
    seed: int = Field(0, ge=0)
    """Seed of random weights and of the bootstraps."""
    accelerator: Literal["auto", "cpu", "cuda", "mps"] = "auto"
    """Device kind."""


class ChangeConfig(JobConfig):
    """How much people change per year: in an embedding (how far, in which direction), in volumes and scores; and
    whether groups change differently, such as people who convert to a disease."""

    job: ClassVar[str] = "change"

    runs: tuple[Path, ...] = Field(min_length=1)
    """Finished runs: embed (its vectors), segment (Dice and volumes of the tested people), classify (their scores)."""
    token: str = "cls"
    """Which embedding: cls, patch_mean or region:NAME."""
    time: str = ""
    """Column that says when a scan was made: of years (age) or of dates. Empty takes age where it differs between the
    sessions of people, else the first column of dates, and says which."""
    group: str = "diagnosis"
    """Column whose groups are compared. Somebody in whom it changes between sessions is of a group of their own, such
    as "CN → AD" (a conversion). Empty: one group."""
    groups: tuple[str, ...] = ()
    """Which groups are compared, each with those after it; empty takes all of at least `smallest_group` people."""
    columns: tuple[str, ...] = ()
    """Numbers of the cohort whose change is told too, such as mmse or brain_ml."""
    table: Path | None = None
    """Table (.csv, .tsv, .xlsx) with further numbers of the scans, such as FreeSurfer's volumes: a row a session, with
    participant_id and session_id, or scan_id."""
    split: Path | None = None
    """Only people on the tested side of this split."""
    seen: bool = False
    """Also people whom the encoder's pretraining has seen; every number is then transductive."""
    components: int = Field(5, ge=1)
    """Principal components of an embedding whose change is told."""
    smallest_group: int = Field(5, ge=3)
    """Smaller groups are in the tables of people alone: not estimable."""
    seed: int = Field(0, ge=0)
    """Seed of the bootstraps and of turned signs."""


class GroupConfig(SpreadConfig):
    """Mean attention of groups of people in one common frame, where two groups differ, what each structure holds."""

    job: ClassVar[str] = "group"

    attend: Path
    """Attend run whose maps are taken; people and labels are those of its store."""
    against: Path | None = None
    """Attend run of the same scans by other weights, to hold beside; without it the maps of random weights that the run
    itself wrote, where it did (its `sanity`)."""
    store: Path | None = None
    """Prepared store, where it is no longer where the attend run says."""
    by: tuple[str, ...] = ("site",)
    """Columns that make groups: site, sex, diagnosis, scanner, any of the cohort's that names groups."""
    groups: tuple[str, ...] = ()
    """Which groups of the one column, the first minus the second; empty takes all, and the largest are compared."""
    within: str = ""
    """Column whose levels are compared alone, such as site for two diagnoses: its own differences are taken out, and
    people are exchanged within a level only."""
    frame: Literal["box", "affine"] = "box"
    """How brains are laid over each other: `box` stretches the box around each brain to the mean one along the world's
    axes; `affine` registers each to a template by twelve numbers (needs SimpleITK)."""
    template: Path | None = None
    """With `affine`: a brain without skull to register to, such as the brain of MNI152; without one, the cohort's own
    mean brain in the box."""
    spacing: float = Field(4.0, ge=1.0, le=16.0)
    """Edge of the frame's voxels in mm; tokens are larger in any case."""
    head: str = "mean"
    """Head whose maps are taken: mean, or its number (there are no maps of single heads of random weights)."""
    structures: tuple[str, ...] = ()
    """Structures whose share is told; empty takes all that the labels name."""
    level: float = Field(0.05, gt=0, lt=0.5)
    """Corrected p below which a place counts as found."""
    permutations: int = Field(2000, ge=99)
    """Labellings that are tried; fewer where there are no more."""
    draws: int = Field(1000, ge=100)
    """Resamples of the intervals of maps."""
    smallest_group: int = Field(5, ge=2)
    """Smaller groups have a mean and neither interval nor test: not estimable."""
    seed: int = Field(0, ge=0)
    """Seed of permutations and resamples."""


Change = Literal["gamma", "bias", "noise", "blur", "thick_slices", "ghosting", "rotation"]


class WhatifConfig(LookConfig):
    """What if it were another scanner: change the acquisition of a scan step by step, and see what moves."""

    job: ClassVar[str] = "whatif"

    embed: Path
    """Embed run of the same encoder and store: its spread within sites is the unit of distance."""
    changes: tuple[Change, ...] = ("gamma", "bias", "noise", "blur", "thick_slices", "ghosting", "rotation")
    """Which changes; full strength (1) is: gamma 2.0, bias field with coefficients up to 0.5, Rician noise of 0.5
    standard deviations of the brain, blur of 2 voxels, slices 4 times as thick, a ghost of half the amplitude,
    rotation by 20 degrees."""
    strengths: tuple[float, ...] = (0.25, 0.5, 0.75, 1.0)
    """Strengths as shares of the full one; 0 is always there too."""
    scans: tuple[str, ...] = ()
    """Scan ids; empty draws `people` people by the seed, alike from every site, and takes a scan of each."""
    people: int = Field(12, ge=1)
    """People to draw where no scans are named."""
    token: str = "cls"
    """Embedding whose movement is measured: cls or patch_mean."""
    segment: Path | None = None
    """Segment run whose Dice is followed."""
    classify: Path | None = None
    """Classify run whose score is followed, to the point where its decision flips."""
