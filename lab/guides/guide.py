"""What a guide says of itself, and what it is drawn from."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np
from torch import Tensor

from lab.imaging import PhotoFile

Shown = Literal["known", "hole", "everywhere"]
"""Where a network sees a guide: on known pixels alone, in the hole alone, or on all pixels."""


@dataclass(frozen=True)
class GuideInputs:
    """What a guide is drawn from, for training and validation.

    Attributes:
        truth: ``(B, 3, H, W)`` in [0, 1]: the photo, with what is right under the hole.
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
        generator: of whatever is random.
        instance_ids: int32 ``(B, 1, H, W)``: which object each pixel is of; None without a map.
    """

    truth: Tensor
    mask: Tensor
    generator: np.random.Generator
    instance_ids: Tensor | None = None


@dataclass(frozen=True)
class GuideReading:
    """A guide's file, read.

    ``planes`` is float32 ``(1, C, H, W)`` of the photo's size. ``note`` says, in one line, what the
    file left to interpretation; ``None`` where it left nothing.
    """

    planes: Tensor
    note: str | None = None


@dataclass(frozen=True)
class Guide:
    """A third input of networks, beside image and mask: float32 ``(B, channels, H, W)``.

    Of the image's size, so it is cropped, tiled and padded pixel by pixel with it.

    Attributes:
        meaning: of its values, for people.
        channels: how many planes it has.
        shrinking: what stands for a block of pixels: its ``"maximum"``, so that lines survive, or
            the ``"nearest"`` of them, which keeps the distribution of what is random.
        shown: where a network sees it; what lies elsewhere is 0.
        is_binary: whether its values are 0 and 1 alone.
        draw: makes it for training and validation.
        read: makes it of a person's file, for a photo of ``(height, width)``; None where no file
            is given.
        without_file: what stands for it when a photo is completed and no file is given: what is
            ``"drawn"`` from the photo, nothing (``"empty"``), or an error (``"refused"``).
    """

    meaning: str
    channels: int
    shrinking: Literal["maximum", "nearest"]
    shown: Shown
    is_binary: bool
    draw: Callable[[GuideInputs], Tensor]
    read: Callable[[PhotoFile, tuple[int, int]], GuideReading] | None
    without_file: Literal["drawn", "empty", "refused"]
