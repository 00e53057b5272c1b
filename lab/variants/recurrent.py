"""Recurrent feature reasoning."""

from lab.training import CompletionModule
from lab.variants.variant import Value, build_variants, documented

_WEIGHTS = "model.objective.weights."
_WITHOUT_VGG: dict[str, Value] = {
    "model.network": "lab.networks.RFR",
    f"{_WEIGHTS}hole_l1": 6.0,
    f"{_WEIGHTS}known_l1": 1.0,
    f"{_WEIGHTS}coarse_hole_l1": 0.0,
    f"{_WEIGHTS}coarse_known_l1": 0.0,
    f"{_WEIGHTS}rim_total_variation": 0.1,
    f"{_WEIGHTS}adversarial": 0.0,
}


@documented(
    "V6",
    "RFR",
    {**_WITHOUT_VGG, f"{_WEIGHTS}perceptual": 0.05, f"{_WEIGHTS}style": 120.0},
)
def recurrent(**settings: object) -> CompletionModule:
    """V6: recurrent feature reasoning (RFR), the network that the notes chose, for large holes.

    Document: of UCTGAN, HiFill and RFR, RFR was chosen.
    Found there: made for large holes.
    Known to be wrong: each L1 is divided by its region's area, in the published code by the
    image's: its 6 in the hole weigh more here, the smaller the hole. Published with L1 6 in the
    hole and 1 outside, total variation 0.1, perceptual 0.05 and style 120 on VGG16, no
    discriminator.
    Missing: Adam 2e-4, then 5e-5 with batch normalization frozen: ``--model.phases='[{epochs: N,
    generator_learning_rate: 2e-4}, {generator_learning_rate: 5e-5, keeps_statistics:
    [network]}]'``.
    Changed: network and objective. It needs VGG16's weights; `recurrent_without_vgg` is for where
    they cannot be had.
    Logged: train/hole_l1, known_l1, rim_total_variation, perceptual, style.
    Measured: without VGG -0.017 [-0.041, +0.007] of hole SSIM after five minutes at a rate of
    0.003, clearly less in holes of three to five tenths of the photo (docs/findings.md, the board).
    """
    return build_variants(["recurrent"], settings)


@documented("V6", "RFR without its VGG losses", _WITHOUT_VGG)
def recurrent_without_vgg(**settings: object) -> CompletionModule:
    """V6: recurrent feature reasoning (RFR) without its perceptual and style terms.

    Document: not there: for where VGG16's weights cannot be had. It lacks what makes RFR's fills
    sharp.
    Known to be wrong: what `recurrent` says of the L1.
    Changed: network and objective, as `recurrent`.
    Logged: train/hole_l1, known_l1, rim_total_variation.
    Measured: -0.017 [-0.041, +0.007] of hole SSIM after five minutes at a rate of 0.003, clearly
    less in holes of three to five tenths of the photo (docs/findings.md, the board).
    """
    return build_variants(["recurrent_without_vgg"], settings)
