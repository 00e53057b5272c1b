"""Does a fill fall apart into blocks? By the steps between pixels, folded at the period of a grid.

The deployment notes: under a hinge loss a fill "now and then" has blocks. A judge that answers
patch by patch lies on a grid whose period is a power of two, each of its layers on a finer one, and
so do the layers of a network that shrinks and enlarges. Here the steps from pixel to pixel are laid
over each other at such a period, whatever made the grid and wherever it begins, as in measures of
JPEG's blocks without a reference (Zhou Wang, Alan Bovik, Brian Evan, "Blind measurement of blocking
artifacts in images", ICIP 2000, by spectra). Along a grid's lines the steps stand out. What stands
out by chance, or by edges of what is to be seen, does so at the neighbouring periods too, which no
layer has, and in the true photo.
"""

import torch
from torch import Tensor

PERIODS = (4, 8, 16, 32, 64)
"""In pixels, of the grids that are looked for: the strides of judges and of their layers."""

LEAST_STEP = 0.5 / 255
"""Added to each mean step, half a level of 8 bits: nothing stands out of a flat fill."""


def blockiness(completed: Tensor, truth: Tensor, region: Tensor) -> Tensor:
    """By how much the clearest grid stands out more than in the truth, ``(B,)`` from 0 up.

    The steps between pixels of the region that lie side by side are averaged over each column, and
    these means by the column's number modulo the period. The largest of the phases is compared with
    the mean of the others, as a logarithm to base 2. From that of a period P, the mean of those of
    P - 1 and P + 1 is taken; then the truth's. Rows are treated alike, and the mean of both is
    taken; last, the largest of all periods. A grid that the region does not hold twice is not
    looked for.

    Args:
        completed: ``(B, 3, H, W)`` in [0, 1].
        truth: alike.
        region: ``(B, 1, H, W)`` of 0 and 1.

    Returns:
        1 where the steps at a grid's lines are twice as large against those between them as in the
        truth; about 0.1 of natural photos without a grid, which chance leaves; 0 of the truth.
    """
    found = [
        (_excess(completed, period, region) - _excess(truth, period, region)).nanmean(0)
        for period in PERIODS
    ]
    # Where no grid fits, all of them are NaN.
    return torch.stack(found).nan_to_num(0.0).amax(0).clamp_min(0.0)


def _excess(image: Tensor, period: int, region: Tensor) -> Tensor:
    """How a period stands out beyond its neighbours, of columns and of rows, ``(2, B)``.

    NaN where the region does not hold it twice.
    """
    excess = []
    for axis in (3, 2):
        length = image.shape[axis] - 1
        pairs = region.narrow(axis, 0, length) * region.narrow(axis, 1, length)
        steps = image.diff(dim=axis).abs().mean(1, keepdim=True)
        across = 5 - axis
        totals, counts = ((each.sum((1, across))) for each in (steps * pairs, pairs))
        at, below, above = (
            _contrast(totals, counts, each) for each in (period, period - 1, period + 1)
        )
        is_held = (counts > 0).sum(1) > 2 * period
        excess.append(torch.where(is_held, at - (below + above) / 2.0, torch.nan))
    return torch.stack(excess)


def _contrast(totals: Tensor, counts: Tensor, period: int) -> Tensor:
    """The largest phase's mean step against the mean of the others', ``(B,)``.

    Args:
        totals: of the steps across each line of the image, ``(B, L)``.
        counts: of the pairs of pixels there.
        period: in lines.
    """
    phase = torch.arange(totals.shape[1], device=totals.device) % period
    empty = totals.new_zeros(len(totals), period)
    total, count = (empty.index_add(1, phase, each) for each in (totals, counts))
    means = total / count.clamp_min(1.0)
    largest = means.amax(1)
    others = (means.sum(1) - largest) / (period - 1)
    return torch.log2((largest + LEAST_STEP) / (others + LEAST_STEP))
