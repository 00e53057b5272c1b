"""Residual block of two mirrored 3x3 convolutions with instance normalization.

Kaiming He et al., "Deep Residual Learning for Image Recognition" (CVPR 2016), in the form of
Justin Johnson et al., "Perceptual Losses for Real-Time Style Transfer and Super-Resolution" (ECCV
2016), without a ReLU after the sum, which generators after it share.
"""

from torch import Tensor, nn
from torch.nn.utils.parametrizations import spectral_norm


class ResidualBlock(nn.Module):
    """``x + body(x)``: mirror, convolve, normalize, ReLU, mirror, convolve, normalize.

    Args:
        channels: of the input and the output.
        dilation: spacing of the first convolution's taps; its border mirrors as many pixels.
        spectral: whether both convolutions are divided by their largest singular value, and have
            no biases, as in EdgeConnect's edge generator.
    """

    def __init__(self, channels: int, dilation: int = 1, spectral: bool = False) -> None:
        super().__init__()
        convolutions = [
            nn.Conv2d(channels, channels, 3, dilation=spacing, bias=not spectral)
            for spacing in (dilation, 1)
        ]
        for convolution in convolutions:
            nn.init.normal_(convolution.weight, 0.0, 0.02)
            if convolution.bias is not None:
                nn.init.zeros_(convolution.bias)
        first, second = map(spectral_norm, convolutions) if spectral else convolutions
        self.body = nn.Sequential(
            nn.ReflectionPad2d(dilation),
            first,
            nn.InstanceNorm2d(channels),
            nn.ReLU(),
            nn.ReflectionPad2d(1),
            second,
            nn.InstanceNorm2d(channels),
        )

    def forward(self, x: Tensor) -> Tensor:
        """Map ``(B, channels, H, W)``, both sides above ``dilation``, to the same shape."""
        return x + self.body(x)
