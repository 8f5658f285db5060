"""The face: what ``import workbench as wb`` gives. ``lazy_loader`` imports each name when it is first used.

A test holds the functions of this file to the table of jobs.
"""

import typing

from . import plots as plots
from . import stats as stats
from .analysis import AttendConfig as AttendConfig
from .analysis import ChangeConfig as ChangeConfig
from .analysis import EmbedConfig as EmbedConfig
from .analysis import GroupConfig as GroupConfig
from .analysis import ReliabilityConfig as ReliabilityConfig
from .analysis import ShiftConfig as ShiftConfig
from .analysis import TokensConfig as TokensConfig
from .analysis import WhatifConfig as WhatifConfig
from .analysis.tokens.rgb import read_rgb as read_rgb
from .batch import BatchConfig as BatchConfig
from .batch import NotebookConfig as NotebookConfig
from .batch import batch_status as batch_status
from .batch import collect_batch as collect_batch
from .batch import record as record
from .cohort import Cohort as Cohort
from .cohort import CohortConfig as CohortConfig
from .cohort import SplitConfig as SplitConfig
from .cohort import load_cohort as load_cohort
from .cohort import load_split as load_split
from .cohort.selections import save_selection as save_selection
from .cohort.selections import selections as selections
from .dock.config import ImportConfig as ImportConfig
from .dock.export_config import ExportConfig as ExportConfig
from .errors import ConfigError as ConfigError
from .errors import ScanError as ScanError
from .errors import WorkbenchError as WorkbenchError
from .explorer import show as show
from .explorer import view_itk as view_itk
from .face import Configured as Configured
from .face import plan as plan
from .face import run as run
from .finetune import ClassifyConfig as ClassifyConfig
from .finetune import SegmentConfig as SegmentConfig
from .measures import measure as measure
from .predict import Embedding as Embedding
from .predict import Placed as Placed
from .predict import PredictConfig as PredictConfig
from .predict import Prediction as Prediction
from .predict import PreparedScan as PreparedScan
from .predict import ScanClassifier as ScanClassifier
from .predict import ScanEncoder as ScanEncoder
from .predict import ScanSegmenter as ScanSegmenter
from .predict import ScanTokens as ScanTokens
from .predict import Similarity as Similarity
from .predict import load_classifier as load_classifier
from .predict import load_encoder as load_encoder
from .predict import load_segmenter as load_segmenter
from .prepare import PrepareConfig as PrepareConfig
from .prepare import Store as Store
from .prepare import open_store as open_store
from .pretrain import PretrainConfig as PretrainConfig
from .runs import Run as Run
from .runs import find_runs as find_runs
from .simulate import LabelmapsConfig as LabelmapsConfig
from .simulate import SimulateConfig as SimulateConfig
from .study import StudyConfig as StudyConfig
from .study.settings.fair import check_fair as check_fair
from .volumes import Volume as Volume
from .volumes import read_volume as read_volume
from .volumes import write_volume as write_volume

__version__: str

def simulate(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def labelmaps(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def cohort(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def split(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def prepare(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def pretrain(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def import_(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def export(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def segment(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def classify(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def predict(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def embed(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def attend(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def group(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def tokens(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def probe(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def shift(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def reliability(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def change(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def whatif(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def compare(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def notebook(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
def batch(config: Configured = None, /, *, overwrite: bool = False, **settings: typing.Any) -> Run: ...
