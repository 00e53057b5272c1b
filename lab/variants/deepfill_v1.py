"""DeepFillv1, trained as published."""

from lab.training import CompletionModule
from lab.variants.variant import adam, build_variants, documented, weighted


@documented(
    "DeepFillv1",
    "contextual attention under Wasserstein critics",
    {
        "model.network": "lab.networks.DeepFillv1",
        "model.judges.whole": "lab.networks.DeepFillv1Critics",
        "model.objective.adversarial_kind": "wasserstein",
        "model.objective.gradient_penalty": 10.0,
        "model.objective.spatial_discount": 0.9,
        **weighted(
            discounted_hole_l1=2.4,
            known_l1=2.4,
            coarse_discounted_hole_l1=2.88,
            coarse_known_l1=2.88,
            adversarial=0.004,
        ),
        **adam(1e-4, 1e-4, (0.5, 0.9)),
        "model.optimization.judge_steps": 5,
    },
)
def deepfill_v1(**settings: object) -> CompletionModule:
    """DeepFillv1: coarse to fine with contextual attention, under two Wasserstein critics.

    Document: not there; Yu et al. (CVPR 2018), weights of generative-inpainting-pytorch.
    Known to be wrong: the gradient penalty is on the mean of both critics' scores, not on each,
    and on slopes in [0, 1], which are twice those in [-1, 1]. So adversarial is 0.004 in place of
    0.001: a mean of two in place of their sum, and scores half as large.
    Missing: boxes alone as holes; batch 48.
    Changed: network, critics, objective (L1 1.2, times 1.2 for the coarse stage, doubled for
    [0, 1]; the hole's discounted by 0.9 a pixel of depth, as the code does, where the paper says
    0.99), five steps of the critics for each of the network, Adam 1e-4 (0.5, 0.9) for both.
    Logged: train/discounted_hole_l1, known_l1, coarse_discounted_hole_l1, coarse_known_l1,
    adversarial, gradient_penalty.
    Measured: correcting a smooth fill for 150 s of a core, -0.000 [-0.002, +0.001] of hole SSIM and
    +0.001 [+0.000, +0.003] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training").
    """
    return build_variants(["deepfill_v1"], settings)
