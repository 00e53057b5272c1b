"""Networks in the plain form: as published, each layer in the most direct way.

Features and gates by two convolutions; attention by the scores of all positions, which are held at
once; masks of partial convolutions with all their channels, counted by convolutions with ones;
doubling by zeros between the pixels and a filter; float32, contiguous memory. The layers hold the
weights of those that they stand for, and answer the same. Batches of one photo.
"""

import copy

import torch
import torch.nn.functional as F
from torch import nn

from lab.layers import (
    ContextualAttention,
    GatedConvolution,
    PartialConvolution,
    PatchAttention,
    SelfAttention,
)
from lab.layers.binomial_resampling import halve
from lab.layers.separable_convolution import SeparableConvolution, scaled_leaky_relu
from lab.networks import PartialConvolutionUNet
from lab.networks.rfr import KnowledgeConsistentAttention

ACTIVATIONS = {
    "leaky_relu": lambda x: F.leaky_relu(x, 0.2),
    "elu": F.elu,
    "relu": F.relu,
    "none": lambda x: x,
}


class PlainLayer(nn.Module):
    """Stands for a layer of ours, and has its parts under the same names."""

    def __init__(self, layer):
        super().__init__()
        self.__dict__.update(layer.__dict__)


class PlainGatedConvolution(PlainLayer):
    def __init__(self, layer):
        super().__init__(layer)
        assert layer.gate == "sigmoid"
        assert layer.depthwise is None
        assert not layer.at_the_end
        whole = layer.convolution
        self.halves = nn.ModuleList()
        for weight, bias in zip(whole.weight.chunk(2), whole.bias.chunk(2), strict=True):
            half = nn.Conv2d(
                whole.in_channels,
                whole.out_channels // 2,
                whole.kernel_size,
                whole.stride,
                whole.padding,
                whole.dilation,
            )
            half.load_state_dict({"weight": weight, "bias": bias})
            self.halves.append(half)

    def forward(self, x):
        if self.upsample:
            x = F.interpolate(x, scale_factor=2)
        feature, gate = self.halves
        activated = ACTIVATIONS[self.activation](feature(x))
        return self.normalization(activated * torch.sigmoid(gate(x)))


class PlainSelfAttention(PlainLayer):
    def forward(self, x):
        query = self.query(x).flatten(2).transpose(1, 2)
        attention = torch.softmax(torch.bmm(query, self.key(x).flatten(2)), dim=-1)
        answer = torch.bmm(self.value(x).flatten(2), attention.transpose(1, 2))
        return self.gamma * answer.view_as(x) + x


def fused(scores, height, width):
    """Scores ``(L, L)`` and their neighbours', along rows, then along columns, of both patches."""
    kernel = torch.eye(3)[None, None]
    scores = F.conv2d(scores[None, None], kernel, padding=1)
    by_column = scores.view(height, width, height, width).permute(1, 0, 3, 2)
    scores = F.conv2d(by_column.reshape(1, 1, *scores.shape[2:]), kernel, padding=1)
    by_row = scores.view(width, height, width, height).permute(1, 0, 3, 2)
    return by_row.reshape(scores.shape[2:])


class PlainContextualAttention(PlainLayer):
    def forward(self, features, hole):
        rate = self.rate
        height, width = (side // rate for side in features.shape[2:])
        thin = features[..., ::rate, ::rate]
        patches = F.unfold(thin, 3, padding=1)[0]  # [9 * C, L]
        thin_hole = hole.float()[..., :: hole.shape[2] // height, :: hole.shape[3] // width]
        known = F.unfold(thin_hole, 3, padding=1)[0].sum(0) == 0
        scores = patches.T @ (patches / patches.norm(dim=0).clamp_min(1e-4))
        weights = torch.softmax(fused(scores, height, width) * known * self.sharpness, 1) * known
        laid_out = {"kernel_size": 2 * rate, "padding": rate // 2, "stride": rate}
        pieces = F.unfold(features, **laid_out)[0]
        return F.fold((pieces @ weights.T)[None], features.shape[2:], **laid_out) / 4


class PlainPatchAttention(PlainLayer):
    def forward(self, features, hole):
        assert self.form == "generative_inpainting"
        height, width = hole.shape[2:]
        patches = F.unfold(features[..., ::2, ::2], 3, padding=1)[0]
        known = F.unfold(hole, 3, padding=1)[0].sum(0) == 0
        scores = patches.T @ (patches / (patches.square() + 1e-4).sum(0).sqrt())
        weights = torch.softmax(fused(scores, height, width) * known * self.scale, 1) * known
        laid_out = {"kernel_size": 4, "padding": 1, "stride": 2}
        pieces = F.unfold(features, **laid_out)[0]
        return F.fold((pieces @ weights.T)[None], features.shape[2:], **laid_out) / 4


class PlainPartialConvolution(PlainLayer):
    """Published by MMagic and naoto0804 with a mask of all channels, in RFR with one plane."""

    def __init__(self, layer, all_channels):
        super().__init__(layer)
        self.all_channels = all_channels
        shape = layer.weight.shape if all_channels else (1, 1, *layer.kernel_size)
        self.ones = torch.ones(shape)

    def forward(self, features, valid):
        if self.all_channels:
            valid = valid.expand_as(features)
        known = F.conv2d(valid, self.ones, None, self.stride, self.padding)
        scale = self.ones[0].numel() / (known + 1e-8)
        updated = known.clamp(0, 1)
        scale = scale * updated
        answer = F.conv2d(features * valid, self.weight, None, self.stride, self.padding) * scale
        if self.bias is not None:
            answer = answer + self.bias[:, None, None] * updated
        return answer, updated


class PlainKnowledgeConsistentAttention(PlainLayer):
    """Holds the mixed scores of the round before."""

    def forward(self, features, valid, past):
        height, width = features.shape[2:]
        positions = features[0].flatten(1)  # [C, N]
        keys = positions + 1e-7
        keys = keys / keys.square().sum(0).sqrt()
        products = (keys.T @ positions).view(1, -1, height, width)
        energies = 9 * F.avg_pool2d(products, 3, 1, 1)
        scores = torch.softmax(energies, dim=1)[0].flatten(1)  # [N keys, N queries]
        known = F.interpolate(valid, (height, width)).flatten()
        if past:
            before, known_before = past[-1]
            ratio = self.ratio.abs() + 1e-7
            scores = (before * known_before + scores * ratio) / (known_before + ratio)
        past.append((scores, known))
        attended = (keys @ scores).view_as(features)
        return self.combiner(torch.cat([attended, features], dim=1))


class PlainSeparableConvolution(PlainLayer):
    def forward(self, x):
        x = scaled_leaky_relu(self.depthwise(x))
        if self.resampling == "halve":
            x = halve(x)
        x = self.pointwise(x)
        if self.resampling == "double":
            row = torch.tensor([1.0, 3.0, 3.0, 1.0]) / 4
            kernel = (row[:, None] * row).repeat(x.shape[1], 1, 1, 1)
            apart = x.new_zeros(*x.shape[:2], 2 * x.shape[2], 2 * x.shape[3])
            apart[..., ::2, ::2] = x
            x = F.conv2d(F.pad(apart, (2, 1, 2, 1)), kernel, groups=x.shape[1])
        if self.has_noise:
            x = x + self.noise * self.noise_strength
        return scaled_leaky_relu(x)


def plain_form(network):
    """The network in the plain form: of many only the memory's layout is another."""
    plain = copy.deepcopy(network)
    all_channels = isinstance(network, PartialConvolutionUNet)
    for name, layer in list(plain.named_modules()):
        if isinstance(layer, PartialConvolution):
            stand_in = PlainPartialConvolution(layer, all_channels or layer.multi_channel)
        elif type(layer) in PLAIN:
            stand_in = PLAIN[type(layer)](layer)
        else:
            continue
        plain.set_submodule(name, stand_in)
    for layer in plain.modules():
        if isinstance(layer, nn.Conv2d | nn.ConvTranspose2d):
            layer.register_forward_pre_hook(lambda _, given: (given[0].contiguous(),))
    return plain


PLAIN = {
    GatedConvolution: PlainGatedConvolution,
    SelfAttention: PlainSelfAttention,
    ContextualAttention: PlainContextualAttention,
    PatchAttention: PlainPatchAttention,
    KnowledgeConsistentAttention: PlainKnowledgeConsistentAttention,
    SeparableConvolution: PlainSeparableConvolution,
}
