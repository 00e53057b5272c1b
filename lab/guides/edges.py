"""Edges of the known pixels, as EdgeConnect's first network completes them.

Nazeri et al., "EdgeConnect: Generative Image Inpainting with Adversarial Edge Learning" (ICCV
workshops 2019): Canny's edges of the gray photo, blurred with sigma 2. As scikit-image does under a
mask, the blur is of known pixels alone, and no pixel beside the hole is an edge: the hole's own rim
never shows.
"""

import torch
import torch.nn.functional as F
from kornia.color import rgb_to_grayscale
from kornia.filters import canny, gaussian_blur2d
from torch import Tensor

from lab.checks import check_image_and_mask
from lab.guides.guide import Guide, GuideInputs, GuideReading
from lab.imaging import PhotoFile, dilate, read_strokes

SIGMA = 2.0
"""EdgeConnect's blur before the gradient, in pixels."""

# Of the gradient by Sobel's sums, which scikit-image's defaults are of, too.
_WEAK, _STRONG = 0.1, 0.2
_REACH = 4


@torch.no_grad()
def find_edges(image: Tensor, mask: Tensor, sigma: float = SIGMA) -> Tensor:
    """Canny's edges of the known pixels.

    Args:
        image: ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
        mask: ``(B, 1, H, W)`` of 0 and 1, 1 = hole; all 0 gives the whole photo's edges.
        sigma: of the blur before the gradient, in pixels.

    Returns:
        ``(B, 1, H, W)`` of 0 and 1, 1 = edge; 0 under the hole and beside it.

    Raises:
        TypeError, ValueError: the inputs break the conventions or do not fit each other.
    """
    check_image_and_mask(torch.where(mask > 0, 0.0, image), mask)
    with torch.autocast(image.device.type, enabled=False):
        gray = rgb_to_grayscale(torch.where(mask > 0, 0.0, image).float())
        known = 1.0 - mask.float()
        near = _blur(known, sigma).clamp_min(torch.finfo(torch.float32).tiny)
        _, marked = canny(
            _blur(gray, sigma) / near, _WEAK, _STRONG, kernel_size=1, hysteresis=False
        )
        return _joined(marked * (1.0 - dilate(mask.float(), 1)))


def _blur(planes: Tensor, sigma: float) -> Tensor:
    size = 2 * round(_REACH * sigma) + 1
    return gaussian_blur2d(planes, size, (sigma, sigma), border_type="constant")


def _joined(marked: Tensor) -> Tensor:
    """Keep weak edges (0.5) that are joined to strong ones (1) by other weak ones."""
    candidates, edges = marked > 0, marked == 1
    while True:
        # Eight times as fast as pooling, and a round is needed for every pixel of a weak line.
        rows = F.pad(edges, (0, 0, 1, 1))
        rows = rows[..., :-2, :] | rows[..., 1:-1, :] | rows[..., 2:, :]
        columns = F.pad(rows, (1, 1))
        grown = (columns[..., :-2] | columns[..., 1:-1] | columns[..., 2:]) & candidates
        if torch.equal(grown, edges):
            return edges.to(marked.dtype)
        edges = grown


def _draw(inputs: GuideInputs) -> Tensor:
    return find_edges(inputs.truth, inputs.mask)


def _read(file: PhotoFile, size: tuple[int, int]) -> GuideReading:
    reading = read_strokes(file, size, "edges")
    return GuideReading(reading.strokes[None], reading.note)


EDGES = Guide(
    meaning="1 = edge of the photo, on known pixels",
    channels=1,
    shrinking="maximum",
    shown="known",
    is_binary=True,
    draw=_draw,
    read=_read,
    without_file="drawn",
)
