"""What the network that chooses among fills can put into a hole, and what it cannot."""

import pytest
import torch

from lab.fills import SMOOTH_FILLS, patch_match_fill, smooth_fills
from lab.networks import FillSelector
from lab.networks.registry import NETWORKS


def a_photo_with_a_hole():
    photo = torch.rand(2, 3, 40, 44)
    mask = torch.zeros(2, 1, 40, 44)
    mask[0, :, 8:24, 10:30] = 1
    mask[1, :, 20:36, 4:16] = 1
    return photo, mask


def trained_to(network, photo, mask, truth, steps=30):
    """What the network answers once it was pressed hard for such a hole."""
    optimizer = torch.optim.Adam(network.parameters(), 0.01)
    for _ in range(steps):
        loss = (mask * (network(photo, mask).images[-1] - truth).abs()).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    return network(photo, mask).images[-1].detach()


def all_fills(photo, mask):
    hole = mask > 0.5
    fills = (smooth_fills(2.0 * photo - 1.0, hole) + 1.0) / 2.0
    return torch.cat((fills, patch_match_fill(photo, hole)[:, None]), dim=1)


def test_one_that_only_chooses_leaves_no_colour_that_no_fill_has():
    photo, mask = a_photo_with_a_hole()
    fills = all_fills(photo, mask)
    colour = torch.tensor([1.0, 0.0, 1.0]).view(1, 3, 1, 1)
    chosen = trained_to(FillSelector(width=8, dilations=(1,), corrects=False), photo, mask, colour)
    assert (chosen >= fills.amin(dim=1) - 1e-5).all()
    assert (chosen <= fills.amax(dim=1) + 1e-5).all()
    corrected = trained_to(FillSelector(width=8, dilations=(1,)), photo, mask, colour)
    outside = (corrected > fills.amax(dim=1) + 0.02) | (corrected < fills.amin(dim=1) - 0.02)
    assert (outside & (mask > 0.5)).any()


def test_places_choose_apart_also_after_all_were_driven_to_one_fill():
    """The truth is the copy at first, then only left of the hole's middle; right of it, smooth."""
    photo, mask = a_photo_with_a_hole()
    fills = all_fills(photo, mask)
    copy, smooth = fills[:, -1], fills[:, SMOOTH_FILLS.index("across")]
    truth = torch.where(torch.arange(44) < 20, copy, smooth)
    network = FillSelector(width=16, dilations=(1, 2), corrects=False)
    trained_to(network, photo, mask, copy, steps=80)
    answer = trained_to(network, photo, mask, truth, steps=60)
    best_alike = min(
        ((share * copy + (1 - share) * smooth - truth).abs() * mask).sum()
        for share in torch.linspace(0, 1, 11)
    )
    assert ((answer - truth).abs() * mask).sum() < 0.5 * best_alike


def test_one_that_only_chooses_begins_between_a_copy_and_a_smooth_fill():
    photo, mask = a_photo_with_a_hole()
    fills = all_fills(photo, mask)
    half = (fills[:, SMOOTH_FILLS.index("across")] + fills[:, -1]) / 2
    chooses = FillSelector(width=8, dilations=(1,), corrects=False)(photo, mask).images[-1]
    assert (chooses - half).abs().max() < 0.1
    assert torch.allclose(torch.where(mask > 0.5, photo, chooses), photo, atol=1e-6)


@pytest.mark.parametrize("side", [1, 2, 4, 5])
def test_a_photo_of_few_pixels(side):
    photo, mask = torch.rand(1, 3, side, side), torch.ones(1, 1, side, side)
    answer = FillSelector(width=8, dilations=(1,), corrects=False)(photo, mask).images[-1]
    assert answer.shape == photo.shape
    assert answer.isfinite().all()


def test_weights_of_one_are_not_taken_for_the_other():
    built = NETWORKS["FillSelector"].build(width=8, dilations=(1,), corrects=False)
    names = set(built.state_dict())
    assert not any(name.startswith(("correction", "drawing", "enlarging")) for name in names)
    assert built.last_layer is built.choice
    with pytest.raises(RuntimeError, match="Missing key"):
        FillSelector(width=8, dilations=(1,)).load_state_dict(built.state_dict())


@pytest.mark.parametrize("corrects", [False, True])
def test_what_was_chosen_adds_up_to_the_answer(corrects):
    photo, mask = a_photo_with_a_hole()
    network = FillSelector(width=8, dilations=(1,), corrects=corrects)
    answer = trained_to(network, photo, mask, torch.zeros(3, 1, 1), steps=5)
    with torch.no_grad():
        choice = network.choose(photo, mask)
    fills = all_fills(photo, mask)
    assert choice.shares.shape == (2, len(network.fills), 40, 44)
    assert torch.allclose(choice.shares.sum(dim=1), torch.ones(2, 40, 44))
    assert torch.allclose((choice.fills + 1) / 2, fills, atol=1e-6)
    added = (2 * answer - 1 - choice.mixture) * mask
    expected = mask * choice.correction if corrects else torch.zeros_like(added)
    inside = ((answer > 0) & (answer < 1)).float()
    assert torch.allclose(added * inside, expected * inside, atol=1e-5)
    assert (choice.correction is not None) == corrects
