"""Noise: what several answers for one photo differ by.

One plane of standard normal values. A network that wants more of them at fewer pixels folds it,
``F.pixel_unshuffle(noise, 8)``: 64 planes.
"""

from hashlib import sha256

import numpy as np
import torch
from torch import Tensor

from lab.guides.guide import Guide, GuideInputs


def draw_noise(
    batch: int, height: int, width: int, generator: np.random.Generator, like: Tensor | None = None
) -> Tensor:
    """Standard normal values, ``(batch, 1, height, width)``, float32, on the device of ``like``."""
    values = generator.standard_normal((batch, 1, height, width), dtype=np.float32)
    noise = torch.from_numpy(values)
    return noise if like is None else noise.to(like.device)


def noise_of_sample(noise: Tensor, number: int) -> Tensor:
    """The noise of a photo's sample ``number``, from that of its first one.

    Seeded by the first noise itself, which seed and photo gave: sample 3 is the same whether three
    or thirty are asked for, and whatever else is in the batch.

    Args:
        noise: of the first samples, ``(B, 1, H, W)``.
        number: from 1, which gives ``noise`` itself.

    Raises:
        ValueError: a number below 1.
    """
    if number < 1:
        raise ValueError(f"the sample's number is {number}, but they are counted from 1")
    if number == 1:
        return noise
    drawn = []
    for first in noise:
        content = sha256(first.cpu().numpy().tobytes()).digest()
        generator = np.random.default_rng([int.from_bytes(content), number])
        drawn.append(draw_noise(1, first.shape[1], first.shape[2], generator, noise))
    return torch.cat(drawn)


def _draw(inputs: GuideInputs) -> Tensor:
    batch, _, height, width = inputs.mask.shape
    return draw_noise(batch, height, width, inputs.generator, inputs.mask)


NOISE = Guide(
    meaning="standard normal values: another draw, another answer",
    channels=1,
    shrinking="nearest",
    shown="everywhere",
    is_binary=False,
    draw=_draw,
    read=None,
    without_file="drawn",
)
