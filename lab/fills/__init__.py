"""What fills a hole without weights: by itself, or for networks to begin from."""

from lab.fills.hole_start import (
    HoleStart,
    check_hole_start,
    filled_already,
    show_hole_start,
    start_at_zero,
)
from lab.fills.opencv_inpainting import OpenCVInpainting
from lab.fills.patch_match import PatchMatch
from lab.fills.remembered import patch_match_fill
from lab.fills.shift_map import ShiftMap
from lab.fills.smooth import (
    SMOOTH_FILLS,
    SmoothFill,
    across_fill,
    directional_fill,
    even_fill,
    inward_fill,
    smooth_fills,
)

__all__ = [
    "SMOOTH_FILLS",
    "HoleStart",
    "OpenCVInpainting",
    "PatchMatch",
    "ShiftMap",
    "SmoothFill",
    "across_fill",
    "check_hole_start",
    "directional_fill",
    "even_fill",
    "filled_already",
    "inward_fill",
    "patch_match_fill",
    "show_hole_start",
    "smooth_fills",
    "start_at_zero",
]
