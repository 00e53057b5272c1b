"""Other distances than L1 for the reconstruction."""

from lab.training import CompletionModule
from lab.variants.variant import Value, build_variants, documented


def _in_place_of_l1(kind: str, weight: float) -> dict[str, Value]:
    return {
        f"model.objective.weights.{stage}{region}_{term}": value
        for stage in ("", "coarse_")
        for region in ("hole", "known")
        for term, value in (("l1", 0.0), (kind, weight))
    }


@documented("L2", "L2 in place of L1", _in_place_of_l1("l2", 4.8))
def squared_loss(**settings: object) -> CompletionModule:
    """L2 or Charbonnier in place of L1 for the reconstruction.

    Document: the notes chose L1; the lecture says why (L2 gives the mean of all plausible fills,
    which is blurred), and Context Encoder (2016) trained on L2.
    Known to be wrong: nothing.
    Changed: the four L1 terms. 1.2 on images in [-1, 1] is 2.4 for L1 in [0, 1], and 4.8 for L2.
    Logged: train/hole_l2 and so on in place of train/hole_l1.
    Measured: L2 -0.018 [-0.040, +0.003] of hole SSIM after five minutes at a rate of 0.003, over
    photos and seeds: no difference (docs/findings.md, the board).
    """
    return build_variants(["squared_loss"], settings)


@documented("Charbonnier", "Charbonnier in place of L1", _in_place_of_l1("charbonnier", 2.4))
def charbonnier_loss(**settings: object) -> CompletionModule:
    """Charbonnier in place of L1 for the reconstruction: an L1 that is smooth at 0.

    Document: not there; Lai et al., "Deep Laplacian Pyramid Networks for Fast and Accurate
    Super-Resolution" (CVPR 2017).
    Known to be wrong: nothing.
    Changed: the four L1 terms.
    Logged: train/hole_charbonnier and so on in place of train/hole_l1.
    Measured: not yet; `python -m lab.sweep reconstruction` asks.
    """
    return build_variants(["charbonnier_loss"], settings)
