"""The Context Encoder, trained as published: blurred without its judge, sharp with it."""

from lab.training import CompletionModule
from lab.variants.variant import Setting, adam, build_variants, documented, weighted

# Per region's area, of 56 pixels square in an answer of 64 and a photo of 128; 4 for [0, 1].
_HOLE_L2, _KNOWN_L2 = 4 * 0.999 * 56**2 / 64**2, 4 * 9.99 * (128**2 - 56**2) / 64**2
_TERMS = {"hole_l2": round(_HOLE_L2, 2), "known_l2": round(_KNOWN_L2, 1)}
_NETWORK: dict[str, Setting] = {"model.network": "lab.networks.ContextEncoder"}


@documented(
    "Context Encoder",
    "sharp by its judge",
    {
        **_NETWORK,
        "model.judges.whole": "lab.networks.ContextEncoderDiscriminator",
        "model.objective.adversarial_kind": "log",
        **weighted(**_TERMS, adversarial=0.001),
        **adam(2e-4, 2e-4, (0.5, 0.999)),
    },
)
def context_encoder(**settings: object) -> CompletionModule:
    """Context Encoder: squares, which alone blur, and a judge of the answered square.

    Document: not there; Pathak et al. (CVPR 2016), in the form of Boyuan Jiang's code.
    Known to be wrong: the published squares are averaged over the answered square, ten times as
    heavy on its rim of 4 known pixels. Here the hole's and the known pixels' means have the weights
    that give the same for the published hole (56 of 128 pixels), and for no other.
    Missing: a judge of the rim as it is answered (here pasted over); centred squares alone as
    holes; batch 64; a tenfold rate for the network (the authors' own, not Jiang's).
    Changed: network, judge, objective (BCE 0.001 beside 0.999), Adam 2e-4 (0.5, 0.999) for both.
    Logged: train/hole_l2, known_l2, adversarial, discriminator.
    Measured: correcting a smooth fill for 150 s of a core, -0.012 [-0.018, -0.007] of hole SSIM and
    +0.009 [+0.005, +0.017] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training"). From nothing: docs/findings.md, "Do squares blur".
    """
    return build_variants(["context_encoder"], settings)


@documented(
    "Context Encoder",
    "blurred, by squares alone",
    {**_NETWORK, **weighted(**_TERMS), **adam(2e-4, None, (0.5, 0.999))},
)
def context_encoder_l2(**settings: object) -> CompletionModule:
    """Context Encoder by squares alone: the mean of all that could be there, which is blurred.

    Document: not there; what the paper compares its joint loss with.
    Known to be wrong: what `context_encoder` says of the weights.
    Missing: nothing else of the paper's comparison but its holes and its batch of 64.
    Changed: as `context_encoder`, without the judge.
    Logged: train/hole_l2, known_l2.
    Measured: correcting a smooth fill for 150 s of a core, -0.000 [-0.001, +0.000] of hole SSIM and
    -0.000 [-0.001, +0.000] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training"). From nothing: docs/findings.md, "Do squares blur".
    """
    return build_variants(["context_encoder_l2"], settings)
