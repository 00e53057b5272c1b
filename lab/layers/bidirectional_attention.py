"""The two learned parts of bidirectional attention maps: the gate, and the mask's update.

Chaohao Xie et al., "Image Inpainting with Learnable Bidirectional Attention Maps" (ICCV 2019),
section 3.2. Where partial convolution counts known pixels and cuts at one, both are smooth here.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

# What the published code keeps each of the gate's parameters within.
_BOUNDS = {"a": (1.01, 6.0), "mu": (0.1, 3.0), "sigma1": (0.5, 2.0), "sigma2": (0.5, 2.0)}


class AsymmetricGaussianGate(nn.Module):
    """``a exp(-sigma1 (x - mu)^2)`` below ``mu``, ``1 + (a - 1) exp(-sigma2 (x - mu)^2)`` above.

    So it is nearly 0 where a window knows little, at most ``a`` where ``x`` is ``mu``, and 1 far
    above. The four parameters, with the paper's names, are learned within bounds: in training
    they are put back into them before every use, as published, and elsewhere used as if they were.

    Args:
        a: the gate's maximum, 1.01 to 6.
        mu: where it is, 0.1 to 3.
        sigma1: how fast it falls below, 0.5 to 2.
        sigma2: how fast it goes to 1 above, 0.5 to 2.

    Raises:
        ValueError: a parameter outside its bounds.
    """

    a: nn.Parameter
    mu: nn.Parameter
    sigma1: nn.Parameter
    sigma2: nn.Parameter

    def __init__(self, a: float, mu: float, sigma1: float, sigma2: float) -> None:
        super().__init__()
        for name, value in (("a", a), ("mu", mu), ("sigma1", sigma1), ("sigma2", sigma2)):
            low, high = _BOUNDS[name]
            if not low <= value <= high:
                raise ValueError(f"{name} must be {low} to {high}, not {value}")
            self.register_parameter(name, nn.Parameter(torch.tensor(value)))

    def forward(self, x: Tensor) -> Tensor:
        """Map a mask's features, of any shape, to attention of the same shape, in [0, a]."""
        if self.training:
            for name, (low, high) in _BOUNDS.items():
                parameter = self.get_parameter(name)
                # Not in place: a graph of an earlier use would then refuse to go backward.
                parameter.data = parameter.data.clamp(low, high)
        a, mu, sigma1, sigma2 = (
            self.get_parameter(name).clamp(low, high) for name, (low, high) in _BOUNDS.items()
        )
        # In float32, since half precision has few steps where the gate is steep.
        distance = x.float() - mu
        below = distance < 0.0
        bell = torch.exp(-torch.where(below, sigma1, sigma2) * distance.square())
        return torch.where(below, a * bell, 1.0 + (a - 1.0) * bell).to(x.dtype)


def updated_mask(features: Tensor, exponent: float = 0.8) -> Tensor:
    """The mask that the next layer is shown: ``relu(features) ** exponent``."""
    # ReLU, not a clamp: only it has gradient 0 at 0, where the power's is infinite.
    return F.relu(features) ** exponent
