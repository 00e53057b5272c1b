"""MI-GAN, trained as published but for its teacher."""

from lab.training import CompletionModule
from lab.variants.variant import adam, build_variants, documented, weighted


@documented(
    "MI-GAN",
    "for phones, without its teacher",
    {
        "model.network": "lab.networks.MIGAN",
        "model.network.branches": 9,
        "model.judges.whole": "lab.networks.MIGANDiscriminator",
        "model.objective.adversarial_kind": "log",
        "model.objective.r1_penalty": 1.25,
        **weighted(hole_l1=4.0, adversarial=1.0),
        **adam(1e-3, 1e-3, (0.0, 0.99)),
    },
)
def migan(**settings: object) -> CompletionModule:
    """MI-GAN: separable convolutions of many branches, merged after training, for phones.

    Document: not there; Sargsyan et al. (ICCV 2023) and their code.
    Known to be wrong: the truth stands in the teacher's place, at the finest resolution alone: L1 2
    in [-1, 1] is 4 in [0, 1], divided by the hole's area and there by the image's. A truth that
    cannot be guessed blurs; a teacher's answer can be.
    Missing: distillation from Co-Mod-GAN at every resolution from 32; R1 every 16 steps (here at
    every step); the moving average of the weights (20 thousand images); noise drawn anew; batch 32,
    50 million images.
    Changed: network with its 9 branches, judge, objective (R1 of gamma 10: 5 in [-1, 1], whose
    slopes are half as large, is 1.25 in [0, 1]), Adam 1e-3 (0, 0.99) for both. Photos of 256 or
    512 pixels; for others, ``--model.network.resolution``.
    Logged: train/hole_l1, adversarial, discriminator, r1_penalty.
    Measured: correcting a smooth fill for 150 s of a core, -0.053 [-0.071, -0.041] of hole SSIM and
    +0.066 [+0.049, +0.085] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training").
    """
    return build_variants(["migan"], settings)
