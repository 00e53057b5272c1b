"""Fast Fourier convolution: part of the channels see the whole image at once.

Lu Chi, Borui Jiang, Yadong Mu, "Fast Fourier Convolution" (NeurIPS 2020), in the form that LaMa
uses: Roman Suvorov et al., "Resolution-robust Large Mask Inpainting with Fourier Convolutions"
(WACV 2022), section 2.1, without the local Fourier unit.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class FourierUnit(nn.Module):
    """A 1x1 convolution of the image's spectrum: every answer depends on every position.

    Real and imaginary parts are channels, ``(channel, part)``. All of it is computed in float32,
    under autocast too: transforms know no bfloat16, and one mean dwarfs the other frequencies.

    Args:
        channels: of the input and the output.
    """

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.mixing = nn.Conv2d(2 * channels, 2 * channels, 1, bias=False)
        self.normalization = nn.BatchNorm2d(2 * channels)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (B, channels, H, W)`` to the same shape, float32."""
        with torch.autocast(x.device.type, enabled=False):
            spectrum = torch.view_as_real(torch.fft.rfft2(x.float(), norm="ortho"))
            parts = spectrum.movedim(-1, 2).flatten(1, 2)  # (B, 2 * channels, H, W // 2 + 1)
            parts = F.relu(self.normalization(self.mixing(parts)))
            spectrum = parts.unflatten(1, (-1, 2)).movedim(2, -1).contiguous()
            return torch.fft.irfft2(torch.view_as_complex(spectrum), x.shape[-2:], norm="ortho")


class SpectralTransform(nn.Module):
    """The path from global to global channels: a :class:`FourierUnit` at half the channels.

    Args:
        in_channels: of the input.
        out_channels: of the output, an even number.
    """

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        half = out_channels // 2
        self.entry = nn.Conv2d(in_channels, half, 1, bias=False)
        self.normalization = nn.BatchNorm2d(half)
        self.unit = FourierUnit(half)
        self.output = nn.Conv2d(half, out_channels, 1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """Map ``x (B, in_channels, H, W)`` to ``(B, out_channels, H, W)``."""
        x = F.relu(self.normalization(self.entry(x)))
        return self.output(x + self.unit(x))


class FastFourierConvolution(nn.Module):
    """A 3x3 convolution of local and global channels, each normalized by the batch, then ReLU.

    Local channels come from both by 3x3 convolutions with reflected borders; global ones from the
    local by such a convolution, from the global by a :class:`SpectralTransform`.

    Args:
        in_local: local channels of the input.
        in_global: global channels of the input; 0 where the image is not split yet.
        out_local: local channels of the output.
        out_global: global channels of the output, an even number.
        stride: step of the kernels; 1 where the input has global channels.

    Raises:
        ValueError: a stride other than 1 with global channels, or an odd number of ``out_global``.
    """

    def __init__(
        self, in_local: int, in_global: int, out_local: int, out_global: int, stride: int = 1
    ) -> None:
        super().__init__()
        if in_global and stride != 1:
            raise ValueError(f"stride must be 1 where global channels enter, not {stride}")
        if out_global % 2:
            raise ValueError(f"out_global must be an even number, not {out_global}")
        self.local_to_local = _reflected(in_local, out_local, stride)
        self.local_to_global = _reflected(in_local, out_global, stride)
        self.global_to_local = _reflected(in_global, out_local) if in_global else None
        self.global_to_global = SpectralTransform(in_global, out_global) if in_global else None
        self.local_normalization = nn.BatchNorm2d(out_local)
        self.global_normalization = nn.BatchNorm2d(out_global)

    def forward(
        self, local_part: Tensor, global_part: Tensor | None = None
    ) -> tuple[Tensor, Tensor]:
        """Convolve ``(B, in_local, H, W)`` and ``(B, in_global, H, W)``, H and W at least 2.

        Returns:
            tuple[Tensor, Tensor]: the local channels and the global ones.
        """
        to_local = self.local_to_local(local_part)
        to_global = self.local_to_global(local_part)
        if self.global_to_local is not None and self.global_to_global is not None:
            to_local = to_local + self.global_to_local(global_part)
            to_global = to_global + self.global_to_global(global_part)
        return (
            F.relu(self.local_normalization(to_local)),
            F.relu(self.global_normalization(to_global)),
        )


def _reflected(in_channels: int, out_channels: int, stride: int = 1) -> nn.Conv2d:
    return nn.Conv2d(
        in_channels, out_channels, 3, stride, padding=1, padding_mode="reflect", bias=False
    )
