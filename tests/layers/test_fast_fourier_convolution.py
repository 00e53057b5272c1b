"""Fast Fourier convolution is the paper's arithmetic, and one position reaches all others."""

import numpy as np
import pytest
import torch
from torch import nn

from lab.layers import FastFourierConvolution
from lab.layers.fast_fourier_convolution import FourierUnit


def drawn(layer):
    """The layer in eval mode, with running statistics that are not those of a new one."""
    generator = torch.Generator().manual_seed(0)
    for module in layer.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.running_mean, std=0.1, generator=generator)
            nn.init.uniform_(module.running_var, 0.5, 1.5, generator=generator)
    return layer.eval()


@pytest.mark.parametrize("size", [(6, 8), (5, 7)])
@torch.no_grad()
def test_the_unit_mixes_real_and_imaginary_parts_of_the_spectrum(size):
    torch.manual_seed(0)
    unit = drawn(FourierUnit(3))
    x = torch.randn(2, 3, *size)
    spectrum = np.fft.rfft2(x.numpy(), norm="ortho")
    parts = np.empty((2, 6, *spectrum.shape[2:]))
    parts[:, 0::2], parts[:, 1::2] = spectrum.real, spectrum.imag
    mixed = np.einsum("oi,bihw->bohw", unit.mixing.weight[:, :, 0, 0].numpy(), parts)
    mixed = unit.normalization(torch.from_numpy(mixed).float()).clamp(min=0).numpy()
    expected = np.fft.irfft2(mixed[:, 0::2] + 1j * mixed[:, 1::2], size, norm="ortho")
    np.testing.assert_allclose(unit(x).numpy(), expected, atol=1e-5)


def test_one_position_reaches_all_others_by_the_global_channels_alone():
    torch.manual_seed(0)
    layer = drawn(FastFourierConvolution(4, 4, 4, 4))
    nn.init.constant_(layer.global_to_global.normalization.bias, 5.0)  # no ReLU is closed
    local_part = torch.randn(1, 4, 16, 16, requires_grad=True)
    global_part = torch.randn(1, 4, 16, 16, requires_grad=True)
    _, answer = layer(local_part, global_part)
    (answer[0, :, 8, 8] ** 2).sum().backward()
    assert (global_part.grad[0].abs().amax(0) > 0).all()
    assert (local_part.grad[0].abs().amax(0) > 0).sum() == 9


@torch.no_grad()
def test_half_precision_leaves_the_spectrum_in_float32():
    torch.manual_seed(0)
    unit = drawn(FourierUnit(4))
    x = torch.rand(1, 4, 16, 16).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        found = unit(x)
    assert found.dtype == torch.float32
    assert torch.equal(found, unit(x.float()))


@torch.no_grad()
def test_a_split_halves_the_image_and_needs_no_global_channels():
    local_part, global_part = FastFourierConvolution(4, 0, 2, 6, stride=2)(torch.rand(2, 4, 8, 12))
    assert local_part.shape == (2, 2, 4, 6)
    assert global_part.shape == (2, 6, 4, 6)


def test_it_states_its_rules():
    with pytest.raises(ValueError, match="must be 1 where global channels enter, not 2"):
        FastFourierConvolution(4, 4, 4, 4, stride=2)
    with pytest.raises(ValueError, match="even number, not 3"):
        FastFourierConvolution(4, 4, 4, 3)
