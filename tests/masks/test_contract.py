"""What every mask generator promises, over the table of them all."""

import random

import cv2
import numpy as np
import pytest
import torch

from lab.masks import MASK_GENERATORS

SIZES = [(256, 256), (32, 32), (481, 321), (33, 47), (32, 256), (256, 32), (17, 136)]


@pytest.fixture(params=MASK_GENERATORS)
def masks(request):
    return MASK_GENERATORS[request.param]()


@pytest.mark.parametrize(("height", "width"), SIZES)
def test_binary_float_mask_of_the_size_asked_for(masks, height, width):
    mask = masks(height, width, np.random.default_rng(0))
    assert mask.shape == (1, height, width)
    assert mask.dtype == torch.float32
    assert mask.unique().tolist() == [0.0, 1.0]


@pytest.mark.parametrize(("height", "width"), [(64, 64), (32, 32), (32, 256), (61, 17)])
def test_never_empty_and_never_full(masks, height, width):
    generator = np.random.default_rng(1)
    shares = [float(masks(height, width, generator).mean()) for _ in range(500)]
    assert 0 < min(shares)
    assert max(shares) < 1


def test_the_generator_alone_decides(masks):
    drawn = [masks(64, 96, np.random.default_rng(seed)) for seed in (5, 5, 6, 7, 8)]
    assert torch.equal(drawn[0], drawn[1])
    assert not all(torch.equal(drawn[0], other) for other in drawn[2:])


def test_successive_masks_differ(masks):
    generator = np.random.default_rng(2)
    drawn = [masks(64, 64, generator) for _ in range(10)]
    assert any(not torch.equal(drawn[0], other) for other in drawn[1:])


def test_global_random_state_is_left_alone(masks):
    def states_after(draw):
        cv2.setRNGSeed(3)
        draw()
        opencv = cv2.randu(np.zeros((4, 4), np.uint8), 0, 255).tolist()
        numpy = np.random.get_state()[1].tolist()
        return random.getstate(), numpy, torch.get_rng_state().tolist(), opencv

    untouched = states_after(lambda: None)
    assert states_after(lambda: masks(64, 64, np.random.default_rng(4))) == untouched
