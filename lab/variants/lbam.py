"""LBAM, trained as published."""

from lab.training import CompletionModule
from lab.variants.variant import Setting, adam, build_variants, documented, weighted

_TERMS = {"hole_l1": 6.0, "known_l1": 1.0, "adversarial": 0.1}


def _settings(terms: dict[str, float]) -> dict[str, Setting]:
    return {
        "model.network": "lab.networks.LBAM",
        "model.judges.whole": "lab.networks.LBAMDiscriminator",
        "model.objective.adversarial_kind": "wasserstein",
        "model.objective.gradient_penalty": 10.0,
        **weighted(**terms),
        **adam(1e-4, 1e-5, (0.5, 0.9)),
    }


@documented(
    "LBAM",
    "learned attention maps, forward and reverse",
    {
        **_settings(_TERMS | {"perceptual": 0.01, "style": 120.0}),
        "model.objective.perceptual_network": "vgg16",
        "model.objective.perceptual_images": "both",
    },
)
def lbam(**settings: object) -> CompletionModule:
    """LBAM: a U-Net whose masks are learned, under a Wasserstein judge of two columns.

    Document: not there; Xie et al. (ICCV 2019) and their code.
    Known to be wrong: the published code's adversarial loss has the wrong sign for the network;
    here it is the paper's. Each L1 is divided by its region's area, there by the image's: its 6 in
    the hole weigh more here, the smaller the hole.
    Missing: the sigmoid that the published judge ends in; batch 16, 500 epochs.
    Changed: network, judge, objective (perceptual 0.01 and style 120 on VGG16, gradient penalty
    10), Adam 1e-4 and 1e-5 (0.5, 0.9). It needs VGG16's weights.
    Logged: train/hole_l1, known_l1, adversarial, gradient_penalty, perceptual, style.
    Measured: not yet.
    """
    return build_variants(["lbam"], settings)


@documented("LBAM", "LBAM without its VGG losses", _settings(_TERMS))
def lbam_without_vgg(**settings: object) -> CompletionModule:
    """LBAM without its perceptual and style terms, for where VGG16 cannot be had.

    Document: not there; as `lbam`.
    Known to be wrong: what `lbam` says.
    Missing: perceptual 0.01 and style 120, and what `lbam` lacks.
    Changed: as `lbam`.
    Logged: train/hole_l1, known_l1, adversarial, gradient_penalty.
    Measured: correcting a smooth fill for 150 s of a core, -0.050 [-0.088, -0.025] of hole SSIM and
    +0.009 [-0.086, +0.056] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training").
    """
    return build_variants(["lbam_without_vgg"], settings)
