"""What an objective's terms and balancing ask of the network and the phase that they train in."""

from torch import Tensor, nn

from lab.losses import Objective
from lab.training.parts import find_part
from lab.training.phases import Phase


def last_layer(network: nn.Module) -> tuple[Tensor, ...]:
    """The parameters of the layer that a network names as its ``last_layer``; none without one."""
    layer = getattr(network, "last_layer", None)
    return tuple(layer.parameters()) if isinstance(layer, nn.Module) else ()


def check_needs(objective: Objective, network: nn.Module, phase: Phase) -> None:
    """Refuse what cannot be trained together, before anything is.

    Raises:
        ValueError: a term that asks what the network does not have, or balancing by gradients at a
            last layer that the network does not name or the phase does not train.
    """
    for term, asked in objective.asked.items():
        if not hasattr(network, asked):
            raise ValueError(
                f"the term {term} asks the network's {asked}, which {type(network).__name__} "
                f"does not have: set model.objective.weights.{term} to 0, or take a network "
                "that has them, as ShiftNet has guidance_features"
            )
    balancing = objective.balancing
    if not balancing.measures_gradients:
        return
    name, layer = type(balancing).__name__, last_layer(network)
    if not layer:
        raise ValueError(
            f"{name} measures gradients at the network's last layer, but "
            f"{type(network).__name__} names none: give it a property last_layer, or take "
            "UncertaintyWeighting"
        )
    trained = {
        parameter
        for part in phase.trains
        if not part.startswith("judges")
        for module in find_part(part, network, {})
        for parameter in module.parameters()
    }
    if not trained.issuperset(layer):
        raise ValueError(
            f"{name} measures gradients at the network's last layer, which does not train in "
            f"a phase that trains {', '.join(phase.trains)}: train it there, or take "
            "UncertaintyWeighting"
        )
