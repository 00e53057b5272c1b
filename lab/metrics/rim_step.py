"""Does the eye find the hole's border? By the step in colour across it, which needs no truth.

A step between two neighbouring pixels is how far their difference is from that of the pairs just
before and just after it on the same line: a slope has none. Signed from the known pixel to the
filled one and averaged along a stretch of the border, what texture does by chance cancels out, and
a difference in colour stays, also one that is small against the texture.

What does not cancel out, the surroundings have too: the same stretches, moved off the border by a
few pixels to either side. Their steps are taken away, as variances are: in squares, quantile by
quantile, the mean of both sides. So a sharp photo is not blamed for its texture, nor a fill for
being blurred or rough where its border shows nothing.
"""

import torch
import torch.nn.functional as F
from torch import Tensor

STRETCH = 15
"""Side in pixels of the window around a pair at the border whose steps are averaged."""

BESIDE = (2, 3, 4)
"""Pixels by which the surroundings' steps lie off the border: the nearest that the border's own
difference is no part of, on either side."""

LEVELS = 20
"""Quantiles by which the steps at the border and those beside it are compared."""

# The places on a line across the border that the steps farthest off it take part in: 0 is the last
# known pixel, 1 the first filled one.
_FIRST, _LAST = -max(BESIDE) - 1, max(BESIDE) + 2


def rim_step(photo: Tensor, mask: Tensor) -> Tensor:
    """Measure the step in colour across the hole's border beyond what its surroundings have.

    About k where the fill is off by a constant k in all channels, 0 where there is no seam; a seam
    along a part of the border counts by that part.

    Args:
        photo: ``(B, 3, H, W)`` in [0, 1], completed.
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole; where it is empty or full the step is 0.

    Returns:
        ``(B,)``, at least 0, in units of the image's range: 1/255 is a level of 8 bits.
    """
    return torch.stack([_step(*one) for one in zip(photo, mask, strict=True)])


def _step(photo: Tensor, mask: Tensor) -> Tensor:
    """Of ``(3, H, W)`` and ``(1, H, W)``."""
    lines = _Lines(photo, mask[0])
    if not len(lines.rows):
        return photo.new_zeros(())
    excess = _quantiles(lines.means(0)).square()
    sides = [
        torch.cat([lines.means(sign * distance) for distance in BESIDE], dim=1) for sign in (-1, 1)
    ]
    # A hole of thin strokes has no pairs inside, one that leaves a thin frame none outside.
    beside = [_quantiles(side).square() for side in sides if side.numel()]
    if beside:
        excess = excess - torch.stack(beside).mean(0)
    # The root keeps its sign until the mean, so that chance cancels out here, too.
    return (excess.sign() * excess.abs().sqrt()).mean().clamp_min(0.0)


class _Lines:
    """The pixels on the lines across a hole's border, one for each pair that the border parts.

    Args:
        photo: ``(3, H, W)``.
        mask: ``(H, W)``.
    """

    def __init__(self, photo: Tensor, mask: Tensor) -> None:
        margin = max(-_FIRST, _LAST)
        colours = F.pad(photo, (margin,) * 4)
        sides = F.pad(mask, (margin,) * 4, value=-1.0)  # beyond the photo: of neither side
        places = torch.arange(_FIRST, _LAST + 1, device=mask.device)
        lines = []
        for down, right in ((0, 1), (1, 0), (0, -1), (-1, 0)):
            rows, columns = ((sides == 0) & (sides.roll((-down, -right), (0, 1)) == 1)).nonzero().T
            across = rows[:, None] + down * places, columns[:, None] + right * places
            lines.append((rows, columns, colours[:, *across], sides[across]))
        rows, columns, pixels, kinds = zip(*lines, strict=True)
        self.rows, self.columns = torch.cat(rows), torch.cat(columns)
        self._pixels = torch.cat(pixels, dim=1)  # (3, N, places)
        self._sides = torch.cat(kinds)  # (N, places)

    def means(self, offset: int) -> Tensor:
        """How large the mean step along the stretch around each pair is, ``(3, n)``.

        Args:
            offset: pixels by which the pairs are moved into the hole, or out of it; those that come
                to lie in the other part, or in another part of the hole, are left out.
        """
        before, across, after = (
            self._pixels[..., place + 1 - _FIRST] - self._pixels[..., place - _FIRST]
            for place in (offset - 1, offset, offset + 1)
        )
        if offset:
            between = (1, offset + 2) if offset > 0 else (offset - 1, 0)
            sides = self._sides[:, between[0] - _FIRST : between[1] - _FIRST + 1]
            valid = (sides == float(offset > 0)).all(1)
            steps = across - (before + after) / 2.0
        else:
            # In a hole one pixel wide there is no pair behind the border; the other one will do.
            has = [
                (self._sides[:, place - _FIRST] == side).to(before)
                for place, side in ((-1, 0.0), (2, 1.0))
            ]
            valid = torch.ones_like(self.rows, dtype=torch.bool)
            steps = across - (before * has[0] + after * has[1]) / (has[0] + has[1]).clamp_min(1.0)
        return self._along(steps[:, valid], self.rows[valid], self.columns[valid]).abs()

    def _along(self, steps: Tensor, rows: Tensor, columns: Tensor) -> Tensor:
        """The mean of the steps ``(3, n)`` in the window around each of them."""
        if not len(rows):
            return steps
        rows, columns = rows - rows.min(), columns - columns.min()
        height, width = int(rows.max()) + 1, int(columns.max()) + 1
        # Their sums and, last, how many they are.
        plane = steps.new_zeros(4, height * width)
        plane.index_add_(1, rows * width + columns, F.pad(steps, (0, 0, 0, 1), value=1.0))
        before, behind = STRETCH // 2 + 1, STRETCH // 2
        padded = F.pad(plane.reshape(4, height, width), (before, behind, before, behind))
        sums = padded.cumsum(1).cumsum(2)
        bands = sums[:, STRETCH:] - sums[:, :-STRETCH]
        windows = (bands[..., STRETCH:] - bands[..., :-STRETCH])[:, rows, columns]
        return windows[:3] / windows[3]


def _quantiles(values: Tensor) -> Tensor:
    # torch.quantile refuses more than 16 million values, and a photo may have more.
    ordered = values.flatten().sort().values
    # The middles of equal shares, in whole numbers: no rounding decides which value is taken.
    middles = (2 * torch.arange(LEVELS, device=values.device) + 1) * len(ordered)
    return ordered[middles // (2 * LEVELS)]
