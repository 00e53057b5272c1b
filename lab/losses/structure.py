"""Structural similarity as a loss.

The background notes (V3.6) add ``1 - MS-SSIM`` between the photo and the completed image. Theirs is
computed on detached tensors and on a range of [0, 510], so that it neither trains nor measures;
here it does both. Zhao et al., "Loss Functions for Image Restoration with Neural Networks" (IEEE
Transactions on Computational Imaging, 2017), made MS-SSIM a loss.
"""

from torch import Tensor

from lab.contracts import LossInputs
from lab.imaging.similarity import ms_ssim, region_mean, ssim_maps


class MSSSIM:
    """``1 - MS-SSIM`` of the completed image and the truth, the batch's mean; 0 to 1.

    Of the completed image, as in the notes: what the network says about known pixels is thrown away
    and does not count, while the windows at the rim see how hole and surroundings fit. A small hole
    therefore gives a small value. Gradient reaches the refined stage inside the hole.
    """

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where the completed image is the truth.

        Raises:
            ValueError: an image too small for the window.
        """
        return 1.0 - ms_ssim(inputs.completed.float(), inputs.truth.detach().float()).mean()


class HoleSSIM:
    """``1 - SSIM``, the mean over the hole's pixels, then over the batch; 0 to 2.

    Of the completed image, whose windows reach five pixels beyond the hole. Whatever its size, a
    hole counts alike: this is what the metric ``hole_ssim`` measures.
    """

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where the completed image is the truth."""
        similarity, _ = ssim_maps(inputs.completed.float(), inputs.truth.detach().float())
        # Of the difference to 1: an empty hole costs nothing.
        return region_mean(1.0 - similarity, inputs.mask).mean()
