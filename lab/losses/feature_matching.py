"""Feature matching: the completed image should look like the truth to a judge's layers.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"
(pix2pixHD, CVPR 2018), equation 4; Nazeri et al., "EdgeConnect" (ICCV Workshops 2019), equation 3.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.contracts import LossInputs
from lab.losses.adversarial import judged_pair


@dataclass(frozen=True)
class FeatureMatching:
    """The L1 between a judge's features of what the network made and of the truth.

    The mean over a layer's elements, then over the layers. The truth's features are the target and
    get no gradient.

    Args:
        judge: the name of the judge.
    """

    judge: str = "whole"

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the scalar; 0 where both are the same.

        Raises:
            ValueError: the inputs carry no such judge, or one that answers no features.
        """
        judged = judged_pair(inputs, self.judge, "feature_matching")
        ours = judged.judge(judged.fake).features
        with torch.no_grad():
            truth = judged.judge(judged.real).features
        if not ours:
            raise ValueError("feature matching needs a judge that answers its features")
        differences = [
            F.l1_loss(our.float(), their.float()) for our, their in zip(ours, truth, strict=True)
        ]
        return torch.stack(differences).mean()
