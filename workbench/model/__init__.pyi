from .config import EncoderConfig as EncoderConfig
from .export import EncoderCard as EncoderCard
from .export import fresh_encoder as fresh_encoder
from .export import load_encoder as load_encoder
from .export import save_encoder as save_encoder
from .vit import Encoder as Encoder
from .vit import Tokens as Tokens
