"""A small network that a large one teaches."""

from lab.training import CompletionModule
from lab.variants.variant import Setting, build_variants, documented

_TAUGHT: dict[str, Setting] = {"model": "lab.training.Distillation"}
_EVEN: dict[str, Setting] = {
    **_TAUGHT,
    "model.objective.weights.coarse_teacher_whole_l1": 2.0,
    "model.objective.weights.teacher_whole_l1": 2.0,
    "model.objective.weights.teacher_attention": 1.0,
}
_REWEIGHTED: dict[str, Setting] = {
    **_TAUGHT,
    "model.objective.weights.coarse_teacher_hole_l1": 1.2,
    "model.objective.weights.teacher_hole_l1": 4.8,
    "model.objective.weights.teacher_attention": 0.1,
}


@documented("distillation", "taught images and attention map", _EVEN)
def distilled(**settings: object) -> CompletionModule:
    """Distillation: a large network's coarse image, refined image and attention map as targets.

    Document: the deployment notes let the uncompressed network teach the compressed ones, which
    left strong artefacts and lines that make no sense.
    Found there: better SSIM, PSNR and RMSE.
    Known to be wrong: nothing; neither the weights nor the attention map's distance is stated.
    Here each stage weighs what DeepFillv2's L1 does, and `lab.losses.distillation` says what is
    taken for the map. The terms of the network's own training stay.
    Changed: the procedure, which wants a checkpoint: ``--model.teacher=FILE``; three terms.
    ``--model.teacher_size=256`` shows the teacher photos of another size than the student's.
    Logged: train/coarse_teacher_whole_l1, teacher_whole_l1, teacher_attention.
    Measured: of `deepfill_v2_300m`, correcting fills, +0.002 [-0.000, +0.005] of hole SSIM and
    -0.001 [-0.004, +0.003] of texture after 400 steps, over photos and seeds: no difference.
    """
    return build_variants(["distilled"], settings)


@documented("distillation", "taught, reweighted towards the hole's refined image", _REWEIGHTED)
def distilled_reweighted(**settings: object) -> CompletionModule:
    """Distillation with other weights: what the teacher makes of the hole, above all at the end.

    Document: the weights of the distillation's losses were changed.
    Found there: clearly better than the first, and smoother.
    Known to be wrong: nothing; neither weights are stated. Here the images count in the hole, since
    the truth is known outside; the refined one four times the coarse; the attention map a tenth.
    Changed: as `distilled`, with other terms and weights.
    Logged: train/coarse_teacher_hole_l1, teacher_hole_l1, teacher_attention.
    Measured: of `deepfill_v2_300m`, correcting fills, +0.003 [-0.001, +0.006] of hole SSIM, no
    difference, and +0.009 [+0.004, +0.015] of texture, over photos and seeds.
    """
    return build_variants(["distilled_reweighted"], settings)


@documented(
    "distillation",
    "taught, reweighted, and by the teacher's perceptual loss",
    {**_REWEIGHTED, "model.objective.weights.teacher_perceptual": 0.5},
)
def distilled_perceptual(**settings: object) -> CompletionModule:
    """Distillation with the teacher's perceptual loss, as `distilled_reweighted` else.

    Document: "the teacher's perceptual loss" was added against the bright spots that 600 M left
    where colours change much.
    Found there: clearly better again.
    Known to be wrong: nothing; whose features, and against what, is not stated. Here features of
    the teacher's own layers, against the teacher's completed image: no VGG. The other reading is
    ``--model.objective.weights.perceptual=0.05``: VGG16's, against the truth.
    Changed: as `distilled_reweighted`, and one term more.
    Logged: as `distilled_reweighted`, and train/teacher_perceptual.
    Measured: of `deepfill_v2_300m`, correcting fills, +0.002 [-0.002, +0.006] of hole SSIM and
    +0.012 [+0.006, +0.018] of texture, over photos and seeds; no clear difference to
    `distilled_reweighted` by one teacher, by a second +0.006 [+0.004, +0.009] of texture for 0.002
    [0.000, 0.004] of SSIM (docs/findings.md, "What does a teacher add").
    """
    return build_variants(["distilled_perceptual"], settings)
