"""What the notebooks show and ask by: pictures, sliders, a brush, blind votes, training as it runs.

Everything here is a surface: it reads what runs left on disk, or calls the rooms below.
"""

from lab.widgets.ballot import Ballot
from lab.widgets.comparison import Comparison
from lab.widgets.epoch_browser import EpochBrowser, EpochComparison
from lab.widgets.gates import LayerGates, gates_of
from lab.widgets.mask_painter import MaskPainter
from lab.widgets.pictures import Wipe, encode_picture, show
from lab.widgets.training import short_training, train_and_watch

__all__ = [
    "Ballot",
    "Comparison",
    "EpochBrowser",
    "EpochComparison",
    "LayerGates",
    "MaskPainter",
    "Wipe",
    "encode_picture",
    "gates_of",
    "short_training",
    "show",
    "train_and_watch",
]
