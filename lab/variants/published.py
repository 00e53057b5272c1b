"""The published network, which every other variant is compared with."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented("V0", "InpaintSANet as published", {})
def published(**settings: object) -> CompletionModule:
    """V0: InpaintSANet as published, with the documented training masks; every row's reference.

    Document: the notes start from the ``bgnet`` of Impersonator, trained on by them with masks like
    the hole that a removed person leaves (V8).
    Logged: train/hole_l1, known_l1, coarse_hole_l1, coarse_known_l1, adversarial, discriminator,
    real_logit, fake_logit.
    Measured: the reference of docs/findings.md's board.
    """
    return build_variants(["published"], settings)
