"""Networks that read guides, called with two arguments as the contracts call every network."""

import torch


def stripes(mask):
    """A guide that is the same for every photo: every third column is an edge or a stroke."""
    guide = torch.zeros_like(mask)
    guide[..., ::3] = 1.0
    return guide


def with_guides(network):
    """Let ``network(image, mask)`` show the network stripes for every guide that it reads."""
    if not getattr(network, "guides", ()):
        return network

    def show(network, arguments):
        if len(arguments) > 2:
            return arguments
        image, mask = arguments
        return image, mask, {name: stripes(mask) for name in network.guides}

    network.register_forward_pre_hook(show)
    return network
