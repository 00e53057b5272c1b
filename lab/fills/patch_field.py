"""Which known patch every patch of a hole looks like most: PatchMatch's search, and the votes.

Barnes, Shechtman, Finkelstein, Goldman, "PatchMatch: A Randomized Correspondence Algorithm for
Structural Image Editing" (SIGGRAPH 2009). Here all patches move at once: each tries what its four
neighbours found, one after the other, then random places, nearer and farther.
"""

from collections.abc import Iterator
from math import log2

import cv2
import numpy as np
import torch
from torch import Tensor

from lab.imaging import dilate

# Patches are compared by so many principal components of the known ones.
_COMPONENTS = 32
_EXAMPLES = 4000
_RANDOM_PLACES = 3
# Up to so many pairs of patches, the first matches are found by comparing all.
_MOST_PAIRS = 2**27
_FIRST_ROUNDS = 10
# Patches or pixels that are worked on at one time, so that memory is bounded.
_CHUNK = 8192
_PIXEL_CHUNK = 2**14
# How well patches fit is told from so many of them.
_MOST_FITS = 2**17
# A patch counts less by this factor with every pixel that it lies deeper in the hole.
_FADING, _DEEPEST = 1.3, 60
# The share of patches that fit better than what counts as a fair fit.
_FAIR = 0.75


class PatchField:
    """One size of a photo: the patches that touch its hole, and the best known patch for each.

    Positions are pixels counted row by row, and a patch is named by its middle. Known patches lie
    in the photo and touch no hole.

    Args:
        planes: ``(C, H, W)``, whatever patches are compared by; colours first.
        hole: bool ``(H, W)``.
        radius: of a patch: its side is twice that and one.
        generator: of all that is drawn, on the CPU.
        near: bool ``(H, W)``, where known patches may be taken from; None: anywhere.

    Attributes:
        colours: ``(H * W, C)``, changed by `vote`.
        sources: positions of the known patches, ``(N,)``.
        targets: positions of the patches to be matched, ``(M,)``.
        nearest: the position of each target's best source so far, ``(M,)``.
    """

    def __init__(
        self,
        planes: Tensor,
        hole: Tensor,
        radius: int,
        generator: torch.Generator,
        near: Tensor | None = None,
    ) -> None:
        self.height, self.width = hole.shape
        self.radius = radius
        self._generator = generator
        device = planes.device
        inner = torch.zeros_like(hole)
        inner[radius : self.height - radius, radius : self.width - radius] = True
        touched = dilate(hole.to(planes.dtype)[None, None], radius)[0, 0] > 0
        self.pixels = hole.flatten().nonzero().flatten()
        self.targets = (touched & inner).flatten().nonzero().flatten()
        known = ~touched & inner
        if near is not None and bool((known & near).any()):
            known &= near
        self.sources = known.flatten().nonzero().flatten()
        self._target_at = _numbered(self.targets, hole.numel())
        self._source_at = _numbered(self.sources, hole.numel())
        around = torch.arange(-radius, radius + 1, device=device)
        self._offsets = (self.width * around[:, None] + around).flatten()
        self._rows = around.repeat_interleave(len(around))
        self._columns = around.repeat(len(around))
        self._fading = _FADING ** -_depth(hole).flatten()[self.targets].to(planes.dtype)
        self.colours = planes.flatten(1).T.contiguous()
        self.nearest = self.targets
        self._distances = torch.zeros_like(self._fading)
        self._basis: Tensor | None = None
        self._few_voters: Tensor | None = None

    def begin(self, planes: Tensor) -> None:
        """Find first matches: the best ones, or where that is too much, by a long search.

        Args:
            planes: a first guess of what is in the hole, ``(C, H, W)``.
        """
        self.colours[self.pixels] = planes.flatten(1).T[self.pixels]
        if len(self.targets) * len(self.sources) > _MOST_PAIRS:
            self.nearest = self._drawn_sources()
            self.search(_FIRST_ROUNDS)
            return
        described = self._described(self.targets)
        squares = self._known.square().sum(1)
        best = [
            (squares - 2.0 * (chunk @ self._known.T)).argmin(1)
            for chunk in described.split(_CHUNK // 8)
        ]
        self.nearest = self.sources[torch.cat(best)]
        self._distances = self._compare(self.nearest, described)

    def continue_from(self, coarse: "PatchField") -> None:
        """Take the matches over from half the size."""
        rows = (self.targets // self.width).div(2, rounding_mode="floor")
        columns = (self.targets % self.width).div(2, rounding_mode="floor")
        rows.clamp_(coarse.radius, coarse.height - 1 - coarse.radius)
        columns.clamp_(coarse.radius, coarse.width - 1 - coarse.radius)
        found = torch.full_like(rows, -1)
        # Where the coarse patch there touches no hole, that beside it does.
        for y, x in sorted(((y, x) for y in (-1, 0, 1) for x in (-1, 0, 1)), key=_squared_length):
            row = (rows + y).clamp(0, coarse.height - 1)
            column = (columns + x).clamp(0, coarse.width - 1)
            found = torch.where(found < 0, coarse._target_at[row * coarse.width + column], found)
        matched, at = coarse.nearest[found.clamp_min(0)], coarse.targets[found.clamp_min(0)]
        rows = self.targets // self.width + 2 * (matched // coarse.width - at // coarse.width)
        columns = self.targets % self.width + 2 * (matched % coarse.width - at % coarse.width)
        nearest = self._position(rows, columns)
        is_source = (found >= 0) & (self._source_at[nearest] >= 0)
        self.nearest = torch.where(is_source, nearest, self._drawn_sources())
        self._distances = coarse._distances[found.clamp_min(0)]

    def search(self, rounds: int) -> None:
        """Better the matches, for the colours as they are now."""
        described = self._described(self.targets)
        self._distances = self._compare(self.nearest, described)
        for _ in range(rounds):
            for y, x in ((0, 1), (1, 0), (0, -1), (-1, 0)):
                self._try_neighbours(y, x, described)
            for _ in range(_RANDOM_PLACES):
                self._try_random_places(described)

    def vote(self) -> None:
        """Give every pixel of the hole the mean of what the patches over it were matched with."""
        weights = self._weights()
        for pixels in self.pixels.split(_PIXEL_CHUNK):
            total = torch.zeros_like(self.colours[pixels])
            weight = torch.zeros_like(total[:, :1])
            for origins, votes in self._votes(pixels, weights):
                total.addcmul_(self.colours[origins], votes[:, None])
                weight += votes[:, None]
            self.colours[pixels] = total / weight

    def copy(self) -> Tensor:
        """Give every pixel the colour that the weightiest patch over it was matched with.

        Returns:
            The position that each pixel is copied from, ``(H, W)``; known pixels are their own.
        """
        weights = self._weights()
        origin = torch.arange(self.height * self.width, device=self.colours.device)
        for pixels in self.pixels.split(_PIXEL_CHUNK):
            best = torch.zeros_like(self.colours[pixels, 0])
            for origins, votes in self._votes(pixels, weights):
                origin[pixels] = torch.where(votes > best, origins, origin[pixels])
                best = torch.maximum(best, votes)
        self.colours = self.colours[origin]
        return origin.unflatten(0, (self.height, self.width))

    def _learn_components(self) -> Tensor:
        """Find the principal components ``(C * side², K)``, and describe the sources by them."""
        order = torch.randperm(len(self.sources), generator=self._generator)[:_EXAMPLES]
        examples = self._patches(self.sources[order.to(self.sources.device)])
        examples = examples - examples.mean(0)
        spread = (examples.T @ examples).cpu().double()
        # Of a plain photo it is rounding alone, down to denormal numbers, on which LAPACK gives up.
        spread /= spread.abs().max().clamp_min(torch.finfo(examples.dtype).tiny)
        # Eigenvalues come in ascending order.
        _, vectors = torch.linalg.eigh(spread)
        self._basis = vectors[:, -_COMPONENTS:].to(examples).contiguous()
        self._known = self._described(self.sources)
        return self._basis

    def _patches(self, positions: Tensor) -> Tensor:
        return self.colours[positions[:, None] + self._offsets].flatten(1)

    def _described(self, positions: Tensor) -> Tensor:
        basis = self._learn_components() if self._basis is None else self._basis
        return torch.cat([self._patches(chunk) @ basis for chunk in positions.split(_CHUNK)])

    def _compare(self, positions: Tensor, described: Tensor) -> Tensor:
        """Squared distances of the targets to the sources at ``positions``."""
        return self._known[self._source_at[positions]].sub_(described).square_().sum(1)

    def _try(self, candidates: Tensor, is_there: Tensor, described: Tensor) -> None:
        usable = is_there & (self._source_at[candidates] >= 0)
        candidates = torch.where(usable, candidates, self.nearest)
        distances = self._compare(candidates, described)
        is_better = distances < self._distances
        self.nearest = torch.where(is_better, candidates, self.nearest)
        self._distances = torch.where(is_better, distances, self._distances)

    def _try_neighbours(self, y: int, x: int, described: Tensor) -> None:
        """Try, for every target, the place beside its neighbour's match."""
        # No target lies on the photo's border, so no neighbour beyond it.
        neighbour = self._target_at[self.targets + y * self.width + x]
        candidates = self.nearest[neighbour.clamp_min(0)] - y * self.width - x
        self._try(candidates, neighbour >= 0, described)

    def _try_random_places(self, described: Tensor) -> None:
        """Try a place near each match; how near is drawn too, up to all of the photo."""
        count = len(self.targets)
        drawn = torch.rand((3, count), generator=self._generator).to(described)
        reach = 2.0 ** (drawn[0] * log2(max(self.height, self.width)))
        moves = ((2.0 * drawn[1:] - 1.0) * reach).round().long()
        rows, columns = self.nearest // self.width + moves[0], self.nearest % self.width + moves[1]
        candidates = self._position(rows, columns)
        self._try(candidates, torch.ones_like(candidates, dtype=torch.bool), described)

    def _position(self, rows: Tensor, columns: Tensor) -> Tensor:
        """The nearest position whose patch lies in the photo."""
        rows = rows.clamp(self.radius, self.height - 1 - self.radius)
        return rows * self.width + columns.clamp(self.radius, self.width - 1 - self.radius)

    def _drawn_sources(self) -> Tensor:
        drawn = torch.randint(len(self.sources), (len(self.targets),), generator=self._generator)
        return self.sources[drawn.to(self.sources.device)]

    def _weights(self) -> Tensor:
        """How much each target's vote counts: by how well it fits, and how near the rim it is."""
        fair = self._distances[:: 1 + len(self._distances) // _MOST_FITS].quantile(_FAIR)
        fit = self._distances / (2.0 * fair.clamp_min(torch.finfo(fair.dtype).tiny))
        return torch.exp(-fit.clamp_max(20.0)) * self._fading

    def _votes(self, pixels: Tensor, weights: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
        """For each place of a patch over the pixels: what it is copied from, and its weight."""
        voters = self._voters(pixels)
        is_there = voters >= 0
        voters = voters.clamp_min(0)
        origins = torch.where(is_there, self.nearest[voters] + self._offsets[:, None], pixels)
        yield from zip(origins, weights[voters] * is_there, strict=True)

    def _voters(self, pixels: Tensor) -> Tensor:
        """The target over each pixel, for each place of its patch ``(places, pixels)``; -1: none.

        Those of a hole that is worked on at once stay from vote to vote.
        """
        if self._few_voters is not None:
            return self._few_voters
        rows, columns = pixels // self.width, pixels % self.width
        y, x = self._rows[:, None], self._columns[:, None]
        is_there = (rows >= y) & (rows < self.height + y)
        is_there &= (columns >= x) & (columns < self.width + x)
        at = torch.where(is_there, pixels - self._offsets[:, None], 0)
        voters = torch.where(is_there, self._target_at[at], -1)
        if len(pixels) == len(self.pixels):
            self._few_voters = voters
        return voters


def _numbered(positions: Tensor, count: int) -> Tensor:
    """The number of each position among those given, ``(count,)``; -1 for the others."""
    numbers = torch.full((count,), -1, device=positions.device)
    numbers[positions] = torch.arange(len(positions), device=positions.device)
    return numbers


def _depth(hole: Tensor) -> Tensor:
    """How many steps, aslant too, it is to a known pixel."""
    steps = cv2.distanceTransform(hole.cpu().numpy().astype(np.uint8), cv2.DIST_C, 3)
    return torch.from_numpy(steps).clamp_max(_DEEPEST).to(hole.device)


def _squared_length(step: tuple[int, int]) -> int:
    return step[0] ** 2 + step[1] ** 2
