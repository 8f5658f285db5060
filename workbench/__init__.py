"""VolTA workbench: self-supervised learning on brain MRI, from a BIDS folder to evidence.

Importing this package is cheap on purpose: each room (``workbench.cohort``, ``workbench.pretrain``, …) is
imported when it is used, so that ``workbench --help`` answers at once.
"""

__version__ = "0.2.0.dev0"
