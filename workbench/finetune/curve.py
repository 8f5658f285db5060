"""Time to Dice: pretraining may buy speed where it buys no end point."""

from __future__ import annotations

import numpy as np
import pandas as pd
from torch import nn

from workbench.errors import WorkbenchError
from workbench.finetune.config import SegmentConfig
from workbench.finetune.segment_data import class_map, to_classes
from workbench.finetune.windows import keep_largest, probabilities
from workbench.measures.structures import dice
from workbench.prepare.store import Store
from workbench.runs import Run
from workbench.volumes.volume import Triple

TABLE = "time_to_dice"


class DiceCurve:
    """Scores the validation people every so many steps into ``results/time_to_dice.parquet``: a row a step, scan and
    structure, with ``seconds`` of training alone. Never a test person."""

    def __init__(
        self, store: Store, table: pd.DataFrame, config: SegmentConfig, crop: Triple, device: str, run: Run
    ) -> None:
        people = table[table["split"] == "validation"].sort_values(["participant", "scan_id"])
        self.scans = people.drop_duplicates("participant").head(config.validation_scans)
        if not len(self.scans):
            raise WorkbenchError(
                f"{config.split}: nobody to validate on",
                cause="validate_every asks for it",
                remedy="make a split with a share for validation, or set --validate_every 0",
            )
        self.store, self.config, self.crop, self.device, self.run = store, config, crop, device, run

    def __call__(self, model: nn.Module, step: int, seconds: float) -> None:
        """Score ``model`` if it is time to."""
        if step % self.config.validate_every and step != self.config.steps:
            return
        rows = []
        for scan in self.scans.itertuples():
            found = probabilities(
                model,
                self.store.read_channels(scan.scan_id),
                crop=self.crop,
                overlap=self.config.overlap,
                device=self.device,
                precision=self.config.precision,
                mirror=self.config.mirror,
            ).argmax(axis=0)
            if self.config.largest_component:
                found = keep_largest(found, len(self.config.structures))
            truth = to_classes(
                self.store.read_seg(scan.scan_id), class_map(self.store, scan.scan_id, self.config.structures)
            )
            rows += [
                {
                    "step": step,
                    "seconds": seconds,
                    "scan_id": scan.scan_id,
                    "participant": scan.participant,
                    "site": scan.site,
                    "structure": name,
                    "dice": dice(found == code, truth == code),
                }
                for code, name in enumerate(self.config.structures, start=1)
            ]
        self._keep(pd.DataFrame(rows))
        self.run.log(step=step, seconds=round(seconds, 2), validation_dice=float(np.nanmean([r["dice"] for r in rows])))

    def _keep(self, rows: pd.DataFrame) -> None:
        """Behind the rows of earlier steps. Later ones are of a process that was killed after its last checkpoint."""
        if TABLE in self.run.tables():
            before = self.run.read_table(TABLE)
            rows = pd.concat([before[before["step"] < rows["step"].min()], rows], ignore_index=True)
        self.run.write_table(TABLE, rows)
