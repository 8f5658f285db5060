"""A study: arms compared on the same people under the same settings, from one YAML to tables and a report."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.study.job import run_study
    from workbench.study.settings.config import StudyConfig

__all__ = ["StudyConfig", "run_study"]
__getattr__ = lazy.names(__name__, {"StudyConfig": "settings.config", "run_study": "job"})
