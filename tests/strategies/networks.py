"""Networks whose answer is known beforehand, for tests of what strategies show them."""

import torch

from lab.contracts import Stages


class Recorder:
    """Paints everything in one value, the next time in another, and keeps what it was shown."""

    def __init__(self, *values):
        self.values = values
        self.seen = []

    def __call__(self, image, mask):
        value = self.values[len(self.seen) % len(self.values)]
        self.seen.append((image.clone(), mask.clone()))
        return Stages((torch.full_like(image, value),))

    @property
    def sizes(self):
        return [tuple(image.shape[2:]) for image, _ in self.seen]


def box(height, width, rows, columns):
    """A mask ``(1, 1, height, width)`` with a hole of these slices."""
    mask = torch.zeros(1, 1, height, width)
    mask[..., slice(*rows), slice(*columns)] = 1
    return mask


def noise(height, width):
    return torch.rand(1, 3, height, width, generator=torch.Generator().manual_seed(0))
