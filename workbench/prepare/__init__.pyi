from .config import PrepareConfig as PrepareConfig
from .fingerprint import preparation_fingerprint as preparation_fingerprint
from .prepare import describe as describe
from .prepare import plan_prepare as plan_prepare
from .prepare import run_prepare as run_prepare
from .restore import to_source_space as to_source_space
from .store import Store as Store
from .store import open_store as open_store
