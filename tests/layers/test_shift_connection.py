"""A shift connection takes the most alike known features, as the plain arithmetic does."""

import pytest
import torch
import torch.nn.functional as F

from lab.layers import ShiftConnection, shift_connection


def features(height=6, width=7, count=2, channels=5):
    generator = torch.Generator().manual_seed(0)
    shape = (2, count, channels, height, width)
    decoder, encoder = torch.randn(shape, generator=generator)
    mask = torch.zeros(count, 1, height, width)
    mask[0, :, 1:4, 2:5] = 1
    mask[1:, :, 3:, :3] = 1
    return decoder, encoder, mask


def shift_plainly(decoder, encoder, mask):
    """One position after the other."""
    answer = torch.zeros_like(encoder)
    for photo, _, row, column in mask.nonzero().tolist():
        known = (mask[photo, 0] == 0).nonzero().tolist()
        wanted = decoder[photo, :, row, column]
        likeness = [F.cosine_similarity(wanted, encoder[photo, :, y, x], dim=0) for y, x in known]
        y, x = known[int(torch.stack(likeness).argmax())]
        answer[photo, :, row, column] = encoder[photo, :, y, x]
    return answer


def test_it_equals_the_plain_arithmetic():
    decoder, encoder, mask = features()
    expected = shift_plainly(decoder, encoder, mask)
    assert torch.equal(ShiftConnection()(decoder, encoder, mask), expected)
    assert bool((expected[mask.expand_as(expected) == 0] == 0).all())


@pytest.mark.parametrize("most", [1, 70])
def test_pieces_change_nothing(monkeypatch, most):
    decoder, encoder, mask = features()
    expected = ShiftConnection()(decoder, encoder, mask)
    monkeypatch.setattr(shift_connection, "_MOST_SIMILARITIES", most)
    assert torch.equal(ShiftConnection()(decoder, encoder, mask), expected)


def test_matches_are_by_direction_not_by_length():
    decoder, encoder, mask = features()
    encoder = F.normalize(encoder, dim=1)
    lengths = torch.rand(2, 1, 6, 7, generator=torch.Generator().manual_seed(1)) + 0.1
    plain = ShiftConnection()(decoder, encoder, mask)
    scaled = ShiftConnection()(3.0 * decoder, lengths * encoder, mask)
    torch.testing.assert_close(F.normalize(scaled, dim=1), plain)


def test_features_of_zeros_are_like_none_and_give_no_nan():
    decoder, encoder, mask = features()
    encoder = encoder.abs()
    decoder = decoder.abs()
    encoder[:, :, 0] = 0.0
    decoder[0, :, 1, 2] = 0.0
    encoder.requires_grad_()
    answer = ShiftConnection()(decoder, encoder, mask)
    assert bool(answer.isfinite().all())
    # Whatever is wanted at all is more like something than like nothing.
    assert bool((answer.abs().sum(1, keepdim=True)[mask > 0] > 0)[1:].all())
    answer.sum().backward()
    assert bool(encoder.grad.isfinite().all())


def test_gradients_reach_what_was_taken_and_not_the_choice():
    decoder, encoder, mask = features()
    decoder.requires_grad_()
    encoder.requires_grad_()
    answer = ShiftConnection()(decoder, encoder, mask)
    assert not torch.autograd.grad(
        answer.sum(), decoder, retain_graph=True, allow_unused=True, materialize_grads=True
    )[0].any()
    answer.sum().backward()
    # Each position of the hole adds 1 to every channel of the one that it took.
    assert encoder.grad.sum() == mask.sum() * encoder.shape[1]
    assert bool((encoder.grad[mask.expand_as(encoder) > 0] == 0).all())


@pytest.mark.parametrize("hole", [0.0, 1.0])
def test_without_a_hole_or_without_a_photo_nothing_is_taken(hole):
    decoder, encoder, mask = features()
    assert not ShiftConnection()(decoder, encoder, torch.full_like(mask, hole)).any()


def test_under_autocast_matches_are_chosen_in_full_precision():
    decoder, encoder, mask = features(channels=64)
    encoder[:, :, 0, 1] = encoder[:, :, 0, 0] * 0.999 + 0.001
    expected = ShiftConnection()(decoder, encoder, mask)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(ShiftConnection()(decoder, encoder, mask), expected)


def test_thin_holes_vanish_as_published_and_stay_where_any_pixel_counts():
    mask = torch.zeros(1, 1, 32, 48)
    mask[..., 5, :] = 1  # a line
    mask[..., 16:24, 8:16] = 1  # a cell
    nearest = ShiftConnection("nearest").reduce(mask, 4, 6)
    assert nearest.nonzero()[:, 2:].tolist() == [[2, 1]]
    reduced = ShiftConnection("any").reduce(mask, 4, 6)
    assert reduced.nonzero()[:, 2:].tolist() == [[0, column] for column in range(6)] + [[2, 1]]
    for whole in (torch.zeros_like(mask), torch.ones_like(mask)):
        for kept in ("nearest", "any"):
            assert torch.equal(ShiftConnection(kept).reduce(whole, 4, 6), whole[..., :4, :6])


def test_another_reduction_is_refused():
    with pytest.raises(ValueError, match="no mask reduction is called 'area'"):
        ShiftConnection("area")
