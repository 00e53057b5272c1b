"""V1: the network again on its own output, the hole eroded between rounds.

Document: three passes, ``cv2.erode(mask, None, iterations=7)`` between two (3 was tried too), the
output not pasted between them.
Found there: no clear gain; the network itself is doubted.
Known to be wrong: without pasting, every pass blurs the known pixels that the next one fills from.
``model.strategy.paste_between`` mends that.
Changed: the strategy alone; no training. ``python -m lab.sweep erosion --checkpoint FILE`` tries
rounds and iterations.
Logged: nothing of its own; rounds are reported by ``Repeated``'s callback.
Measured: every further round loses a little, pasted or not (docs/findings.md, "How many rounds").
"""

from lab.variants.variant import Variant

REPEATED = Variant(
    "V1",
    "three rounds, hole eroded by 7, not pasted between",
    {"model.strategy": "lab.strategies.Repeated"},
    is_trained=False,
)
REPEATED_PASTED = Variant(
    "V1",
    "three rounds, hole eroded by 7, pasted between",
    {"model.strategy": "lab.strategies.Repeated", "model.strategy.paste_between": True},
    is_trained=False,
)
