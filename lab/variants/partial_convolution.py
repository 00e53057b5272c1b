"""The U-Net of partial convolutions, trained as published."""

from lab.training import CompletionModule
from lab.variants.variant import Setting, adam, build_variants, documented, weighted

_TERMS = {"hole_l1": 12.0, "known_l1": 2.0, "rim_total_variation": 0.2}


def _settings(terms: dict[str, float]) -> dict[str, Setting]:
    return {
        "model.network": "lab.networks.PartialConvolutionUNet",
        **weighted(**terms),
        **adam(2e-4, None, (0.9, 0.999)),
        "model.phases": [
            {"epochs": 25, "trains": ["network"]},
            {
                "trains": ["network"],
                "keeps_statistics": ["network.encoder"],
                "generator_learning_rate": 5e-5,
            },
        ],
    }


@documented(
    "PConv",
    "partial convolutions",
    {
        **_settings(_TERMS | {"perceptual": 0.05, "style": 120.0}),
        "model.objective.perceptual_network": "vgg16",
        "model.objective.perceptual_images": "both",
    },
)
def partial_convolution(**settings: object) -> CompletionModule:
    """PConv: a U-Net in which only known pixels count, without any judge.

    Document: not there; Liu et al. (ECCV 2018), weights of MMagic's training of it.
    Known to be wrong: nothing; MMagic's L1 6 and 1 and total variation 0.1, in [-1, 1], are double
    in [0, 1]. Each L1 is divided by its region's area, as there; by the image's in the paper.
    Missing: the published irregular holes, batch 6 (the paper) or 96 (MMagic).
    Changed: network, objective (perceptual 0.05 and style 120 on VGG16), Adam 2e-4, then 5e-5 with
    the encoder's batch normalization frozen. 25 and 25 of 50 epochs are 500 and 500 thousand
    steps of naoto0804: ``--model.phases`` for another length. It needs VGG16's weights.
    Logged: train/hole_l1, known_l1, rim_total_variation, perceptual, style.
    Measured: not yet.
    """
    return build_variants(["partial_convolution"], settings)


@documented("PConv", "partial convolutions without their VGG losses", _settings(_TERMS))
def partial_convolution_without_vgg(**settings: object) -> CompletionModule:
    """PConv without its perceptual and style terms, for where VGG16 cannot be had.

    Document: not there; as `partial_convolution`.
    Known to be wrong: nothing.
    Missing: perceptual 0.05 and style 120, which make its fills sharp; and what
    `partial_convolution` lacks.
    Changed: as `partial_convolution`.
    Logged: train/hole_l1, known_l1, rim_total_variation.
    Measured: correcting a smooth fill for 150 s of a core, +0.002 [+0.001, +0.004] of hole SSIM and
    +0.006 [+0.005, +0.008] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training").
    """
    return build_variants(["partial_convolution_without_vgg"], settings)
