"""How hard each term of an objective pulls at a network, and which of them do not."""

import warnings

from torch import Tensor, nn

from lab.losses import Objective, ObjectiveValue
from lab.training.phases import Phase


class Pulls:
    """Measures the terms' gradients; a term that trains nothing it says once."""

    def __init__(self) -> None:
        self._said: set[tuple[str, str]] = set()

    def measure(
        self, objective: Objective, value: ObjectiveValue, network: nn.Module, phase: Phase
    ) -> dict[str, Tensor]:
        """The norm of each term's weighted gradient at what trains of the network.

        Args:
            objective: what was evaluated.
            value: its answer, before it is descended.
            network: some of its parameters have gradient.
            phase: that trains now.

        Returns:
            Scalars without gradient, named ``gradient/<term>``.
        """
        trained = [each for each in network.parameters() if each.requires_grad]
        parts = ", ".join(phase.trains)
        norms = objective.gradient_norms(value, trained)
        for name, norm in norms.items():
            worth = float(value.terms[name].detach())
            # A term that is 0 may be where it wants to be.
            if float(norm) == 0.0 and worth != 0.0 and (parts, name) not in self._said:
                self._said.add((parts, name))
                warnings.warn(
                    f"the term {name} has the weight {objective.weights.active()[name]:g} and is "
                    f"{worth:g}, but no gradient of it reaches what trains of the network "
                    f"({parts}): it changes nothing. Set "
                    f"model.objective.weights.{name} to 0, or train a part that it depends on",
                    stacklevel=2,
                )
        return {f"gradient/{name}": norm for name, norm in norms.items()}
