"""V3.2, V3.4, V3.5: positions in the self-attention, by coordinate attention (CA).

Document: CA (Hou, Zhou, Feng, CVPR 2021; the notes say CBAM) gives weights along X and Y. V3.4 adds
it to the attention's output, ``gamma * out + x + CA(x)``; V3.5 to the keys, ``key + CA(x)``.
Found there: nothing stated.
Known to be wrong: in V3.5 keys have an eighth of the channels of ``CA(x)``, so that the sum does
not fit as written; here a 1x1 convolution brings CA to the keys' width.
Changed: ``model.network.coordinate_attention``.
Logged: as V0.
Measured: in the keys -0.007, less than what another seed does: no difference; in the output -0.019
of hole SSIM, no gain (docs/findings.md, the board).
"""

from lab.variants.variant import Variant

COORDINATES_IN_OUTPUT = Variant(
    "V3.4",
    "coordinate attention added to the output",
    {"model.network.coordinate_attention": "output"},
)
COORDINATES_IN_KEYS = Variant(
    "V3.5",
    "coordinate attention added to the keys",
    {"model.network.coordinate_attention": "keys"},
)
