"""No step in color at the rim of the hole."""

import pytest
import torch

from lab.contracts import Stages
from lab.strategies import Direct, Feathered
from tests.strategies.networks import box

HEIGHT, WIDTH = 60, 64


@pytest.fixture
def truth():
    """A ramp: what should continue into the hole."""
    return torch.linspace(0.2, 0.7, WIDTH).expand(1, 3, HEIGHT, WIDTH).clone()


@pytest.fixture
def mask():
    return box(HEIGHT, WIDTH, (15, 45), (20, 50))


def too_bright(truth):
    """A network that is right but for its color: 0.1 above everywhere."""
    return lambda image, mask: Stages((truth + 0.1,))


def test_the_step_at_the_rim_is_gone_and_fades_inside(truth, mask):
    off = (Feathered(too_bright(truth), width=8)(truth, mask) - truth)[0, 0, 30, 20:35]
    assert 0 < off[0] < 0.01  # was 0.1
    assert (off.diff() > -1e-6).all()
    torch.testing.assert_close(off[8:], torch.full((7,), 0.1))


def test_the_width_is_how_far_it_reaches(truth, mask):
    for width in (1, 3, 12):
        completed = Feathered(too_bright(truth), width=width)(truth, mask)
        changed = (completed - Direct(too_bright(truth))(truth, mask)).abs()[0, 0, 30] > 1e-6
        assert changed.nonzero().flatten().tolist() == [
            *range(20, 20 + width),
            *range(50 - width, 50),
        ]


def test_a_network_that_is_right_is_left_alone(truth, mask):
    completed = Feathered(lambda image, mask: Stages((truth,)))(truth, mask)
    torch.testing.assert_close(completed, truth, rtol=0, atol=1e-6)


def test_an_inner_strategy_that_pastes_is_left_alone(truth, mask):
    completed = Feathered(too_bright(truth), inner=Direct)(truth, mask)
    assert torch.equal(completed, Direct(too_bright(truth))(truth, mask))


def test_a_hole_over_everything_is_the_networks_answer(truth):
    completed = Feathered(too_bright(truth))(truth, torch.ones(1, 1, HEIGHT, WIDTH))
    torch.testing.assert_close(completed, truth + 0.1)


def test_no_width_is_refused():
    with pytest.raises(ValueError, match="width is 0"):
        Feathered(lambda image, mask: Stages((image,)), width=0)
