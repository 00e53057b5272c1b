"""The photo in tiles."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented(
    "V2", "2x2 tiles without overlap", {"model.strategy": "lab.strategies.Tiled"}, is_trained=False
)
def tiled_as_documented(**settings: object) -> CompletionModule:
    """V2: the photo in tiles, each completed by itself.

    Document: 256x256 into 2x2 tiles of 128, no overlap.
    Found there: yellow seams at the tiles' borders, and still blurred.
    Known to be wrong: a tile lacks its neighbours' information, and the network pads the hole at
    each border. ``tiled`` lets tiles overlap, shows each what lies beyond it, and fades between
    them; ``tiled_as_documented`` keeps the seams, which ``lab.metrics.seam_steps`` measures.
    Changed: the strategy alone; no training. ``python -m lab.sweep tiles --checkpoint FILE``.
    Logged: nothing of its own.
    Measured: as documented -0.06 of hole SSIM and seams six times the truth's steps; with overlap
    and context at most 0.001 less, and no seam (docs/findings.md, "Do tiles leave seams").
    """
    return build_variants(["tiled_as_documented"], settings)


@documented(
    "V2",
    "2x2 tiles that overlap, with context, faded",
    {
        "model.strategy": "lab.strategies.Tiled",
        "model.strategy.overlap": 16,
        "model.strategy.context": 16,
        "model.strategy.blending": "smooth",
    },
    is_trained=False,
)
def tiled(**settings: object) -> CompletionModule:
    """V2: the photo in tiles that overlap, each shown what lies beyond it, faded into each other.

    Document: not there: `tiled_as_documented` without its seams.
    Known to be wrong: nothing.
    Changed: the strategy alone, ``overlap``, ``context`` and ``blending``; no training.
    Logged: nothing of its own.
    Measured: on the board no difference to the whole photo, and -0.001 [-0.002, -0.000] of hole
    SSIM in "Do tiles leave seams", without a seam (docs/findings.md).
    """
    return build_variants(["tiled"], settings)
