"""A scale in the self-attention."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented("V3.3", "attention scaled by sqrt(d)", {"model.network.attention_scale": "sqrt_d"})
def attention_scale(**settings: object) -> CompletionModule:
    """V3.3: a scale in the self-attention.

    Document: meant ``energy / sqrt(d)``, with d the channels of a query; written ``energy /
    batch_size ** 0.5``.
    Found there: nothing stated.
    Known to be wrong: as written, what a photo becomes depends on how many photos are in its batch.
    ``attention_scale_as_documented`` keeps that; ``attention_scale`` is what was meant.
    Changed: ``model.network.attention_scale``.
    Logged: as V0.
    Measured: -0.010 [-0.027, +0.008] of hole SSIM after five minutes at a rate of 0.003, over
    photos and seeds: no difference; both forms alike, since the batch was as large as the channels
    of a query (docs/findings.md, the board).
    """
    return build_variants(["attention_scale"], settings)


@documented(
    "V3.3",
    "attention scaled by sqrt(batch size), which is wrong",
    {"model.network.attention_scale": "as_documented"},
)
def attention_scale_as_documented(**settings: object) -> CompletionModule:
    """V3.3: a scale in the self-attention, as the notes wrote it, which is wrong.

    Document: ``energy / batch_size ** 0.5``.
    Found there: nothing stated.
    Known to be wrong: what a photo becomes depends on how many photos are in its batch. It is here
    to be compared with; `attention_scale` is what was meant.
    Changed: ``model.network.attention_scale``.
    Logged: as V0.
    Measured: as `attention_scale`, since the batch was as large as the channels of a query
    (docs/findings.md, the board).
    """
    return build_variants(["attention_scale_as_documented"], settings)
