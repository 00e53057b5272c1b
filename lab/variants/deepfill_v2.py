"""DeepFillv2, trained as published."""

from lab.training import CompletionModule
from lab.variants.variant import adam, build_variants, documented, weighted


@documented(
    "DeepFillv2",
    "gated convolution with contextual attention",
    {
        "model.network": "lab.networks.DeepFillv2",
        "model.judges.whole": "lab.networks.DeepFillv2Discriminator",
        "model.objective.adversarial_kind": "hinge",
        **weighted(whole_l1=2.0, coarse_whole_l1=2.0, adversarial=1.0),
        **adam(1e-4, 1e-4, (0.5, 0.999)),
    },
)
def deepfill_v2(**settings: object) -> CompletionModule:
    """DeepFillv2: gated convolution, patches copied by attention, and SN-PatchGAN alone.

    Document: not there; Yu et al. (ICCV 2019) and their code.
    Known to be wrong: nothing; L1 over the whole image, 1 a stage in [-1, 1], is 2 in [0, 1].
    Missing: the published holes (strokes and a box of 128 +- 32 pixels), batch 16.
    Changed: network, judge, objective (hinge 1), Adam 1e-4 (0.5, 0.999) for both.
    Logged: train/whole_l1, coarse_whole_l1, adversarial, discriminator.
    Measured: correcting a smooth fill for 150 s of a core, -0.152 [-0.183, -0.124] of hole SSIM and
    +0.052 [+0.023, +0.080] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training"). From an identity start: the ladder of docs/findings.md.
    """
    return build_variants(["deepfill_v2"], settings)
