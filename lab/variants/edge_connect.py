"""EdgeConnect, trained as published."""

from typing import Any

from lab.training import CompletionModule
from lab.variants.variant import Setting, adam, build_variants, documented, weighted

_PAINTING = {"hole_l1": 1.0, "known_l1": 3.0, "adversarial": 0.1}
_VGG = {"perceptual": 0.1, "style": 250.0}


def _settings(painting: dict[str, float]) -> dict[str, Setting]:
    edges: dict[str, Any] = {
        "epochs": 20,
        "trains": ["network.edges", "judges.edges"],
        "weights": dict.fromkeys(painting, 0.0)
        | {"edges_adversarial": 1.0, "edges_feature_matching": 10.0},
    }
    between: dict[str, Any] = {"epochs": 20, "trains": ["network.painting", "judges.whole"]}
    together: dict[str, Any] = {
        "trains": ["network", "judges.whole"],
        "generator_learning_rate": 1e-6,
        "discriminator_learning_rate": 1e-7,
    }
    return {
        "model.network": "lab.networks.EdgeConnect",
        "model.judges.whole": "lab.networks.EdgeConnectDiscriminator",
        "model.judges.edges": "lab.networks.EdgeDiscriminator",
        "model.objective.adversarial_kind": "log",
        **weighted(**painting),
        **adam(1e-4, 1e-5, (0.0, 0.9)),
        "model.phases": [edges, between, together],
    }


@documented(
    "EdgeConnect",
    "edges, then colours between them",
    {
        **_settings(_PAINTING | _VGG),
        "model.objective.perceptual_network": "vgg19",
        "model.objective.perceptual_images": "refined",
    },
)
def edge_connect(**settings: object) -> CompletionModule:
    """EdgeConnect: one network draws the edges in the hole, a second one paints between them.

    Document: not there; Nazeri et al. (ICCV workshops 2019) and their code. First the edges alone
    (adversarial 1, feature matching 10 with their own judge), then the painting, then both without
    the edges' judge, at a hundredth of the rates.
    Known to be wrong: the published L1 over the image is divided by the hole's share of it, a
    weight of known pixels that changes with the hole: 3 is right where a quarter is hole. Feature
    matching is the mean over the judge's five layers, there their sum.
    Missing: a judge of the answer that is not pasted; style of the hole alone, and in their code on
    four other layers (relu2_2, relu3_4, relu4_4, relu5_2) than in the paper, whose are taken here;
    painting first by the edges of the truth (here by drawn ones, as the code's third stage); 1e-5
    before the last phase; a test of drawn edges. Batch 8, 2 million steps.
    Changed: network, judges, objective, Adam 1e-4 (0, 0.9) with a tenth for the judges, phases of
    20, 20 and 10 of 50 epochs (no published numbers: ``--model.phases``). It needs VGG19's weights.
    Logged: train/edges_adversarial, edges_feature_matching, then hole_l1, known_l1, adversarial,
    perceptual, style.
    Measured: not yet.
    """
    return build_variants(["edge_connect"], settings)


@documented("EdgeConnect", "EdgeConnect without its VGG losses", _settings(_PAINTING))
def edge_connect_without_vgg(**settings: object) -> CompletionModule:
    """EdgeConnect without its perceptual and style terms, for where VGG19 cannot be had.

    Document: not there; as `edge_connect`.
    Known to be wrong: what `edge_connect` says.
    Missing: perceptual 0.1 and style 250 on VGG19, and what `edge_connect` lacks.
    Changed: as `edge_connect`.
    Logged: train/edges_adversarial, edges_feature_matching, then hole_l1, known_l1, adversarial.
    Measured: correcting a smooth fill for 150 s of a core, -0.006 [-0.008, -0.004] of hole SSIM and
    +0.007 [+0.004, +0.010] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training").
    """
    return build_variants(["edge_connect_without_vgg"], settings)
