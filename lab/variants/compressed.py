"""The compression ladder: networks in their presets, each trained as its published form."""

from collections.abc import Callable

from lab.networks import NETWORKS
from lab.training import CompletionModule

# Their settings are these variants' too, so that they must be entered before.
from lab.variants.deepfill_v2 import deepfill_v2
from lab.variants.published import published
from lab.variants.variant import DOCUMENTED, Setting, build_variants, documented

_CARD = """{network} with separable convolutions, {preset} of multiply-adds at {size}x{size} pixels.

Document: the deployment notes put MobileNet's separable convolutions into DeepFillv2: 25 G become
4 G at 256x256. Photos of 128x128 take 1 G; with 36 channels in place of 48 it is 600 M, with 24
it is 300 M.
Found there: of these the largest has the best numbers, with bright spots where colours change
much; all have artefacts that a teacher takes away (`distilled`).
Known to be wrong: the notes count convolutions alone. Attention takes more at 256x256 than they
let one think: ``python -m lab.networks --ladder`` counts both.
Missing: which layers they left plain. Here it is the first of each stage, as MobileNet's: then
DeepFillv2 costs what they say, to 5 %, at each of their sizes.{widths}
Changed: as `{base}`, with ``{arguments}`` and photos of {size} pixels.
Logged: as `{base}`.
Measured: in docs/findings.md's ladder, correcting fills for 400 steps.
"""
_WIDTHS = """ They compressed no InpaintSANet: its
widths are those that cost what theirs cost."""


def _compressed(
    name: str, base: Callable[..., CompletionModule], network: str, preset: str
) -> Callable[..., CompletionModule]:
    """Enter a preset of a network, trained as the variant ``base``, as a variant of its own."""
    known = NETWORKS[network].preset(preset)
    chosen: dict[str, Setting] = {
        f"model.network.{argument}": value for argument, value in known.arguments.items()
    }

    def make(**settings: object) -> CompletionModule:
        return build_variants([name], settings)

    make.__name__ = name
    make.__doc__ = _CARD.format(
        network=network,
        preset=preset[:-1] + " " + preset[-1].upper(),
        size=known.photo_size,
        base=base.__name__,
        arguments=", ".join(f"{path}={value}" for path, value in chosen.items()),
        widths=_WIDTHS if network == "InpaintSANet" else "",
    )
    settings = {
        **DOCUMENTED[base.__name__].settings,
        "model.network": f"lab.networks.{network}",
        **chosen,
        "data.size": known.photo_size,
    }
    return documented(network, f"compressed to {preset}", settings)(make)


deepfill_v2_4g = _compressed("deepfill_v2_4g", deepfill_v2, "DeepFillv2", "4g")
deepfill_v2_1g = _compressed("deepfill_v2_1g", deepfill_v2, "DeepFillv2", "1g")
deepfill_v2_600m = _compressed("deepfill_v2_600m", deepfill_v2, "DeepFillv2", "600m")
deepfill_v2_300m = _compressed("deepfill_v2_300m", deepfill_v2, "DeepFillv2", "300m")
inpaint_sanet_4g = _compressed("inpaint_sanet_4g", published, "InpaintSANet", "4g")
inpaint_sanet_1g = _compressed("inpaint_sanet_1g", published, "InpaintSANet", "1g")
inpaint_sanet_600m = _compressed("inpaint_sanet_600m", published, "InpaintSANet", "600m")
inpaint_sanet_300m = _compressed("inpaint_sanet_300m", published, "InpaintSANet", "300m")
