"""The yardstick: InpaintSANet and its discriminator in the plain form, under the published names.

Two separate convolutions a gated layer, explicit softmax attention, float32, contiguous memory.
Written from the architecture's description for two uses: the speed benchmark, and the test that
the fast form gives the same outputs. Images here are in [-1, 1] as in the published code.
"""

import torch
import torch.nn.functional as F
from torch import nn
from torch.nn.utils.parametrizations import spectral_norm


class PlainGatedConvolution(nn.Module):
    def __init__(self, inputs, outputs, kernel, stride=1, dilation=1, activation=True):
        super().__init__()
        padding = (dilation * (kernel - 1) + 2 - stride) // 2
        self.conv2d = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation)
        self.mask_conv2d = nn.Conv2d(inputs, outputs, kernel, stride, padding, dilation)
        self.batch_norm2d = nn.BatchNorm2d(outputs)
        self.activation = nn.LeakyReLU(0.2) if activation else nn.Identity()

    def forward(self, x):
        return self.batch_norm2d(
            self.activation(self.conv2d(x)) * torch.sigmoid(self.mask_conv2d(x))
        )


class PlainUpsampling(nn.Module):
    def __init__(self, inputs, outputs):
        super().__init__()
        self.conv2d = PlainGatedConvolution(inputs, outputs, 3)

    def forward(self, x):
        return self.conv2d(F.interpolate(x, scale_factor=2))


class PlainAttention(nn.Module):
    def __init__(self, channels):
        super().__init__()
        self.query_conv = nn.Conv2d(channels, channels // 8, 1)
        self.key_conv = nn.Conv2d(channels, channels // 8, 1)
        self.value_conv = nn.Conv2d(channels, channels, 1)
        self.gamma = nn.Parameter(torch.zeros(1))

    def forward(self, x):
        query = self.query_conv(x).flatten(2).transpose(1, 2)
        energy = torch.bmm(query, self.key_conv(x).flatten(2))
        attention = torch.softmax(energy, dim=-1)
        out = torch.bmm(self.value_conv(x).flatten(2), attention.transpose(1, 2))
        return self.gamma * out.view_as(x) + x


def _decoder(width):
    return [
        PlainGatedConvolution(4 * width, 4 * width, 3),
        PlainGatedConvolution(4 * width, 4 * width, 3),
        PlainUpsampling(4 * width, 2 * width),
        PlainGatedConvolution(2 * width, 2 * width, 3),
        PlainUpsampling(2 * width, width),
        PlainGatedConvolution(width, width // 2, 3),
        PlainGatedConvolution(width // 2, 3, 3, activation=False),
    ]


class PlainInpaintSANet(nn.Module):
    def __init__(self, width=32, channels=5):
        super().__init__()
        deep = 4 * width
        self.coarse_net = nn.Sequential(
            PlainGatedConvolution(channels, width, 5),
            PlainGatedConvolution(width, 2 * width, 4, 2),
            PlainGatedConvolution(2 * width, 2 * width, 3),
            PlainGatedConvolution(2 * width, deep, 4, 2),
            PlainGatedConvolution(deep, deep, 3),
            PlainGatedConvolution(deep, deep, 3),
            *(PlainGatedConvolution(deep, deep, 3, dilation=d) for d in (2, 4, 8, 16)),
            *_decoder(width),
        )
        self.refine_conv_net = nn.Sequential(
            PlainGatedConvolution(channels, width, 5),
            PlainGatedConvolution(width, width, 4, 2),
            PlainGatedConvolution(width, 2 * width, 3),
            PlainGatedConvolution(2 * width, 2 * width, 4, 2),
            PlainGatedConvolution(2 * width, deep, 3),
            PlainGatedConvolution(deep, deep, 3),
            PlainGatedConvolution(deep, deep, 3),
            *(PlainGatedConvolution(deep, deep, 3, dilation=d) for d in (2, 4, 8, 16)),
        )
        self.refine_attn = PlainAttention(deep)
        self.refine_upsample_net = nn.Sequential(*_decoder(width))
        self.channels = channels

    def forward(self, image, mask):
        extra = [mask, torch.ones_like(mask)][: self.channels - 3]
        masked = image * (1 - mask) + mask
        coarse = self.coarse_net(torch.cat([masked, *extra], 1)).clamp(-1, 1)
        masked = image * (1 - mask) + coarse * mask
        features = self.refine_attn(self.refine_conv_net(torch.cat([masked, *extra], 1)))
        return coarse, self.refine_upsample_net(features).clamp(-1, 1)


class PlainPatchDiscriminator(nn.Module):
    def __init__(self, width=64, depth=6):
        super().__init__()
        layers, inputs = [], 5
        for outputs in [width * f for f in (1, 2, 4, 4, 4, 4)[:depth]]:
            layers += [self._block(inputs, outputs)]
            inputs = outputs
        self.discriminator_net = nn.Sequential(
            *layers, PlainAttention(inputs), self._block(inputs, inputs)
        )

    @staticmethod
    def _block(inputs, outputs):
        return nn.Sequential(spectral_norm(nn.Conv2d(inputs, outputs, 4, 2, 1)), nn.LeakyReLU(0.2))

    def forward(self, image, mask):
        x = torch.cat([image, mask, torch.ones_like(mask)], 1)
        return self.discriminator_net(x).flatten(1)
