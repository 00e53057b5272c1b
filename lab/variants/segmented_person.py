"""The mask from a network that segments."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented(
    "V4",
    "mask from U²-Net, dilated by 10",
    {
        "evaluation.person": "u2net",
        "evaluation.threshold": 0.1,
        "evaluation.dilation": 10,
    },
    is_trained=False,
)
def segmented_person(**settings: object) -> CompletionModule:
    """V4: the mask from U²-Net in place of the old detector, dilated.

    Document: threshold 0.1, then ``cv2.dilate(mask, None, iterations=10)``; old mask, U²-Net, and
    U²-Net dilated were compared.
    Found there: undilated leaves traces of the person; dilated is good.
    Known to be wrong: U²-Net marks whatever stands out, which need not be a person.
    Changed: where the mask comes from when a person is removed, no training: ``python -m
    lab.inpaint PHOTO --person u2net``, and how ``lab.evaluate`` scores triplets of frame, mask and
    true background.
    Logged: nothing of its own.
    Measured: docs/findings.md, "How far to dilate", with GrabCut: U²-Net's weights are a download.
    """
    return build_variants(["segmented_person"], settings)
