"""The edges by which a network completes a photo, put together as the photo is."""

from collections.abc import Callable

import torch
from torch import Tensor, nn

from lab.checks import UserError
from lab.contracts import Guides, Network, Stages, Strategy
from lab.guides import ask_network, find_edges, guides_of
from lab.strategies.feathered import Feathered
from lab.strategies.repeated import Repeated

# They make of an answer something that only a photo can be made of, and not its place.
_OF_PHOTOS_ALONE = (Feathered, Repeated)


class EdgeDrawing:
    """``(image, mask, guides) -> edges``: known edges, with those that a network draws in the hole.

    The strategy is given a network that answers with its drawing in place of its image, and so
    cuts, shrinks, enlarges and blends the one as it does the other.

    Args:
        network: answers with an extra ``edges``, ``(B, 1, H, W)`` in [0, 1], 1 = edge, as
            EdgeConnect does.
        make: the strategy that completes photos by it.

    Raises:
        UserError: the strategy shows the network its own answer (`Repeated`), or carries colours
            into it (`Feathered`), which means nothing of a drawing.
    """

    def __init__(self, network: nn.Module, make: Callable[[Network], Strategy]) -> None:
        self._strategy = make(_Drawer(network))
        part: object = self._strategy
        while part is not None:
            if isinstance(part, _OF_PHOTOS_ALONE):
                raise UserError(
                    f"the strategy {type(part).__name__} makes its photo of the network's answers, "
                    "and the edges of one answer are not its own: leave the edges out, or complete "
                    "by another (--model.strategy=lab.strategies.Direct)"
                )
            part = getattr(part, "inner", None)

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Draw for ``image (B, 3, H, W)`` and ``mask (B, 1, H, W)``; ``(B, 1, H, W)`` in [0, 1].

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            UserError: the network draws no edges, or a guide that it reads is missing.
        """
        drawn = self._strategy(image, mask, guides)[:, :1]
        known = (guides or {}).get("edges")
        return torch.where(mask > 0, drawn, find_edges(image, mask) if known is None else known)


class _Drawer(nn.Module):
    """Answers with the edges that a network draws, in gray, in place of its image."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network
        self.guides = guides_of(network)

    def forward(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Stages:
        edges = ask_network(self.network, image, mask, guides).extras.get("edges")
        if edges is None:
            raise UserError(
                f"{type(self.network).__name__} draws no edges that could be shown: leave them "
                "out, or take a network that completes edges, such as EdgeConnect"
            )
        return Stages((edges.expand(-1, 3, -1, -1),))
