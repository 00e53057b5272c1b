"""One call of the network: what every other strategy is compared with."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from lab.checks import check_image_and_mask
from lab.contracts import Guides, Network, Stages, Strategy
from lab.fills.holed import complete_holed
from lab.guides import ask_network, check_guides


class Direct(Strategy):
    """Calls a network once and pastes its answer into the hole.

    The network runs in evaluation mode and without gradients, and has its own mode back
    afterwards. Samples with an empty mask never reach it. Of the guides it is given those that it
    names.

    Args:
        network: the network.
        paste: keep the known pixels bit for bit. Without it the network's whole image is returned,
            which shows what it does to the known pixels.
    """

    def __init__(self, network: Network, paste: bool = True) -> None:
        self.network = network
        self.paste = paste

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1, shown ``guides``.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            UserError: a guide that the network reads is missing, or there is no such guide.
        """
        check_image_and_mask(image, mask)
        check_guides(guides, image)
        return complete_holed(image, mask, self.paste, self._ask, guides)

    def _ask(self, known: Tensor, hole: Tensor, guides: Guides | None) -> Tensor:
        with _evaluating(self.network):
            return ask_network(self.network, known, hole, guides).refined.clamp(0, 1)


@contextmanager
def answers_to(network: nn.Module, image: Tensor) -> Iterator[list[Stages]]:
    """Note what a network answers to this very tensor while a strategy calls it.

    Whoever wants the stages beside what the strategy made of them need not run the network again.
    """
    answers: list[Stages] = []

    def note(_: nn.Module, inputs: tuple[Tensor, ...], answer: Stages) -> None:
        if inputs[0] is image:
            answers.append(answer)

    hook = network.register_forward_hook(note)
    try:
        yield answers
    finally:
        hook.remove()


@contextmanager
def _evaluating(network: Network) -> Iterator[None]:
    """Put a module into evaluation mode, and each of its parts back into its own mode after."""
    if not isinstance(network, nn.Module):
        yield
        return
    # Not network.train() at the end: that would thaw normalization that was frozen on purpose.
    training = [part for part in network.modules() if part.training]
    network.eval()
    try:
        yield
    finally:
        for part in training:
            part.training = True
