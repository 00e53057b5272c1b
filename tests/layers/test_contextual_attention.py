"""Contextual attention equals the published arithmetic, however few scores are held at a time."""

import pytest
import torch
import torch.nn.functional as F

from lab.layers import ContextualAttention, contextual_attention


def attend_as_published(features, mask, rate, sharpness, fusion):
    """The published arithmetic by convolutions with patches, and all scores as one image."""
    answers = []
    for one, hole in zip(features, mask, strict=True):
        thin = one[:, ::rate, ::rate]
        height, width = thin.shape[1:]
        around = F.pad(thin, (1, 1, 1, 1))
        kernels = torch.stack(
            [around[:, y : y + 3, x : x + 3] for y in range(height) for x in range(width)]
        )
        lengths = kernels.square().sum((1, 2, 3), keepdim=True).sqrt().clamp_min(1e-4)
        scores = F.conv2d(thin[None], kernels / lengths, padding=1)  # [1, L, h, w]
        if fusion is not None:
            for _ in range(2):  # row by row, then column by column
                flat = scores.reshape(1, 1, height * width, -1)
                flat = F.conv2d(flat, fusion, padding=1)
                scores = flat.view(1, height, width, height, width).permute(0, 2, 1, 4, 3)
                height, width = width, height
        scores = scores.reshape(1, height * width, height, width)
        factor = hole.shape[-1] // width
        patches = F.unfold(hole[None, :, ::factor, ::factor], 3, padding=1)
        known = (patches.mean(1) == 0).to(scores.dtype)[..., None, None]
        weights = F.softmax(scores * known * sharpness, dim=1) * known
        side = 2 * rate
        around = F.pad(one, (rate // 2,) * 4)
        pieces = torch.stack(
            [
                around[:, y * rate : y * rate + side, x * rate : x * rate + side]
                for y in range(height)
                for x in range(width)
            ]
        )
        answers.append(F.conv_transpose2d(weights, pieces, stride=rate, padding=rate // 2) / 4)
    return torch.cat(answers)


def some(height=12, width=16, factor=4):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, 5, height, width, generator=generator)
    mask = torch.zeros(2, 1, factor * height, factor * width)
    mask[0, :, 4 * factor : 8 * factor, : 6 * factor] = 1  # photos have holes of their own
    mask[1, :, : 3 * factor, 9 * factor :] = 1
    return features.requires_grad_(), mask


def with_fusion(layer, fusion):
    if fusion == "drawn":  # tells asking from answering, and before from after
        layer.fusion.copy_(torch.randn(1, 1, 3, 3, generator=torch.Generator().manual_seed(1)))
    return layer


@pytest.mark.parametrize("most", [1, 2 * 2 * 6 * 6 * 8, 1 << 22])
@pytest.mark.parametrize("fusion", ["none", "identity", "drawn"])
def test_it_equals_the_published_arithmetic(monkeypatch, most, fusion):
    # A column at a time, two at a time, and all of them.
    monkeypatch.setattr(contextual_attention, "_MOST_SCORES", most)
    layer = with_fusion(ContextualAttention(fuse=fusion != "none", sharpness=3.0), fusion)
    features, mask = some()
    kernel = layer.fusion if layer.fuse else None
    ours = layer(features, mask > 0)
    theirs = attend_as_published(features, mask, 2, 3.0, kernel)
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)
    assert theirs.std() > 0.05
    gradients = [torch.autograd.grad(a.square().sum(), features)[0] for a in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=1e-3, atol=1e-4)


@torch.no_grad()
def test_hidden_patches_are_never_pasted():
    features, mask = some()
    hole = F.interpolate(mask, features.shape[2:]) > 0
    marked = torch.where(hole, 100.0, features)
    assert ContextualAttention()(marked, mask > 0).abs().max() < 50
    assert bool((ContextualAttention()(features, torch.ones_like(mask) > 0) == 0).all())


@torch.no_grad()
def test_a_sharp_match_copies_the_patch_itself():
    features, mask = some()
    copied = ContextualAttention(sharpness=1e4)(features, torch.zeros_like(mask) > 0)
    # Four patches overlap, but at the border.
    torch.testing.assert_close(copied[..., 1:-1, 1:-1], features[..., 1:-1, 1:-1])


@torch.no_grad()
def test_aligned_corners_thin_out_from_the_first_to_the_last():
    layer = ContextualAttention(align_corners=True)
    rows = torch.arange(16.0).view(1, 1, 16, 1).expand(1, 1, 16, 4)
    thin = layer._thinned(rows, 4, 2)
    # 0, 5, 10, 15: steps of fifteen thirds, halves rounded up.
    assert thin[0, 0, :, 0].tolist() == [0, 5, 10, 15]
    features, mask = some()
    plain = ContextualAttention()(features, mask > 0)
    assert (layer(features, mask > 0) - plain).abs().max() > 1e-3


def test_scores_are_not_held_for_the_gradient(monkeypatch):
    monkeypatch.setattr(contextual_attention, "_MOST_SCORES", 1 << 16)
    largest = 0

    def note(tensor):
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    features = torch.randn(1, 2, 64, 64, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        answer = ContextualAttention()(features, torch.zeros(1, 1, 64, 64) > 0)
    assert 0 < largest <= 1 << 16  # all pairs would be 2 ** 20
    answer.sum().backward()
    assert features.grad.isfinite().all()


@pytest.mark.parametrize("rate", [0, 1, 3])
def test_it_states_its_rule(rate):
    with pytest.raises(ValueError, match=f"even and at least 2, not {rate}"):
        ContextualAttention(rate=rate)
