"""How published U-Nets of pix2pix's kin name their layers: each block nests the next inner one."""

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor

_NO_MORE: Mapping[int, int] = MappingProxyType({})


def nested_unet_names(depth: int, between: Mapping[int, int] = _NO_MORE) -> dict[str, str]:
    """Ours for each published layer: ``encoder.N`` from outside in, ``decoder.N`` from inside out.

    Args:
        depth: how often the image is halved.
        between: how many modules stand between a level's ReLU and its transposed convolution,
            where there are any; level 0 is the outermost.

    Returns:
        Names of layers, such as ``model.model.1.model.2``, and the ``convolution`` or
        ``normalization`` of :class:`~lab.layers.UNetHalving` and :class:`~lab.layers.UNetDoubling`
        that each is here.
    """
    block = "model.model"
    names = {
        f"{block}.0": "encoder.0.convolution",
        f"{block}.3": f"decoder.{depth - 1}.convolution",
    }
    for level in range(1, depth):
        block += ".1.model" if level == 1 else ".3.model"
        innermost = level == depth - 1
        names[f"{block}.1"] = f"encoder.{level}.convolution"
        if not innermost:
            names[f"{block}.2"] = f"encoder.{level}.normalization"
        up = (3 if innermost else 5) + between.get(level, 0)
        names[f"{block}.{up}"] = f"decoder.{depth - 1 - level}.convolution"
        names[f"{block}.{up + 1}"] = f"decoder.{depth - 1 - level}.normalization"
    return names


def nested_unet_depth(state: Mapping[str, Tensor]) -> int:
    """How often the published U-Net with these tensors halves its image; 0 for none of its kin."""
    depth, block = 0, "model.model"
    names = {name.removeprefix("module.") for name in state}
    while f"{block}.{min(depth, 1)}.weight" in names:
        block += ".3.model" if depth else ".1.model"
        depth += 1
    return depth
