"""Tiles, as documented (V2) and for large photos."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from lab.contracts import Stages
from lab.strategies import Direct, Tiled
from tests.strategies.networks import Recorder, box, noise

PROJECT = Path(__file__).parents[2]


def test_the_documented_form_is_four_quarters_each_for_itself():
    image, mask = noise(256, 256), box(256, 256, (60, 200), (80, 190))
    network = Recorder(0.2, 0.4, 0.6, 0.8)
    completed = Tiled(network)(image, mask)
    assert network.sizes == [(128, 128)] * 4
    painted = image.new_tensor([[0.2, 0.4], [0.6, 0.8]])
    painted = painted.repeat_interleave(128, 0).repeat_interleave(128, 1)
    assert torch.equal(completed, torch.where(mask > 0, painted, image))
    assert Tiled(network).borders(256, 256) == ([128], [128])


def test_tiles_without_a_hole_are_skipped():
    network = Recorder(0.5)
    Tiled(network, rows=4, columns=4)(noise(64, 64), box(64, 64, (18, 30), (20, 60)))
    assert network.sizes == [(16, 16)] * 3


@pytest.mark.parametrize("blending", ["none", "smooth"])
@pytest.mark.parametrize("overlap", [0, 1, 5, 16])
@pytest.mark.parametrize(
    ("tiles", "size"), [({"rows": 3, "columns": 2}, (63, 50)), ({"tile": 32}, (33, 97))]
)
def test_the_shares_of_all_tiles_add_up(tiles, size, overlap, blending):
    mask = torch.ones(1, 1, *size)
    mask[..., 0, 0] = 0
    completed = Tiled(Recorder(1.0), overlap=overlap, blending=blending, **tiles)(
        noise(*size), mask
    )
    torch.testing.assert_close(completed[mask.expand_as(completed) > 0].min(), torch.tensor(1.0))


@pytest.mark.parametrize(
    ("blending", "between"),
    [
        ("none", [0.0, 0.0, 1.0, 1.0]),
        # (1 - cos(pi x)) / 2 at the middles of four pixels
        ("smooth", [0.0380602, 0.3086583, 0.6913417, 0.9619398]),
    ],
)
def test_how_one_tile_passes_into_the_next(blending, between):
    mask = box(8, 20, (2, 6), (1, 19))
    tiled = Tiled(Recorder(0.0, 1.0), rows=1, overlap=4, blending=blending)
    row = tiled(noise(8, 20), mask)[0, 0, 4, 1:19]
    expected = torch.tensor([*[0.0] * 7, *between, *[1.0] * 7])
    torch.testing.assert_close(row, expected, rtol=0, atol=1e-6)


def test_context_is_seen_and_cut_away():
    image, mask = noise(60, 60), box(60, 60, (22, 38), (22, 38))

    def bright_at_its_border(image, mask):
        answer = torch.full_like(image, 0.5)
        answer[..., :4, :] = answer[..., -4:, :] = answer[..., :, :4] = answer[..., :, -4:] = 1
        return Stages((answer,))

    network = Recorder(0.5)
    Tiled(network, rows=3, columns=3, context=4)(image, mask)
    assert network.sizes == [(28, 28)]
    completed = Tiled(bright_at_its_border, rows=3, columns=3, context=4)(image, mask)
    assert torch.equal(completed, torch.where(mask > 0, 0.5, image))


def test_a_tile_that_is_all_hole_sees_more_until_something_is_known():
    image, mask = noise(160, 160), box(160, 160, (10, 150), (10, 150))
    network = Recorder(0.5)
    Tiled(network, rows=5, columns=5)(image, mask)
    assert len(network.seen) == 25
    assert not any(bool(hole.all()) for _, hole in network.seen)
    sizes = network.sizes
    assert sizes.count((32, 32)) == 16  # at the hole's border
    assert sizes.count((160, 160)) == 1  # the middle: 64 pixels of context, 32 are too few


def test_the_view_of_a_given_tile_has_a_largest_size_whatever_the_hole():
    """A bright photo but for its hole: the middle is completed from what is known far away."""
    for mask in (box(300, 400, (2, 298), (2, 398)), torch.ones(1, 1, 300, 400)):
        network = Recorder(0.25)
        image = torch.where(mask > 0, 0.0, torch.full((1, 3, 300, 400), 0.75))
        completed = Tiled(network, tile=64, overlap=8, context=4, blending="smooth")(image, mask)
        assert max(max(size) for size in network.sizes) <= 64 + 8 + 2 * 4
        assert all(bool((hole == 0).any()) for _, hole in network.seen) == bool((mask == 0).any())
        torch.testing.assert_close(completed, torch.where(mask > 0, 0.25, image))


def test_what_was_completed_small_comes_back_in_its_place():
    """The network answers with its view's known ramp continued: no tile may be shifted."""
    ramp = torch.linspace(0, 1, 400).expand(1, 3, 300, 400).clone()
    mask = box(300, 400, (2, 298), (2, 398))

    def continues(image, mask):
        # The first row is known in the views that were shrunk, and so is the ramp's whole range.
        known = [float(image[0, 0, row, column]) for row, column in ((0, 0), (0, -1))]
        ramp = torch.linspace(known[0], known[1], image.shape[3])
        return Stages((ramp.expand_as(image).clone(),))

    tiled = Tiled(continues, tile=100)
    shown = tiled(ramp, mask)[..., 100:200, 100:300]
    torch.testing.assert_close(shown, ramp[..., 100:200, 100:300], rtol=0, atol=0.01)


def test_a_photo_no_larger_than_a_tile_is_completed_whole():
    image, mask = noise(60, 64), box(60, 64, (10, 50), (10, 50))
    network = Recorder(0.3)
    completed = Tiled(network, tile=64, overlap=16, context=16, blending="smooth")(image, mask)
    assert network.sizes == [(60, 64)]
    assert torch.equal(completed, Direct(Recorder(0.3))(image, mask))


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"rows": 0}, "rows is 0"),
        ({"columns": -1}, "columns is -1"),
        ({"tile": 0}, "tile is 0"),
        ({"overlap": -1}, "overlap is -1"),
        ({"context": -1}, "context is -1"),
        ({"tile": 64, "overlap": 33}, "overlap is 33 pixels, but must be at most half"),
        ({"blending": "smoth"}, "Did you mean 'smooth'"),
    ],
)
def test_impossible_tiles_are_refused(options, message):
    with pytest.raises(ValueError, match=message):
        Tiled(Recorder(0.5), **options)


def test_a_photo_too_small_for_its_tiles_is_refused():
    image, mask = noise(8, 8), box(8, 8, (2, 5), (2, 5))
    for options in ({"rows": 9}, {"rows": 4, "overlap": 3}):
        with pytest.raises(ValueError, match="do not fit into 8 pixels"):
            Tiled(Recorder(0.5), **options)(image, mask)


MEASURE = """
import resource, sys, time
import torch
from lab.networks import InpaintSANet
from lab.strategies import Tiled

torch.set_num_threads(1)
size, width = int(sys.argv[1]), int(sys.argv[2])
torch.manual_seed(0)
tiled = Tiled(InpaintSANet(width), tile=256, overlap=32, context=32, blending="smooth")
image, mask = torch.rand(1, 3, size, size), torch.zeros(1, 1, size, size)
# A hole in every tile of a corner of the photo, and one larger than many tiles: what is left out
# would only take time.
mask[..., : size // 4 : 9, : size // 4 : 7] = 1
mask[..., size // 8 : size // 3, size // 8 : size // 3] = 1
started = time.process_time()
completed = tiled(image, mask)
seconds = time.process_time() - started
assert completed.isfinite().all()
print(seconds, resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 2**20)
"""


def measured(size, width):
    """Processor seconds and the whole process's peak in GiB."""
    environment = {**os.environ, "PYTHONPATH": str(PROJECT), "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", MEASURE, str(size), str(width)],
        env=environment,
        capture_output=True,
        text=True,
        check=True,
    )
    seconds, peak = map(float, done.stdout.split())
    return seconds, peak


@pytest.mark.slow
def test_4096_pixels_within_3_gigabytes_and_time_grows_with_the_pixels():
    seconds, peaks = zip(*(measured(size, 8) for size in (2048, 4096)), strict=True)
    assert peaks[-1] < 3, f"GiB: {peaks}"
    assert seconds[1] < 1.3 * 4 * seconds[0], f"seconds: {seconds}"
