"""PatchMatch's fills for networks that begin from them: of a batch, and each computed once.

A sample takes longer than a training step on it. But fixed samples come again in every epoch's
validation, those of `data.distinct_epochs` in training, and all of them in a worker's next trial.
"""

from collections import OrderedDict
from hashlib import sha256

import torch
from torch import Tensor

from lab.compiling import Program
from lab.fills.patch_match import PatchMatch

MOST_BYTES = 512 * 2**20
"""What is remembered in one process; the fills that were not asked for longest go first."""

_PATCH_MATCH = PatchMatch()
_remembered: OrderedDict[tuple[str, bytes], Tensor] = OrderedDict()


@Program
@torch.no_grad()
def patch_match_fill(image: Tensor, hole: Tensor) -> Tensor:
    """Fill every sample's hole by `PatchMatch` in its default form.

    Deterministic, and of each sample alone: remembering changes nothing but the time.

    Args:
        image: ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
        hole: ``(B, 1, H, W)``, bool.

    Returns:
        ``(B, 3, H, W)``, float32 at least, known pixels bit for bit; 0 where a sample is all hole.
    """
    dtype = torch.promote_types(image.dtype, torch.float32)
    shown = torch.where(hole, 0.0, image).to(dtype)
    filled = shown.clone()
    holes = hole.flatten(1)
    for number in (holes.any(1) & ~holes.all(1)).nonzero().flatten().tolist():
        part = hole[number, 0]
        filled[number, :, part] = _colours(shown[number], part)
    return filled


def _colours(shown: Tensor, hole: Tensor) -> Tensor:
    """What the hole's pixels become, ``(3, pixels)``; from memory where they are there."""
    content = sha256(hole.cpu().numpy().tobytes())
    content.update(shown.cpu().numpy().tobytes())
    key = (f"{shown.device} {shown.dtype} {tuple(shown.shape)}", content.digest())
    if key in _remembered:
        _remembered.move_to_end(key)
        return _remembered[key]
    # A photo that was resized may leave [0, 1] by a hair, which methods refuse.
    with torch.autocast(shown.device.type, enabled=False):
        answer = _PATCH_MATCH(shown[None].clamp(0.0, 1.0), hole[None, None].to(shown.dtype))
    colours = answer[0][:, hole]
    _remembered[key] = colours
    while sum(kept.nbytes for kept in _remembered.values()) > MOST_BYTES:
        _remembered.popitem(last=False)
    return colours
