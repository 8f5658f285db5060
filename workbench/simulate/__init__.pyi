from .config import SimulateConfig as SimulateConfig
from .labelmaps import LabelmapsConfig as LabelmapsConfig
from .labelmaps import run_labelmaps as run_labelmaps
from .simulate import run_simulate as run_simulate
