"""Statistics over people, never over scans: intervals, paired tests, and the sentence that they allow."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
