"""Super-resolution on the result."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented(
    "V7",
    "completed at half the size, enlarged by bicubic",
    {"model.strategy": "lab.strategies.Upscaled"},
    is_trained=False,
)
def completed_small(**settings: object) -> CompletionModule:
    """V7: completed at half the size and enlarged by bicubic interpolation.

    Document: not there: what super-resolution must beat.
    Known to be wrong: nothing.
    Changed: the strategy alone; no training.
    Logged: nothing of its own.
    Measured: docs/findings.md, "Does super-resolution help".
    """
    return build_variants(["completed_small"], settings)


@documented(
    "V7",
    "completed at half the size, enlarged by FSRCNN",
    {"model.strategy": "lab.strategies.Upscaled", "model.strategy.upscaler": "fsrcnn"},
    is_trained=False,
)
def super_resolved(**settings: object) -> CompletionModule:
    """V7: super-resolution on the result.

    Document: applied after inpainting.
    Found there: nothing stated.
    Known to be wrong: a larger result cannot be compared with the photo, and known pixels change.
    Here the photo is completed at half its size and brought back to its own, known pixels kept, so
    that the question is what super-resolution does inside the hole; bicubic is what it must beat.
    Changed: the strategy alone; no training. ``python -m lab.sweep superres --checkpoint FILE``
    compares FSRCNN and ESPCN, whose weights are files.
    Logged: nothing of its own.
    Measured: it does not help inside the hole: -0.02 of hole SSIM against the full size, and FSRCNN
    and ESPCN beat bicubic by 0.001 (docs/findings.md, "Does super-resolution help").
    """
    return build_variants(["super_resolved"], settings)


@documented(
    "V7",
    "completed at half the size, enlarged by ESPCN",
    {"model.strategy": "lab.strategies.Upscaled", "model.strategy.upscaler": "espcn"},
    is_trained=False,
)
def super_resolved_espcn(**settings: object) -> CompletionModule:
    """V7: super-resolution on the result by ESPCN, else as `super_resolved`.

    Document: applied after inpainting.
    Found there: nothing stated.
    Known to be wrong: as `super_resolved`.
    Changed: the strategy alone, ``model.strategy.upscaler``; no training.
    Logged: nothing of its own.
    Measured: beats bicubic by 0.001 of hole SSIM inside the hole (docs/findings.md, "Does
    super-resolution help").
    """
    return build_variants(["super_resolved_espcn"], settings)
