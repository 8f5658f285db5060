from .job import run_study as run_study
from .settings.config import StudyConfig as StudyConfig
