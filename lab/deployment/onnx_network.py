"""A network of an exported file, computed by onnxruntime: in place of an ``nn.Module``."""

from pathlib import Path

import numpy as np
import onnxruntime
import torch
from onnxruntime.capi import onnxruntime_pybind11_state as runtime_errors
from torch import Tensor

from lab.contracts import Guides, Stages
from lab.deployment.model_files import ANSWER, COMPLETED, FILL, IMAGE, MASK, ModelCard, read_model
from lab.fills import across_fill
from lab.networks import UnreadableCheckpointError
from lab.untrusted import printable

# What onnxruntime raises has no common class.
_FAILURES = (
    runtime_errors.Fail,
    runtime_errors.InvalidArgument,
    runtime_errors.InvalidGraph,
    runtime_errors.InvalidProtobuf,
    runtime_errors.NotImplemented,
    runtime_errors.RuntimeException,
    RuntimeError,
    MemoryError,
)
_ONLY_FATAL = 4


LEAST_SIDE = 16
"""Pixels of a photo's shorter side: less would need paddings that no exported network has."""


class ModelFailedError(RuntimeError):
    """A model could not be computed for a photo."""


class OnnxNetwork:
    """``(image, mask, guides) -> Stages`` of one image, on the processor; nothing is trained.

    Strategies are put around it as around any network.

    Args:
        path: of the model, for errors.
        content: of its file, checked by `read_model`.
        card: what it says of itself.

    Raises:
        UnreadableCheckpointError: onnxruntime cannot load it.
    """

    def __init__(self, path: Path | str, content: bytes, card: ModelCard) -> None:
        self.path = Path(path)
        self.card = card
        self.guides = card.guides
        # Another logger speaks before there is a session.
        onnxruntime.set_default_logger_severity(_ONLY_FATAL)
        options = onnxruntime.SessionOptions()
        options.log_severity_level = _ONLY_FATAL
        # As many as PyTorch takes; and none of them waits for work by spinning.
        options.intra_op_num_threads = torch.get_num_threads()
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        try:
            self._session = onnxruntime.InferenceSession(
                content, options, providers=["CPUExecutionProvider"]
            )
        except _FAILURES as error:
            raise UnreadableCheckpointError(
                path, f"onnxruntime cannot load it: {_reason(error)}"
            ) from error

    def __call__(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Stages:
        """Answer with a whole image, not pasted onto the known pixels.

        Args:
            image: float32 RGB ``(B, 3, H, W)`` in [0, 1]; what lies under the hole is not read.
            mask: float32 ``(B, 1, H, W)`` of 0 and 1, 1 = hole.
            guides: at least those that the model reads.

        Raises:
            ModelFailedError: onnxruntime fails, for want of memory for instance.
        """
        return Stages(images=(self._run(ANSWER, image, mask, guides),))

    def complete(self, image: Tensor, mask: Tensor, guides: Guides | None = None) -> Tensor:
        """The photo with its hole filled, ``(B, 3, H, W)``, as the model itself pastes it."""
        return self._run(COMPLETED, image, mask, guides)

    def inputs(
        self, image: Tensor, mask: Tensor, guides: Guides | None = None
    ) -> dict[str, np.ndarray]:
        """What the model is given for photos, by the names of its inputs."""
        given = {IMAGE: image, MASK: mask, **{name: (guides or {})[name] for name in self.guides}}
        if FILL in self.card.inputs:
            given[FILL] = across_fill(image, mask > 0.5)
        return {
            name: np.ascontiguousarray(planes.float().cpu().numpy())
            for name, planes in given.items()
        }

    def _run(self, output: str, image: Tensor, mask: Tensor, guides: Guides | None) -> Tensor:
        height, width = image.shape[-2:]
        if min(height, width) < LEAST_SIDE:
            raise ModelFailedError(
                f"{printable(self.path)} takes photos from {LEAST_SIDE} pixels a side on, and this "
                f"one has {width}x{height}: enlarge it"
            )
        given = self.inputs(image, mask, guides)
        if self.card.any_batch:
            return self._ask(output, given)
        singles = (
            {name: planes[i : i + 1] for name, planes in given.items()} for i in range(len(image))
        )
        return torch.cat([self._ask(output, single) for single in singles])

    def _ask(self, output: str, given: dict[str, np.ndarray]) -> Tensor:
        try:
            return torch.from_numpy(self._session.run([output], given)[0])
        except _FAILURES as error:
            height, width = given[IMAGE].shape[-2:]
            raise ModelFailedError(
                f"{printable(self.path)} fails on {width}x{height} pixels: {_reason(error)}. Where "
                "memory is short, complete the photo in smaller tiles (--tile N)"
            ) from error


def load_model(path: Path | str) -> OnnxNetwork:
    """Open an exported model.

    Raises:
        FileNotFoundError, UnreadableCheckpointError: as `read_model`; or onnxruntime cannot load
            it.
    """
    return OnnxNetwork(path, *read_model(path))


def _reason(error: BaseException) -> str:
    text = " ".join(printable(error, lines=True).split())
    return text[:300] or type(error).__name__
