"""Measures of whole photos that take longer than all others: LPIPS, DISTS and VSI, where asked for.

LPIPS and DISTS compare features of trained networks. These come from this package's own loading
code, since torchmetrics' classes ask torchvision for theirs; what was learned from people on top of
the features ships with torchmetrics.
"""

from collections.abc import Callable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.metrics.visual_similarity import vsi
from lab.networks.alexnet import AlexNetFeatures, load_alexnet
from lab.networks.vgg import VGGFeatures
from lab.networks.weight_files import read_checkpoint

# Of values in [-1, 1], as LPIPS' authors state them.
_SHIFT = (-0.030, -0.088, -0.188)
_SCALE = (0.458, 0.448, 0.450)
_DISTS_LAYERS = ("relu1_2", "relu2_2", "relu3_3", "relu4_3", "relu5_3")
_DISTS_FLOOR = 1e-6

Distance = Callable[[Tensor, Tensor], Tensor]
"""``(completed, truth) -> (B,)``, photos ``(B, 3, H, W)`` in [0, 1]."""


class LPIPS(nn.Module):
    """Learned perceptual image patch similarity, by AlexNet: a distance, 0 = equal.

    Richard Zhang, Phillip Isola, Alexei A. Efros, Eli Shechtman and Oliver Wang, "The Unreasonable
    Effectiveness of Deep Features as a Perceptual Metric" (CVPR 2018), version 0.1.

    Args:
        network: AlexNet; None loads the published one.
    """

    def __init__(self, network: AlexNetFeatures | None = None) -> None:
        super().__init__()
        self.network = network or load_alexnet()
        learned = read_checkpoint(_shipped("lpips_models", "alex.pth"))
        self._weights = [learned[f"lin{number}.model.1.weight"] for number in range(5)]

    @torch.no_grad()
    def forward(self, completed: Tensor, truth: Tensor) -> Tensor:
        """The distance of each pair, ``(B,)``."""
        pairs = zip(self._features(completed), self._features(truth), self._weights, strict=True)
        distances = [
            F.conv2d((ours - true).square(), weight.to(ours)).mean((1, 2, 3))
            for ours, true, weight in pairs
        ]
        return torch.stack(distances).sum(0)

    def _features(self, image: Tensor) -> list[Tensor]:
        shift, scale = (image.new_tensor(values).view(1, 3, 1, 1) for values in (_SHIFT, _SCALE))
        answers = self.network((2.0 * image - 1.0 - shift) / scale)
        return [x / (x.square().sum(1, keepdim=True) + 1e-8).sqrt() for x in answers]


class DISTS(nn.Module):
    """Deep image structure and texture similarity, by VGG16: a distance, 0 = equal.

    Keyan Ding, Kede Ma, Shiqi Wang and Eero P. Simoncelli, "Image Quality Assessment: Unifying
    Structure and Texture Similarity" (TPAMI 2020). The pooling is a Hanning window's, so that
    textures may shift.

    Args:
        network: VGG16 up to relu5_3; None loads the published one.
    """

    def __init__(self, network: VGGFeatures | None = None) -> None:
        super().__init__()
        self.network = network or VGGFeatures("vgg16", ("relu5_3",))
        learned = read_checkpoint(_shipped("dists_models", "weights.pt"))
        total = learned["alpha"].sum() + learned["beta"].sum()
        self._weights = [(learned[name] / total).flatten() for name in ("alpha", "beta")]
        window = np.hanning(5)[1:-1]
        plane = torch.from_numpy(np.outer(window, window)).float()
        self._window = plane / plane.sum()

    @torch.no_grad()
    def forward(self, completed: Tensor, truth: Tensor) -> Tensor:
        """The distance of each pair, ``(B,)``."""
        likeness = completed.new_zeros(len(completed))
        weights = [weight.to(completed) for weight in self._weights]
        first = 0
        pairs = zip(self._features(completed), self._features(truth), strict=True)
        for ours, true in pairs:
            here = slice(first, first + ours.shape[1])
            means = ours.mean((2, 3)), true.mean((2, 3))
            variances = [
                (x - mean[..., None, None]).square().mean((2, 3))
                for x, mean in zip((ours, true), means, strict=True)
            ]
            shared = (ours * true).mean((2, 3)) - means[0] * means[1]
            texture = _likeness(means[0] * means[1], means[0].square() + means[1].square())
            structure = _likeness(shared, variances[0] + variances[1])
            likeness = likeness + texture @ weights[0][here] + structure @ weights[1][here]
            first = here.stop
        return 1.0 - likeness

    def _features(self, image: Tensor) -> list[Tensor]:
        """The image itself, then the last layer of each block."""
        answers = [image]
        x = (image - self.network.mean) / self.network.deviation
        for name, layer in zip(self.network.names, self.network.features, strict=True):
            x = self._pool(x) if name.startswith("pool") else layer(x)
            if name in _DISTS_LAYERS:
                answers.append(x)
        return answers

    def _pool(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        window = self._window.to(x).expand(channels, 1, -1, -1)
        return (F.conv2d(x.square(), window, stride=2, padding=1, groups=channels) + 1e-12).sqrt()


def _likeness(product: Tensor, squares: Tensor) -> Tensor:
    return (2.0 * product + _DISTS_FLOOR) / (squares + _DISTS_FLOOR)


def _shipped(*parts: str) -> Path:
    """A file of learned weights that torchmetrics brings along; it need not be imported."""
    found = find_spec("torchmetrics")
    assert found is not None, "it is pinned"
    assert found.origin is not None, "it is a package of files"
    return Path(found.origin).parent.joinpath("functional", "image", *parts)


PERCEPTUAL: Mapping[str, Callable[[], Distance]] = {
    "lpips": LPIPS,
    "dists": DISTS,
    "vsi": lambda: vsi,
}
"""The measures by name; building one loads its network."""


class PerceptualMeasures:
    """Those that were asked for, each with its network loaded once.

    Args:
        names: of `PERCEPTUAL`.

    Raises:
        MissingWeightsError: a network's weights are not here and cannot be downloaded.
        WrongHashError, UnreadableCheckpointError: a file of weights.
    """

    def __init__(self, names: Sequence[str]) -> None:
        self._distances = {name: PERCEPTUAL[name]() for name in names}

    def __call__(self, completed: Tensor, truth: Tensor) -> dict[str, Tensor]:
        """``(B,)`` by the metric's name, ``whole_lpips`` and so on."""
        found = {}
        for name, distance in self._distances.items():
            if isinstance(distance, nn.Module):
                distance.to(completed.device)
            found[f"whole_{name}"] = distance(completed.float(), truth.float())
        return found
