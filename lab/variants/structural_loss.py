"""MS-SSIM in the loss."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented("V3.6", "MS-SSIM in the loss", {"model.objective.weights.ms_ssim": 1.0})
def structural_loss(**settings: object) -> CompletionModule:
    """V3.6: MS-SSIM in the loss.

    Document: ``whole = g_loss + r_loss + (1 - ms_ssim(img, (completed + 1) * 255))``, weight 1.
    Found there: nothing stated.
    Known to be wrong: both images were detached, so that no gradient reached the network: the term
    did nothing at all (a test keeps that form and shows its gradient is zero). And its range was
    [0, 510] for one image. Here the gradient flows and both images are in [0, 1].
    Changed: ``model.objective.weights.ms_ssim``.
    Logged: as V0, and train/ms_ssim.
    Measured: -0.014 [-0.032, +0.004] of hole SSIM and -0.7 dB after five minutes at a rate of
    0.003, over photos and seeds: no gain (docs/findings.md, the board).
    """
    return build_variants(["structural_loss"], settings)
