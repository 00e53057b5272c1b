"""Published U-Nets nest their blocks; the table of their names is complete."""

import json

import numpy as np
import pytest
import torch

from lab.networks.nested_unet import nested_unet_depth, nested_unet_names
from tests.parity import shared


@pytest.mark.parametrize(
    ("name", "between"),
    [("pix2pix_unet_256_batch", {}), ("pix2pix_unet_256_instance", {}), ("shift_net", {2: 2})],
)
def test_every_published_tensor_has_a_place(name, between):
    shapes = json.loads(str(np.load(shared(f"parity/{name}.npz"))["shapes"]))
    state = {published: torch.empty(0) for published in shapes}
    assert nested_unet_depth(state) == 8
    names = nested_unet_names(8, between)
    found = {published.rpartition(".")[0] for published in shapes}
    assert found <= set(names)
    # Instance normalization without weights has no tensors.
    assert all(".normalization" in names[layer] for layer in set(names) - found)
    for published, shape in shapes.items():
        layer, _, leaf = published.rpartition(".")
        if len(shape) == 4:
            part, number, kind = names[layer].split(".")
            assert (leaf, kind) == ("weight", "convolution")
            narrow = shape[0] if part == "encoder" else shape[1]
            level = int(number) if part == "encoder" else 6 - int(number)
            assert narrow == (64 * min(8, 2**level) if level >= 0 else 3)


def test_other_networks_have_no_depth():
    assert nested_unet_depth({"model.0.weight": torch.empty(0)}) == 0
