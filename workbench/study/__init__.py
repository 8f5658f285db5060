"""A study: arms compared on the same people under the same settings, from one YAML to tables and a report."""

from typing import TYPE_CHECKING

from workbench import lazy

if TYPE_CHECKING:
    from workbench.study.config import StudyConfig
    from workbench.study.study import run_study

__all__ = ["StudyConfig", "run_study"]
__getattr__ = lazy.names(__name__, {"StudyConfig": "config", "run_study": "study"})
