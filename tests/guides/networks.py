"""The smallest networks that read guides, for tests of who hands them over."""

import torch
from torch import nn

from lab.contracts import Stages
from lab.networks import RegisteredNetwork, describe_network, registry, write_checkpoint


class _Reader(nn.Module):
    """Paints by one convolution of the known pixels, the mask and its guide."""

    guides: tuple[str, ...] = ()

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.last_layer = nn.Conv2d(5, 3, 3, padding=1)
        self.seen = []

    def forward(self, image, mask, guides=None):
        (guide,) = (guides[name] for name in self.guides)
        self.seen.append(guide.clone())
        known = torch.where(mask > 0, 0.0, image)
        return Stages((self.last_layer(torch.cat((known, mask, guide), 1)).sigmoid(),))


class EdgeReader(_Reader):
    guides = ("edges",)


class SketchReader(_Reader):
    guides = ("sketch",)


class InstanceReader(_Reader):
    guides = ("instances",)


class NoiseReader(_Reader):
    guides = ("noise",)


def save(network, path, monkeypatch):
    """Write a checkpoint that `load_network` reads while the test runs."""
    kind = type(network)
    row = RegisteredNetwork(kind, "none", "", "", ())
    monkeypatch.setitem(registry._registered, kind.__name__, row)
    write_checkpoint(path, describe_network(network, 3, ""))
    return path
