"""The best of the smooth fills: a blur, but the truest to the colours, and at once."""

import torch
from torch import Tensor

from lab.checks import check_image_and_mask
from lab.contracts import Guides, Strategy
from lab.fills.holed import complete_holed, refuse_full
from lab.fills.smooth import across_fill


class SmoothFill(Strategy):
    """Spreads the colours around the hole over it, mostly across where it is narrow.

    `lab.fills.across_fill`: computed in float32, on the image's device.
    """

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1.

        Known pixels come back bit for bit; a sample with an empty mask comes back as it is.
        No guide is read.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            ValueError: a mask covers the whole image, so there is nothing to fill it from.
        """
        check_image_and_mask(image, mask)
        refuse_full(mask)
        return complete_holed(image, mask, True, self._fill)

    def _fill(self, known: Tensor, hole: Tensor, guides: Guides | None) -> Tensor:
        return across_fill(known, hole > 0).clamp(0, 1)
