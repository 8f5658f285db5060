from .batch import run_batch as run_batch
from .batch_config import BatchConfig as BatchConfig
from .collect import batch_status as batch_status
from .collect import collect_batch as collect_batch
from .config import NotebookConfig as NotebookConfig
from .html import write_html as write_html
from .notebook import run_notebook as run_notebook
from .results import record as record
