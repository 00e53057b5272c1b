"""What published networks answered, from ``../shared/parity``; without that folder, a skip."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch

SHARED = Path(__file__).parents[1] / ".." / "shared"

# The relative error up to which a network here is the published one, in float32.
TOLERANCE = 1e-4


def shared(path):
    """A file or folder of ``../shared``, or a skip where it is not here."""
    found = SHARED / path
    if not found.exists():
        pytest.skip(f"{found} is not here: what it would be compared with is not known")
    return found


def published(name):
    """The stored tensors (``in_*``, ``out_*``) of a published network, and its weights."""
    vectors = shared(f"parity/{name}.npz")
    spec = importlib.util.spec_from_file_location("fill", vectors.with_name("fill.py"))
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    stored = np.load(vectors)
    tensors = {
        key: torch.from_numpy(stored[key]) for key in stored.files if key[:2] in ("in", "ou")
    }
    return tensors, fill.reference_state(vectors)


def relative_error(ours, theirs):
    return float((ours - theirs).norm() / theirs.norm())
