"""Rounds with an eroded mask (V1)."""

import cv2
import numpy as np
import pytest
import torch

from lab.strategies import Direct, Repeated
from tests.strategies.networks import Recorder, box, noise


def test_the_documented_rounds():
    """Three passes; ``cv2.erode(mask, None, iterations=7)`` between; nothing pasted between."""
    image, mask = noise(64, 60), box(64, 60, (0, 50), (10, 55))
    network = Recorder(0.25, 0.5, 0.75)
    completed = Repeated(network)(image, mask)

    expected = mask[0, 0].numpy()
    for _, hole in network.seen:
        assert np.array_equal(hole[0, 0].numpy(), expected)
        expected = cv2.erode(expected, None, iterations=7)
    shown = [image for image, _ in network.seen]
    assert len(shown) == 3
    assert torch.equal(shown[0], image)
    assert (shown[1] == 0.25).all()
    assert (shown[2] == 0.5).all()
    assert torch.equal(completed, torch.where(mask > 0, 0.75, image))


def test_pasting_between_rounds_shows_the_photo_again():
    image, mask = noise(32, 32), box(32, 32, (4, 28), (4, 28))
    network = Recorder(0.25, 0.5)
    Repeated(network, rounds=2, erosion=3, paste_between=True)(image, mask)
    assert torch.equal(network.seen[1][0], torch.where(mask > 0, 0.25, image))


def test_an_inner_strategy_that_pastes_keeps_its_round_between_the_two_holes():
    image, mask = noise(32, 32), box(32, 32, (4, 28), (4, 28))
    completed = Repeated(Recorder(0.25, 0.5), inner=Direct, rounds=2, erosion=3)(image, mask)
    small = box(32, 32, (7, 25), (7, 25))
    expected = torch.where(small > 0, 0.5, torch.where(mask > 0, 0.25, image))
    assert torch.equal(completed, expected)


def test_ends_early_when_nothing_is_left_of_the_hole():
    image, mask = noise(32, 32), box(32, 32, (10, 20), (10, 20))
    network = Recorder(0.5)
    Repeated(network, rounds=9, erosion=3)(image, mask)
    assert [int(hole.sum()) for _, hole in network.seen] == [100, 16]


def test_every_round_is_reported():
    image, mask = noise(32, 32), box(32, 32, (10, 20), (10, 20))
    reports = []
    completed = Repeated(
        Recorder(0.25, 0.5),
        rounds=9,
        erosion=3,
        paste_between=True,
        on_round=lambda *report: reports.append(report),
    )(image, mask)
    assert [(number, int(hole.sum())) for number, hole, _ in reports] == [(1, 100), (2, 16)]
    assert torch.equal(reports[-1][2], completed)


def test_impossible_rounds_are_refused():
    with pytest.raises(ValueError, match="rounds is 0"):
        Repeated(Recorder(0.5), rounds=0)
    with pytest.raises(ValueError, match="erosion is -1"):
        Repeated(Recorder(0.5), erosion=-1)
