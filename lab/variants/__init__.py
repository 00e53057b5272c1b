"""The documented variants: each a function that returns its LightningModule, and its settings."""

from collections.abc import Mapping
from types import MappingProxyType

from lab.variants.attention_scale import attention_scale, attention_scale_as_documented
from lab.variants.channel_gates import both_gates, channel_gate
from lab.variants.coordinate_attention import coordinates_in_keys, coordinates_in_output
from lab.variants.mask_policies import boxes_only, strokes_only
from lab.variants.places2 import places2
from lab.variants.published import published
from lab.variants.reconstruction_loss import charbonnier_loss, squared_loss
from lab.variants.recurrent import recurrent, recurrent_without_vgg
from lab.variants.repeated import repeated, repeated_pasted
from lab.variants.segmented_person import segmented_person
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
    "boxes_only",
    "build_variants",
    "channel_gate",
    "charbonnier_loss",
    "completed_small",
    "coordinates_in_keys",
    "coordinates_in_output",
    "places2",
    "print_variants",
    "published",
    "recurrent",
    "recurrent_without_vgg",
    "repeated",
    "repeated_pasted",
    "segmented_person",
    "squared_loss",
    "strokes_only",
    "structural_loss",
    "super_resolved",
    "super_resolved_espcn",
    "tiled",
    "tiled_as_documented",
]

# As the notes count them.
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
)

VARIANTS: Mapping[str, Variant] = MappingProxyType(
    {make.__name__: DOCUMENTED[make.__name__] for make in _IN_ORDER}
)
"""Every documented variant by the name that ``--variant`` takes."""


def print_variants() -> None:
    """Print the name, number and title of every documented variant."""
    width = max(map(len, VARIANTS))
    for name, variant in VARIANTS.items():
        kind = "" if variant.is_trained else " (needs no training)"
        print(f"{name:{width}}  {variant.number:6} {variant.title}{kind}")
