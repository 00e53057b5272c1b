"""Self-attention and its options, against the energies written out."""

import itertools

import pytest
import torch

from lab.layers import SelfAttention

SCALES = ["none", "sqrt_d", "as_documented"]
PLACES = ["off", "output", "keys"]


def drawn(scale="none", coordinates="off"):
    torch.manual_seed(0)
    layer = SelfAttention(16, scale, coordinates)
    with torch.no_grad():
        layer.gamma.fill_(0.7)
        for convolution in (layer.query, layer.key):
            convolution.weight.mul_(4)  # energies that a scale changes visibly
    return layer.eval()


def written_out(layer, x):
    """The notes' lines: ``energy / ...``, ``proj_key + bise``, ``gamma * out + x + bise``."""
    code = layer.coordinate_attention(x) if layer.coordinates != "off" else 0.0
    keys = layer.key(x) + (code if layer.coordinates == "keys" else 0.0)
    energy = torch.bmm(layer.query(x).flatten(2).transpose(1, 2), keys.flatten(2))
    energy = energy / {"none": 1, "sqrt_d": 2**0.5, "as_documented": len(x) ** 0.5}[layer.scale]
    attended = torch.bmm(layer.value(x).flatten(2), energy.softmax(-1).transpose(1, 2))
    out = layer.gamma * attended.view_as(x) + x
    return out + (code if layer.coordinates == "output" else 0.0)


@pytest.mark.parametrize(("scale", "coordinates"), list(itertools.product(SCALES, PLACES)))
@torch.no_grad()
def test_every_option_is_as_it_is_written(scale, coordinates):
    layer = drawn(scale, coordinates)
    x = torch.randn(3, 16, 5, 6)
    torch.testing.assert_close(layer(x), written_out(layer, x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
def test_the_documented_scale_changes_a_photo_by_the_batch_around_it():
    x = torch.randn(8, 16, 5, 6, generator=torch.Generator().manual_seed(1))
    differences = {}
    for scale in SCALES:
        layer = drawn(scale)
        differences[scale] = float((layer(x)[:1] - layer(x[:1])).abs().max())
    assert differences["as_documented"] > 0.01
    assert max(differences["none"], differences["sqrt_d"]) < 1e-5


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"channels": 7}, "at least 8 channels, not 7"),
        ({"channels": 8, "scale": "sqrt"}, r"no attention scale .* Did you mean 'sqrt_d'"),
        ({"channels": 8, "coordinates": "key"}, r"coordinate attention .* Did you mean 'keys'"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        SelfAttention(**arguments)
