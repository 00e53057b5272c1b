"""GMSD and VSI of one photo by numpy, SciPy and scikit-image, from the papers' formulas."""

import numpy as np
from scipy.ndimage import convolve
from skimage.color import rgb2lab
from skimage.measure import block_reduce


def gmsd_of(completed, truth):
    """Of ``(3, H, W)`` in [0, 1]."""
    magnitudes = []
    for image in (completed, truth):
        luma = 255 * np.tensordot([0.299, 0.587, 0.114], image, 1)
        height, width = (length // 2 * 2 for length in luma.shape)
        magnitudes.append(magnitude(block_reduce(luma[:height, :width], 2, np.mean), [1, 1, 1]))
    return alike(*magnitudes, 170).std()


def vsi_of(completed, truth):
    """Of ``(3, H, W)`` in [0, 1], of less than 384 pixels a side."""
    matrix = [[0.06, 0.63, 0.27], [0.30, 0.04, -0.35], [0.34, -0.60, 0.17]]
    ours, true = (255 * np.tensordot(matrix, image, 1) for image in (completed, truth))
    colour = (alike(ours[1], true[1], 130) * alike(ours[2], true[2], 130)).astype(complex)
    edges = alike(magnitude(ours[0], [3, 10, 3]), magnitude(true[0], [3, 10, 3]), 386)
    seen = [saliency_of(image) for image in (completed, truth)]
    similarity = alike(*seen, 1.27) * edges**0.4 * (colour**0.02).real
    weight = np.maximum(*seen)
    return (similarity * weight).sum() / weight.sum()


def saliency_of(image):
    lab = rgb2lab(np.moveaxis([bilinear(plane, 256, 256) for plane in image], 0, -1))
    frequencies = np.hypot(*np.meshgrid(np.fft.fftfreq(256), np.fft.fftfreq(256)))
    with np.errstate(divide="ignore"):
        passed = np.exp(-(np.log(frequencies / 0.021) ** 2) / (2 * 1.34**2))
    passed[frequencies > 0.5] = 0
    bands = [np.fft.ifft2(np.fft.fft2(lab[..., index]) * passed).real for index in range(3)]
    places = np.arange(1, 257) - 128
    middle = np.exp(-(places[:, None] ** 2 + places**2) / 145**2)
    warm = sum(stretched(lab[..., index]) ** 2 for index in (1, 2))
    found = np.sqrt(np.sum(np.square(bands), axis=0)) * middle * (1 - np.exp(-warm / 0.001**2))
    return stretched(bilinear(found, *image.shape[1:]))


def stretched(plane):
    return (plane - plane.min()) / np.ptp(plane)


def bilinear(plane, height, width):
    for length in (height, width):
        places = np.clip((np.arange(length) + 0.5) * len(plane) / length - 0.5, 0, None)
        below = places.astype(int)
        above = np.minimum(below + 1, len(plane) - 1)
        share = (places - below)[:, None]
        plane = (plane[below] * (1 - share) + plane[above] * share).T
    return plane


def magnitude(plane, across):
    kernel = np.outer(np.array(across) / np.sum(across), [1, 0, -1])
    return np.hypot(*(convolve(plane, one, mode="constant") for one in (kernel, kernel.T)))


def alike(one, other, floor):
    return (2 * one * other + floor) / (one**2 + other**2 + floor)
