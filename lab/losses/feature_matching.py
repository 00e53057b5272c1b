"""Feature matching: the completed image should look like the truth to the discriminator's layers.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"
(pix2pixHD, CVPR 2018), equation 4; Nazeri et al., "EdgeConnect" (ICCV Workshops 2019), equation 3.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.contracts import LossInputs
from lab.losses.adversarial import judge


class FeatureMatching:
    """The L1 between the discriminator's features of the completed image and of the truth.

    The mean over a layer's elements, then over the layers. The truth's features are the target and
    get no gradient.
    """

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where the completed image is the truth.

        Raises:
            ValueError: the inputs carry no judge, or one that answers no features.
        """
        completed = judge(inputs, inputs.completed, "feature_matching").features
        with torch.no_grad():
            truth = judge(inputs, inputs.truth, "feature_matching").features
        if not completed:
            raise ValueError("feature matching needs a discriminator that answers its features")
        differences = [
            F.l1_loss(ours.float(), theirs.float())
            for ours, theirs in zip(completed, truth, strict=True)
        ]
        return torch.stack(differences).mean()
