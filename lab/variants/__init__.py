"""The LightningModule that trains, and the documented variants of what it trains."""

from collections.abc import Mapping

from lab.variants.attention_scale import ATTENTION_SCALE, ATTENTION_SCALE_AS_DOCUMENTED
from lab.variants.channel_gates import BOTH_GATES, CHANNEL_GATE
from lab.variants.coordinate_attention import COORDINATES_IN_KEYS, COORDINATES_IN_OUTPUT
from lab.variants.inpainting_module import (
    EPOCHS_TRAINED,
    InpaintingModule,
    NonFiniteLossError,
    Optimization,
    Validated,
    build_module,
)
from lab.variants.mask_policies import BOXES_ONLY, STROKES_ONLY
from lab.variants.places2 import PLACES2
from lab.variants.published import PUBLISHED
from lab.variants.reconstruction_loss import CHARBONNIER_LOSS, SQUARED_LOSS
from lab.variants.recurrent import RECURRENT, RECURRENT_WITHOUT_VGG
from lab.variants.repeated import REPEATED, REPEATED_PASTED
from lab.variants.segmented_person import SEGMENTED_PERSON
from lab.variants.structural_loss import STRUCTURAL_LOSS
from lab.variants.super_resolved import COMPLETED_SMALL, SUPER_RESOLVED, SUPER_RESOLVED_ESPCN
from lab.variants.tiled import TILED, TILED_AS_DOCUMENTED
from lab.variants.variant import Value, Variant

__all__ = [
    "EPOCHS_TRAINED",
    "VARIANTS",
    "InpaintingModule",
    "NonFiniteLossError",
    "Optimization",
    "Validated",
    "Value",
    "Variant",
    "build_module",
    "print_variants",
]

VARIANTS: Mapping[str, Variant] = {
    "published": PUBLISHED,
    "repeated": REPEATED,
    "repeated_pasted": REPEATED_PASTED,
    "tiled_as_documented": TILED_AS_DOCUMENTED,
    "tiled": TILED,
    "channel_gate": CHANNEL_GATE,
    "both_gates": BOTH_GATES,
    "attention_scale": ATTENTION_SCALE,
    "attention_scale_as_documented": ATTENTION_SCALE_AS_DOCUMENTED,
    "coordinates_in_output": COORDINATES_IN_OUTPUT,
    "coordinates_in_keys": COORDINATES_IN_KEYS,
    "structural_loss": STRUCTURAL_LOSS,
    "squared_loss": SQUARED_LOSS,
    "charbonnier_loss": CHARBONNIER_LOSS,
    "segmented_person": SEGMENTED_PERSON,
    "places2": PLACES2,
    "recurrent": RECURRENT,
    "recurrent_without_vgg": RECURRENT_WITHOUT_VGG,
    "completed_small": COMPLETED_SMALL,
    "super_resolved": SUPER_RESOLVED,
    "super_resolved_espcn": SUPER_RESOLVED_ESPCN,
    "strokes_only": STROKES_ONLY,
    "boxes_only": BOXES_ONLY,
}
"""Every documented variant by the name that ``--variant`` takes."""


def print_variants() -> None:
    """Print the name, number and title of every documented variant."""
    width = max(map(len, VARIANTS))
    for name, variant in VARIANTS.items():
        kind = "" if variant.is_trained else " (needs no training)"
        print(f"{name:{width}}  {variant.number:6} {variant.title}{kind}")
