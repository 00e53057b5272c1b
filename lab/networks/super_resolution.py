"""Super-resolution: FSRCNN and ESPCN with their published weights, and bicubic beside them.

Chao Dong, Chen Change Loy, Xiaoou Tang, "Accelerating the Super-Resolution Convolutional Neural
Network" (ECCV 2016); Wenzhe Shi et al., "Real-Time Single Image and Video Super-Resolution Using
an Efficient Sub-Pixel Convolutional Neural Network" (CVPR 2016). The background notes enlarge the
inpainted photo (V7).

The published weights are frozen TensorFlow graphs, those that OpenCV's super-resolution module
documents. :func:`load_upscaler` reads them as they are; :func:`convert_upscaler` makes a ``.pt``.

They were trained on photos shrunk by OpenCV's bicubic interpolation, which does not smooth. Of 30
photos of BSDS500 shrunk so, each network enlarges each better than bicubic interpolation (by 0.6
to 0.8 dB in the mean); shrunk with smoothing, x3 and x4 lose 0.2 dB against it. What a photo gains
depends on where its pixels come from.
"""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Literal, Protocol, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.checks import check_image, unknown_name_message
from lab.networks.building import build_with_weights, named_tensors, plain_arguments
from lab.networks.tensorflow_graph import read_tensorflow_constants
from lab.networks.weight_files import (
    UnreadableCheckpointError,
    WeightFile,
    locate_or_download,
    read_checkpoint,
    write_checkpoint,
)

Scale = Literal[2, 3, 4]

UPSCALER_FORMAT = "background-inpainting upscaler 1"

_FOLDERS = {
    "ESPCN": "https://raw.githubusercontent.com/fannymonori/TF-ESPCN/master/export",
    "FSRCNN": "https://raw.githubusercontent.com/Saafke/FSRCNN_Tensorflow/master/models",
}
_HASHES = {
    "ESPCN_x2": "59f77351e1d7c0057bf6fe088b4a8a07e42c468c8c8aebb674a6b4ea1823221d",
    "ESPCN_x3": "0e667db7a431d14c32568ed79bf21701a64df8b1d162e48ca1f8800affe2c2b3",
    "ESPCN_x4": "e403f06309229cf36009cd8fb0da032ba7643fae9f15cf94fe562e8edf8fef47",
    "FSRCNN_x2": "366b33f0084c7b3f2bf6724f0a2c77bca94fcec9d7b6d72389d330073b380d5c",
    "FSRCNN_x3": "efd38655a815908c6c8954db6052f128e76a735f1de657894c477d0dc0b64481",
    "FSRCNN_x4": "5c68d18db561aed8ead4ffedf1b897ea615baaf60ebf6c35f8e641f8fa4a21bf",
}

UPSCALER_WEIGHTS: dict[str, WeightFile] = {
    name.lower(): WeightFile(f"{name}.pb", f"{_FOLDERS[name[:-3]]}/{name}.pb", sha256)
    for name, sha256 in _HASHES.items()
}
"""The published graphs by name: ``fsrcnn_x2`` to ``fsrcnn_x4`` and ``espcn_x2`` to ``espcn_x4``.

Their authors state no hash; these are of the copies that the workbench was checked with.
"""


class Upscaler(Protocol):
    """Enlarges an image ``scale`` times."""

    scale: int

    def __call__(self, image: Tensor) -> Tensor:
        """Map ``(B, 3, H, W)`` in [0, 1] to ``(B, 3, scale * H, scale * W)`` in [0, 1]."""
        ...


class FSRCNN(nn.Module):
    """Enlarges luma ``(B, 1, H, W)`` in [0, 1]: extract, shrink, map, expand, enlarge.

    As published in TensorFlow: the paper's 9x9 transposed convolution is a 1x1 convolution to
    ``scale`` squared channels there, laid out as pixels.

    Args:
        scale: how many times larger: 2, 3 or 4.
        width: channels of the features (d in the paper).
        shrunk: channels of the mapping (s).
        depth: convolutions of the mapping (m).

    Raises:
        ValueError: another scale.
    """

    def __init__(self, scale: Scale, width: int = 56, shrunk: int = 12, depth: int = 4) -> None:
        super().__init__()
        _check_scale(scale)
        self.scale: Scale = scale
        self.width = width
        self.shrunk = shrunk
        self.depth = depth
        sizes = [
            (1, width, 5),
            (width, shrunk, 1),
            *[(shrunk, shrunk, 3)] * depth,
            (shrunk, width, 1),
            (width, scale**2, 1),
        ]
        self.convolutions = nn.ModuleList(
            nn.Conv2d(into, out, kernel, padding=kernel // 2) for into, out, kernel in sizes
        )
        self.activations = nn.ModuleList(nn.PReLU(out) for _, out, _ in sizes[:-1])

    def forward(self, luma: Tensor) -> Tensor:
        """Map ``(B, 1, H, W)`` in [0, 1] to ``(B, 1, scale * H, scale * W)`` around [0, 1]."""
        for convolve, activate in zip(self.convolutions, self.activations, strict=False):
            luma = activate(convolve(luma))
        return F.pixel_shuffle(self.convolutions[-1](luma), self.scale)


class ESPCN(nn.Module):
    """Enlarges luma ``(B, 1, H, W)`` in [0, 1]: three convolutions, laid out as pixels.

    As published in TensorFlow: ReLU between, where the paper has tanh, and tanh at the end, where
    it has nothing.

    Args:
        scale: how many times larger: 2, 3 or 4.

    Raises:
        ValueError: another scale.
    """

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        _check_scale(scale)
        self.scale: Scale = scale
        self.convolutions = nn.ModuleList(
            nn.Conv2d(into, out, kernel, padding=kernel // 2)
            for into, out, kernel in ((1, 64, 5), (64, 32, 3), (32, scale**2, 3))
        )

    def forward(self, luma: Tensor) -> Tensor:
        """Map ``(B, 1, H, W)`` in [0, 1] to ``(B, 1, scale * H, scale * W)`` in (-1, 1)."""
        for convolve in self.convolutions[:-1]:
            luma = F.relu(convolve(luma))
        return torch.tanh(F.pixel_shuffle(self.convolutions[-1](luma), self.scale))


class BicubicUpscaler(nn.Module):
    """Enlarges by bicubic interpolation: the reference that a network must beat.

    Args:
        scale: how many times larger: 2, 3 or 4.

    Raises:
        ValueError: another scale.
    """

    def __init__(self, scale: Scale) -> None:
        super().__init__()
        _check_scale(scale)
        self.scale: Scale = scale

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(B, 3, H, W)`` in [0, 1] to ``(B, 3, scale * H, scale * W)`` in [0, 1].

        Raises:
            TypeError, ValueError: an image that breaks the conventions.
        """
        check_image(image)
        return _enlarge(image, self.scale).clamp(0.0, 1.0)


class LumaUpscaler(nn.Module):
    """Enlarges a color image: its luma by a network, its colors by bicubic interpolation.

    Both networks were trained so, on the Y of full-range YCbCr (ITU-R BT.601) in [0, 1].

    Args:
        network: an :class:`FSRCNN` or :class:`ESPCN`.
    """

    weights: Tensor

    def __init__(self, network: FSRCNN | ESPCN) -> None:
        super().__init__()
        self.network = network
        self.scale: Scale = network.scale
        self.register_buffer("weights", _luma_weights(), persistent=False)

    def forward(self, image: Tensor) -> Tensor:
        """Map ``(B, 3, H, W)`` in [0, 1] to ``(B, 3, scale * H, scale * W)`` in [0, 1].

        Raises:
            TypeError, ValueError: an image that breaks the conventions.
        """
        check_image(image)
        luma = self.network(self._luma(image)).clamp(0.0, 1.0)
        # With the same Cb and Cr, another Y adds the difference to red, green and blue alike; so
        # there is no need to go through YCbCr, whose usual rounded factors lose a little.
        plain = _enlarge(image, self.scale)
        return (plain + (luma - self._luma(plain))).clamp(0.0, 1.0)

    def _luma(self, image: Tensor) -> Tensor:
        return (image * self.weights).sum(1, keepdim=True)


def _luma_weights() -> Tensor:
    return torch.tensor([0.299, 0.587, 0.114]).reshape(3, 1, 1)


def _enlarge(image: Tensor, scale: int) -> Tensor:
    return F.interpolate(image, scale_factor=float(scale), mode="bicubic", align_corners=False)


def _check_scale(scale: int) -> None:
    if scale not in get_args(Scale):
        raise ValueError(f"scale must be 2, 3 or 4, not {scale}")


def published_upscaler(
    constants: Mapping[str, Tensor],
) -> tuple[Callable[[], FSRCNN | ESPCN], dict[str, Tensor]]:
    """Return what builds the network that a published graph's constants describe, and its tensors.

    Args:
        constants: ``f1``, ``b1``, ... (kernels and offsets) and for FSRCNN ``alpha1``, ... (slopes
            of PReLU), as :func:`~lab.networks.tensorflow_graph.read_tensorflow_constants` gives.

    Raises:
        KeyError, RuntimeError, ValueError: constants of neither architecture.
    """
    layers = sum(name.startswith("f") and name[1:].isdecimal() for name in constants)
    kernels = [constants[f"f{number + 1}"].permute(3, 2, 0, 1) for number in range(layers)]
    offsets = [constants[f"b{number + 1}"] for number in range(layers)]
    if layers < 3:
        raise KeyError(f"FSRCNN and ESPCN have 3 kernels (f1, f2, ...) or more, not {layers}")
    scale = round(len(kernels[-1]) ** 0.5)
    build: Callable[[], FSRCNN | ESPCN]
    if "alpha1" in constants:
        sizes = {"width": len(kernels[0]), "shrunk": len(kernels[1]), "depth": layers - 4}
        build = partial(FSRCNN, **plain_arguments({"scale": scale, **sizes}))
        # One offset for all pixels of the enlarged image.
        offsets[-1] = offsets[-1].expand(scale**2)
    else:
        build = partial(ESPCN, **plain_arguments({"scale": scale}))
    state = {
        **{f"convolutions.{number}.weight": kernel for number, kernel in enumerate(kernels)},
        **{f"convolutions.{number}.bias": offset for number, offset in enumerate(offsets)},
        **{
            f"activations.{int(name.removeprefix('alpha')) - 1}.weight": slopes
            for name, slopes in constants.items()
            if name.startswith("alpha")
        },
    }
    return build, state


_NETWORKS: dict[str, type[FSRCNN] | type[ESPCN]] = {"FSRCNN": FSRCNN, "ESPCN": ESPCN}
_ARGUMENTS = {"FSRCNN": ("scale", "width", "shrunk", "depth"), "ESPCN": ("scale",)}


def convert_upscaler(source: Path | str, target: Path | str) -> None:
    """Turn a published graph into a ``.pt`` that loads without a reader of graphs; done once.

    Args:
        source: a published ``.pb`` file of FSRCNN or ESPCN.
        target: the file to write, of tensors and plain values (``weights_only``); an old one is
            replaced.

    Raises:
        FileNotFoundError: there is no ``source``.
        UnreadableCheckpointError: ``source`` is no such graph.
    """
    network = _read_graph(Path(source)).network
    name = type(network).__name__
    content = {
        "format": UPSCALER_FORMAT,
        "network": name,
        "arguments": {argument: getattr(network, argument) for argument in _ARGUMENTS[name]},
        "state": network.state_dict(),
    }
    write_checkpoint(target, content)


def load_upscaler(weights: Path | str) -> LumaUpscaler:
    """Build an upscaler with its weights, in eval mode on the processor.

    Args:
        weights: one of `UPSCALER_WEIGHTS`, found in the cache folder or downloaded; or the path of
            a published ``.pb`` or of what :func:`convert_upscaler` made of one.

    Raises:
        MissingWeightsError, WrongHashError: a named file that is nowhere, or is another.
        FileNotFoundError: no such path; says which names there are.
        UnreadableCheckpointError: a path that holds neither.
    """
    if weights in UPSCALER_WEIGHTS:
        return _read_graph(locate_or_download(UPSCALER_WEIGHTS[str(weights)]))
    path = Path(weights)
    if not path.is_file():
        known = unknown_name_message("upscaler", str(weights), UPSCALER_WEIGHTS)
        raise FileNotFoundError(f"there is no file {path}, and {known}")
    if path.suffix == ".pb":
        return _read_graph(path)
    content = read_checkpoint(path)
    if content.get("format") != UPSCALER_FORMAT:
        raise UnreadableCheckpointError(path, "it is no upscaler: make one by convert_upscaler")
    try:
        build: Callable[[], FSRCNN | ESPCN] = partial(
            _NETWORKS[content["network"]], **plain_arguments(content["arguments"])
        )
        state = named_tensors(content["state"])
        return LumaUpscaler(build_with_weights(path, build, state)).eval()
    except UnreadableCheckpointError:
        raise
    except Exception as error:  # what a file says of its network can be wrong in any way
        raise UnreadableCheckpointError(path, f"its tensors do not fit: {error}") from error


def _read_graph(path: Path) -> LumaUpscaler:
    constants = read_tensorflow_constants(path)
    try:
        return LumaUpscaler(build_with_weights(path, *published_upscaler(constants))).eval()
    except (IndexError, KeyError, RuntimeError, ValueError) as error:
        raise UnreadableCheckpointError(path, f"it is neither FSRCNN nor ESPCN: {error}") from error
