"""The patches of what belongs in the hole, wherever they lie, as a loss that needs no weights."""

import torch
from torch import Tensor

from lab.contracts import LossInputs
from lab.imaging import draw_directions, laplacian_pyramid, patch_distance

_PROJECTIONS = 18


class HoleTexture:
    """How differently the patches in the hole are distributed from the truth's; the batch's mean.

    Of the completed image. Ariel Elnekave and Yair Weiss, "Generating Natural Images with Direct
    Patch Distributions Matching" (ECCV 2022): patches are projected on random directions, drawn
    anew at every step, and the sorted projections are compared. A style loss does alike with VGG's
    features. Differs from the paper: of a Laplacian pyramid's scales at once, each divided by the
    true photo's contrast there, and by directions that see luminance or hue alone
    (`lab.imaging.draw_directions`), as the metric ``hole_texture`` does; so whoever trains by it
    and measures by that, measures what was trained.
    """

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where the completed image is the truth, and without a hole."""
        completed, truth = inputs.completed.float(), inputs.truth.detach().float()
        mask = inputs.mask.float()
        directions = draw_directions(_PROJECTIONS)
        with torch.autocast(completed.device.type, enabled=False):
            scales, true_scales = laplacian_pyramid(completed), laplacian_pyramid(truth)
            return patch_distance(scales, mask, true_scales, mask, directions).mean()
