"""A smooth passage from the known pixels into the hole."""

from torch import Tensor

from lab.contracts import LossInputs
from lab.imaging.morphology import dilate


class RimTotalVariation:
    """Total variation of the completed image over the hole and the pixels around it.

    Liu et al., "Image Inpainting for Irregular Holes Using Partial Convolutions" (PConv, ECCV
    2018), section 3.3: with R the hole dilated by one pixel, the absolute differences of horizontal
    and of vertical neighbours that both lie in R, summed and divided by the elements of the image
    (``3 * H * W``). So R holds the rim's inner and outer pixels, and all of the hole too. The
    batch's mean is returned.

    The truth itself has a total variation: the minimum of 0 is a flat image, not a right one, and
    the term is only meant beside others, with a small weight.
    """

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar, in units of the image's range; 0 where the hole is empty or flat."""
        completed = inputs.completed.float()
        region = dilate(inputs.mask.float(), 1)
        sideways = (completed[..., 1:] - completed[..., :-1]).abs()
        sideways = sideways * region[..., 1:] * region[..., :-1]
        downwards = (completed[..., 1:, :] - completed[..., :-1, :]).abs()
        downwards = downwards * region[..., 1:, :] * region[..., :-1, :]
        return (sideways.sum() + downwards.sum()) / completed.numel()
