"""From a network to one ONNX file, and the proof that the file computes the same.

The file takes photos of any size. What a network does before its first and after its last layer
(ranges, padding, pasting) is in it, so that whoever runs it needs no code of the workbench; but for
the smooth fill that some networks begin from, which is a further input.
"""

import copy
import io
import logging
import time
import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, nullcontext, redirect_stdout
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import numpy as np
import onnx
import torch
from torch import Tensor, nn
from torch.nn.utils import parametrize

from lab.checks import UserError
from lab.data.photo_sets import starter_photos
from lab.deployment.model_files import (
    ANSWER,
    COMPLETED,
    FILL,
    IMAGE,
    MASK,
    ModelCard,
    channels,
    write_card,
)
from lab.deployment.onnx_network import OnnxNetwork, load_model
from lab.files import replacing
from lab.fills import filled_already
from lab.guides import ask_network, draw_guides, guides_of
from lab.imaging import read_image
from lab.masks import PersonRectangle
from lab.networks import MIGAN, DeepFillv1

OPSET = 18
"""Of the file's operations: what runtimes know since 2023."""

TOLERANCE = 1e-3
"""The largest difference between the file and PyTorch, of values in [0, 1]."""

SIZES = ((256, 256), (184, 312), (333, 250))
"""Heights and widths of the photos on which they are compared."""

_ROUNDS = 3
# A photo of more than twice what any network pads to a multiple of: at sizes of 1, an exporter
# takes a dimension for constant. What it then knows of sizes holds from 16 pixels on.
_LEAST_TRACED, _TRACED = 513, (568, 632)

NOT_EXPORTED = {
    "FillSelector": "the fills that it chooses among are made by programs (heat flow, PatchMatch), "
    "and no layer holds them",
}
"""Networks that cannot be exported, and why."""


class NotExportedError(UserError):
    """A network cannot be exported, or its file would compute something else."""


@dataclass(frozen=True)
class Comparison:
    """One photo, completed by PyTorch and by the file.

    Attributes:
        height: of the photo.
        width: of the photo.
        difference: the largest, of any value of the whole answer.
        torch_seconds: median of a few calls, as for `onnx_seconds`.
        onnx_seconds: by onnxruntime, on the processor.
    """

    height: int
    width: int
    difference: float
    torch_seconds: float
    onnx_seconds: float


@dataclass(frozen=True)
class Exported:
    """A written model: what it says of itself, its size, and how near it is to PyTorch."""

    path: Path
    card: ModelCard
    bytes: int
    comparisons: tuple[Comparison, ...]


def export_network(
    network: nn.Module,
    path: Path | str,
    settings: str = "",
    sizes: Sequence[tuple[int, int]] = SIZES,
) -> Exported:
    """Write a network as an ONNX file, once onnxruntime has computed the same by it.

    Args:
        network: one of `lab.networks.NETWORKS`, on the processor; it stays as it is.
        path: of the file; one that is there is replaced, but only by a file that computes the same.
        settings: the YAML of the run that the network is of; lab.inpaint fills by its strategy.
        sizes: heights and widths of the photos on which the two are compared.

    Raises:
        NotExportedError: it cannot be exported, or the file differs by more than `TOLERANCE`.
        OSError: the file cannot be written.
    """
    kind = type(network).__name__
    if kind in NOT_EXPORTED:
        raise NotExportedError(f"{kind} cannot be exported: {NOT_EXPORTED[kind]}")
    network = for_inference(network)
    needs_fill = getattr(network, "start", "published") != "published"
    model = _translated(network, needs_fill)
    inputs = tuple(value.name for value in model.graph.input)
    batch = model.graph.input[0].type.tensor_type.shape.dim[0]
    card = ModelCard(kind, "float32", settings, inputs, not batch.HasField("dim_value"))
    write_card(model, card)
    with replacing(Path(path)) as temporary:
        temporary.write_bytes(model.SerializeToString())
        written = load_model(temporary)
        comparisons = tuple(_compare(network, written, size) for size in sizes)
        if card.any_batch:
            _check_batches(network, written, sizes[0])
        size = temporary.stat().st_size
    return Exported(Path(path), card, size, comparisons)


def for_inference(network: nn.Module) -> nn.Module:
    """A copy of a network in evaluation mode, without what only training needs."""
    network = network.merged() if isinstance(network, MIGAN) else copy.deepcopy(network).eval()
    for module in list(network.modules()):
        if parametrize.is_parametrized(module):
            _compute_once(module)
    return network.requires_grad_(False)


def _compute_once(module: nn.Module) -> None:
    """Keep what a parametrized module (spectral normalization) computes of its weights each time.

    PyTorch's own removal also takes the weights from the module that this one is a copy of: both
    are of one class, which it changes.
    """
    kept = {name: getattr(module, name).detach().clone() for name in _parametrized(module)}
    del module._modules["parametrizations"]
    module.__class__ = type(module).__bases__[0]
    for name, weight in kept.items():
        module.register_parameter(name, nn.Parameter(weight))


def _parametrized(module: nn.Module) -> list[str]:
    parametrizations = module.parametrizations
    assert isinstance(parametrizations, nn.ModuleDict)
    return list(parametrizations)


class _Deployed(nn.Module):
    """What is exported: the network, and the known pixels pasted over its answer."""

    def __init__(self, network: nn.Module) -> None:
        super().__init__()
        self.network = network

    def forward(
        self,
        image: Tensor,
        mask: Tensor,
        fill: Tensor | None = None,
        guides: dict[str, Tensor] | None = None,
    ) -> tuple[Tensor, Tensor]:
        shown = image if fill is None else torch.where(mask > 0.5, fill, image)
        answer = ask_network(self.network, shown, mask, guides).refined
        return torch.where(mask > 0.5, answer.clamp(0.0, 1.0), image), answer


def _translated(network: nn.Module, needs_fill: bool) -> onnx.ModelProto:
    """The network as ONNX, without what only its maker reads.

    Raises:
        NotExportedError: PyTorch cannot follow it for photos of any size.
    """
    one_by_one = _goes_one_by_one(network)
    free = {
        axis: torch.export.Dim(name, min=_LEAST_TRACED)
        for axis, name in ((2, "height"), (3, "width"))
    }
    free |= {} if one_by_one else {0: torch.export.Dim("photo")}
    guides, images = guides_of(network), (IMAGE, MASK, *((FILL,) if needs_fill else ()))
    names = [*images, *guides]
    photos = 1 if one_by_one else 2
    planes = {name: torch.zeros(photos, channels(name), *_TRACED) for name in names}
    given: dict[str, object] = {name: planes[name] for name in images}
    shapes: dict[str, object] = dict.fromkeys(images, free)
    if guides:
        given["guides"] = {name: planes[name] for name in guides}
        shapes["guides"] = dict.fromkeys(guides, free)
    try:
        with _quietly(), torch.no_grad(), filled_already() if needs_fill else nullcontext():
            program = torch.export.export(
                _Deployed(network),
                (),
                given,
                dynamic_shapes=shapes,
                strict=False,
                # Sizes of which nothing can be proven are let pass; they are tried afterwards.
                prefer_deferred_runtime_asserts_over_guards=True,
            )
            exported = torch.onnx.export(
                program,
                opset_version=OPSET,
                input_names=names,
                output_names=[COMPLETED, ANSWER],
            )
    # Where it fails is anybody's guess: while following Python, or among operations.
    except Exception as error:
        raise NotExportedError(
            f"{type(network).__name__} cannot be exported: {' '.join(str(error).split())[:300]}"
        ) from error
    assert exported is not None
    model: onnx.ModelProto = exported.model_proto
    _strip(model)
    return model


def _goes_one_by_one(network: nn.Module) -> bool:
    """Whether it is written photo by photo, or depends on how many there are."""
    return isinstance(network, DeepFillv1) or (
        getattr(network, "attention_scale", "") == "as_documented"
    )


def _example(network: nn.Module, height: int, width: int, photos: int) -> dict[str, Tensor]:
    """What a model is given, by the names of its inputs: crops of starter photos under holes."""
    names = guides_of(network)
    images, masks, drawn = [], [], []
    for number, photo in enumerate(starter_photos().validation[:photos]):
        pixels = read_image(photo.path)
        image = nn.functional.interpolate(pixels[None], (height, width), mode="area")[0]
        mask = PersonRectangle()(height, width, np.random.default_rng(number))
        images.append(image)
        masks.append(mask)
        ids = (8 * image[:1]).int()  # objects of equal brightness: any will do
        drawn.append(draw_guides(names, image, mask, (number,), ids))
    given = {IMAGE: torch.stack(images), MASK: torch.stack(masks)}
    return given | {name: torch.stack([guides[name] for guides in drawn]) for name in names}


def _strip(model: onnx.ModelProto) -> None:
    """Leave out what the exporter notes for itself: paths and lines of code, at each node."""
    model.doc_string = ""
    del model.graph.metadata_props[:]
    del model.graph.value_info[:]
    for part in (*model.graph.node, *model.graph.initializer, *model.graph.input):
        part.doc_string = ""
        del part.metadata_props[:]


@contextmanager
def _quietly() -> Iterator[None]:
    """The exporter tells of its steps, and warns of what is compared afterwards."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings(), redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)


@torch.no_grad()
def _compare(network: nn.Module, written: OnnxNetwork, size: tuple[int, int]) -> Comparison:
    """Complete one photo by both.

    Raises:
        NotExportedError: they differ too much.
    """
    given = _example(network, *size, photos=1)
    image, mask = given.pop(IMAGE), given.pop(MASK)
    expected, torch_seconds = _timed(lambda: ask_network(network, image, mask, given).refined)
    found, onnx_seconds = _timed(lambda: written(image, mask, given).refined)
    difference = float((found - expected).abs().max())
    _refuse_difference(written.card, difference, size)
    completed = written.complete(image, mask, given)
    if not torch.equal(completed, torch.where(mask > 0, found.clamp(0.0, 1.0), image)):
        raise NotExportedError(f"the file of {written.card.network} pastes other pixels: a fault")
    return Comparison(*size, difference, torch_seconds, onnx_seconds)


def _check_batches(network: nn.Module, written: OnnxNetwork, size: tuple[int, int]) -> None:
    given = _example(network, *size, photos=2)
    image, mask = given.pop(IMAGE), given.pop(MASK)
    both = written(image, mask, given).refined
    last = {name: planes[1:] for name, planes in given.items()}
    alone = written(image[1:], mask[1:], last).refined
    _refuse_difference(written.card, float((both[1:] - alone).abs().max()), size)


def _refuse_difference(card: ModelCard, difference: float, size: tuple[int, int]) -> None:
    # Not written as `>`: that is false for NaN.
    if not difference <= TOLERANCE:
        height, width = size
        raise NotExportedError(
            f"by its file, {card.network} answers {difference:.2g} beside PyTorch on "
            f"{width}x{height} pixels, and at most {TOLERANCE:g} is let pass: nothing is written"
        )


def _timed(call: Callable[[], Tensor]) -> tuple[Tensor, float]:
    answer, seconds = call(), []
    for _ in range(_ROUNDS):
        started = time.perf_counter()
        call()
        seconds.append(time.perf_counter() - started)
    return answer, median(seconds)
