"""How a model wants its scans, and the way there and back: any scan in, an image in that scan's own space out."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np

from workbench.cohort.aligned import require_aligned
from workbench.errors import ConfigError, WorkbenchError
from workbench.prepare.config import PrepareConfig
from workbench.prepare.fingerprint import contrasts_in, preparation_fingerprint
from workbench.prepare.one import PreparedScan, prepare_one, settings_of
from workbench.prepare.restore import to_source_space
from workbench.prepare.store import Store, open_store
from workbench.runs import Run
from workbench.volumes.given import Given, as_image, as_volume, name_of

__all__ = ["Given", "Preparation", "PreparedScan", "TakesScans", "own_space"]


@dataclass(frozen=True)
class Preparation:
    """The settings that a model's scans were prepared with, checked against the fingerprint it is bound to."""

    settings: dict[str, Any]
    fingerprint: str

    @classmethod
    def of(
        cls,
        fingerprint: str,
        spacing: float,
        settings: dict[str, Any] | None,
        *,
        who: str,
        store: str | os.PathLike[str] | Run | None = None,
    ) -> Preparation:
        """From what a model's card says, or from a store.

        Args:
            fingerprint: That the model is bound to.
            spacing: Edge of its voxels, mm.
            settings: Of the card; None in exports of before 0.2.
            who: The model, for messages.
            store: Takes the settings of this store instead.

        Raises:
            WorkbenchError: the settings have another fingerprint, or nobody knows them.
        """
        if store is not None:
            opened = open_store(folder_of(store))
            opened.require_contrasts(contrasts_in(settings) if settings else opened.contrasts, who)
            opened.require_fingerprint(fingerprint, who)
            settings = opened.settings
        settings = settings_of(fingerprint, spacing) if settings is None else settings
        found = preparation_fingerprint(PrepareConfig.build({"out": ".", "cohort": ".", **settings}))
        if found != fingerprint:
            raise WorkbenchError(
                f"{who}: its scans cannot be prepared here as they were",
                cause=f"it is bound to preparation {fingerprint}; its settings give {found} in this version",
                remedy="use the version of the workbench that made it, or train it again",
            )
        return cls(settings, fingerprint)

    @classmethod
    def of_store(cls, store: Store) -> Preparation:
        """As the scans of a store."""
        return cls(store.settings, store.fingerprint)

    def without_given_mask(self) -> Preparation:
        """The same for a scan that has no mask file: its brain is found, and what was taken for it is told."""
        settings = self.settings | ({"mask": "auto"} if self.settings["mask"] == "given" else {})
        return Preparation(settings, self.fingerprint)

    def prepare(self, scan: Given | PreparedScan, *, mask: Given | None = None) -> PreparedScan:
        """Prepare a scan, or check one that is prepared.

        Raises:
            ScanError: the scan cannot be used.
            ConfigError: a mask is needed, or the scan was prepared for something else.
        """
        if isinstance(scan, PreparedScan):
            if scan.fingerprint != self.fingerprint:
                raise ConfigError(
                    f"{scan.name}: was prepared for another model",
                    cause=f"preparation {scan.fingerprint}, this model needs {self.fingerprint}",
                    remedy="give the scan itself",
                )
            return scan
        settings = self.settings
        if settings["mask"] == "given" and mask is None:
            raise ConfigError(
                f"{name_of(scan)}: a brain mask is needed",
                cause="this model's scans were prepared with the masks of their cohort",
                remedy="give one: mask=",
            )
        brain = None if mask is None else as_volume(mask)
        first, *others = self._by_contrast(scan)
        assert first is not None
        name, whole = name_of(scan), as_volume(first)
        further = [None if one is None else as_volume(one) for one in others]
        for contrast, given, other in zip(contrasts_in(settings)[1:], others, further, strict=True):
            if other is not None and given is not None:
                require_aligned(Path(name_of(given)), contrast, whole, other)
        return prepare_one(whole, settings, self.fingerprint, name=name, mask=brain, further=further)

    def _by_contrast(self, scan: Given) -> list[Given | None]:
        """What is given of each contrast that the model takes, in order; None: zeros, where somebody says None.

        Raises:
            ConfigError: other contrasts than these.
        """
        wanted = contrasts_in(self.settings)
        given = dict(scan) if isinstance(scan, Mapping) else {wanted[0]: scan} if len(wanted) == 1 else {}
        if set(given) != set(wanted) or given[wanted[0]] is None:
            has = "+".join(given) if isinstance(scan, Mapping) else "one scan"
            asked = ", ".join(f"'{name}': ..." for name in wanted)
            raise ConfigError(
                f"{name_of(scan)}: the model takes {'+'.join(wanted)}",
                cause=f"it was given {has}",
                remedy=f"give {{{asked}}}; None for a further contrast that was not scanned",
            )
        return [given[name] for name in wanted]


class TakesScans:
    """What `ScanEncoder`, `ScanSegmenter` and `ScanClassifier` share: how the scans must be that they are given."""

    preparation: Preparation

    def prepare(self, scan: Given | PreparedScan, *, mask: Given | None = None) -> PreparedScan:
        """Bring a scan onto the grid and the scale that this model takes; every question does so by itself. Worth a
        line of its own where several are asked about one scan.

        Args:
            scan: A path, a nibabel image, ``(array, affine)``, or what this has made.
            mask: Brain mask, in the same world; without it the brain is found as the model's scans' were.

        Raises:
            ScanError: the scan cannot be used.
            ConfigError: the model needs a mask and none is given, or the scan was prepared for another.
        """
        return self.preparation.prepare(scan, mask=mask)


def folder_of(place: str | os.PathLike[str] | Run) -> Path:
    return place.path if isinstance(place, Run) else Path(place)


def own_space(values: np.ndarray, scan: PreparedScan, *, order: int, fill: float = 0.0) -> nib.Nifti1Image:
    """A map ``(X, Y, Z)`` on the prepared grid as an image in the scan's own space; see ``to_source_space``."""
    return as_image(to_source_space(values, scan.grid(), scan.source, order=order, fill=fill))
