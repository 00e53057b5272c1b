"""Models whose convolutions compute in whole numbers of 8 bits, and what that costs in quality.

Static quantization by onnxruntime: the range of every convolution's input is taken from photos
beforehand, weights have a scale a channel, and everything else stays float32. Convolutions that
see the image or draw it stay as they are: their steps would be seen.
"""

import logging
import tempfile
import warnings
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
from onnxruntime.quantization import (
    CalibrationDataReader,
    QuantFormat,
    QuantType,
    quantize_static,
)

from lab.contracts import Strategy
from lab.data import Batch
from lab.deployment.model_files import read_model, write_card
from lab.deployment.onnx_network import OnnxNetwork, load_model
from lab.files import replacing
from lab.metrics import measure
from lab.statistics import PairedDifference, paired_difference

INT8 = "int8"
LOSS_METRIC = "hole_psnr"


class _Photos(CalibrationDataReader):
    """Photos as onnxruntime asks for them: one after the other, then None."""

    def __init__(self, photos: Iterator[dict[str, np.ndarray]]) -> None:
        self._photos = photos

    def get_next(self) -> dict[str, np.ndarray] | None:
        """Return what the model is given for the next photo."""
        return next(self._photos, None)


def quantize_model(model: Path, path: Path, batches: Iterable[Batch]) -> OnnxNetwork:
    """Write a float32 model's form in int8.

    Args:
        model: as `export_network` wrote it.
        path: of the file to write.
        batches: photos under holes, from which the ranges are taken: such as will be completed,
            but not those by which it is judged.

    Raises:
        FileNotFoundError, UnreadableCheckpointError: as `read_model`.
        ValueError: it is quantized already.
        OSError: the file cannot be written.
    """
    content, card = read_model(model)
    if card.precision == INT8:
        raise ValueError(f"{model} is quantized already: name the float32 model")
    network = OnnxNetwork(model, content, card)
    singles = (batch.select(slice(i, i + 1)) for batch in batches for i in range(len(batch.sample)))
    reader = _Photos(network.inputs(one.image, one.mask, one.guides) for one in singles)
    parsed = onnx.ModelProto.FromString(content)
    with replacing(path) as temporary, tempfile.TemporaryDirectory() as folder, _quietly():
        quantized = Path(folder) / "quantized.onnx"
        quantize_static(
            parsed,
            quantized,
            reader,
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_outermost(parsed.graph),
            per_channel=True,
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
        result = onnx.load(quantized)
        write_card(result, replace(card, precision=INT8))
        temporary.write_bytes(result.SerializeToString())
    return load_model(path)


def quality_difference(
    first: Strategy, second: Strategy, batches: Iterable[Batch]
) -> PairedDifference:
    """By how much the first completes better than the second, in dB of the hole's PSNR."""
    scores: tuple[list[float], list[float]] = ([], [])
    photos: list[str] = []
    for batch in batches:
        photos += batch.photo
        for strategy, values in zip((first, second), scores, strict=True):
            completed = strategy(batch.image, batch.mask, batch.guides)
            values += measure(completed, batch.image, batch.mask)[LOSS_METRIC].tolist()
    return paired_difference(*scores, higher_is_better=True, photos=photos)


def _outermost(graph: onnx.GraphProto) -> list[str]:
    """The convolutions that no other lies before, or none after."""
    makers = {name: node for node in graph.node for name in node.output}
    users: dict[str, list[onnx.NodeProto]] = {}
    for node in graph.node:
        for name in node.input:
            users.setdefault(name, []).append(node)

    def reaches(start: onnx.NodeProto, forwards: bool) -> bool:
        """Whether another convolution lies on that side."""
        waiting, seen = [start], set[str]()
        while waiting:
            node = waiting.pop()
            beside = (
                [user for name in node.output for user in users.get(name, [])]
                if forwards
                else [makers[name] for name in node.input if name in makers]
            )
            for other in beside:
                if other.op_type in ("Conv", "ConvTranspose"):
                    return True
                if other.output[0] not in seen:
                    seen.add(other.output[0])
                    waiting.append(other)
        return False

    convolutions = [node for node in graph.node if node.op_type == "Conv"]
    return [
        node.name
        for node in convolutions
        if not reaches(node, forwards=True) or not reaches(node, forwards=False)
    ]


@contextmanager
def _quietly() -> Iterator[None]:
    """Keep onnxruntime's advice on how models are prepared to itself."""
    before = logging.root.manager.disable
    logging.disable(logging.WARNING)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logging.disable(before)
