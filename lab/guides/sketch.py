"""A person's strokes in the hole, which say what is to be there.

For training, strokes stand for the photo's own edges under the hole, as a hand would have drawn
them: bent a little, some left out, with a pen of one width.
"""

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from lab.guides.edges import find_edges
from lab.guides.guide import Guide, GuideInputs, GuideReading
from lab.imaging import PhotoFile, read_strokes

WIDTHS = (1, 2, 3)
"""Widths of the pen that training draws with, in pixels."""

# A hand's errors, in pixels, change over about so many pixels; so do the parts that are left out.
_LARGEST_ERROR = 2.0
_SPAN = 16


@torch.no_grad()
def draw_strokes(truth: Tensor, mask: Tensor, generator: np.random.Generator) -> Tensor:
    """Strokes along the photo's edges under the hole.

    Between none of them and all are drawn, moved by up to two pixels, one to three pixels wide.

    Args:
        truth: ``(B, 3, H, W)`` in [0, 1], the photo without its hole.
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
        generator: of a sample's choices, one sample after the other.

    Returns:
        ``(B, 1, H, W)`` of 0 and 1, 1 = stroke; 0 on known pixels.

    Raises:
        TypeError, ValueError: the inputs break the conventions or do not fit each other.
    """
    samples = [
        _strokes(one[None], hole[None], generator) for one, hole in zip(truth, mask, strict=True)
    ]
    return torch.cat(samples) * mask


def _strokes(truth: Tensor, mask: Tensor, generator: np.random.Generator) -> Tensor:
    height, width = truth.shape[-2:]
    error = _field(2, height, width, generator).to(truth).clamp(-1.0, 1.0) * _LARGEST_ERROR
    left_out = _field(1, height, width, generator).to(truth)
    share, pen = float(generator.random()), int(generator.choice(WIDTHS))
    # The photo is bent and not its edges, which would tear.
    edges = find_edges(_bent(truth, error), torch.zeros_like(mask))
    drawn = torch.where(left_out <= _quantile(left_out, share), edges, 0.0)
    before = (pen - 1) // 2
    return F.max_pool2d(F.pad(drawn, (before, pen - 1 - before) * 2), pen, stride=1)


def _field(channels: int, height: int, width: int, generator: np.random.Generator) -> Tensor:
    """Random values that change smoothly, ``(1, channels, height, width)``."""
    size = (channels, height // _SPAN + 2, width // _SPAN + 2)
    coarse = torch.from_numpy(generator.standard_normal(size, dtype=np.float32))[None]
    return F.interpolate(coarse, (height, width), mode="bicubic", align_corners=True)


def _bent(image: Tensor, error: Tensor) -> Tensor:
    """Move each pixel of ``(1, C, H, W)`` by an error in pixels, ``(1, 2, H, W)`` of y and x."""
    height, width = image.shape[-2:]
    rows = torch.arange(height, device=image.device)[:, None] + error[0, 0]
    columns = torch.arange(width, device=image.device)[None] + error[0, 1]
    place = torch.stack(((2 * columns + 1) / width - 1, (2 * rows + 1) / height - 1), -1)
    moved = F.grid_sample(image, place[None], padding_mode="border", align_corners=False)
    return moved.clamp_(0.0, 1.0)


def _quantile(values: Tensor, share: float) -> Tensor:
    # Not torch.quantile, which refuses more than 16 million values.
    ordered = values.flatten().sort().values
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]


def _draw(inputs: GuideInputs) -> Tensor:
    return draw_strokes(inputs.truth, inputs.mask, inputs.generator)


def _read(file: PhotoFile, size: tuple[int, int]) -> GuideReading:
    reading = read_strokes(file, size, "sketch")
    return GuideReading(reading.strokes[None], reading.note)


SKETCH = Guide(
    meaning="1 = stroke of a person, in the hole",
    channels=1,
    shrinking="maximum",
    shown="hole",
    is_binary=True,
    draw=_draw,
    read=_read,
    without_file="empty",
)
