"""Completion by patches of the photo itself: sharp texture without any training."""

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.contracts import Guides, Strategy
from lab.fills.blending import blend
from lab.fills.patch_field import PatchField
from lab.fills.shrinking import shrink
from lab.fills.smooth import across_fill
from lab.fills.windows import complete_windows
from lab.imaging import dilate, erode

# The share of a patch's distance that its roughness has: colours alone take a smooth patch for a
# textured one, once both are shrunk.
_ROUGHNESS = 4.0
# Rounds of search and vote at the coarsest size, at the next, and at all others.
_ROUNDS = (8, 5, 4)
_SEARCHES = 2
# Above so many pixels, a window is searched at half the size, and copied from at its own.
_MOST_PIXELS = 2**20
# A larger window of a thin hole is searched in the squares of this side that hold some of it, and
# beside them.
_NEAR = 64
# Fewer known patches than that are no choice.
_FEW = 64
_LEAST_CONTEXT = 64


class PatchMatch(Strategy):
    """Fills the hole with patches of the photo that fit each other and what is around.

    Wexler, Shechtman, Irani, "Space-Time Completion of Video" (PAMI 2007): from coarse to fine,
    every patch that touches the hole looks for the known patch most like it (`PatchField`, by
    PatchMatch of Barnes et al., SIGGRAPH 2009), and every pixel of the hole becomes the mean of
    what the patches over it vote for, again and again. At last each pixel is copied from its
    weightiest vote, so that nothing is blurred, and steps in colour are blended away. Patches are
    compared by colour and by roughness, as in Newson, Almansa, Gousseau, Pérez, "Non-Local
    Patch-Based Image Inpainting" (IPOL 2017).

    Each part of the hole is completed in a window of its own (`hole_windows`), so that time and
    memory depend on the hole. A window of more than 2**20 pixels is searched at half its size, or a
    quarter, and copied from at its own; where a scratch or a wire would vanish at half the size, it
    is searched near that alone. Where no patch of 3 x 3 pixels is known, there is nothing to copy
    from, and the answer is `across_fill`'s. The same photo, mask and seed give the same answer on
    one machine; rounding may differ from one to another.

    Args:
        patch: side of the patches in pixels, odd, at least 3; smaller in windows where no larger
            one is known.
        context_share: how far a window reaches beyond a part of the hole on each side, as a share
            of that part's longer side, and at least 64 pixels.
        blend: take steps in colour away.
        seed: of the random places that the search tries.

    Raises:
        ValueError: an even or too small patch, or no context.
    """

    def __init__(
        self, patch: int = 7, context_share: float = 1.0, blend: bool = True, seed: int = 0
    ) -> None:
        if patch < 3 or patch % 2 == 0:
            raise ValueError(f"patch is {patch}, but must be odd and at least 3 pixels")
        if not context_share > 0:
            raise ValueError(
                f"context_share is {context_share:g}, but must be above 0: "
                "patches are copied from what surrounds the hole"
            )
        self.patch = patch
        self.context_share = context_share
        self.blend = blend
        self.seed = seed

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1.

        Known pixels come back bit for bit; a sample with an empty mask comes back as it is.
        No guide is read.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            ValueError: a mask covers the whole image, so there is nothing to fill it from.
        """
        return complete_windows(image, mask, self.context_share, _LEAST_CONTEXT, self._complete)

    def _complete(self, image: Tensor, hole: Tensor) -> Tensor:
        """Complete one window, ``(3, h, w)``, 0 under its hole ``(h, w)``."""
        radius = next(
            (
                r
                for r in range(self.patch // 2, 0, -1)
                if _is_enough(hole, r, 1 if r == 1 else _FEW)
            ),
            0,
        )
        if radius == 0:
            return across_fill(image[None], hole[None, None])[0].clamp(0, 1)
        field = _coarse_to_fine(image, hole, radius, torch.Generator().manual_seed(self.seed))
        origin = field.copy()
        completed = field.colours[:, :3].T.unflatten(1, hole.shape).to(image.dtype)
        return blend(completed, hole, origin).clamp(0, 1) if self.blend else completed


def _coarse_to_fine(
    image: Tensor, hole: Tensor, radius: int, generator: torch.Generator
) -> PatchField:
    """Match the patches of a window at every size; the field of the window's own is returned."""
    holes = _shrunk_holes(hole, radius)
    rough = _ROUGHNESS * _roughness(image, hole, 2 ** max(0, len(holes) - 2))
    sizes = [torch.cat((image, rough))]
    for larger in holes[:-1]:
        mask = larger[None, None].to(image.dtype)
        sizes.append(shrink(sizes[-1][None], mask, 2)[0][0])
    near = _near(holes[-1]) if holes[-1].numel() > _MOST_PIXELS else None
    field = PatchField(sizes[-1], holes[-1], radius, generator, near)
    field.begin(across_fill(sizes[-1][None], holes[-1][None, None])[0])
    for number in range(len(sizes)):
        place = len(sizes) - 1 - number
        if number > 0:
            coarse, field = field, PatchField(sizes[place], holes[place], radius, generator)
            field.continue_from(coarse)
        if number > 0 and holes[place].numel() > _MOST_PIXELS:
            continue
        for _ in range(_ROUNDS[min(number, len(_ROUNDS) - 1)]):
            field.vote()
            field.search(_SEARCHES)
    return field


def _shrunk_holes(hole: Tensor, radius: int) -> list[Tensor]:
    """The hole at every size that is worked at, its own first: until a patch reaches over it."""
    holes = [hole]
    while True:
        mask = holes[-1][None, None].float()
        # A hole is as deep as what erosion leaves nothing of.
        if not bool(erode(mask, radius + 2).any()):
            return holes
        smaller = shrink(mask.expand(-1, 3, -1, -1), mask, 2)[1][0, 0] > 0
        if not _is_enough(smaller, radius, _FEW):
            return holes
        holes.append(smaller)


def _near(hole: Tensor) -> Tensor:
    """The squares that hold some of the hole, and those beside them, as bool ``(H, W)``."""
    squares = F.max_pool2d(hole[None, None].float(), _NEAR, ceil_mode=True)
    near = dilate(squares, 1)[0, 0] > 0
    near = near.repeat_interleave(_NEAR, 0).repeat_interleave(_NEAR, 1)
    return near[: hole.shape[0], : hole.shape[1]]


def _is_enough(hole: Tensor, radius: int, least: int) -> bool:
    """Whether so many patches are known."""
    touched = dilate(hole[None, None].float(), radius)[0, 0]
    inner = touched[radius : hole.shape[0] - radius, radius : hole.shape[1] - radius]
    return inner.numel() > 0 and int((inner == 0).sum()) >= least


def _roughness(image: Tensor, hole: Tensor, reach: int) -> Tensor:
    """How much colours change from a pixel to the next, across and down, around each pixel.

    Args:
        image: ``(3, H, W)``.
        hole: bool ``(H, W)``; only known pixels count.
        reach: of the mean around a pixel, to each side.

    Returns:
        ``(2, H, W)``.
    """
    planes = []
    for axis in (-1, -2):
        both = ~hole.narrow(axis, 1, hole.shape[axis] - 1)
        both &= ~hole.narrow(axis, 0, hole.shape[axis] - 1)
        steps = image.diff(dim=axis).abs().mean(0) * both
        pair = torch.stack((steps, both.to(image.dtype)))
        pair = F.pad(pair, (0, 1) if axis == -1 else (0, 0, 0, 1))
        side = 2 * reach + 1
        pair = F.avg_pool2d(pair[None], (1, side), 1, (0, reach))
        change, known = F.avg_pool2d(pair, (side, 1), 1, (reach, 0))[0]
        planes.append(change / known.clamp_min(torch.finfo(known.dtype).tiny))
    return torch.stack(planes)
