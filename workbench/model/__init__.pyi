from .config import EncoderConfig as EncoderConfig
from .contract import AnyEncoder as AnyEncoder
from .contract import Tokens as Tokens
from .export import EncoderCard as EncoderCard
from .export import fresh_encoder as fresh_encoder
from .export import load_encoder as load_encoder
from .export import save_encoder as save_encoder
from .vit import Encoder as Encoder
