"""The parts of a module by their names: what a phase of training lets move, and what it keeps.

By name and by type, never by letters within a name: the background notes chose GCT's parameters by
``gct``, and whole layers that merely contained one trained along.
"""

from collections.abc import Iterable, Mapping

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from lab.checks import unknown_name_message
from lab.layers import GatedChannelTransformation

NETWORK, JUDGES, CHANNEL_GATES = "network", "judges", "channel_gates"


def find_part(name: str, network: nn.Module, judges: Mapping[str, nn.Module]) -> list[nn.Module]:
    """The modules that a name stands for.

    Args:
        name: ``network``; a part of it by its path, such as ``network.refine_decoder``;
            ``channel_gates``, every gated channel transformation in it; ``judges``, all of them; or
            one, such as ``judges.local``.
        network: what is deployed.
        judges: those that were built, by name.

    Raises:
        ValueError: there is no such part; names the nearest.
    """
    if name == NETWORK:
        return [network]
    if name == JUDGES:
        return list(judges.values())
    if name == CHANNEL_GATES:
        gates = [part for part in network.modules() if isinstance(part, GatedChannelTransformation)]
        if not gates:
            raise ValueError(
                f"{type(network).__name__} has no gated channel transformation to train: give it "
                "one (model.network.gate=gct or both), or take channel_gates out of model.phases"
            )
        return list(gates)
    room, _, path = name.partition(".")
    if room == JUDGES and path in judges:
        return [judges[path]]
    if room == NETWORK and path in (parts := dict(network.named_modules())):
        return [parts[path]]
    known = [NETWORK, JUDGES, CHANNEL_GATES, *(f"{JUDGES}.{judge}" for judge in judges)]
    known += [f"{NETWORK}.{child}" for child, _ in network.named_children()]
    raise ValueError(unknown_name_message("part to train", name, known))


def let_move(
    trained: Iterable[nn.Module],
    kept: Iterable[nn.Module],
    network: nn.Module,
    judges: Mapping[str, nn.Module],
) -> None:
    """Let the parameters of ``trained`` move, and no others.

    Normalization that belongs to no trained part, or to a part of ``kept``, keeps its statistics
    and normalizes by them; within ``kept``, scale and shift go on training.
    """
    moving: set[nn.Module] = {module for part in trained for module in part.modules()}
    still = {module for part in kept for module in part.modules()}
    for whole in (network, *judges.values()):
        whole.train()
        whole.requires_grad_(False)
        for module in whole.modules():
            if isinstance(module, _BatchNorm) and (module not in moving or module in still):
                module.eval()
    for module in moving:
        module.requires_grad_(True)


def depends_on_batch(module: nn.Module) -> bool:
    """Whether a sample's answer depends on the others of its batch.

    By batch normalization, or as the module says itself by an attribute ``compares_photos``.
    """
    return getattr(module, "compares_photos", False) or any(
        isinstance(part, _BatchNorm) for part in module.modules()
    )
