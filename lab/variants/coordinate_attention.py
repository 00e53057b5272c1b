"""Positions in the self-attention."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented(
    "V3.4",
    "coordinate attention added to the output",
    {"model.network.coordinate_attention": "output"},
)
def coordinates_in_output(**settings: object) -> CompletionModule:
    """V3.2, V3.4, V3.5: positions in the self-attention, by coordinate attention (CA).

    Document: CA (Hou, Zhou, Feng, CVPR 2021; the notes say CBAM) gives weights along X and Y. V3.4
    adds it to the attention's output, ``gamma * out + x + CA(x)``; V3.5 to the keys, ``key +
    CA(x)``.
    Found there: nothing stated.
    Known to be wrong: in V3.5 keys have an eighth of the channels of ``CA(x)``, so that the sum
    does not fit as written; here a 1x1 convolution brings CA to the keys' width.
    Changed: ``model.network.coordinate_attention``.
    Logged: as V0.
    Measured: in the keys +0.000 [-0.017, +0.018], in the output -0.015 [-0.037, +0.007] of hole
    SSIM after five minutes at a rate of 0.003, over photos and seeds: no difference
    (docs/findings.md, the board).
    """
    return build_variants(["coordinates_in_output"], settings)


@documented(
    "V3.5",
    "coordinate attention added to the keys",
    {"model.network.coordinate_attention": "keys"},
)
def coordinates_in_keys(**settings: object) -> CompletionModule:
    """V3.5: positions in the self-attention's keys, by coordinate attention (CA).

    Document: ``key + CA(x)``; `coordinates_in_output` says what CA is.
    Found there: nothing stated.
    Known to be wrong: keys have an eighth of the channels of ``CA(x)``, so that the sum does not
    fit as written; here a 1x1 convolution brings CA to the keys' width.
    Changed: ``model.network.coordinate_attention``.
    Logged: as V0.
    Measured: +0.000 [-0.017, +0.018] of hole SSIM after five minutes at a rate of 0.003, over
    photos and seeds: no difference (docs/findings.md, the board).
    """
    return build_variants(["coordinates_in_keys"], settings)
