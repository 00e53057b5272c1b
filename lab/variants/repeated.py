"""The network again on its own output."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented(
    "V1",
    "three rounds, hole eroded by 7, not pasted between",
    {"model.strategy": "lab.strategies.Repeated"},
    is_trained=False,
)
def repeated(**settings: object) -> CompletionModule:
    """V1: the network again on its own output, the hole eroded between rounds.

    Document: three passes, ``cv2.erode(mask, None, iterations=7)`` between two (3 was tried too),
    the output not pasted between them.
    Found there: no clear gain; the network itself is doubted.
    Known to be wrong: without pasting, every pass blurs the known pixels that the next one fills
    from. ``model.strategy.paste_between`` mends that.
    Changed: the strategy alone; no training. ``python -m lab.sweep erosion --checkpoint FILE``
    tries rounds and iterations.
    Logged: nothing of its own; rounds are reported by ``Repeated``'s callback.
    Measured: every further round loses a little, pasted or not (docs/findings.md, "How many
    rounds").
    """
    return build_variants(["repeated"], settings)


@documented(
    "V1",
    "three rounds, hole eroded by 7, pasted between",
    {"model.strategy": "lab.strategies.Repeated", "model.strategy.paste_between": True},
    is_trained=False,
)
def repeated_pasted(**settings: object) -> CompletionModule:
    """V1: the network again on its own output, the known pixels pasted back between rounds.

    Document: not there: what `repeated` says, mended.
    Known to be wrong: nothing; what was wrong with `repeated` is what this changes.
    Changed: the strategy alone, ``model.strategy.paste_between``; no training.
    Logged: nothing of its own.
    Measured: every further round loses a little, pasted or not (docs/findings.md, "How many
    rounds").
    """
    return build_variants(["repeated_pasted"], settings)
