"""A fine-tuned segmentation applied to one scan."""

from __future__ import annotations

import os

import nibabel as nib
import numpy as np
from torch import Tensor

from workbench.engine.device import pick_device
from workbench.finetune.export import SegmenterCard
from workbench.finetune.networks import build_network
from workbench.finetune.windows import keep_largest, probabilities
from workbench.html import facts_table
from workbench.predict.models import find_model, fresh_architecture, load_weights, on_device
from workbench.predict.scans import Given, Preparation, PreparedScan, TakesScans, folder_of, own_space
from workbench.runs import Run
from workbench.volumes import Volume
from workbench.volumes.given import as_image


class ScanSegmenter(TakesScans):
    """A segmentation network with the preparation that its input must have. Make it with ``load_segmenter``.

    Attributes:
        card: What it was trained on, and whom it has seen.
        codes: Structure → its code in what ``predict`` gives; 0 is background.
        device: Where it computes.
    """

    def __init__(
        self, card: SegmenterCard, weights: dict[str, Tensor], preparation: Preparation, *, who: str, device: str
    ) -> None:
        self.card, self.device, self.preparation = card, device, preparation
        self.codes = {name: code for code, name in enumerate(card.structures, start=1)}
        self.model = build_network(card, fresh_architecture(card.encoder), card.crop, len(card.contrasts))
        load_weights(self.model, weights, who)
        on_device(self.model, device)

    def __repr__(self) -> str:
        return (
            f"ScanSegmenter({self.card.network}: {', '.join(self.codes)}; {self.card.spacing:g} mm, on {self.device})"
        )

    def _repr_html_(self) -> str:
        c = self.card
        return facts_table(
            f"Segmenter ({c.network})",
            {
                "codes": ", ".join(f"{code} {name}" for name, code in self.codes.items()),
                "encoder": f"{c.init} weights ({c.objective})" if c.encoder else "none",
                "has learnt from": f"{len(c.participants)} people, pretraining included",
                "input": f"prepared at {c.spacing:g} mm, preparation {c.preparation}",
            },
            simulated=c.simulated,
        )

    def predict(self, scan: Given | PreparedScan, *, mask: Given | None = None) -> nib.Nifti1Image:
        """Segment a scan: what the job ``segment`` writes, without a store.

        Args:
            scan: A path, a nibabel image, ``(array, affine)``, or a prepared scan.
            mask: Brain mask, in the same world.

        Returns:
            A uint8 image in the scan's own space; ``codes`` says which number is which structure.

        Raises:
            ScanError: the scan cannot be used.
        """
        ready = self.prepare(scan, mask=mask)
        moved = [
            own_space(p, ready, order=1, fill=1.0 if c == 0 else 0.0).get_fdata(dtype=np.float32)
            for c, p in enumerate(self._probabilities(ready))
        ]
        found = self._cut(np.argmax(moved, axis=0).astype(np.uint8))
        return as_image(Volume(found, ready.source.affine))

    def probabilities(self, scan: Given | PreparedScan, *, mask: Given | None = None) -> dict[str, nib.Nifti1Image]:
        """Probability of each structure at each voxel.

        Args:
            scan: A path, a nibabel image, ``(array, affine)``, or a prepared scan.
            mask: Brain mask, in the same world.

        Returns:
            Structure → a float32 image in the scan's own space, 0 to 1, not calibrated.

        Raises:
            ScanError: the scan cannot be used.
        """
        ready = self.prepare(scan, mask=mask)
        found = self._probabilities(ready)
        return {name: own_space(found[code], ready, order=1) for name, code in self.codes.items()}

    @property
    def structures(self) -> tuple[str, ...]:
        """In the order of their codes 1, 2 and so on."""
        return self.card.structures

    def classes(self, scan: np.ndarray) -> np.ndarray:
        """Code of each voxel of a prepared array ``(C, X, Y, Z)``; one of a single contrast may be ``(X, Y, Z)``."""
        return self._cut(self._found(scan if scan.ndim == 4 else scan[None]).argmax(0))

    def _cut(self, classes: np.ndarray) -> np.ndarray:
        """Stray pieces taken away, where the run did so."""
        return keep_largest(classes, len(self.card.structures)) if self.card.largest_component else classes

    def _probabilities(self, ready: PreparedScan) -> np.ndarray:
        return self._found(ready.read_channels())

    def _found(self, scan: np.ndarray) -> np.ndarray:
        c = self.card
        return probabilities(
            self.model,
            scan,
            crop=c.crop,
            overlap=c.overlap,
            device=self.device,
            precision=c.precision,
            mirror=c.mirror,
        )


def load_segmenter(
    model: str | os.PathLike[str] | Run,
    *,
    device: str = "auto",
    prepare: str | os.PathLike[str] | Run | None = None,
) -> ScanSegmenter:
    """Load a fine-tuned segmentation that can be applied to scans.

    Args:
        model: A segment run, or the ``model`` folder in it.
        device: ``"auto"``, ``"cpu"``, ``"cuda"`` or ``"mps"``.
        prepare: Store (or folder of one) that says how scans are prepared, in place of the model's own word.

    Raises:
        WorkbenchError: it is no segmentation, is not finished, or is damaged.
    """
    card, weights = find_model(model, "segmenter", store=prepare)
    assert isinstance(card, SegmenterCard)
    who = str(folder_of(model))
    preparation = Preparation.of(card.preparation, card.spacing, card.prepare, who=who, store=prepare)
    return ScanSegmenter(card, weights, preparation, who=who, device=pick_device(device))
