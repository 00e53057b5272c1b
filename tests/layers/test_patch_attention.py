"""Patch attention against its arithmetic written out, in whole and in parts."""

import pytest
import torch

from lab.layers import PatchAttention, patch_attention

FORMS = ["mmagic", "generative_inpainting"]


def samples(height=6, width=10, channels=3, dtype=torch.float64):
    generator = torch.Generator().manual_seed(0)
    features = torch.randn(2, channels, height, width, generator=generator, dtype=dtype)
    hole = torch.zeros(2, 1, height // 2, width // 2, dtype=dtype)
    hole[0, :, :1, :2] = 1
    hole[1, :, 1:, 4:] = 1
    return 0.3 * features, hole


def written_out(features, hole, form):
    """One photo, with matrices of all pairs: a step to the neighbour is a permuted identity."""
    channels, (height, width) = len(features), hole.shape[-2:]
    places = [(row, column) for row in range(height) for column in range(width)]
    halved = torch.nn.functional.pad(features[:, ::2, ::2], (1, 1, 1, 1))
    whole = torch.nn.functional.pad(features, (1, 1, 1, 1))
    masks = torch.nn.functional.pad(hole[0], (1, 1, 1, 1))
    small = torch.stack([halved[:, r : r + 3, c : c + 3].flatten() for r, c in places])
    large = [whole[:, 2 * r : 2 * r + 4, 2 * c : 2 * c + 4] for r, c in places]
    known = torch.tensor([masks[r : r + 3, c : c + 3].sum() == 0 for r, c in places]).double()
    if form == "mmagic":
        lengths = small.norm(dim=1).clamp(min=1e-4)
    else:
        lengths = (small.square().sum(1) + 1e-4 * small.shape[1]).sqrt()
    scores = (small / lengths[:, None]) @ small.T  # [key, query]
    step = torch.eye(len(places), dtype=scores.dtype).roll(1, 1)
    step[-1] = 0  # from each place to the next, and from the last to none
    turn = torch.zeros_like(step)  # from reading order to columns
    for number, (row, column) in enumerate(places):
        turn[column * height + row, number] = 1
    for next_ in (step, turn.T @ step @ turn):
        scores = scores + next_ @ scores @ next_.T + next_.T @ scores @ next_
    if form == "mmagic":
        weights = (10 * scores).masked_fill(known[:, None] == 0, -float("inf")).softmax(0)
    else:
        weights = (10 * scores * known[:, None]).softmax(0) * known[:, None]
    answer = torch.zeros(channels, 2 * height + 2, 2 * width + 2, dtype=scores.dtype)
    overlapping = torch.zeros_like(answer)
    for query, (row, column) in enumerate(places):
        there = (slice(None), slice(2 * row, 2 * row + 4), slice(2 * column, 2 * column + 4))
        answer[there] += sum(weights[key, query] * large[key] for key in range(len(places)))
        overlapping[there] += 1
    counted = overlapping if form == "mmagic" else 4.0
    return (answer / counted)[:, 1:-1, 1:-1]


@pytest.mark.parametrize("form", FORMS)
@torch.no_grad()
def test_the_answer_is_the_published_arithmetics(form):
    features, hole = samples()
    expected = torch.stack(
        [written_out(*photo, form) for photo in zip(features, hole, strict=True)]
    )
    found = PatchAttention(form)(features, hole)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected.float(), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("rows", [1, 2])
def test_parts_of_all_pairs_give_the_whole_and_its_gradients(form, rows, monkeypatch):
    features, hole = samples(dtype=torch.float32)
    answers = []
    for most in (patch_attention._MOST_SCORES, rows * 5 * 15):
        monkeypatch.setattr(patch_attention, "_MOST_SCORES", most)
        leaf = features.clone().requires_grad_()
        answer = PatchAttention(form)(leaf, hole)
        answers.append((answer, *torch.autograd.grad(answer.square().sum(), leaf)))
    for whole, parts in zip(*answers, strict=True):
        torch.testing.assert_close(parts, whole, rtol=1e-4, atol=1e-5)


def test_training_keeps_nothing_the_size_of_all_pairs(monkeypatch):
    monkeypatch.setattr(patch_attention, "_MOST_SCORES", 24 * 24**2)  # a row at a time
    largest = 0

    def note(tensor):
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    features = torch.randn(1, 2, 48, 48, requires_grad=True)
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        PatchAttention("mmagic")(features, torch.zeros(1, 1, 24, 24))
    assert 0 < largest <= 4 * 2 * 48**2  # the pairs would be 24**4, eighteen times that


@pytest.mark.parametrize("form", FORMS)
def test_without_any_known_patch_the_answer_is_nothing(form):
    features = torch.randn(1, 4, 6, 8, requires_grad=True)
    answer = PatchAttention(form)(features, torch.ones(1, 1, 3, 4))
    assert torch.equal(answer, torch.zeros_like(answer))
    answer.sum().backward()
    assert features.grad.isfinite().all()


@torch.no_grad()
def test_a_hole_is_rebuilt_from_the_patches_around_it():
    # Stripes of period 4 on which the hole is not seen: it is another patch, a period away.
    stripes = (torch.arange(32.0) % 4 - 1.5).expand(1, 4, 32, 32).clone()
    hole = torch.zeros(1, 1, 16, 16)
    hole[..., 6:10, 6:10] = 1
    torch.testing.assert_close(
        PatchAttention("mmagic")(3 * stripes, hole)[..., 4:-4, 4:-4], 3 * stripes[..., 4:-4, 4:-4]
    )


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: PatchAttention("mmedit"), "no form of patch attention .* Did you mean 'mmagic'"),
        (
            lambda: PatchAttention("mmagic")(torch.ones(1, 2, 5, 4), torch.ones(1, 1, 2, 2)),
            "even sides",
        ),
        (
            lambda: PatchAttention("mmagic")(torch.ones(1, 2, 4, 4), torch.ones(1, 1, 4, 4)),
            "half of each",
        ),
    ],
)
def test_it_states_its_rules(call, message):
    with pytest.raises(ValueError, match=message):
        call()
