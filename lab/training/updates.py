"""How far a step of an optimizer moves the weights that it trains."""

import torch
from torch import Tensor, nn
from torch.nn.utils import get_total_norm

LONG_STEP = 0.05
"""Three networks that fill holes were trained by steps that moved a larger share of their weights:
two exploded, one hardly learned; the longest of the published ones at its own rate is 0.03
(docs/findings.md, "How high a rate?")."""


class Updates:
    """Keeps the weights as they are before a step, to tell afterwards how far it moved them.

    Args:
        module: whose parameters with gradient are kept; at least one.
    """

    def __init__(self, module: nn.Module) -> None:
        self._trained = [each for each in module.parameters() if each.requires_grad]
        self._before = [each.detach().clone() for each in self._trained]

    def ratio(self) -> Tensor:
        """The norm of the step over the norm of the weights that it moved, a scalar.

        It says of a learning rate what the rate itself does not: how much of a network one step
        replaces, whatever the network's size and start. Of weights that were all 0 it is 0.
        """
        steps = [
            after.detach() - before
            for after, before in zip(self._trained, self._before, strict=True)
        ]
        norm = get_total_norm(self._before)
        return torch.where(norm > 0, get_total_norm(steps) / norm, 0.0)
