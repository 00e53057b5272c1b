"""Every strategy, and every one in another, shows a network the guides of the pixels it sees."""

from itertools import product

import pytest
import torch
from torch import nn

from lab.checks import UserError
from lab.contracts import Stages
from lab.guides import GUIDES
from lab.strategies import METHODS, STRATEGIES, Repeated
from tests.guides.photos import ramp

WRAPPERS = [name for name in STRATEGIES if name not in METHODS and name != "direct"]
NESTED = [f"{outer} of {inner}" for outer, inner in product(WRAPPERS, ["direct", *WRAPPERS])]
HEIGHT, WIDTH = 48, 44


class Painter(nn.Module):
    """Paints its guide, after comparing it with every known pixel of the photo, which it equals."""

    guides = ("noise",)

    def __init__(self, tolerance):
        super().__init__()
        self.tolerance = tolerance
        self.calls = 0

    def forward(self, image, mask, guides):
        assert list(guides) == ["noise"]
        self.calls += 1
        difference = torch.where(mask > 0, 0.0, (image - guides["noise"]).abs())
        assert difference.max() <= self.tolerance
        return Stages((guides["noise"].expand_as(image),))


class Witness(nn.Module):
    """Keeps the guides and masks that it is shown, and paints gray."""

    guides = ("edges", "sketch")

    def __init__(self):
        super().__init__()
        self.seen = []

    def forward(self, image, mask, guides):
        self.seen.append((mask, *(guides[name] for name in self.guides)))
        return Stages((torch.full_like(image, 0.5),))


def built(name, network):
    outer, _, inner = name.partition(" of ")
    if not inner:
        return STRATEGIES[outer](network)
    return STRATEGIES[outer](network, inner=STRATEGIES[inner])


def samples():
    """Three photos, each its own guide: a hole at the border, none, and a small one."""
    guide = ramp(3, HEIGHT, WIDTH)
    mask = torch.zeros(3, 1, HEIGHT, WIDTH)
    mask[0, :, 12:40, :20] = 1
    mask[2, :, 30:35, 25:32] = 1
    return guide.expand(3, 3, HEIGHT, WIDTH).contiguous(), mask, guide


@pytest.mark.parametrize("name", [*WRAPPERS, "direct", *NESTED])
def test_a_network_sees_the_guide_of_its_own_pixels(name):
    image, mask, guide = samples()
    factor = 2 ** name.count("upscaled")
    # Shrinking by two compares a block's mean with its first pixel, half a row away.
    tolerance = 1e-5 if factor == 1 else factor / HEIGHT
    network = Painter(tolerance)
    completed = built(name, network)(image, mask, {"noise": guide})
    assert network.calls
    # What it paints lands where the guide lay: the photo is whole again.
    assert (completed - image).abs().max() <= (1e-5 if factor == 1 else 3 * tolerance)


@pytest.mark.parametrize("name", [*WRAPPERS, "direct", *NESTED])
def test_a_guide_is_shown_where_its_rule_says_and_nowhere_else(name):
    image, mask, _ = samples()
    everywhere = torch.ones(3, 1, HEIGHT, WIDTH)
    network = Witness()
    built(name, network)(image, mask, {"edges": everywhere, "sketch": everywhere})
    for hole, edges, sketch in network.seen:
        assert not (edges * hole).any()
        assert not (sketch * (1 - hole)).any()
    hole, edges, sketch = network.seen[0]
    # A block that the border crosses is known, and has the edges of its known pixels.
    assert torch.equal(edges, 1 - hole)
    assert torch.equal(sketch, hole)


def test_repeated_never_shows_the_edges_that_lay_under_the_photos_own_hole():
    image, mask, _ = samples()
    everywhere = torch.ones(3, 1, HEIGHT, WIDTH)
    network = Witness()
    Repeated(network, rounds=3, erosion=2)(image, mask, {"edges": everywhere, "sketch": everywhere})
    first, *later = network.seen
    assert later
    for hole, edges, _ in later:
        assert hole.sum() < first[0].sum()
        assert edges.sum() <= first[1].sum()


@pytest.mark.parametrize("name", [*WRAPPERS, "direct"])
def test_guides_that_a_network_does_not_read_change_nothing(name):
    image, mask, guide = samples()

    def two_arguments(image, mask):
        return Stages((torch.where(mask > 0, 0.25, image),))

    strategy = built(name, two_arguments)
    assert torch.equal(strategy(image, mask, {"noise": guide}), strategy(image, mask))


@pytest.mark.parametrize("method", ["telea", "smooth", "patch-match"])
def test_methods_without_a_network_read_none(method):
    image, mask, guide = samples()
    strategy = METHODS[method].build()
    assert torch.equal(strategy(image, mask, {"noise": guide}), strategy(image, mask))


@pytest.mark.parametrize("name", [*WRAPPERS, "direct"])
def test_a_missing_guide_is_named_with_what_to_do(name):
    image, mask, guide = samples()
    strategy = built(name, Painter(1.0))
    for given in (None, {}, {"sketch": (guide > 0.5).float()}):
        with pytest.raises(UserError, match=r"'noise': add --data\.guides\+=noise"):
            strategy(image, mask, given)


@pytest.mark.parametrize("name", [*WRAPPERS, "direct"])
def test_guides_that_do_not_fit_are_refused_before_anything_is_filled(name):
    image, mask, guide = samples()
    network = Painter(1.0)
    strategy = built(name, network)
    with pytest.raises(ValueError, match="does not fit the image"):
        strategy(image, mask, {"noise": guide[..., 1:]})
    with pytest.raises(UserError, match=f"no guide is called 'nose'.*{min(GUIDES)}"):
        strategy(image, mask, {"nose": guide})
    assert not network.calls


def test_a_network_that_names_an_unknown_guide_is_refused():
    image, mask, guide = samples()
    network = Painter(1.0)
    network.guides = ("noises",)
    with pytest.raises(UserError, match="Did you mean 'noise'"):
        STRATEGIES["direct"](network)(image, mask, {"noise": guide})
