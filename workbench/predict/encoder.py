"""An encoder asked about one scan: its embedding, its attention, its tokens, and what it thinks alike."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import torch

from workbench.engine.device import pick_device
from workbench.errors import ConfigError, WorkbenchError
from workbench.model.attention import BlockChoice
from workbench.model.contract import AnyEncoder, require
from workbench.model.encode import padded_box, whole_scan
from workbench.model.export import EncoderCard, Init
from workbench.model.export import load_encoder as load_network
from workbench.predict.passes import Reading, scan_maps
from workbench.predict.place import Placed, place_vector
from workbench.predict.query import Query, parse_query, per_patch
from workbench.predict.reference import load_reference
from workbench.predict.scans import Given, Preparation, PreparedScan, TakesScans, own_space
from workbench.predict.similar import similar_tokens
from workbench.predict.token_grid import token_grid
from workbench.runs import Run


@dataclass(frozen=True)
class Embedding:
    """What an encoder makes of a whole scan."""

    cls: np.ndarray
    """The CLS token after the last block, ``(D,)`` float32."""
    patch_mean: np.ndarray
    """Mean of the patch tokens, ``(D,)`` float32."""
    mask: str
    """What was taken for the brain, in words."""

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> np.ndarray:
        """As an array it is its CLS token."""
        return np.array(self.cls, dtype=dtype)


@dataclass(frozen=True)
class Similarity:
    """Where an encoder sees the like of a place."""

    image: nib.Nifti1Image
    """Cosine of each token with that of the place, in the space of the scan that was searched; 0 outside the brain."""
    best_mm: tuple[float, float, float]
    """Middle of the most similar token, world mm (RAS+). In the scan of the place itself, its own token and those that
    touch it do not count."""
    best: float
    """Its cosine."""


@dataclass(frozen=True)
class ScanTokens:
    """The patch tokens of a scan, and where they lie."""

    values: np.ndarray
    """``(x, y, z, D)`` float32, as the encoder's last layer norms them."""
    affine: np.ndarray
    """``(4, 4)``: index of a token → the middle of its patch, world mm (RAS+)."""
    brain: np.ndarray
    """``(x, y, z)``: share of brain in each patch."""

    def at(self, mm: Sequence[float]) -> np.ndarray:
        """The token of a place, ``(D,)``.

        Args:
            mm: World millimetres (RAS+) of the scan.

        Raises:
            WorkbenchError: the place is outside the tokens.
        """
        inverse = np.linalg.inv(self.affine)
        index = np.rint(inverse[:3, :3] @ np.asarray(mm, float) + inverse[:3, 3]).astype(int)
        if (index < 0).any() or (index >= self.values.shape[:3]).any():
            raise WorkbenchError(
                f"{tuple(mm)} mm: outside the box of the brain", remedy="world coordinates are the scan's own"
            )
        token: np.ndarray = self.values[tuple(index)]
        return token


class ScanEncoder(TakesScans):
    """An encoder with the preparation that its input must have. Make it with ``load_encoder``.

    Attributes:
        network: The ``torch`` module, in evaluation mode.
        card: What it was trained on, and whom it has seen.
        device: Where it computes.
    """

    def __init__(
        self, network: AnyEncoder, card: EncoderCard, preparation: Preparation, *, device: str = "cpu"
    ) -> None:
        self.network, self.card, self.device = network.eval().to(device), card, device
        self.preparation = preparation

    def __repr__(self) -> str:
        c = self.card
        return f"ScanEncoder({c.config.name}, {c.init} weights, {c.objective}, {c.spacing:g} mm, on {self.device})"

    def _repr_html_(self) -> str:
        return self.card._repr_html_()

    @torch.no_grad()
    def embed(self, scan: Given | PreparedScan, *, mask: Given | None = None) -> Embedding:
        """Embed a scan: what the job ``embed`` gives, without a store.

        Args:
            scan: A path, a nibabel image, ``(array, affine)``, or a prepared scan.
            mask: Brain mask, in the same world.

        Returns:
            CLS and mean of patch tokens, each ``(D,)``.

        Raises:
            ScanError: the scan cannot be used.
        """
        ready = self.prepare(scan, mask=mask)
        tokens = self.network(whole_scan(ready, ready.name, self.card.config.patch_xyz).to(self.device))
        return Embedding(
            tokens.cls_BD[0].float().cpu().numpy(), tokens.patches_BPD[0].float().mean(0).cpu().numpy(), ready.mask
        )

    def attention(
        self,
        scan: Given | PreparedScan,
        query: str | Sequence[float] = "cls",
        *,
        block: BlockChoice = -1,
        head: int | None = None,
        shifts: int = 1,
        mask: Given | None = None,
    ) -> nib.Nifti1Image:
        """Where the encoder looks.

        Args:
            scan: A path, a nibabel image, ``(array, affine)``, or a prepared scan.
            query: Who looks: ``"cls"``, ``"register:1"``, ``"voxel:X,Y,Z"``, or a place ``(x, y, z)`` in world mm
                (RAS+) of the scan.
            block: From 0, or from the end when negative; ``"rollout"`` follows attention through all blocks.
            head: From 1; None is the mean over heads.
            shifts: Finer maps: the patch grid is shifted by patch / shifts along each axis, shifts³ passes.
            mask: Brain mask, in the same world.

        Returns:
            A float32 image in the scan's own space, in multiples of uniform attention: 1 is what a place gets if all
            get the same.

        Raises:
            ScanError: the scan cannot be used, or the place is outside its brain's box.
            ConfigError: the query is not one of these, or there is no such block or head.
        """
        asked = _query(query)
        config = self.card.config
        require(config, "attention", "attention")
        if block != "rollout" and not -config.depth <= block < config.depth:
            raise ConfigError(
                f"block {block}: the encoder has {config.depth}", remedy=f"0 to {config.depth - 1}, or -1"
            )
        heads = 1 if block == "rollout" else config.heads
        if head is not None and not 1 <= head <= heads:
            raise ConfigError(f"head {head}: there are {heads}", remedy=f"choose 1 to {heads}, or None for the mean")
        ready = self.prepare(scan, mask=mask)
        maps = scan_maps(self.network, ready, ready.name, asked, Reading(block=block, shifts=shifts))
        values = maps.values.mean(axis=0) if head is None else maps.values[head - 1]
        return own_space(values, ready, order=0)

    def similar(
        self,
        scan: Given | PreparedScan,
        mm: Sequence[float],
        *,
        in_: Given | PreparedScan | None = None,
        mask: Given | None = None,
        in_mask: Given | None = None,
        grids: int = 1,
    ) -> Similarity:
        """Where else the encoder sees what it sees at a place.

        Args:
            scan: The scan that holds the place: a path, a nibabel image, ``(array, affine)``, or a prepared scan.
            mm: The place ``(x, y, z)``, world mm (RAS+) of ``scan``.
            in_: The scan that is searched; None is ``scan`` itself.
            mask: Brain mask of ``scan``.
            in_mask: Brain mask of ``in_``.
            grids: Patch grids along each axis over which each token is averaged: 2 finds the same place at another
                scanner more often and takes eight times as long, see ``patch_tokens``.

        Returns:
            Cosines in the searched scan's own space, and the best place in it.

        Raises:
            ScanError: a scan cannot be used, or the place is outside its brain's box.
        """
        source = self.prepare(scan, mask=mask)
        own = in_ is None or in_ is scan
        target = source if own else self.prepare(in_, mask=in_mask)  # type: ignore[arg-type]
        place = _query(mm)
        read = [token_grid(self.network, s, s.name, grids=grids) for s in ([source] if own else [source, target])]
        found = similar_tokens(read[0], place, source, source.name, read[-1], target.grid(), own=own)
        values = np.where(target.read_brain(), found.values, 0).astype(np.float32)
        return Similarity(own_space(values, target, order=0), found.best_mm, found.best)

    @torch.no_grad()
    def tokens(self, scan: Given | PreparedScan, *, mask: Given | None = None) -> ScanTokens:
        """The patch tokens of a scan.

        Args:
            scan: A path, a nibabel image, ``(array, affine)``, or a prepared scan.
            mask: Brain mask, in the same world.

        Returns:
            Tokens on their grid ``(x, y, z, D)``, and its affine.

        Raises:
            ScanError: the scan cannot be used.
        """
        ready, patch = self.prepare(scan, mask=mask), self.card.config.patch_xyz
        volume = whole_scan(ready, ready.name, patch)
        found = self.network(volume.to(self.device))
        x, y, z = found.grid_xyz
        # of a token's index to the middle of its patch, in voxels of the prepared grid
        step = np.diag([*map(float, patch), 1.0])
        step[:3, 3] = padded_box(ready.shape(), patch)[0] + (np.array(patch) - 1) / 2
        brain = per_patch(volume[0, 0].numpy() != 0, patch) / np.prod(patch)
        return ScanTokens(
            found.patches_BPD[0].float().cpu().numpy().reshape(x, y, z, -1),
            ready.grid().affine @ step,
            brain.reshape(x, y, z).astype(np.float32),
        )

    def place(self, scan: Given | PreparedScan, embed: str | Path | Run, *, mask: Given | None = None) -> Placed:
        """Where a scan lies among those of an embed run, whose own places do not move.

        Args:
            scan: A path, a nibabel image, ``(array, affine)``, or a prepared scan.
            embed: Embed run of this encoder that was made without ``reference``.
            mask: Brain mask, in the same world.

        Returns:
            Its coordinates, its nearest scans, and how far out it lies.

        Raises:
            WorkbenchError: the run has no reference, or it is of another encoder.
        """
        run = embed if isinstance(embed, Run) else Run(embed)
        token = str(run.config.get("token", "cls"))
        if token not in ("cls", "patch_mean"):
            raise WorkbenchError(
                f"run '{run.name}': its picture is of '{token}'",
                cause="a scan by itself has no labels to find it by",
                remedy="choose an embedding of cls or patch_mean",
            )
        if run.provenance.get("preparation") != self.card.preparation:
            raise WorkbenchError(
                f"{run.path}: was made on scans prepared otherwise than this encoder's",
                remedy="give an embed run of this encoder",
            )
        reference = load_reference(run.path)
        found = self.embed(scan, mask=mask)
        return place_vector(reference, found.cls if token == "cls" else found.patch_mean, found.mask)


def load_encoder(
    model: str | os.PathLike[str] | Run,
    *,
    init: Init = "pretrained",
    seed: int = 0,
    device: str = "auto",
    prepare: str | os.PathLike[str] | Run | None = None,
) -> ScanEncoder:
    """Load an encoder that can be asked about scans.

    Args:
        model: A pretraining run, the ``model`` folder in it, or the name of an encoder.
        init: ``"random"`` takes only the architecture and draws the weights from ``seed``: the null to hold beside it.
        seed: Of random weights.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        prepare: Store (or folder of one) that says how scans are prepared. Needed only for an encoder that was
            exported without its settings.

    Raises:
        WorkbenchError: no encoder is there, or the store was prepared otherwise than its scans.
    """
    reference = model.path if isinstance(model, Run) else model
    network, card = load_network(reference if isinstance(reference, str) else Path(reference), init=init, seed=seed)
    preparation = Preparation.of(card.preparation, card.spacing, card.prepare, who=str(reference), store=prepare)
    return ScanEncoder(network, card, preparation, device=pick_device(device))


def _query(query: str | Sequence[float]) -> Query:
    if isinstance(query, str):
        asked = parse_query(query)
        if asked.kind == "region":
            raise ConfigError(
                f"query '{query}': a scan by itself has no labels",
                remedy="ask for a place, (x, y, z) in mm, or use the job `attend` on a store",
            )
        return asked
    return parse_query("voxel:" + ",".join(str(float(v)) for v in query))
