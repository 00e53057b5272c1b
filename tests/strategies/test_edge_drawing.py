"""The edges by which a network completes a photo, cut and put together as its strategy does."""

from functools import partial

import pytest
import torch
from torch import nn

from lab.checks import UserError
from lab.contracts import Stages
from lab.guides import find_edges
from lab.networks import EdgeConnect
from lab.strategies import Cropped, Direct, EdgeDrawing, Feathered, Repeated, Tiled, Upscaled


class Tracer(nn.Module):
    """Draws in the hole what its known neighbours and their edges say, two pixels far."""

    guides = ("edges",)

    def __init__(self):
        super().__init__()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.layer = nn.Conv2d(5, 1, 5, padding=2)

    def forward(self, image, mask, guides=None):
        known = torch.where(mask > 0, 0.0, image)
        edges = torch.where(mask > 0, 0.0, guides["edges"])
        drawn = (4 * self.layer(torch.cat([known, edges, mask], 1))).sigmoid()
        return Stages((image.flip(1),), {"edges": torch.where(mask > 0, drawn, edges)})


class Unguided(Tracer):
    guides = ()

    def forward(self, image, mask):
        return super().forward(image, mask, {"edges": find_edges(image, mask)})


@pytest.fixture
def sample():
    """Two photos of 60x80 pixels with edges, and holes of which one has two parts."""
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, 3, 6, 8, generator=generator)
    image = nn.functional.interpolate(coarse, scale_factor=10)
    mask = torch.zeros(2, 1, 60, 80)
    mask[0, :, 20:45, 30:58] = 1
    mask[1, :, 2:9, 3:12] = mask[1, :, 40:55, 60:78] = 1
    return image, mask, {"edges": find_edges(image, mask)}


@pytest.mark.parametrize(
    "make",
    [
        Direct,
        partial(Direct, paste=False),
        partial(Tiled, tile=32, overlap=8, context=16, blending="smooth"),
        partial(Tiled, tile=32, context=16, inner=Cropped),
        Cropped,
    ],
    ids=["direct", "not-pasted", "tiled", "tiled-and-cropped", "cropped"],
)
@torch.no_grad()
def test_they_are_the_networks_own_in_the_hole_and_the_known_ones_elsewhere(make, sample):
    network = Tracer()
    edges = EdgeDrawing(network, make)(*sample)
    torch.testing.assert_close(edges, network(*sample).extras["edges"])
    assert edges[sample[1] > 0].std() > 0.05
    assert torch.equal(edges[sample[1] == 0], sample[2]["edges"][sample[1] == 0])
    assert sample[2]["edges"].any()


@torch.no_grad()
def test_edge_connect_shows_what_it_paints_by(sample):
    torch.manual_seed(0)
    network = EdgeConnect(width=4, blocks=1).eval()
    edges = EdgeDrawing(network, Direct)(*sample)
    torch.testing.assert_close(edges, network(*sample).extras["edges"])


def test_a_smaller_drawing_is_enlarged(sample):
    edges = EdgeDrawing(Tracer(), partial(Upscaled, factor=2))(*sample)
    hole = sample[1] > 0
    assert edges.shape == sample[1].shape
    assert 0 <= edges.min() < 0.4 < 0.6 < edges[hole].max() <= 1
    assert torch.equal(edges[~hole], sample[2]["edges"][~hole])


def test_known_edges_are_found_where_the_network_is_shown_none(sample):
    image, mask, guides = sample
    edges = EdgeDrawing(Unguided(), Direct)(image, mask)
    torch.testing.assert_close(edges, EdgeDrawing(Tracer(), Direct)(image, mask, guides))


@pytest.mark.parametrize(
    ("make", "name"),
    [
        (Repeated, "Repeated"),
        (Feathered, "Feathered"),
        (partial(Tiled, inner=partial(Cropped, inner=Repeated)), "Repeated"),
    ],
)
def test_strategies_that_make_a_photo_of_answers_are_refused(make, name):
    with pytest.raises(UserError, match=f"strategy {name} makes its photo of .*Direct"):
        EdgeDrawing(Tracer(), make)


def test_a_network_without_edges_is_refused(sample):
    class Painter(Tracer):
        def forward(self, image, mask, guides=None):
            return Stages((image,))

    with pytest.raises(UserError, match=r"Painter draws no edges .*such as EdgeConnect"):
        EdgeDrawing(Painter(), Direct)(*sample)
