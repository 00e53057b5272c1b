"""GCT is the published layer, for both norms."""

import pytest
import torch

from lab.layers import GatedChannelTransformation
from tests.parity import TOLERANCE, published, relative_error


@pytest.mark.parametrize("norm", ["l1", "l2"])
@torch.no_grad()
def test_it_answers_as_published(norm):
    tensors, state = published(f"gct_{norm}")
    layer = GatedChannelTransformation(16, norm)
    layer.load_state_dict(state, strict=True)  # the published names are its own
    assert relative_error(layer(tensors["in_features"]), tensors["out_features"]) <= TOLERANCE


@pytest.mark.parametrize("norm", ["l1", "l2"])
def test_it_starts_as_the_identity(norm):
    x = torch.randn(2, 5, 7, 9)
    assert torch.equal(GatedChannelTransformation(5, norm)(x), x)


@pytest.mark.parametrize(("norm", "order"), [("l1", 1), ("l2", 2)])
@torch.no_grad()
def test_a_gate_a_channel_grows_with_the_channels_share_of_the_norm(norm, order):
    layer = GatedChannelTransformation(4, norm)
    layer.gamma.fill_(0.3)
    layer.beta.copy_(torch.tensor([0.0, 0.5, -0.5, 0.0]).reshape(1, 4, 1, 1))
    x = torch.randn(3, 4, 6, 5)
    norms = torch.linalg.vector_norm(x.flatten(2), ord=order, dim=2)  # [3, 4]
    # L2's mean over the channels is of squares (section 3.2 of the paper), L1's of sizes.
    mean = norms.pow(order).mean(1, keepdim=True).pow(1 / order)
    expected = 1 + torch.tanh(0.3 * norms / mean + layer.beta.flatten())
    gate = layer.gate(x)
    assert gate.shape == (3, 4, 1, 1)
    torch.testing.assert_close(gate.flatten(1), expected, rtol=1e-4, atol=1e-4)


def test_another_norm_is_refused():
    with pytest.raises(ValueError, match="no norm of GCT is called 'l3'"):
        GatedChannelTransformation(4, "l3")
