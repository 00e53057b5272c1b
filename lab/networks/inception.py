"""Inception v3 as the Inception Score, FID and KID use it: the network of 2015-12-05, frozen.

Christian Szegedy, Vincent Vanhoucke, Sergey Ioffe, Jonathon Shlens and Zbigniew Wojna, "Rethinking
the Inception Architecture for Computer Vision" (CVPR 2016), with the weights of TensorFlow's
release that Heusel et al. measured FID by (Apache License 2.0), as pytorch-fid publishes them for
PyTorch. It is not the network of torchvision: average pooling leaves the padding out, the last
block pools by the maximum, and there are 1008 classes.
"""

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Literal, NamedTuple, Self

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.networks.building import build_with_weights
from lab.networks.weight_files import Excerpt, WeightFile, locate_or_download, read_checkpoint

# Stated in full by several independent projects; begins with the digits that the name carries.
INCEPTION_WEIGHTS = WeightFile(
    name="pt_inception-2015-12-05-6726825d.pth",
    address="https://github.com/mseitzer/pytorch-fid/releases/download/fid_weights/"
    "pt_inception-2015-12-05-6726825d.pth",
    sha256="6726825d0af5f729cebd5821db510b11b1cfad8faad88a03f1befd49fb9129b2",
    excerpt=Excerpt(
        "inception-2015-12-05-features.pth",
        "d74e006393608b05822a1674df4a686a44053b0429765843d963dc7a3eb3f5d3",
    ),
)

FEATURES = 2048
CLASSES = 1008
_SIDE = 299

Pooling = Literal["average", "maximum", "halving"]


class _Convolution(NamedTuple):
    """A convolution by its published name; of stride 2 without padding, else of the same size."""

    name: str
    channels: int
    kernel: tuple[int, int] = (1, 1)
    stride: int = 1


# A branch is a chain; where a step has two convolutions, both read what is before them.
_Branch = Sequence[_Convolution | tuple[_Convolution, _Convolution]]
_WIDE, _TALL, _SQUARE = (1, 7), (7, 1), (3, 3)


def _tripled(last: int, stride: int) -> _Branch:
    """Two 3x3 convolutions behind a 1x1: the field of view of one of 5x5."""
    return (
        _Convolution("branch3x3dbl_1", 64),
        _Convolution("branch3x3dbl_2", 96, _SQUARE),
        _Convolution("branch3x3dbl_3", last, _SQUARE, stride),
    )


_FINE: Sequence[_Branch] = (
    (_Convolution("branch1x1", 64),),
    (_Convolution("branch5x5_1", 48), _Convolution("branch5x5_2", 64, (5, 5))),
    _tripled(96, 1),
)
_TO_MIDDLE: Sequence[_Branch] = (
    (_Convolution("branch3x3", 384, _SQUARE, 2),),
    _tripled(96, 2),
)
_TO_COARSE: Sequence[_Branch] = (
    (_Convolution("branch3x3_1", 192), _Convolution("branch3x3_2", 320, _SQUARE, 2)),
    (
        _Convolution("branch7x7x3_1", 192),
        _Convolution("branch7x7x3_2", 192, _WIDE),
        _Convolution("branch7x7x3_3", 192, _TALL),
        _Convolution("branch7x7x3_4", 192, _SQUARE, 2),
    ),
)
_COARSE: Sequence[_Branch] = (
    (_Convolution("branch1x1", 320),),
    (
        _Convolution("branch3x3_1", 384),
        (
            _Convolution("branch3x3_2a", 384, (1, 3)),
            _Convolution("branch3x3_2b", 384, (3, 1)),
        ),
    ),
    (
        _Convolution("branch3x3dbl_1", 448),
        _Convolution("branch3x3dbl_2", 384, _SQUARE),
        (
            _Convolution("branch3x3dbl_3a", 384, (1, 3)),
            _Convolution("branch3x3dbl_3b", 384, (3, 1)),
        ),
    ),
)


def _middle(channels: int) -> Sequence[_Branch]:
    """Branches whose 7x7 convolutions are parted into rows and columns."""
    long = [(channels, _TALL), (channels, _WIDE), (channels, _TALL), (192, _WIDE)]
    return (
        (_Convolution("branch1x1", 192),),
        (
            _Convolution("branch7x7_1", channels),
            _Convolution("branch7x7_2", channels, _WIDE),
            _Convolution("branch7x7_3", 192, _TALL),
        ),
        (
            _Convolution("branch7x7dbl_1", channels),
            *(
                _Convolution(f"branch7x7dbl_{number}", width, kernel)
                for number, (width, kernel) in enumerate(long, start=2)
            ),
        ),
    )


class _Normalized(nn.Module):
    """Convolution without bias, batch normalization, ReLU."""

    def __init__(
        self,
        channels: int,
        out_channels: int,
        kernel: tuple[int, int],
        stride: int = 1,
        padding: tuple[int, int] = (0, 0),
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, out_channels, kernel, stride, padding, bias=False)
        self.bn = nn.BatchNorm2d(out_channels, eps=0.001)

    def forward(self, x: Tensor) -> Tensor:
        """Of ``(B, C, H, W)``."""
        return F.relu(self.bn(self.conv(x)))


class _Mixed(nn.Module):
    """Branches side by side, joined by channels, and a pooling last."""

    def __init__(
        self, channels: int, branches: Sequence[_Branch], pooling: Pooling, pooled: int = 0
    ) -> None:
        super().__init__()
        self._branches = [[_names(step) for step in branch] for branch in branches]
        self._pooling = pooling
        for branch in branches:
            width = channels
            for step in branch:
                convolutions = (step,) if isinstance(step, _Convolution) else step
                for name, out_channels, kernel, stride in convolutions:
                    padding = (kernel[0] // 2, kernel[1] // 2) if stride == 1 else (0, 0)
                    layer = _Normalized(width, out_channels, kernel, stride, padding)
                    self.add_module(name, layer)
                width = sum(convolution.channels for convolution in convolutions)
        self.branch_pool = _Normalized(channels, pooled, (1, 1)) if pooled else None

    def forward(self, x: Tensor) -> Tensor:
        """Of ``(B, C, H, W)``."""
        answers = []
        for branch in self._branches:
            y = x
            for names in branch:
                y = torch.cat([self.get_submodule(name)(y) for name in names], dim=1)
            answers.append(y)
        if self._pooling == "average":
            pooled = F.avg_pool2d(x, 3, stride=1, padding=1, count_include_pad=False)
        elif self._pooling == "maximum":
            pooled = F.max_pool2d(x, 3, stride=1, padding=1)
        else:
            pooled = F.max_pool2d(x, 3, stride=2)
        answers.append(pooled if self.branch_pool is None else self.branch_pool(pooled))
        return torch.cat(answers, dim=1)


def _names(step: _Convolution | tuple[_Convolution, _Convolution]) -> list[str]:
    return [step.name] if isinstance(step, _Convolution) else [part.name for part in step]


class InceptionV3(nn.Module):
    """Answers the 2048 features of a photo, and the logits of 1008 classes; in evaluation mode.

    Photos are resized to 299x299, bilinear with antialiasing, as torchmetrics does; FID's numbers
    of other programs that resize otherwise differ in the first digit after the point.

    Args:
        logits: whether it has its last layer; without it there are no logits.
    """

    def __init__(self, logits: bool = True) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = _Normalized(3, 32, (3, 3), stride=2)
        self.Conv2d_2a_3x3 = _Normalized(32, 32, (3, 3))
        self.Conv2d_2b_3x3 = _Normalized(32, 64, (3, 3), padding=(1, 1))
        self.Conv2d_3b_1x1 = _Normalized(64, 80, (1, 1))
        self.Conv2d_4a_3x3 = _Normalized(80, 192, (3, 3))
        self.Mixed_5b = _Mixed(192, _FINE, "average", 32)
        self.Mixed_5c = _Mixed(256, _FINE, "average", 64)
        self.Mixed_5d = _Mixed(288, _FINE, "average", 64)
        self.Mixed_6a = _Mixed(288, _TO_MIDDLE, "halving")
        self.Mixed_6b = _Mixed(768, _middle(128), "average", 192)
        self.Mixed_6c = _Mixed(768, _middle(160), "average", 192)
        self.Mixed_6d = _Mixed(768, _middle(160), "average", 192)
        self.Mixed_6e = _Mixed(768, _middle(192), "average", 192)
        self.Mixed_7a = _Mixed(768, _TO_COARSE, "halving")
        self.Mixed_7b = _Mixed(1280, _COARSE, "average", 192)
        self.Mixed_7c = _Mixed(2048, _COARSE, "maximum", 192)
        self.fc = nn.Linear(FEATURES, CLASSES) if logits else None

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: what is frozen has no other."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> tuple[Tensor, Tensor | None]:
        """Of ``image (B, 3, H, W)`` in [0, 1]: features ``(B, 2048)``, logits ``(B, 1008)``.

        The logits are without the last layer's bias, as the Inception Score takes them.
        """
        x = (255.0 * image.float()).round()
        x = F.interpolate(x, (_SIDE, _SIDE), mode="bilinear", antialias=True)
        x = (x - 128.0) / 128.0
        x = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))
        x = F.max_pool2d(x, 3, stride=2)
        x = F.max_pool2d(self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(x)), 3, stride=2)
        for number in ("5b", "5c", "5d", "6a", "6b", "6c", "6d", "6e", "7a", "7b", "7c"):
            x = self.get_submodule(f"Mixed_{number}")(x)
        features = x.mean((2, 3))
        return features, None if self.fc is None else F.linear(features, self.fc.weight)


def load_inception(weights: WeightFile = INCEPTION_WEIGHTS, logits: bool = True) -> InceptionV3:
    """Build the network with its published weights, frozen.

    Args:
        weights: the file.
        logits: whether its last layer is needed, which the excerpt of the file does not have.

    Raises:
        MissingWeightsError: the weights are not here and cannot be downloaded.
        WrongHashError: the file of weights is not the published one.
        UnreadableCheckpointError: the file cannot be read, or holds another network.
    """
    path = locate_or_download(replace(weights, excerpt=None) if logits else weights)
    state = read_checkpoint(path)
    # Published files of this network are older than the count of batches.
    for name in [name for name in state if name.endswith("running_var")]:
        state.setdefault(name.replace("running_var", "num_batches_tracked"), torch.tensor(0))
    if not logits:
        state = {name: state[name] for name in state if not name.startswith("fc.")}
    build = partial(InceptionV3, logits=logits)
    return build_with_weights(path, build, state).requires_grad_(False)
