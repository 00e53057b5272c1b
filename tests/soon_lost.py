"""A training of several machines in which one without signs of life is soon taken for lost."""

import lab.machine_watch
from lab.networks import InpaintSANet

lab.machine_watch.LOST_AFTER = 4.0


class SoonLost(InpaintSANet):
    """The same network; machines learn of the above by importing it."""
