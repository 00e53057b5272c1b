"""Shift-Net, trained as published but for what needs VGG16."""

from lab.training import CompletionModule
from lab.variants.variant import adam, build_variants, documented, weighted


@documented(
    "Shift-Net",
    "shifted features, without VGG losses",
    {
        "model.network": "lab.networks.ShiftNet",
        "model.judges.local": "lab.networks.LocalDiscriminator",
        "model.objective.adversarial_kind": "log",
        "model.objective.spatial_discount": 0.9,
        **weighted(
            whole_l1=200.0, discounted_hole_l1=800.0, shift_guidance=1.0, local_adversarial=0.2
        ),
        **adam(2e-4, 2e-4, (0.5, 0.999)),
    },
)
def shift_net_without_vgg(**settings: object) -> CompletionModule:
    """Shift-Net: a U-Net that fills the hole's features with the known ones most like them.

    Document: not there; Yan et al. (ECCV 2018) and their code.
    Known to be wrong: the judge of the hole's crop is this workbench's, not pix2pix's.
    Missing: style 10 and content 1 on VGG16; squares alone as holes; batch 1, 30 epochs.
    Changed: network, judge (of the crop round the hole alone), objective (L1 100, and 400 in the
    hole, in [-1, 1], doubled; the hole's discounted by 0.9 a pixel of depth; guidance 1 of the
    decoder's features, in the hole alone), Adam 2e-4 (0.5, 0.999) for both.
    Logged: train/whole_l1, discounted_hole_l1, shift_guidance, local_adversarial,
    local_discriminator.
    Measured: correcting a smooth fill for 150 s of a core, +0.006 [+0.002, +0.010] of hole SSIM and
    +0.012 [+0.010, +0.015] of texture against it, one seed (docs/networks.md, "All of them after
    equal short training").
    """
    return build_variants(["shift_net_without_vgg"], settings)
