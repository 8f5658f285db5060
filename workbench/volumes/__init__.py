"""A scan on disk ↔ an array with an affine."""

from workbench.volumes.forms import Guess
from workbench.volumes.read import read_grid, read_remarks, read_scan, read_volume
from workbench.volumes.resample import canonical, resample, spaced_grid
from workbench.volumes.volume import Grid, Volume
from workbench.volumes.write import write_volume

__all__ = [
    "Grid",
    "Guess",
    "Volume",
    "canonical",
    "read_grid",
    "read_remarks",
    "read_scan",
    "read_volume",
    "resample",
    "spaced_grid",
    "write_volume",
]
