"""Gated channel transformation as a gate."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented("V3.1.1", "GCT as the gate", {"model.network.gate": "gct"})
def channel_gate(**settings: object) -> CompletionModule:
    """V3.1: gated channel transformation (GCT) in place of the sigmoid gate, or with it.

    Document: V3.1.1 ``activation(x) * gct(mask)``, one gate a channel; V3.1.2 ``activation(x) *
    sigmoid(mask) * gct(mask)``. L1 norm in GCT's embedding, because L2 was thought to blur
    positions. First trained with everything but GCT frozen.
    Found there: nothing stated.
    Known to be wrong: the frozen parameters were chosen by the letters ``gct`` in their names, and
    layers that contain a GCT trained along; here they are chosen by type, and batch statistics
    stay. And the batch normalization after the gate takes away what a gate does to a channel in the
    whole batch: only differences between its photos remain.
    To train as documented, start from trained weights: ``--model.warm_start=FILE
    --model.phases='[{epochs: N, trains: [channel_gates, judges]}, {trains: [network, judges]}]'``.
    Changed: ``model.network.gate``, and ``gct_norm`` for the norm.
    Logged: as V0.
    Measured: this gate -0.017 [-0.035, +0.001], both -0.002 [-0.019, +0.016] of hole SSIM after
    five minutes at a rate of 0.003, over photos and seeds: no difference (docs/findings.md, the
    board).
    """
    return build_variants(["channel_gate"], settings)


@documented("V3.1.2", "sigmoid gate and GCT", {"model.network.gate": "both"})
def both_gates(**settings: object) -> CompletionModule:
    """V3.1.2: gated channel transformation (GCT) beside the sigmoid gate.

    Document: ``activation(x) * sigmoid(mask) * gct(mask)``, else as `channel_gate`.
    Found there: nothing stated.
    Known to be wrong: as `channel_gate`, the parameters that trained first were chosen by letters.
    Changed: ``model.network.gate``. The network starts as the published one, so that it may start
    from its weights: train the gates first, as documented, by ``model.warm_start`` and
    ``model.phases``.
    Logged: as V0.
    Measured: -0.002 [-0.019, +0.016] of hole SSIM after five minutes at a rate of 0.003, over
    photos and seeds: no difference (docs/findings.md, the board).
    """
    return build_variants(["both_gates"], settings)
