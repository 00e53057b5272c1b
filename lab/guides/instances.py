"""Borders between objects, from a map that says which object each pixel is of.

Wang et al., "High-Resolution Image Synthesis and Semantic Manipulation with Conditional GANs"
(pix2pixHD, CVPR 2018), section 3.3: numbers of objects mean nothing, so a network is shown the
border map, 1 where any of the four neighbours is of another object.
"""

import torch
from torch import Tensor

from lab.guides.guide import Guide, GuideInputs, GuideReading
from lab.imaging import PhotoFile, read_instances


def border_map(instance_ids: Tensor) -> Tensor:
    """Where objects meet.

    Args:
        instance_ids: ``(B, 1, H, W)`` of any integers, equal on one object.

    Returns:
        Float32 ``(B, 1, H, W)`` of 0 and 1, 1 = a neighbour above, below, left or right is of
        another object.

    Raises:
        TypeError: not integers.
    """
    if instance_ids.is_floating_point() or instance_ids.dtype == torch.bool:
        raise TypeError(
            f"the instance map is {instance_ids.dtype}, but must hold whole numbers, one an object"
        )
    border = torch.zeros_like(instance_ids, dtype=torch.bool)
    across = instance_ids[..., 1:] != instance_ids[..., :-1]
    down = instance_ids[..., 1:, :] != instance_ids[..., :-1, :]
    border[..., 1:] |= across
    border[..., :-1] |= across
    border[..., 1:, :] |= down
    border[..., :-1, :] |= down
    return border.float()


def _draw(inputs: GuideInputs) -> Tensor:
    if inputs.instance_ids is None:
        raise ValueError(
            "the guide 'instances' is drawn from maps of objects, and there is none: name the "
            "folder of maps, one a photo, by data.instance_maps"
        )
    return border_map(inputs.instance_ids)


def _read(file: PhotoFile, size: tuple[int, int]) -> GuideReading:
    return GuideReading(border_map(read_instances(file, size)[None]))


INSTANCES = Guide(
    meaning="1 = border between two objects",
    channels=1,
    shrinking="maximum",
    shown="everywhere",
    is_binary=True,
    draw=_draw,
    read=_read,
    without_file="refused",
)
