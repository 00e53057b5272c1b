"""The inner strategy's answer without a step in color at the rim of the hole."""

from collections.abc import Callable

import torch
from kornia.filters import gaussian_blur2d
from torch import Tensor

from lab.checks import check_image_and_mask
from lab.contracts import Guides, Network, Strategy
from lab.guides import check_guides
from lab.imaging import erode
from lab.strategies.direct import Direct


class Feathered(Strategy):
    """Blends the inner strategy's whole answer into the photo over a rim inside the hole.

    A network repaints the known pixels too, and by how much it is off there tells by how much it
    is off just inside the hole. That difference, smoothed, is carried over the rim and fades to
    nothing over ``width`` pixels. Known pixels stay as they are, and what the photo holds under the
    hole plays no part, as it would if the two were mixed.

    Args:
        network: the network.
        inner: what completes the photo, *without* pasting: one that pastes (as `Direct` does by
            default, and as other strategies do) is never off on known pixels, so nothing changes.
            Inside another strategy, `Feathered` belongs innermost.
        width: of the rim, in pixels, at least 1.

    Raises:
        ValueError: a width below 1.
    """

    def __init__(
        self,
        network: Network,
        inner: Callable[[Network], Strategy] = lambda network: Direct(network, paste=False),
        width: int = 8,
    ) -> None:
        if width < 1:
            raise ValueError(f"width is {width}, but must be at least 1 pixel")
        self.inner = inner(network)
        self.width = width

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1, shown ``guides``.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            UserError: a guide that the network reads is missing, or there is no such guide.
        """
        check_image_and_mask(image, mask)
        check_guides(guides, image)
        answer = self.inner(image, mask, guides)
        missing = torch.where(mask > 0, 0.0, image - answer)
        # Smoothed over known pixels alone: normalized convolution.
        near = self._smooth(1 - mask)
        missing = self._smooth(missing) / near.clamp_min(torch.finfo(near.dtype).tiny)
        blended = (answer + self._fade(mask) * missing).clamp(0, 1)
        return torch.where(mask > 0, blended, image)

    def _smooth(self, planes: Tensor) -> Tensor:
        # As far as the rim is wide: every pixel of the rim has a known one within reach.
        sigma = self.width / 2
        return gaussian_blur2d(planes, 2 * self.width + 1, (sigma, sigma), border_type="constant")

    def _fade(self, mask: Tensor) -> Tensor:
        """1 at the hole's border, falling to 0 at ``width`` pixels inside it, and beyond."""
        inner = mask
        depth = torch.zeros_like(mask)
        for _ in range(self.width):
            depth += inner
            inner = erode(inner, 1)
        # Measured to the middle of a pixel; beyond the rim every step counted.
        return (1 - (depth - 0.5) / self.width) * (mask - inner)
