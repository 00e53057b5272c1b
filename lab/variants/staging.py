"""Which parts of a network train: all, or first only some, told by the type of module.

By type and not by name: the background notes chose GCT's parameters by the letters ``gct`` in their
names, and whole layers that merely contained one trained along.
"""

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lab.layers import GatedChannelTransformation


def train_all(network: nn.Module) -> None:
    """Let every parameter and every normalization's statistics move."""
    network.train()
    network.requires_grad_(True)


def train_channel_gates(network: nn.Module) -> None:
    """Let the parameters of GCT move and nothing else, no normalization's statistics either.

    Raises:
        ValueError: the network has no GCT.
    """
    gates = [part for part in network.modules() if isinstance(part, GatedChannelTransformation)]
    if not gates:
        raise ValueError(
            f"{type(network).__name__} has no gated channel transformation to train first: give it "
            "one (model.network.gate=gct or both), or leave channel_gate_epochs at 0"
        )
    network.train()
    network.requires_grad_(False)
    freeze_normalization(network)
    for gate in gates:
        gate.requires_grad_(True)


def freeze_normalization(network: nn.Module) -> None:
    """Keep the statistics of every batch normalization, and normalize by them from here on."""
    for part in network.modules():
        if isinstance(part, _BatchNorm):
            part.eval()
