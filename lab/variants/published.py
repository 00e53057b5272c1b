"""V0: InpaintSANet as published, with the documented training masks; every row's reference.

Document: the notes start from the ``bgnet`` of Impersonator, trained on by them with masks like the
hole that a removed person leaves (V8).
Logged: train/hole_l1, known_l1, coarse_hole_l1, coarse_known_l1, adversarial, discriminator,
real_logit, fake_logit.
Measured: the reference of docs/findings.md's board.
"""

from lab.variants.variant import Variant

PUBLISHED = Variant("V0", "InpaintSANet as published", {})
