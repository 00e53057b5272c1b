"""Networks as files: exported, quantized, computed by onnxruntime, timed."""

from lab.deployment.exporting import (
    NOT_EXPORTED,
    SIZES,
    TOLERANCE,
    Comparison,
    Exported,
    NotExportedError,
    export_network,
)
from lab.deployment.model_files import ModelCard, read_model
from lab.deployment.onnx_network import ModelFailedError, OnnxNetwork, load_model
from lab.deployment.quantization import quality_difference, quantize_model
from lab.deployment.speed import Timing, time_strategies

__all__ = [
    "NOT_EXPORTED",
    "SIZES",
    "TOLERANCE",
    "Comparison",
    "Exported",
    "ModelCard",
    "ModelFailedError",
    "NotExportedError",
    "OnnxNetwork",
    "Timing",
    "export_network",
    "load_model",
    "quality_difference",
    "quantize_model",
    "read_model",
    "time_strategies",
]
