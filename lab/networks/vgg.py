"""The convolution part of VGG16 and VGG19, as a frozen extractor of named features.

Karen Simonyan and Andrew Zisserman, "Very Deep Convolutional Networks for Large-Scale Image
Recognition" (ICLR 2015), configurations D (VGG16) and E (VGG19), with the ImageNet weights that
torchvision publishes (BSD 3-Clause).
"""

import re
from collections.abc import Mapping
from typing import Literal, Self

import torch
from torch import Tensor, nn

from lab.checks import unknown_name_message
from lab.networks.building import check_finite
from lab.networks.weight_files import Excerpt, WeightFile, locate_or_download, read_checkpoint

VGGArchitecture = Literal["vgg16", "vgg19"]

# Both hashes are stated in full by several independent projects and begin with the 8 digits that
# the official name carries.
VGG_WEIGHTS: dict[VGGArchitecture, WeightFile] = {
    "vgg16": WeightFile(
        name="vgg16-397923af.pth",
        address="https://download.pytorch.org/models/vgg16-397923af.pth",
        sha256="397923af8e79cdbb6a7127f12361acd7a2f83e06b05044ddf496e83de57a5bf0",
        excerpt=Excerpt(
            "vgg16-features.pth", "39c0eb93c8363ef4b336ba5f777393e420bbe5f35046702030842d7307856c2c"
        ),
    ),
    "vgg19": WeightFile(
        name="vgg19-dcbb9e9d.pth",
        address="https://download.pytorch.org/models/vgg19-dcbb9e9d.pth",
        sha256="dcbb9e9dad569fff7a846263a77324fc34978fea2bfb039c012d710e1776ae44",
    ),
}

_CONVOLUTIONS: dict[VGGArchitecture, tuple[int, ...]] = {
    "vgg16": (2, 2, 3, 3, 3),
    "vgg19": (2, 2, 4, 4, 4),
}
_WIDTHS = (64, 128, 256, 512, 512)
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_DEVIATION = (0.229, 0.224, 0.225)


def vgg_layer_names(architecture: VGGArchitecture) -> tuple[str, ...]:
    """Name every layer of the convolution part, in order: ``conv1_1, relu1_1, ..., pool5``.

    A name's position is the layer's number in the published weights (``features.<number>.weight``).

    Raises:
        ValueError: an unknown architecture.
    """
    if architecture not in _CONVOLUTIONS:
        raise ValueError(unknown_name_message("VGG architecture", architecture, _CONVOLUTIONS))
    names: list[str] = []
    for block, convolutions in enumerate(_CONVOLUTIONS[architecture], start=1):
        for number in range(1, convolutions + 1):
            names += [f"conv{block}_{number}", f"relu{block}_{number}"]
        names.append(f"pool{block}")
    return tuple(names)


class VGGFeatures(nn.Module):
    """Answers an image's features at named layers; frozen, and only as deep as it must be.

    The weights are buffers that no checkpoint saves: they move with ``.to(device)``, are no
    parameters for an optimizer to find, and leave ``state_dict()`` empty. Gradient flows through
    to the image. Building draws no random numbers.

    Args:
        architecture: ``"vgg16"`` or ``"vgg19"``.
        layers: names such as ``"relu1_1"``, ``"conv3_2"`` or ``"pool3"``.
        weights: another file of weights with the published names; the ImageNet weights if None.

    Raises:
        ValueError: an unknown architecture or layer, or no layer at all.
        MissingWeightsError: the weights are not here and cannot be downloaded.
        WrongHashError: the file of weights is not the published one.
        UnreadableCheckpointError: the file of weights cannot be read.
        RuntimeError: the file lacks a tensor that is needed, or has one of another shape or name.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(
        self,
        architecture: VGGArchitecture,
        layers: tuple[str, ...],
        weights: WeightFile | None = None,
    ) -> None:
        super().__init__()
        names = vgg_layer_names(architecture)
        if not layers:
            raise ValueError(f"layers must name at least one of {', '.join(names)}")
        for layer in layers:
            if layer not in names:
                raise ValueError(unknown_name_message(f"layer of {architecture}", layer, names))
        self.names = names[: 1 + max(names.index(layer) for layer in layers)]
        self.layers = frozenset(layers)
        self.smallest_side = 2 ** sum(name.startswith("pool") for name in self.names)

        # On the meta device nothing is allocated or drawn before the real weights take its place.
        with torch.device("meta"):
            self.features = _convolution_part(self.names)
        path = locate_or_download(weights or VGG_WEIGHTS[architecture])
        renamed = rename_published_vgg(read_checkpoint(path), len(self.names))
        check_finite(path, renamed)
        self.load_state_dict(renamed, assign=True)
        _parameters_to_buffers(self)
        for name, values in (("mean", IMAGENET_MEAN), ("deviation", IMAGENET_DEVIATION)):
            self.register_buffer(name, torch.tensor(values).view(1, 3, 1, 1), persistent=False)
        self.eval()

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: what is frozen has no other."""
        return super().train(False)

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        """Return the features of ``image (B, 3, H, W)``, RGB in [0, 1], by layer name.

        Values outside the range, as an unclamped network answers them, are let through. Computed in
        float32, under automatic mixed precision too.

        Returns:
            dict[str, Tensor]: ``(B, C, H', W')`` for each layer asked for, where block ``n`` works
            at ``1 / 2 ** (n - 1)`` of the size.

        Raises:
            ValueError: not ``(B, 3, H, W)``, or smaller than the deepest layer needs.
        """
        if image.ndim != 4 or image.shape[1] != 3:
            raise ValueError(f"image has shape {tuple(image.shape)}, but must be (B, 3, H, W)")
        if min(image.shape[-2:]) < self.smallest_side:
            raise ValueError(
                f"the image is {image.shape[-1]}x{image.shape[-2]}, but {self.names[-1]} needs "
                f"sides of at least {self.smallest_side}: use a larger image or shallower layers"
            )
        answer: dict[str, Tensor] = {}
        with torch.autocast(image.device.type, enabled=False):
            x = (image.float() - self.mean) / self.deviation
            for name, layer in zip(self.names, self.features, strict=True):
                x = layer(x)
                if name in self.layers:
                    answer[name] = x
        return answer


def rename_published_vgg(published: Mapping[str, Tensor], depth: int) -> dict[str, Tensor]:
    """Keep the tensors of the first ``depth`` layers of a published VGG; a pure function.

    The convolution part keeps its published names. The classifier and the layers past ``depth`` are
    left out; any other name stays, for strict loading to refuse.
    """
    renamed: dict[str, Tensor] = {}
    for name, tensor in published.items():
        layer = re.match(r"features\.(\d+)\.", name)
        too_deep = layer is not None and int(layer.group(1)) >= depth
        if not too_deep and not name.startswith("classifier."):
            renamed[name] = tensor
    return renamed


def _convolution_part(names: tuple[str, ...]) -> nn.Sequential:
    layers: list[nn.Module] = []
    channels = 3
    for name in names:
        if name.startswith("conv"):
            width = _WIDTHS[int(name[4]) - 1]
            layers.append(nn.Conv2d(channels, width, kernel_size=3, padding=1))
            channels = width
        elif name.startswith("relu"):
            # Not in place: the convolution's own output may have been asked for.
            layers.append(nn.ReLU())
        else:
            layers.append(nn.MaxPool2d(kernel_size=2))
    return nn.Sequential(*layers)


def _parameters_to_buffers(network: nn.Module) -> None:
    """Turn every parameter into a buffer that no checkpoint saves, under the same name."""
    for module in network.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach(), persistent=False)
