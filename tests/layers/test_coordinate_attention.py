"""Coordinate attention, against the paper's equations taken pixel by pixel."""

import torch
import torch.nn.functional as F

from lab.layers import CoordinateAttention


def by_the_paper(layer, x):
    """Equations 4 to 8 of the paper: z^h, z^w, f, g^h, g^w, and their product, written out."""
    convolve, normalize = layer.shared[0], layer.shared[1]

    def squeeze(strip):  # [C] -> [C / r]
        between = convolve.weight[:, :, 0, 0] @ strip
        scale = normalize.weight / (normalize.running_var + normalize.eps).sqrt()
        between = (between - normalize.running_mean) * scale + normalize.bias
        return between * F.relu6(between + 3) / 6

    def weigh(convolution, strip):
        return torch.sigmoid(convolution.weight[:, :, 0, 0] @ squeeze(strip) + convolution.bias)

    answer = torch.empty_like(x)
    for one in range(x.shape[0]):
        for row in range(x.shape[2]):
            for column in range(x.shape[3]):
                of_row = weigh(layer.row_weights, x[one, :, row, :].mean(1))
                of_column = weigh(layer.column_weights, x[one, :, :, column].mean(1))
                answer[one, :, row, column] = x[one, :, row, column] * of_row * of_column
    return answer


def drawn(layer):
    torch.manual_seed(0)
    for tensor in layer.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(
                torch.rand_like(tensor) + 0.1 if tensor.ndim < 2 else torch.randn_like(tensor)
            )
    return layer.eval()


@torch.no_grad()
def test_it_is_the_papers():
    layer = drawn(CoordinateAttention(6))
    x = torch.randn(2, 6, 4, 5)
    torch.testing.assert_close(layer(x), by_the_paper(layer, x))


@torch.no_grad()
def test_another_number_of_channels_is_a_projection_of_the_same():
    layer = drawn(CoordinateAttention(6, out_channels=3))
    x = torch.randn(2, 6, 4, 5)
    projected = F.conv2d(by_the_paper(layer, x), layer.projection.weight)
    torch.testing.assert_close(layer(x), projected)


def test_the_channels_between_are_a_thirtysecond_but_at_least_eight():
    widths = [CoordinateAttention(channels).row_weights.in_channels for channels in (16, 256, 512)]
    assert widths == [8, 8, 16]


def test_a_gradient_reaches_every_parameter():
    layer = CoordinateAttention(6, out_channels=3)
    layer(torch.randn(2, 6, 4, 5)).square().sum().backward()
    for name, parameter in layer.named_parameters():
        assert parameter.grad.abs().max() > 0, name
