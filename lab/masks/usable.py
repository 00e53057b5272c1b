"""The one promise every generator makes: a hole to fill, and something known to fill it from."""

from collections.abc import Callable

import torch
from torch import Tensor

# A parameter set that yields one usable mask in ten still fails less than once in 10^45 draws.
ATTEMPTS = 1000


def draw_usable(draw: Callable[[], Tensor], owner: object) -> Tensor:
    """Call ``draw`` until its mask is neither empty nor full.

    Args:
        draw: draws one mask of 0 and 1, from fresh random numbers at every call.
        owner: the generator, named in the error.

    Raises:
        RuntimeError: no usable mask in ``ATTEMPTS`` draws, so the parameters or the size are wrong.
    """
    for _ in range(ATTEMPTS):
        mask = draw()
        # Not any() and all(), which take five times as long on floats.
        lowest, highest = torch.aminmax(mask)
        if lowest == 0.0 and highest == 1.0:
            return mask
    raise RuntimeError(
        f"{owner} drew {ATTEMPTS} masks of {mask.shape[-2]}x{mask.shape[-1]} pixels, each empty or "
        "full: change its sizes, or draw larger masks"
    )
