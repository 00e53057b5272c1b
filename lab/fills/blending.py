"""Seamless blending: the steps in colour that copying leaves are spread over the hole.

Pérez, Gangnet, Blake, "Poisson Image Editing" (SIGGRAPH 2003): the colours are changed by the
smoothest correction that takes the steps away. A step that is too large for one of lighting is an
edge of something, and stays.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

# The largest step, in any channel, that is one of lighting.
_LARGEST_STEP = 0.1
_ROUNDS = 60
_RESIDUAL = 1e-3
_SMALLEST_SIDE = 8


def blend(filled: Tensor, hole: Tensor, origin: Tensor | None = None) -> Tensor:
    """Take the steps in colour out of a hole that was filled by copying.

    Across a seam, neighbours ought to differ as much as those do that they were copied from; with
    known pixels on one side, too.

    Args:
        filled: ``(C, H, W)``, the completed image.
        hole: bool ``(H, W)``.
        origin: where each pixel was copied from, int64 ``(H, W)`` counted row by row; known pixels
            are their own. Without it only the step from known to filled pixels is seen, which ought
            to be none.

    Returns:
        ``(C, H, W)``; known pixels stay bit for bit.
    """
    window = _surroundings(hole)
    if origin is None:
        colours, hole_part = filled[:, *window], hole[window]
        steps = [
            torch.where(_sides(hole_part, axis)[0] ^ _sides(hole_part, axis)[1], -step, 0.0)
            for axis, step in ((-1, colours.diff(dim=-1)), (-2, colours.diff(dim=-2)))
        ]
    else:
        steps = [_missing_steps(filled, hole, origin, axis, window) for axis in (-1, -2)]
    steps = [step * (step.abs().amax(0) < _LARGEST_STEP) for step in steps]
    blended = filled.clone()
    blended[:, *window] += _spread(_divergence(steps[0], steps[1]), hole[window])
    return blended


def _surroundings(hole: Tensor) -> tuple[slice, slice]:
    """The rows and columns of the hole's box, with a pixel on each side where there is one."""
    spans = []
    for axis in (1, 0):
        places = hole.any(axis).nonzero()
        spans.append(slice(max(0, int(places[0]) - 1), int(places[-1]) + 2))
    return spans[0], spans[1]


def _sides(planes: Tensor, axis: int) -> tuple[Tensor, Tensor]:
    """What lies before and after each pair of neighbours along an axis."""
    count = planes.shape[axis] - 1
    return planes.narrow(axis, 0, count), planes.narrow(axis, 1, count)


def _missing_steps(
    filled: Tensor, hole: Tensor, origin: Tensor, axis: int, window: tuple[slice, slice]
) -> Tensor:
    """By how much the step between neighbours falls short of that between their origins."""
    height, width = hole.shape
    stride, place = (1, origin % width) if axis == -1 else (width, origin // width)
    size = width if axis == -1 else height
    before, after = _sides(origin[window], axis)
    first, second = _sides(hole[window], axis)
    place_before, place_after = _sides(place[window], axis)
    colours, known = filled.flatten(1), ~hole.flatten()
    wanted, count = torch.zeros_like(colours[:, before]), torch.zeros_like(colours[0, before])
    for copied, start, is_inside in (
        (first, before, place_before + 1 < size),
        (second, after - stride, place_after > 0),
    ):
        start = torch.where(is_inside, start, 0)
        is_known = copied & is_inside & known[start] & known[(start + stride) % known.numel()]
        wanted += torch.where(is_known, colours[:, (start + stride) % known.numel()], 0.0)
        wanted -= torch.where(is_known, colours[:, start], 0.0)
        count += is_known
    one, other = _sides(filled[:, *window], axis)
    return torch.where(count > 0, wanted / count.clamp_min(1.0) - (other - one), 0.0)


def _divergence(across: Tensor, down: Tensor) -> Tensor:
    return (
        F.pad(across, (1, 0)) - F.pad(across, (0, 1)) + F.pad(down, (0, 0, 1, 0))
        - F.pad(down, (0, 0, 0, 1))
    )  # fmt: skip


def _spread(source: Tensor, hole: Tensor) -> Tensor:
    """Solve Poisson's equation in the hole, with 0 at known pixels: coarse to fine.

    Args:
        source: ``(C, H, W)``.
        hole: bool ``(H, W)``.
    """
    height, width = hole.shape
    guess = torch.zeros_like(source)
    if min(height, width) > _SMALLEST_SIDE:
        odd = (0, width % 2, 0, height % 2)
        # Four pixels in one: what flows out of them together; a hole where all four are.
        blocks = 4.0 * F.avg_pool2d(F.pad(source * hole, odd), 2)
        inner = F.max_pool2d(F.pad((~hole).to(source.dtype), odd)[None], 2)[0] == 0
        coarse = _spread(blocks, inner)
        guess = F.interpolate(coarse[None], scale_factor=2.0, mode="bilinear")[0]
        guess = guess[:, :height, :width]
    return _conjugate_gradients(source, hole.to(source.dtype), guess)


def _conjugate_gradients(source: Tensor, hole: Tensor, guess: Tensor) -> Tensor:
    def apply(correction: Tensor) -> Tensor:
        return hole * _divergence(correction.diff(dim=-1), correction.diff(dim=-2))

    answer = guess * hole
    residual = hole * source - apply(answer)
    direction = residual.clone()
    squares = residual.square().sum()
    enough = _RESIDUAL**2 * (hole * source).square().sum()
    for _ in range(_ROUNDS):
        if bool(squares <= enough):
            break
        changed = apply(direction)
        step = squares / (direction * changed).sum()
        answer += step * direction
        residual -= step * changed
        before, squares = squares, residual.square().sum()
        direction = residual + squares / before * direction
    return answer
