"""The two classical methods in OpenCV: a baseline without training, and a fill for smoke tests."""

from typing import Literal

import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from lab.checks import check_image_and_mask, unknown_name_message
from lab.contracts import Guides, Strategy
from lab.fills.holed import refuse_full
from lab.imaging import from_uint8, to_uint8

FLAGS = {"telea": cv2.INPAINT_TELEA, "navier-stokes": cv2.INPAINT_NS}


class OpenCVInpainting(Strategy):
    """Fills the hole from its border inwards, on the CPU and in 8 bits a channel.

    - ``telea``: Telea 2004, "An Image Inpainting Technique Based on the Fast Marching Method";
    - ``navier-stokes``: Bertalmio, Bertozzi, Sapiro 2001, "Navier-Stokes, Fluid Dynamics, and Image
      and Video Inpainting".

    Args:
        method: which of the two.
        radius: the neighbourhood that a pixel is filled from, in pixels.

    Raises:
        ValueError: an unknown method, or a radius that is not positive.
    """

    def __init__(
        self, method: Literal["telea", "navier-stokes"] = "telea", radius: float = 3.0
    ) -> None:
        if method not in FLAGS:
            raise ValueError(unknown_name_message("method of OpenCV inpainting", method, FLAGS))
        if not radius > 0:
            raise ValueError(f"radius is {radius:g}, but must be above 0")
        self.method = method
        self.radius = radius

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
        completed = image.clone()
        for index in mask.flatten(1).any(1).nonzero().flatten().tolist():
            filled = from_uint8(self._fill(to_uint8(image[index]), to_uint8(mask[index])))
            completed[index] = torch.where(mask[index] > 0, filled.to(image), image[index])
        return completed

    def _fill(self, pixels: NDArray[np.uint8], hole: NDArray[np.uint8]) -> NDArray[np.uint8]:
        # At the upper and left border OpenCV reads pixels *under* the hole (opencv/opencv#25389).
        # It does not where a ring of unknown pixels keeps the hole away from the border.
        pixels = np.pad(pixels, ((1, 1), (1, 1), (0, 0)), mode="edge")
        hole = np.pad(hole[..., 0], 1, constant_values=255)
        filled = cv2.inpaint(pixels, hole, self.radius, FLAGS[self.method])
        return np.asarray(filled, np.uint8)[1:-1, 1:-1]
