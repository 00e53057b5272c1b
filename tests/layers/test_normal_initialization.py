"""First weights as of DCGAN: about 0 for convolutions, about 1 for scales, offsets 0."""

import torch
from torch import nn

from lab.layers import draw_normal_weights


def test_weights_are_drawn_and_offsets_are_zero():
    torch.manual_seed(0)
    convolution = nn.Conv2d(16, 64, 4)
    transposed = nn.ConvTranspose2d(64, 16, 4, bias=False)
    batch, instance = nn.BatchNorm2d(4096), nn.InstanceNorm2d(4096, affine=True)
    other = nn.Linear(4, 4)
    before = other.weight.clone()
    network = nn.Sequential(convolution, transposed, batch, nn.InstanceNorm2d(8), instance, other)
    draw_normal_weights(network, deviation=0.05)
    for layer, mean in ((convolution, 0), (transposed, 0), (batch, 1), (instance, 1)):
        assert abs(float(layer.weight.mean()) - mean) < 0.005
        assert abs(float(layer.weight.std()) - 0.05) < 0.005
        assert layer.bias is None or bool((layer.bias == 0).all())
    assert torch.equal(other.weight, before)
