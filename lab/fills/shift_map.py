"""The shift map of OpenCV's contributed modules: the hole is a montage of shifted copies."""

import ctypes

import cv2
import numpy as np
import torch
from torch import Tensor

from lab.contracts import Guides, Strategy
from lab.fills.blending import blend
from lab.fills.smooth import across_fill
from lab.fills.windows import complete_windows
from lab.imaging import from_uint8, to_uint8

_LEAST_CONTEXT = 32
_ROUNDS = 4
# No colour: in 8-bit Lab, black is (0, 128, 128).
_EMPTY = 0
# OpenCV keeps 60 shifts, two integers each, and reads a 61st.
_READ_BYTES = 61 * 8
# More than an allocator keeps at hand of one size, and fewer.
_MANY_BLOCKS, _FEW_BLOCKS = 64, 4


class ShiftMap(Strategy):
    """Copies the known part, shifted by a few distances at which the photo resembles itself.

    He, Sun, "Statistics of Patch Offsets for Image Completion" (ECCV 2012), as ``cv2.xphoto`` has
    it: on the CPU, in 8 bits a channel of Lab. Each part of the hole is completed in a window of
    its own (`hole_windows`), so that time and memory depend on the hole. What no shift reaches,
    because more is hidden than known, is tried again from what was filled, and at last filled by
    `across_fill`. The same photo and mask give the same answer.

    Args:
        context_share: how far a window reaches beyond a part of the hole on each side, as a share
            of that part's longer side, and at least 32 pixels.
        blend: take the steps in colour at the hole's border away.

    Raises:
        ValueError: no context.
    """

    def __init__(self, context_share: float = 1.0, blend: bool = True) -> None:
        if not context_share > 0:
            raise ValueError(
                f"context_share is {context_share:g}, but must be above 0: "
                "what surrounds the hole is copied into it"
            )
        self.context_share = context_share
        self.blend = blend

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
        pixels, missing = _montage(to_uint8(image), hole.cpu().numpy())
        completed = torch.where(hole, from_uint8(pixels).to(image), image)
        rest = torch.from_numpy(missing).to(hole.device)
        if bool(rest.any()):
            completed = across_fill(completed[None], rest[None, None])[0].clamp(0, 1)
        return blend(completed, hole).clamp(0, 1) if self.blend else completed


def _montage(pixels: np.ndarray, hole: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Fill uint8 RGB ``(h, w, 3)`` where bool ``hole (h, w)``.

    Returns:
        tuple[np.ndarray, np.ndarray]: the pixels, and where none was found, bool ``(h, w)``.
    """
    lab = cv2.cvtColor(pixels, cv2.COLOR_RGB2Lab)
    lab[hole] = _EMPTY
    missing = hole
    for _ in range(_ROUNDS):
        filled = np.zeros_like(lab)
        known = np.where(missing, 0, 255).astype(np.uint8)
        # Nothing may come between the two: it would take the memory that is cleared.
        _clear_freed_memory()
        cv2.xphoto.inpaint(lab, known, filled, cv2.xphoto.INPAINT_SHIFTMAP)
        # It smooths known pixels near the hole, too.
        lab[missing] = filled[missing]
        before, missing = missing, missing & (lab == _EMPTY).all(-1)
        # Without a hole it crashes; without a new pixel it would say the same again.
        if not missing.any() or (missing == before).all():
            break
    return cv2.cvtColor(lab, cv2.COLOR_Lab2RGB), missing


def _clear_freed_memory() -> None:
    """Leave zeros in those freed blocks of which OpenCV's list of shifts takes one.

    OpenCV 5.0 reads one shift past that list's end: what lay there before in memory was a shift,
    too, and in one process of about fourteen another than none. Now it is none in all of them.
    """
    try:
        library = ctypes.CDLL(None)
        allocate, release = library.malloc, library.free
    except (AttributeError, OSError, TypeError):
        # Where the program's own allocator is not at hand (Windows), it stays as OpenCV has it.
        return
    allocate.restype, allocate.argtypes = ctypes.c_void_p, [ctypes.c_size_t]
    release.argtypes = [ctypes.c_void_p]
    # An allocator hands out first what was freed last, a few of one size. As many as it keeps of
    # them may be others than were asked for, put there when it looked for one: hence twice. It
    # rounds sizes up, and a list of 60 takes the same.
    for count in (_MANY_BLOCKS, _FEW_BLOCKS):
        blocks = [allocate(_READ_BYTES) for _ in range(count)]
        for block in blocks:
            ctypes.memset(block, 0, _READ_BYTES)
        for block in blocks:
            release(block)
