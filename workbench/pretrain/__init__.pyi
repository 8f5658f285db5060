from .config import PretrainConfig as PretrainConfig
from .train import run_pretrain as run_pretrain
