"""Shift-Net's guidance: the decoder should look for what the true photo has in the hole.

Yan et al., "Shift-Net: Image Inpainting via Deep Feature Rearrangement" (ECCV 2018), section 3.3:
the shift connection finds by the decoder's features what it shifts, so these should be like the
encoder's features of what is missing.
"""

from torch import Tensor

from lab.contracts import LossInputs


class ShiftGuidance:
    """The mean square of the decoder's features less the encoder's of the true photo, in the hole.

    In the published code's normalization: over all elements of the features, positions outside the
    hole counting 0, so that a small hole gives a small value. The truth's features are the target
    and get no gradient. The paper weighs it 0.01 beside an L1 of 1, the code 1 beside 100.

    The published code adds its gradient by hand, in which the target is not masked: it also pushes
    the decoder's features of known positions along the target, without end. The paper has no such
    part, and this has not.
    """

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where both are the same, or nothing is hole.

        Raises:
            ValueError: the network has no such features.
        """
        extras = inputs.stages.extras
        if inputs.guidance_features is None or "decoder_features" not in extras:
            raise ValueError(
                "the term shift_guidance asks a network with guidance_features and the extras "
                "decoder_features and reduced_mask, and this one has none: take ShiftNet, or leave "
                "the term out"
            )
        target = inputs.guidance_features(inputs.truth, inputs.mask).detach()
        difference = extras["decoder_features"].float() - target.float()
        return (difference * extras["reduced_mask"].float()).square().mean()
