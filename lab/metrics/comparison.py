"""What the measures share: the maps of one batch, each computed once, when first asked for."""

from functools import cached_property

import torch
from torch import Tensor

from lab.imaging import laplacian_pyramid, similarity_pyramid
from lab.metrics.rim_step import rim_step
from lab.metrics.sharpness import gradient_magnitude


class Comparison:
    """A batch of completed photos against the truth.

    Everything is float32, or float64 where the images are.

    Args:
        completed: ``(B, 3, H, W)`` in [0, 1].
        truth: like ``completed``.
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
    """

    def __init__(self, completed: Tensor, truth: Tensor, mask: Tensor) -> None:
        dtype = torch.promote_types(
            torch.promote_types(completed.dtype, truth.dtype), torch.float32
        )
        self.completed = completed.to(dtype)
        self.truth = truth.to(dtype)
        self.mask = mask.to(dtype)

    @cached_property
    def absolute_error(self) -> Tensor:
        """``(B, 3, H, W)``."""
        return (self.completed - self.truth).abs()

    @cached_property
    def squared_error(self) -> Tensor:
        """``(B, 3, H, W)``."""
        return self.absolute_error.square()

    @cached_property
    def similarity_pyramid(self) -> list[tuple[Tensor, Tensor]]:
        """SSIM and contrast-structure maps at each scale of MS-SSIM, the finest first."""
        return similarity_pyramid(self.completed, self.truth)

    @property
    def ssim_map(self) -> Tensor:
        """``(B, 3, H, W)``."""
        return self.similarity_pyramid[0][0]

    @cached_property
    def gradient_magnitudes(self) -> tuple[Tensor, Tensor]:
        """Of the completed photos and of the truth, each ``(B, 1, H, W)``."""
        return gradient_magnitude(self.completed), gradient_magnitude(self.truth)

    @cached_property
    def laplacian_pyramids(self) -> tuple[list[Tensor], list[Tensor]]:
        """Of the completed photos and of the truth, the finest scale first."""
        return laplacian_pyramid(self.completed), laplacian_pyramid(self.truth)

    @cached_property
    def rim_steps(self) -> tuple[Tensor, Tensor]:
        """Of the completed photos and of the truth, each ``(B,)``."""
        return rim_step(self.completed, self.mask), rim_step(self.truth, self.mask)
