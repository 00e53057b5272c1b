"""V3.1: gated channel transformation (GCT) in place of the sigmoid gate, or with it.

Document: V3.1.1 ``activation(x) * gct(mask)``, one gate a channel; V3.1.2 ``activation(x) *
sigmoid(mask) * gct(mask)``. L1 norm in GCT's embedding, because L2 was thought to blur positions.
First trained with everything but GCT frozen.
Found there: nothing stated.
Known to be wrong: the frozen parameters were chosen by the letters ``gct`` in their names, and
layers that contain a GCT trained along; here they are chosen by type, and batch statistics stay.
And the batch normalization after the gate takes away what a gate does to a channel in the whole
batch: only differences between its photos remain.
To train as documented, start from trained weights: ``--model.warm_start=FILE
--model.optimization.channel_gate_epochs=N``.
Changed: ``model.network.gate``, and ``gct_norm`` for the norm.
Logged: as V0.
Measured: both -0.010 of hole SSIM after five minutes, less than what another seed does: no
difference (docs/findings.md, the board).
"""

from lab.variants.variant import Variant

CHANNEL_GATE = Variant("V3.1.1", "GCT as the gate", {"model.network.gate": "gct"})
BOTH_GATES = Variant("V3.1.2", "sigmoid gate and GCT", {"model.network.gate": "both"})
