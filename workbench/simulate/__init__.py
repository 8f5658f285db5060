"""A multi-site cohort with a known truth, made up from a template: for tests, demonstrations and method studies."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.simulate.config import SimulateConfig
    from workbench.simulate.labelmaps import LabelmapsConfig, run_labelmaps
    from workbench.simulate.simulate import run_simulate

__all__ = ["LabelmapsConfig", "SimulateConfig", "run_labelmaps", "run_simulate"]
__getattr__ = lazy.names(
    __name__,
    {
        "SimulateConfig": "config",
        "run_simulate": "simulate",
        **dict.fromkeys(["LabelmapsConfig", "run_labelmaps"], "labelmaps"),
    },
)
