"""The texture metric once more, by OpenCV, numpy and scipy, patch by patch."""

import cv2
import numpy as np
from scipy.stats import wasserstein_distance

from lab.metrics.texture import patch_directions

_TWICE = np.array([1.0, 4.0, 6.0, 4.0, 1.0]) / 8.0


def scales_of(image):
    """Of ``(3, H, W)``: what each scale adds, finest first, ``(h, w, 3)`` each."""
    image, scales = np.moveaxis(image, 0, -1), []
    while min(image.shape[:2]) >= 32:
        smaller = cv2.pyrDown(image)
        # As `cv2.pyrUp`, whose right and lower borders of odd sizes are its own.
        apart = np.zeros_like(image)
        apart[::2, ::2] = smaller
        scales.append(image - cv2.sepFilter2D(apart, -1, _TWICE, _TWICE))
        image = smaller
    return [*scales, image - image.mean((0, 1))]


def patches_of(scale, pixels):
    """The 7x7 patches around the pixels of a region given at full size, as rows."""
    height, width = scale.shape[:2]
    rows, columns = pixels.shape
    padded = np.pad(scale, ((3, 3), (3, 3), (0, 0)), mode="edge")
    patches = []
    for y in range(height):
        for x in range(width):
            block = pixels[
                y * rows // height : -(-(y + 1) * rows // height),
                x * columns // width : -(-(x + 1) * columns // width),
            ]
            if block.any():
                patches.append(padded[y : y + 7, x : x + 7].transpose(2, 0, 1).ravel())
    return np.array(patches)


def texture_of(completed, truth, pixels):
    """``(3, H, W)`` each, and the region ``(H, W)``."""
    directions = patch_directions().numpy().reshape(66, -1)
    distances = []
    for ours, theirs in zip(scales_of(completed), scales_of(truth), strict=True):
        projected = [patches_of(scale, pixels) @ directions.T for scale in (ours, theirs)]
        pairs = zip(*(values.T for values in projected), strict=True)
        distance = np.mean([wasserstein_distance(one, other) for one, other in pairs])
        distances.append(distance / (theirs.std() + 0.5 / 255))
    return np.mean(distances)
