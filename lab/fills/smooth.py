"""Smooth fills of the hole: batched, on any device, linear in the image, without parameters.

Each directional fill is the steady state of heat that flows fast along one direction and slowly
across it, with the known pixels held fixed. The image is halved along the direction first, until
both flows are alike, then both ways; the coarsest size is relaxed for many rounds, and every finer
one for a few, as in multigrid with semi-coarsening (Trottenberg, Oosterlee, Schüller, "Multigrid",
2001, section 5.1). Along a diagonal, rows are paired aslant.

All of them keep known pixels bit for bit, read nothing under the hole (not even NaN), treat the
image's border as insulation, compute in float32 at least and without gradients, and give 0 where a
sample is all hole. A value may leave the range of the known ones by a hair.
"""

from collections.abc import Callable
from dataclasses import dataclass
from math import ceil, cos, pi, sqrt
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.checks import check_image_and_mask, unknown_name_message
from lab.compiling import Program
from lab.contracts import Guides, Strategy
from lab.fills.holed import complete_holed, refuse_full

Direction = Literal["horizontal", "vertical", "falling", "rising"]

SMOOTH_FILLS: tuple[str, ...] = ("across", *get_args(Direction), "even", "inward")
"""The fills of `smooth_fills`, in its order: ``falling`` is along \\, ``rising`` along /."""

# What flows across a directional fill; the rest flows along it. Measured, as the shares below, on
# photos under tall, wide, square, diagonal and free-form holes: docs/findings.md.
_ACROSS = 0.06
# How much a direction counts, were the hole as wide along it as along every other: what stands in a
# photo changes from top to bottom more than from left to right, and least of all lies aslant.
_WEIGHTS: dict[Direction, float] = {
    "horizontal": 2.0,
    "vertical": 1.0,
    "falling": 0.25,
    "rising": 0.25,
}
# Pixels of the coarsest size, called cells: each is at least so many of the image along the fast
# direction, and twice as many again until the image has no more than so many cells.
_LEAST_CELL, _MOST_CELLS = 8, 32
# Rounds of relaxation at each size, and the slowest wave that they are made for; at the coarsest,
# where waves are as long as the hole, as many rounds as the image has cells.
_ROUNDS, _SLOWEST = 6, 0.05
_SLOWEST_CELL = 4.0
_FAR = 10**6
# The neighbours of a pixel on two rings; the nearer, the more they count.
_RINGS = [(y, x) for y in range(-2, 3) for x in range(-2, 3) if 0 < y * y + x * x <= 4]


@Program
@torch.no_grad()
def across_fill(image: Tensor, hole: Tensor) -> Tensor:
    """Fill the hole mostly across where it is narrow: the best of these fills by itself.

    The four directional fills, mixed pixel by pixel: a direction counts by the square of how near
    the known pixels are on its two sides; a diagonal, by how much nearer they are than straight
    on, too. So a tall hole is filled from left and right, a wide one from above and below, an
    aslant one from all of these and across.

    Args:
        image: ``(B, C, H, W)``, float.
        hole: ``(B, 1, H, W)``, bool.

    Returns:
        ``(B, C, H, W)``, float32 at least.

    Raises:
        TypeError: ``hole`` is not bool.
    """
    return _on_window(image, hole, _across)


@torch.no_grad()
def directional_fill(image: Tensor, hole: Tensor, direction: Direction) -> Tensor:
    """Fill the hole along one direction; arguments and result as of `across_fill`.

    Raises:
        TypeError: ``hole`` is not bool.
        ValueError: no such direction.
    """
    if direction not in _WEIGHTS:
        raise ValueError(unknown_name_message("direction", direction, _WEIGHTS))

    def fill(shown: Tensor, known: Tensor, size: int) -> Tensor:
        return _along(shown, known, size, direction)[0]

    return _on_window(image, hole, fill)


@torch.no_grad()
def even_fill(image: Tensor, hole: Tensor) -> Tensor:
    """Fill the hole as a membrane spans it (Laplace's equation); as `across_fill` otherwise."""
    return _on_window(image, hole, _even)


@torch.no_grad()
def inward_fill(image: Tensor, hole: Tensor) -> Tensor:
    """Fill the hole ring by ring from its border, each pixel from what is filled around it.

    As Telea's fast marching does (2004), without its extrapolation of gradients: as good, and
    sharper than the others. Arguments and result as of `across_fill`.
    """
    return _on_window(image, hole, _inward)


@Program
@torch.no_grad()
def smooth_fills(image: Tensor, hole: Tensor) -> Tensor:
    """All fills, for a network that chooses among them.

    Args:
        image: ``(B, C, H, W)``, float.
        hole: ``(B, 1, H, W)``, bool.

    Returns:
        ``(B, len(SMOOTH_FILLS), C, H, W)``, in the order of `SMOOTH_FILLS`.

    Raises:
        TypeError: ``hole`` is not bool.
    """
    return _on_window(image, hole, _stack)


def _on_window(
    image: Tensor, hole: Tensor, fill: Callable[[Tensor, Tensor, int], Tensor]
) -> Tensor:
    """Call ``fill(shown, known, size)`` where it matters, and put the answer into its place.

    Args:
        image: ``(B, C, H, W)``.
        hole: ``(B, 1, H, W)``.
        fill: is given a window of the image, 0 under the hole; 1 where it is known; and the longer
            side of the whole image. Answers ``(B, C, h, w)`` or ``(B, K, C, h, w)``, with the known
            pixels as they were.
    """
    if hole.dtype != torch.bool:
        raise TypeError(f"the hole is {hole.dtype}, but must be bool: write mask > 0")
    image = image.to(torch.promote_types(image.dtype, torch.float32))
    size = max(image.shape[-2:])
    # The window is cut along the cells, which only the image's size decides on, and so far around
    # the hole that nothing beyond can matter: what else is in a batch changes nothing.
    cell = _cell(size)
    rows, columns = (_span(hole.amax((0, 1, axis)), cell) for axis in (3, 2))
    known = ~hole[..., rows, columns]
    shown = torch.where(known, image[..., rows, columns], 0.0)
    with torch.autocast(image.device.type, enabled=False):
        answer = fill(shown, known.to(image.dtype), size)
    if answer.ndim == 4:
        filled = image.clone()
    else:
        filled = image[:, None].repeat(1, answer.shape[1], 1, 1, 1)
    filled[..., rows, columns] = answer
    return filled


def _cell(size: int) -> int:
    """Pixels of the image, along the fast direction, that are one at the coarsest size."""
    cell = _LEAST_CELL
    while cell * _MOST_CELLS < size:
        cell *= 2
    return cell


def _span(touched: Tensor, cell: int) -> slice:
    """The part of an axis that holds what is touched ``(N,)``, and the cells that matter to it."""
    places = touched.nonzero()
    if not len(places):
        return slice(0, 1)
    # Along a diagonal a cell and its neighbour reach three cells far.
    low, high = (int(place) // cell for place in (places[0], places[-1]))
    return slice(max(0, cell * (low - 3)), cell * (high + 4))


def _across(shown: Tensor, known: Tensor, size: int) -> Tensor:
    return _mixture([_along(shown, known, size, direction) for direction in _WEIGHTS])


def _even(shown: Tensor, known: Tensor, size: int) -> Tensor:
    return _relaxed(shown, known, 0.5, 0, size)


def _stack(shown: Tensor, known: Tensor, size: int) -> Tensor:
    along = [_along(shown, known, size, direction) for direction in _WEIGHTS]
    fills = [_mixture(along), *(filled for filled, _ in along)]
    return torch.stack([*fills, _even(shown, known, size), _inward(shown, known, size)], dim=1)


def _mixture(along: list[tuple[Tensor, Tensor]]) -> Tensor:
    """Mix directional fills, each with how near the known pixels are along its direction."""
    nearest = torch.maximum(along[0][1], along[1][1])
    shares = []
    for (direction, weight), (_, nearness) in zip(_WEIGHTS.items(), along, strict=True):
        is_aslant = direction in ("falling", "rising")
        share = weight * nearness**2
        shares.append(share * (nearness / nearest) ** 2 if is_aslant else share)
    total = torch.stack(shares).sum(0)
    # As differences to one of them: where all agree, on known pixels, nothing is added.
    first, *others = (filled for filled, _ in along)
    mixed = first.clone()
    for filled, share in zip(others, shares[1:], strict=True):
        mixed.addcmul_(filled - first, share / total)
    return mixed


def _along(shown: Tensor, known: Tensor, size: int, direction: Direction) -> tuple[Tensor, Tensor]:
    """Fill along one direction.

    Returns:
        tuple[Tensor, Tensor]: the fill, and how near known pixels are, ``(B, 1, H, W)``: one by the
        distance, added up over both sides.
    """
    if direction == "horizontal":
        return _relaxed(shown, known, _ACROSS, 0, size), _nearness(known)
    if direction == "vertical":
        return _relaxed(shown, known, 1.0 - _ACROSS, 0, size), _nearness(known.mT).mT
    width = known.shape[-1]
    # In a photo of one column no pixel has another on its diagonal.
    slant = min(1, width - 1) * (1 if direction == "rising" else -1)
    filled = _relaxed(shown, known, 1.0 - _ACROSS, slant, size)
    if direction == "rising":
        nearness = _unskew(_nearness(_skew(known).mT).mT, width)
    else:
        nearness = _unskew(_nearness(_skew(known.flip(-1)).mT).mT, width).flip(-1)
    return filled, nearness / sqrt(2.0)


def _skew(planes: Tensor) -> Tensor:
    """Move every row one further to the right than that above it: / becomes |."""
    height, width = planes.shape[-2:]
    flat = F.pad(planes, (0, height)).flatten(-2)
    return flat[..., : height * (width + height - 1)].unflatten(-1, (height, -1))


def _unskew(planes: Tensor, width: int) -> Tensor:
    height = planes.shape[-2]
    flat = F.pad(planes.flatten(-2), (0, height))
    return flat.unflatten(-1, (height, width + height))[..., :width]


def _nearness(known: Tensor) -> Tensor:
    """One by the distance to the next known pixel on the left, plus the same on the right."""
    places = torch.arange(known.shape[-1], dtype=torch.int32, device=known.device)
    left = places - torch.where(known > 0, places, -_FAR).cummax(-1).values
    marked = torch.where(known > 0, -places, -_FAR).flip(-1)
    right = -places - marked.cummax(-1).values.flip(-1)
    near, far = (1.0 / distance.clamp_min(1).to(known.dtype) for distance in (left, right))
    return near + far


@dataclass(frozen=True)
class _Level:
    """The image at one size of the pyramid.

    Attributes:
        colour: ``(B, C, h, w)``, 0 where not known.
        known: ``(B, 1, h, w)``, 1 where something is known.
        inside: ``(1, 1, h, w)``, 1 where there is any image.
        vertical: the share of a pixel that flows in from above and below.
        slant: by how many columns the neighbour above lies to the right, that below to the left.
    """

    colour: Tensor
    known: Tensor
    inside: Tensor
    vertical: float
    slant: int

    @property
    def halves_rows(self) -> bool:
        """Whether the next level has half the rows, not columns: along the faster flow."""
        return self.vertical >= 0.5


def _relaxed(shown: Tensor, known: Tensor, vertical: float, slant: int, size: int) -> Tensor:
    """Fill ``shown (B, C, H, W)`` where ``known (B, 1, H, W)`` is 0."""
    level = _Level(shown, known, torch.ones_like(known[:1]), vertical, slant)
    levels = [level]
    height = width = 1
    while max(height, width) < _cell(size):
        height, width = (2 * height, width) if level.halves_rows else (height, 2 * width)
        level = _halved(level)
        levels.append(level)
    coarse = levels.pop()
    count = coarse.known.sum((-2, -1), keepdim=True).clamp_min(1.0)
    filled = (coarse.colour.sum((-2, -1), keepdim=True) / count).expand_as(coarse.colour)
    rounds = max(_ROUNDS, ceil(size / _cell(size)))
    filled = _relax(filled, coarse, rounds, _SLOWEST_CELL / rounds**2)
    while levels:
        fine = levels.pop()
        filled = _relax(_doubled(filled, coarse, fine), fine, _ROUNDS, _SLOWEST)
        coarse = fine
    return filled


def _halved(level: _Level) -> _Level:
    # Over twice the distance flows a quarter of the heat.
    along = level.vertical / 4 if level.halves_rows else level.vertical
    beside = 1.0 - level.vertical if level.halves_rows else (1.0 - level.vertical) / 4
    colour, known, inside = (
        _pair_sums(planes, level) for planes in (level.colour, level.known, level.inside)
    )
    return _Level(
        colour / known.clamp_min(1.0),
        known.clamp_max(1.0),
        inside.clamp_max(1.0),
        along / (along + beside),
        2 * level.slant if level.halves_rows else level.slant // 2,
    )


def _pair_sums(planes: Tensor, level: _Level) -> Tensor:
    """Add rows two and two, along the slant, or columns; a last one without another stays."""
    height, width = planes.shape[-2:]
    if level.halves_rows:
        upper, lower = F.pad(planes, (0, 0, 0, height % 2)).unflatten(-2, (-1, 2)).unbind(-2)
        first, second = _starts(level.slant)
        return F.pad(upper, (first, second)) + F.pad(lower, (second, first))
    left, right = F.pad(planes, (0, width % 2)).unflatten(-1, (-1, 2)).unbind(-1)
    return left + right


def _starts(slant: int) -> tuple[int, int]:
    """Where the first columns of the upper and the lower of two paired rows come to lie."""
    return max(0, -slant), max(0, slant)


def _doubled(filled: Tensor, coarse: _Level, fine: _Level) -> Tensor:
    """Undo `_halved`: linear between the middles of pixels, and level at the image's border."""
    chosen = slice(2, 4) if fine.halves_rows else slice(0, 2)
    doubled = torch.empty_like(fine.colour)
    for number, (side, inside, start) in enumerate(
        zip(
            _beside(filled, coarse.slant)[chosen],
            _beside(coarse.inside, coarse.slant)[chosen],
            _starts(fine.slant) if fine.halves_rows else (0, 0),
            strict=True,
        )
    ):
        half = torch.addcmul(filled, side - filled, 0.25 * inside)
        part = doubled[..., number::2, :] if fine.halves_rows else doubled[..., number::2]
        height, width = part.shape[-2:]
        part.copy_(half[..., :height, start : start + width])
    return doubled


def _beside(planes: Tensor, slant: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Each pixel's neighbours: left, right, above and below; 0 where there is none."""
    margin = max(1, abs(slant))
    return _views(F.pad(planes, (margin, margin, 1, 1)), slant)


def _views(padded: Tensor, slant: int) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    margin = max(1, abs(slant))
    width = padded.shape[-1] - 2 * margin

    def columns(start: int) -> slice:
        return slice(margin + start, margin + start + width)

    return (
        padded[..., 1:-1, columns(-1)],
        padded[..., 1:-1, columns(1)],
        padded[..., :-2, columns(slant)],
        padded[..., 2:, columns(-slant)],
    )


def _relax(filled: Tensor, level: _Level, rounds: int, slowest: float) -> Tensor:
    """Move every unknown pixel towards the mean of its neighbours, round after round."""
    ratio = level.vertical / (1.0 - level.vertical)
    unknown = level.inside - level.known
    left, right, above, below = _beside(level.inside, level.slant)
    flow = left + right + ratio * (above + below)
    share = unknown / torch.where(flow > 0, flow, 1.0)
    margin = max(1, abs(level.slant))
    x = F.pad(torch.addcmul(level.colour, filled, unknown), (margin, margin, 1, 1))
    middle = x[..., 1:-1, margin:-margin]
    left, right, above, below = _views(x, level.slant)
    mean, other = torch.empty_like(level.colour), torch.empty_like(level.colour)
    for size in _step_sizes(rounds, slowest):
        torch.add(left, right, out=mean)
        torch.add(above, below, out=other)
        mean.add_(other, alpha=ratio)
        torch.addcmul(level.colour, mean, share, out=mean)
        middle.lerp_(mean, size)
    return middle


def _step_sizes(rounds: int, slowest: float) -> list[float]:
    """Chebyshev's: together they damp every wave that one plain step damps by ``slowest`` or more.

    Large and small in turn, so that rounding errors do not grow in between.
    """
    middle, spread = (slowest + 2.0) / 2, (2.0 - slowest) / 2
    sizes = [1.0 / (middle + spread * cos(pi * (k + 0.5) / rounds)) for k in range(rounds)]
    order = sorted(range(rounds), key=lambda k: f"{k:016b}"[::-1])
    return [sizes[k] for k in order]


def _inward(shown: Tensor, known: Tensor, size: int) -> Tensor:
    reach = 2
    margin = (reach,) * 4
    depths = F.pad(_steps_to_known(known[:, 0] > 0), margin, value=_FAR)
    columns, depth = depths.shape[-1], depths.flatten()
    pixels = F.pad(shown, margin).movedim(1, -1).flatten(0, 2)
    places = ((depth > 0) & (depth < _FAR)).nonzero().flatten()
    order = depth[places].argsort(stable=True)
    places = places[order]
    rings = depth[places].bincount().tolist()[1:]
    offsets = torch.tensor([y * columns + x for y, x in _RINGS], device=places.device)
    weights = torch.tensor([1.0 / (y * y + x * x) for y, x in _RINGS]).to(pixels)
    start = 0
    for count in rings:
        ring = places[start : start + count, None]
        around = ring + offsets
        weight = weights * (depth[around] < depth[ring])
        weight /= weight.sum(1, keepdim=True)
        pixels[ring[:, 0]] = (pixels[around] * weight[..., None]).sum(1)
        start += count
    filled = pixels.unflatten(0, (-1, *depths.shape[1:])).movedim(-1, 1)
    return filled[..., reach:-reach, reach:-reach]


def _steps_to_known(known: Tensor) -> Tensor:
    """Steps along rows and columns from each pixel of ``(B, H, W)`` to the nearest known one."""
    steps = torch.where(known, 0, _FAR)
    for axis in (2, 1):
        shape = [-1 if number == axis else 1 for number in range(3)]
        places = torch.arange(known.shape[axis], device=known.device).view(shape)
        before = (steps - places).cummin(axis).values + places
        after = ((steps + places).flip(axis).cummin(axis).values.flip(axis)) - places
        steps = torch.minimum(before, after)
    return steps.clamp_max(_FAR)


class SmoothFill(Strategy):
    """Spreads the colours around the hole over it, mostly across where it is narrow.

    `lab.fills.across_fill`: computed in float32, on the image's device.
    """

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1.

        Known pixels come back bit for bit; a sample with an empty mask comes back as it is.
        No guide is read.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            ValueError: a mask covers the whole image, so there is nothing to fill it from.
        """
        check_image_and_mask(image, mask)
        refuse_full(mask)
        return complete_holed(image, mask, True, self._fill)

    def _fill(self, known: Tensor, hole: Tensor, guides: Guides | None) -> Tensor:
        return across_fill(known, hole > 0).clamp(0, 1)
