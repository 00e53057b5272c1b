"""The inner strategy again and again on its own output, the hole smaller each time (V1)."""

from collections.abc import Callable

import torch
from torch import Tensor

from lab.checks import check_image_and_mask
from lab.contracts import Guides, Network, Strategy
from lab.guides import check_guides, show_guides
from lab.imaging import erode
from lab.strategies.direct import Direct

RoundReport = Callable[[int, Tensor, Tensor], None]
"""Called with the round (from 1), the mask it was given, and the image that it passes on."""


class Repeated(Strategy):
    """Completes the photo, then completes that again in an eroded hole, and so on.

    The background notes' V1: three passes; between two of them, ``cv2.erode(mask, None,
    iterations=7)`` (3 was tried too), and the output goes on as the network gave it, not pasted.
    They found no clear gain. The last output is pasted onto the known pixels here, as every
    strategy does. It ends early once erosion leaves nothing of the hole.

    Args:
        network: the network.
        inner: what each round runs. An inner strategy that pastes by itself keeps the known pixels
            between rounds whatever ``paste_between`` says; so the default one does not.
        rounds: the most rounds, at least 1.
        erosion: pixels that the hole loses on each side between two rounds.
        paste_between: put the photo's known pixels back after every round, not only after the last.
        on_round: is told each round as it ends.

    Raises:
        ValueError: fewer rounds than 1, or a negative erosion.
    """

    def __init__(
        self,
        network: Network,
        inner: Callable[[Network], Strategy] = lambda network: Direct(network, paste=False),
        rounds: int = 3,
        erosion: int = 7,
        paste_between: bool = False,
        on_round: RoundReport | None = None,
    ) -> None:
        if rounds < 1:
            raise ValueError(f"rounds is {rounds}, but must be at least 1")
        if erosion < 0:
            raise ValueError(f"erosion is {erosion} pixels, but must not be negative")
        self.inner = inner(network)
        self.rounds = rounds
        self.erosion = erosion
        self.paste_between = paste_between
        self.on_round = on_round

    @torch.no_grad()
    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """Complete ``image (B, 3, H, W)`` where ``mask (B, 1, H, W)`` is 1, shown ``guides``.

        Raises:
            TypeError, ValueError: the inputs break the conventions or do not fit each other.
            UserError: a guide that the network reads is missing, or there is no such guide.
        """
        check_image_and_mask(image, mask)
        check_guides(guides, image)
        current, hole = image, mask
        # Of the photo's own hole: a round's smaller one would show what lay under it.
        shown = show_guides(guides, mask)
        for number in range(1, self.rounds + 1):
            if not bool(hole.any()):
                break
            current = self.inner(current, hole, shown)
            if self.paste_between:
                current = torch.where(mask > 0, current, image)
            if self.on_round is not None:
                self.on_round(number, hole, current)
            hole = erode(hole, self.erosion)
        return torch.where(mask > 0, current, image)
