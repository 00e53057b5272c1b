"""What ``import lab`` offers: each one line of a notebook, on paths, PIL images and arrays."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pandas as pd

from lab.checks import UserError, unknown_name_message
from lab.completion import Completed, Guidance, complete_picture
from lab.data import PhotoDataModule
from lab.devices import Device
from lab.fillers import TILE, open_filler
from lab.imaging import Picture, photo_file
from lab.mask_sources import Box
from lab.parsing import options_from
from lab.settings import build_data, parse_experiment
from lab.strategies import METHODS, Filler
from lab.training import CompletionModule
from lab.variants import VARIANTS, build_variants
from lab.widgets import Comparison


def list_variants() -> pd.DataFrame:
    """Every documented variant: a row each, by its name, with its number, title and settings."""
    rows = {
        name: {
            "number": variant.number,
            "title": variant.title,
            "is_trained": variant.is_trained,
            "settings": dict(variant.settings),
        }
        for name, variant in VARIANTS.items()
    }
    return pd.DataFrame.from_dict(rows, orient="index")


def variant(
    *names: str,
    settings: Mapping[str, Any] | None = None,
    **options: Any,  # noqa: ANN401 (any setting's value)
) -> CompletionModule:
    """A documented variant, or several together, as a LightningModule that any trainer fits.

    The first weights come from PyTorch's generator: `pytorch_lightning.seed_everything` before it
    makes them the same again.

    Args:
        names: of variants (`list_variants`); later ones go on top. None is the published network.
        settings: by dotted path below ``model``, such as ``{"objective.weights.ms_ssim": 1.0}``.
        options: settings by their last word: ``width=16`` is the network's width.

    Raises:
        UserError: an unknown variant or setting, with the nearest; a word that several settings end
            with; a variant about how photos are scored, and not about the module.
    """
    return build_variants(names, options, settings)


def photos(
    folder: str | Path | None = None,
    size: int = 256,
    variant: str | Sequence[str] = (),
    **settings: Any,  # noqa: ANN401 (any setting's value)
) -> PhotoDataModule:
    """The photos of a folder, or the starter photos, as a LightningDataModule.

    Args:
        folder: of photos or shards; None takes the starter photos.
        size: side of the crops, in pixels.
        variant: names of variants that change what is trained on, such as ``"boxes_only"``.
        settings: other arguments of `PhotoDataModule`, such as ``batch_size=8``.

    Raises:
        UserError: an unknown variant or setting, with the nearest; no such folder.
    """
    names = [variant] if isinstance(variant, str) else list(variant)
    _refuse_other_groups(names, "data", "lab.variant({names})")
    changed: dict[str, Any] = {"size": size, **settings}
    if folder is not None:
        place = Path(folder).expanduser().resolve()
        if not place.is_dir():
            raise UserError(f"{folder} is no folder of photos")
        changed["photos"] = str(place)
    options = options_from({f"data.{name}": value for name, value in changed.items()})
    return build_data(parse_experiment([*(f"--variant={name}" for name in names), *options]))


def complete(
    photo: Picture,
    mask: Picture | None = None,
    *,
    checkpoint: str | Path | None = None,
    model: str | Path | None = None,
    method: str | None = None,
    variant: str | Sequence[str] = (),
    person: str | None = None,
    box: Box | None = None,
    threshold: float | None = None,
    dilate: int | None = None,
    invert_mask: bool = False,
    tile: int = TILE,
    device: Device = "auto",
    sketch: Picture | None = None,
    edges: Picture | None = None,
    instances: Picture | None = None,
    samples: int = 1,
    seed: int = 0,
    show_edges: bool = False,
) -> Completed:
    """Take out of a photo what a mask marks, or a person.

    Args:
        photo: a path, a PIL image, or an array ``(H, W, 3)``: uint8, or floating point in [0, 1].
        mask: alike, of the photo's size; white, 1 or True marks the hole.
        checkpoint: restore by this network, with the strategy that it was trained with.
        model: restore by an exported network, a file of ``python -m lab.export``.
        method: restore without a network (`lab.strategies.METHODS`); without a network too,
            PatchMatch.
        variant: of the strategy, put on the network: ``"tiled"``.
        person: in place of a mask: ``"u2net"``, ``"u2net-small"``, or ``"grabcut"`` with a box.
        box: around the person: x, y, width, height in pixels.
        threshold: of U²-Net's answer.
        dilate: pixels by which the hole grows; None is 10 for a person, 0 for a mask.
        invert_mask: black marks the hole.
        tile: photos above this many pixels are completed in tiles; 0 always whole.
        device: "auto", "cpu" or "gpu".
        sketch: for networks that read it: lines that say what is to be in the hole.
        edges: for networks that read them: lines on known pixels; None finds them.
        instances: for networks that read them: a value or colour for every object.
        samples: answers, of a network that reads noise; all are in ``answers`` of what is returned.
        seed: of the noise.
        show_edges: of networks that complete edges, as EdgeConnect: show them beside the photo,
            and keep them in ``edges`` of what is returned.

    Raises:
        UserError, ValueError, UnreadablePhotoError: what does not fit, with what to do.
    """
    drawn = {"sketch": sketch, "edges": edges, "instances": instances}
    files = {
        guide: photo_file(picture, f"the {guide}")
        for guide, picture in drawn.items()
        if picture is not None
    }
    guidance = Guidance(files, samples, seed)
    names = [variant] if isinstance(variant, str) else list(variant)
    options = [f"--variant={name}" for name in names]
    filler = open_filler(checkpoint, method, options, tile, device, model=model)
    return complete_picture(
        photo,
        mask,
        filler,
        filler.name,
        invert_mask=invert_mask,
        dilation=dilate,
        person=person,
        box=box,
        threshold=threshold,
        guidance=guidance,
        reads=filler.reads,
        draw_edges=filler.draw_edges if show_edges else None,
    )


def compare(
    fillers: Sequence[str | Path],
    photo: Picture,
    mask: Picture,
    truth: Picture | None = None,
    device: Device = "auto",
) -> Comparison:
    """Fill one hole in several ways, side by side and under a wipe, scored where there is a truth.

    Args:
        fillers: checkpoints' paths and names of methods, such as ``["a.pt", "b.pt", "telea"]``.
        photo: as for `complete`.
        mask: as for `complete`.
        truth: what is right in the hole; the photo itself where nothing was hidden in it.
        device: "auto", "cpu" or "gpu".

    Raises:
        UserError, ValueError, UnreadablePhotoError: what does not fit, with what to do.
    """
    if not fillers:
        raise UserError("there is nothing to compare: name checkpoints or methods")
    opened = [_open(name, device) for name in fillers]
    made = [
        complete_picture(photo, mask, filler, filler.name, reads=filler.reads) for filler in opened
    ]
    return Comparison(made, truth)


def _open(name: str | Path, device: Device) -> Filler:
    if str(name) in METHODS:
        return open_filler(method=str(name))
    if not Path(name).expanduser().exists():
        raise UserError(
            f"{name} is neither a checkpoint nor a method. "
            f"{unknown_name_message('method', str(name), METHODS)}"
        )
    return open_filler(name, device=device)


def _refuse_other_groups(names: Sequence[str], group: str, instead: str) -> None:
    for name in names:
        if name not in VARIANTS:
            raise UserError(unknown_name_message("variant", name, VARIANTS))
        settings = VARIANTS[name].settings
        others = [path for path in settings if not path.startswith(f"{group}.")]
        if others and len(others) == len(settings):
            raise UserError(
                f"{name} sets {others[0]}, which is not of the {group}: "
                f"{instead.format(names=repr(name))}"
            )
