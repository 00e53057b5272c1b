"""The gates of a gated convolution: pixel by pixel, channel by channel, both."""

import pytest
import torch
import torch.nn.functional as F

from lab.layers import GatedConvolution


def layer_and_input(gate, gct_norm="l1", batch=2):
    torch.manual_seed(0)
    layer = GatedConvolution(4, 3, 3, gate=gate, gct_norm=gct_norm)
    if layer.channel_gate is not None:
        torch.nn.init.normal_(layer.channel_gate.gamma)
        torch.nn.init.normal_(layer.channel_gate.beta)
    return layer, torch.randn(batch, 4, 8, 7)


@pytest.mark.parametrize("gct_norm", ["l1", "l2"])
@pytest.mark.parametrize("gate", ["sigmoid", "gct", "both"])
@torch.no_grad()
def test_the_gate_is_of_the_gate_branch(gate, gct_norm):
    layer, x = layer_and_input(gate, gct_norm)
    both = F.conv2d(x, layer.convolution.weight, layer.convolution.bias, padding=1)
    expected, mask = F.leaky_relu(both[:, :3], 0.2), both[:, 3:]
    if gate != "gct":
        expected = expected * torch.sigmoid(mask)
    if gate != "sigmoid":
        assert layer.channel_gate.norm == gct_norm
        # GCT of the branch, over the branch, is its gates.
        expected = expected * (layer.channel_gate(mask) / mask).mean((2, 3), keepdim=True)
    torch.testing.assert_close(layer.eval()(x), layer.normalization(expected), rtol=1e-4, atol=1e-4)


@torch.no_grad()
def test_both_gates_start_as_the_published_one():
    published = GatedConvolution(4, 3, 3)
    layer = GatedConvolution(4, 3, 3, gate="both")
    layer.load_state_dict({**layer.state_dict(), **published.state_dict()})
    x = torch.randn(2, 4, 8, 7)
    assert torch.equal(layer(x), published(x))


@torch.no_grad()
def test_normalization_leaves_of_a_channel_gate_what_differs_within_the_batch():
    layer, x = layer_and_input("gct", batch=2)
    other, _ = layer_and_input("gct", batch=2)
    torch.nn.init.zeros_(other.channel_gate.gamma)  # every gate 1
    torch.nn.init.zeros_(other.channel_gate.beta)
    for training, batch, same in ((True, 1, True), (True, 2, False), (False, 1, False)):
        one, two = layer.train(training)(x[:batch]), other.train(training)(x[:batch])
        assert torch.allclose(one, two, atol=1e-3) == same


def test_another_gate_is_refused():
    with pytest.raises(ValueError, match=r"no gate is called 'gtc'\. Did you mean 'gct'"):
        GatedConvolution(4, 3, 3, gate="gtc")


@torch.no_grad()
@pytest.mark.parametrize(("channels", "out", "kernel", "stride"), [(6, 6, 3, 1), (5, 8, 4, 2)])
def test_an_identity_start_passes_the_features_on(channels, out, kernel, stride):
    torch.manual_seed(0)
    layer = GatedConvolution(channels, out, kernel, stride, initialization="identity")
    smooth = F.interpolate(torch.randn(1, channels, 4, 4), size=32, mode="bilinear")
    feature = layer.convolution(smooth)[:, :out]
    if channels == out:
        expected = smooth
    else:  # turned, but no information lost: an orthogonal map of every pixel's channels
        middle = layer.convolution.weight[:out].sum((2, 3))
        torch.testing.assert_close(middle.T @ middle, torch.eye(channels), atol=0.5, rtol=0)
        expected = torch.einsum("oi,bihw->bohw", middle, F.avg_pool2d(smooth, 2))
    known = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    difference = (feature[known] - expected[known]).square().mean().sqrt()
    assert difference < 0.35 * expected.std()


def test_another_initialization_is_refused():
    with pytest.raises(ValueError, match=r"no initialization is called 'dirac'"):
        GatedConvolution(4, 3, 3, initialization="dirac")


@pytest.mark.parametrize(("activation", "function"), [("elu", F.elu), ("relu", F.relu)])
@torch.no_grad()
def test_deepfills_form_has_no_normalization(activation, function):
    layer = GatedConvolution(4, 3, 3, activation=activation, normalization=False)
    x = torch.randn(2, 4, 8, 7)
    both = F.conv2d(x, layer.convolution.weight, layer.convolution.bias, padding=1)
    torch.testing.assert_close(layer(x), function(both[:, :3]) * torch.sigmoid(both[:, 3:]))
    assert set(layer.state_dict()) == {"convolution.weight", "convolution.bias"}


@torch.no_grad()
def test_odd_padding_at_the_end_is_tensorflows():
    layer = GatedConvolution(4, 3, 3, stride=2, normalization=False, odd_padding="end")
    x = torch.randn(2, 4, 8, 6)
    both = F.conv2d(
        F.pad(x, (0, 1, 0, 1)), layer.convolution.weight, layer.convolution.bias, stride=2
    )
    expected = F.leaky_relu(both[:, :3], 0.2) * torch.sigmoid(both[:, 3:])
    torch.testing.assert_close(layer(x), expected)
    # Where the zeros are even in number, there is nothing to choose.
    for options in ({"kernel_size": 5}, {"kernel_size": 3, "dilation": 4}):
        layers = [GatedConvolution(4, 3, odd_padding=p, **options).eval() for p in ("both", "end")]
        layers[1].load_state_dict(layers[0].state_dict())
        assert torch.equal(layers[0](x), layers[1](x))
    with pytest.raises(ValueError, match="no odd padding is called 'start'"):
        GatedConvolution(4, 3, 3, odd_padding="start")


@torch.no_grad()
def test_an_identity_start_passes_on_what_even_gates_halve():
    torch.manual_seed(0)
    layer = GatedConvolution(
        6, 6, 3, activation="none", normalization=False, initialization="identity"
    )
    torch.nn.init.zeros_(layer.convolution.bias)
    x = torch.rand(1, 6, 16, 16)
    torch.testing.assert_close(layer(x), x, rtol=0, atol=0.3)
    assert (layer(x) - x).abs().mean() < 0.1


@torch.no_grad()
@pytest.mark.parametrize(("kernel", "stride", "dilation"), [(3, 1, 4), (4, 2, 1), (5, 1, 1)])
def test_a_separable_layer_is_the_plain_one_with_the_product_of_its_kernels(
    kernel, stride, dilation
):
    options = {"kernel_size": kernel, "stride": stride, "dilation": dilation}
    layer = GatedConvolution(4, 3, separable=True, **options).eval()
    plain = GatedConvolution(4, 3, **options).eval()
    # What channel i gives to channel o is one kernel, times a number.
    kernels = layer.depthwise.weight[:, 0]  # [in, side, side]
    plain.convolution.weight.copy_(layer.convolution.weight * kernels)
    plain.convolution.bias.copy_(layer.convolution.bias)
    x = torch.randn(2, 4, 16, 14)
    torch.testing.assert_close(layer(x), plain(x), rtol=1e-4, atol=1e-5)


@torch.no_grad()
@pytest.mark.parametrize(("channels", "out", "kernel"), [(6, 6, 3), (5, 8, 4)])
def test_a_separable_layer_starts_as_it_should(channels, out, kernel):
    x = torch.randn(1, channels, 64, 64)
    layer = GatedConvolution(channels, out, kernel, separable=True)
    assert layer.depthwise(x).std() == pytest.approx(1.0, rel=0.3)  # no activation follows
    options = {"initialization": "identity", "separable": True}
    layer = GatedConvolution(channels, out, kernel, stride=2 - kernel % 2, **options)
    smooth = F.interpolate(torch.randn(1, channels, 4, 4), size=32, mode="bilinear")
    seen = layer.depthwise(smooth)
    expected = smooth if kernel % 2 else F.avg_pool2d(smooth, 2)
    inner = (slice(None), slice(None), slice(2, -2), slice(2, -2))
    assert (seen - expected)[inner].abs().mean() < 0.2 * expected.std()
    middle = layer.convolution.weight[:out, :, 0, 0]
    torch.testing.assert_close(middle.T @ middle, torch.eye(channels), atol=0.5, rtol=0)
