"""The documented variants: each a function that returns its LightningModule, and its settings."""

from collections.abc import Mapping
from types import MappingProxyType

from lab.variants.attention_scale import attention_scale, attention_scale_as_documented
from lab.variants.channel_gates import both_gates, channel_gate
from lab.variants.compressed import (
    deepfill_v2_1g,
    deepfill_v2_4g,
    deepfill_v2_300m,
    deepfill_v2_600m,
    inpaint_sanet_1g,
    inpaint_sanet_4g,
    inpaint_sanet_300m,
    inpaint_sanet_600m,
)
from lab.variants.context_encoder import context_encoder, context_encoder_l2
from lab.variants.coordinate_attention import coordinates_in_keys, coordinates_in_output
from lab.variants.deepfill_v1 import deepfill_v1
from lab.variants.deepfill_v2 import deepfill_v2
from lab.variants.distilled import distilled, distilled_perceptual, distilled_reweighted
from lab.variants.edge_connect import edge_connect, edge_connect_without_vgg
from lab.variants.global_local import global_local
from lab.variants.lama import lama_without_perceptual
from lab.variants.lbam import lbam, lbam_without_vgg
from lab.variants.mask_policies import boundary_attacked, boxes_only, strokes_only
from lab.variants.migan import migan
from lab.variants.partial_convolution import partial_convolution, partial_convolution_without_vgg
from lab.variants.places2 import places2
from lab.variants.published import published
from lab.variants.reconstruction_loss import charbonnier_loss, squared_loss
from lab.variants.recurrent import recurrent, recurrent_without_vgg
from lab.variants.repeated import repeated, repeated_pasted
from lab.variants.segmented_person import segmented_person
from lab.variants.shift_net import shift_net_without_vgg
from lab.variants.structural_loss import structural_loss
from lab.variants.super_resolved import completed_small, super_resolved, super_resolved_espcn
from lab.variants.tiled import tiled, tiled_as_documented
from lab.variants.variant import DOCUMENTED, Value, Variant, build_variants

__all__ = [
    "VARIANTS",
    "Value",
    "Variant",
    "attention_scale",
    "attention_scale_as_documented",
    "both_gates",
    "boundary_attacked",
    "boxes_only",
    "build_variants",
    "channel_gate",
    "charbonnier_loss",
    "completed_small",
    "context_encoder",
    "context_encoder_l2",
    "coordinates_in_keys",
    "coordinates_in_output",
    "deepfill_v1",
    "deepfill_v2",
    "deepfill_v2_1g",
    "deepfill_v2_4g",
    "deepfill_v2_300m",
    "deepfill_v2_600m",
    "distilled",
    "distilled_perceptual",
    "distilled_reweighted",
    "edge_connect",
    "edge_connect_without_vgg",
    "global_local",
    "inpaint_sanet_1g",
    "inpaint_sanet_4g",
    "inpaint_sanet_300m",
    "inpaint_sanet_600m",
    "lama_without_perceptual",
    "lbam",
    "lbam_without_vgg",
    "migan",
    "partial_convolution",
    "partial_convolution_without_vgg",
    "places2",
    "print_variants",
    "published",
    "recurrent",
    "recurrent_without_vgg",
    "repeated",
    "repeated_pasted",
    "segmented_person",
    "shift_net_without_vgg",
    "squared_loss",
    "strokes_only",
    "structural_loss",
    "super_resolved",
    "super_resolved_espcn",
    "tiled",
    "tiled_as_documented",
]

# As the notes count them; then the published networks, by their years.
_IN_ORDER = (
    published,
    repeated,
    repeated_pasted,
    tiled_as_documented,
    tiled,
    channel_gate,
    both_gates,
    attention_scale,
    attention_scale_as_documented,
    coordinates_in_output,
    coordinates_in_keys,
    structural_loss,
    squared_loss,
    charbonnier_loss,
    segmented_person,
    places2,
    recurrent,
    recurrent_without_vgg,
    completed_small,
    super_resolved,
    super_resolved_espcn,
    strokes_only,
    boxes_only,
    boundary_attacked,
    context_encoder,
    context_encoder_l2,
    global_local,
    deepfill_v1,
    partial_convolution,
    partial_convolution_without_vgg,
    shift_net_without_vgg,
    deepfill_v2,
    edge_connect,
    edge_connect_without_vgg,
    lbam,
    lbam_without_vgg,
    lama_without_perceptual,
    migan,
    deepfill_v2_4g,
    deepfill_v2_1g,
    deepfill_v2_600m,
    deepfill_v2_300m,
    inpaint_sanet_4g,
    inpaint_sanet_1g,
    inpaint_sanet_600m,
    inpaint_sanet_300m,
    distilled,
    distilled_reweighted,
    distilled_perceptual,
)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {make.__name__: DOCUMENTED[make.__name__] for make in _IN_ORDER}
)
"""Every documented variant by the name that ``--variant`` takes."""


def print_variants() -> None:
    """Print the name, number and title of every documented variant."""
    width = max(map(len, VARIANTS))
    of_number = max(len(variant.number) for variant in VARIANTS.values())
    for name, variant in VARIANTS.items():
        kind = "" if variant.is_trained else " (needs no training)"
        print(f"{name:{width}}  {variant.number:{of_number}} {variant.title}{kind}")
