"""Global & Local, trained as published."""

from lab.training import CompletionModule
from lab.variants.variant import adam, build_variants, documented, weighted


@documented(
    "Global & Local",
    "judged whole and close up",
    {
        "model.network": "lab.networks.GlobalLocal",
        "model.judges.whole": "lab.networks.GlobalLocalDiscriminator",
        "model.objective.adversarial_kind": "log",
        **weighted(hole_l1=2.0, adversarial=0.001),
        **adam(4e-4, 4e-4, (0.9, 0.999)),
        "model.phases": [
            {"epochs": 9, "trains": ["network"], "weights": {"adversarial": 0.0}},
            {"epochs": 1, "trains": ["judges"]},
            {"trains": ["network", "judges"]},
        ],
    },
)
def global_local(**settings: object) -> CompletionModule:
    """Global & Local: dilated convolutions, one judge that sees the whole and a crop.

    Document: not there; Iizuka et al. (SIGGRAPH 2017), weights of MMagic's training of it.
    Known to be wrong: nothing; L1 1 in [-1, 1] is 2 in [0, 1] (the paper has squares, and 0.0004
    for the judge).
    Missing: AdaDelta (the paper), boxes alone as holes, the blending after the network.
    Changed: network, judge, objective, Adam 4e-4 for both. Phases: the network alone, its judge
    alone, then both. 9, 1 and 40 of 50 epochs are the published 90, 10 and 400 thousand steps:
    ``--model.phases`` for another length.
    Logged: train/hole_l1, then adversarial, discriminator.
    Measured: correcting a smooth fill for 150 s of a core, -0.024 [-0.039, -0.014] of hole SSIM and
    +0.029 [+0.018, +0.043] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training").
    """
    return build_variants(["global_local"], settings)
