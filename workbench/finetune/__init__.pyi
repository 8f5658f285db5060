from .classify import run_classify as run_classify
from .config import ClassifyConfig as ClassifyConfig
from .config import SegmentConfig as SegmentConfig
from .segment import run_segment as run_segment
