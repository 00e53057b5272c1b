"""The smooth fills keep what a network needs of them, and are what their names say."""

import numpy as np
import pytest
import scipy.sparse
import scipy.sparse.linalg
import torch

from lab.fills import (
    SMOOTH_FILLS,
    across_fill,
    directional_fill,
    even_fill,
    inward_fill,
    smooth_fills,
)

DIRECTIONS = ("horizontal", "vertical", "falling", "rising")
SIZES = [(1, 7), (9, 1), (2, 3), (33, 47), (64, 64), (70, 130)]


def some(height, width, seed=0):
    """Two images, with holes of single pixels, and with a large one at the border and a corner."""
    generator = torch.Generator().manual_seed(seed)
    image = torch.rand(2, 3, height, width, generator=generator)
    hole = torch.rand(2, 1, height, width, generator=generator) < 0.5
    hole[1] = False
    hole[1, :, height // 3 :, : -(-2 * width // 3)] = True
    hole[:, :, 0, -1] = False
    hole[1, :, -1, -1] = True
    return image, hole


def test_the_stack_holds_every_fill_in_its_order():
    image, hole = some(33, 47)
    stack = smooth_fills(image, hole)
    assert stack.shape == (2, len(SMOOTH_FILLS), 3, 33, 47)
    alone = {name: directional_fill(image, hole, name) for name in DIRECTIONS}
    alone |= {
        "across": across_fill(image, hole),
        "even": even_fill(image, hole),
        "inward": inward_fill(image, hole),
    }
    assert set(alone) == set(SMOOTH_FILLS)
    for number, name in enumerate(SMOOTH_FILLS):
        assert torch.equal(stack[:, number], alone[name]), name


@pytest.mark.parametrize("size", SIZES)
def test_known_pixels_stay_and_nothing_under_the_hole_is_read(size):
    image, hole = some(*size)
    stack = smooth_fills(image, hole)
    assert stack.isfinite().all()
    known = ~hole[:, None].expand_as(stack)
    assert torch.equal(stack[known], image[:, None].expand_as(stack)[known])
    hidden = torch.where(hole, torch.nan, image)
    assert torch.equal(smooth_fills(hidden, hole), stack)


@pytest.mark.parametrize("size", SIZES)
def test_one_colour_stays_one_colour(size):
    """So every hole is reached, by weights that add up to 1."""
    image, hole = some(*size)
    filled = smooth_fills(torch.full_like(image, 0.7), hole)
    torch.testing.assert_close(filled, torch.full_like(filled, 0.7))


def test_linear():
    (first, hole), (second, _) = some(70, 90), some(70, 90, seed=1)
    mixed = smooth_fills(0.3 * first - 2 * second, hole)
    expected = 0.3 * smooth_fills(first, hole) - 2 * smooth_fills(second, hole)
    torch.testing.assert_close(mixed, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("size", [(64, 64), (300, 333), (517, 260)])
def test_a_sample_is_filled_alike_whatever_is_in_its_batch(size):
    height, width = size
    image, hole = some(*size)
    hole[0] = False
    hole[0, :, height // 3 : height // 2, width // 3 : width // 2] = True
    together = smooth_fills(image, hole)[:1]
    torch.testing.assert_close(smooth_fills(image[:1], hole[:1]), together, rtol=0, atol=2e-5)


def test_a_sample_that_is_all_hole_becomes_0_and_disturbs_no_other():
    image, hole = some(40, 50)
    alone = smooth_fills(image[:1], hole[:1])
    hole[1] = True
    together = smooth_fills(image, hole)
    torch.testing.assert_close(together[:1], alone, rtol=0, atol=2e-5)
    assert not together[1].any()


def test_without_a_hole_the_image_comes_back():
    image, hole = some(20, 30)
    filled = smooth_fills(image, torch.zeros_like(hole))
    assert filled.shape == (2, len(SMOOTH_FILLS), 3, 20, 30)
    assert torch.equal(filled, image[:, None].expand_as(filled))
    assert torch.equal(across_fill(image, torch.zeros_like(hole)), image)


def test_computed_in_float32_whatever_the_precision_around():
    image, hole = some(40, 50)
    plain = smooth_fills(image, hole)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(smooth_fills(image, hole), plain)
        half = smooth_fills(image.bfloat16(), hole)
    assert half.dtype == torch.float32
    assert torch.equal(half, smooth_fills(image.bfloat16().float(), hole))


def test_no_gradient():
    image, hole = some(20, 30)
    assert not smooth_fills(image.requires_grad_(), hole).requires_grad


@pytest.mark.parametrize("channels", [1, 5])
def test_any_number_of_channels(channels):
    image, hole = some(20, 30)
    planes = image[:, :1].repeat(1, channels, 1, 1)
    one = smooth_fills(image[:, :1], hole)
    torch.testing.assert_close(smooth_fills(planes, hole), one.expand(-1, -1, channels, -1, -1))


def steady_state(image, hole, flows):
    """Solve for the heat in the hole, flowing to each pair of neighbours; float64 numpy."""
    height, width = hole.shape
    number = np.full(hole.shape, -1)
    number[hole] = np.arange(hole.sum())
    rows, columns = np.nonzero(hole)
    matrix = scipy.sparse.lil_matrix((len(rows), len(rows)))
    right = np.zeros((len(rows), 3))
    for (down, across), flow in flows.items():
        for sign in (1, -1):
            for index, (row, column) in enumerate(
                zip(rows + sign * down, columns + sign * across, strict=True)
            ):
                if not (0 <= row < height and 0 <= column < width):
                    continue
                matrix[index, index] += flow
                if hole[row, column]:
                    matrix[index, number[row, column]] -= flow
                else:
                    right[index] += flow * image[:, row, column]
    answer = image.copy()
    answer[:, hole] = scipy.sparse.linalg.spsolve(matrix.tocsc(), right).T
    return answer


@pytest.mark.parametrize(
    ("name", "flows"),
    [
        ("horizontal", {(0, 1): 0.94, (1, 0): 0.06}),
        ("vertical", {(0, 1): 0.06, (1, 0): 0.94}),
        ("falling", {(0, 1): 0.06, (1, 1): 0.94}),
        ("rising", {(0, 1): 0.06, (1, -1): 0.94}),
        ("even", {(0, 1): 0.5, (1, 0): 0.5}),
    ],
)
def test_a_fill_is_the_steady_state_of_its_flows(name, flows):
    generator = torch.Generator().manual_seed(0)
    # Neighbours that are alike, as in a photo.
    image = torch.nn.functional.interpolate(
        torch.rand(1, 3, 12, 14, generator=generator), size=(72, 84), mode="bicubic"
    )
    hole = torch.zeros(1, 1, 72, 84, dtype=torch.bool)
    hole[..., 10:60, 20:50] = True
    hole[..., 40:, 60:70] = True
    pixels = hole[0, 0].numpy()
    exact = steady_state(image[0].double().numpy(), pixels, flows)
    errors = {
        other: np.sqrt(np.square(filled.numpy() - exact)[:, pixels].mean())
        for other, filled in zip(SMOOTH_FILLS, smooth_fills(image, hole)[0], strict=True)
    }
    assert errors.pop(name) < min(0.2 * exact[:, pixels].std(), 0.5 * min(errors.values()))


def test_inward_is_ring_by_ring():
    image, hole = some(21, 26)
    filled = inward_fill(image, hole)
    # The same, pixel after pixel.
    for picture, missing, answer in zip(image.double(), hole[:, 0].tolist(), filled, strict=True):
        known = {
            (y, x) for y, row in enumerate(missing) for x, is_hole in enumerate(row) if not is_hole
        }
        colours = {place: picture[:, *place] for place in known}
        left = {(y, x) for y in range(21) for x in range(26)} - known
        while left:
            ring = {
                (y, x)
                for y, x in left
                if {(y - 1, x), (y + 1, x), (y, x - 1), (y, x + 1)} & colours.keys()
            }
            found = {}
            for y, x in ring:
                near = [
                    (1.0 / (dy * dy + dx * dx), colours[y + dy, x + dx])
                    for dy in range(-2, 3)
                    for dx in range(-2, 3)
                    if 0 < dy * dy + dx * dx <= 4 and (y + dy, x + dx) in colours
                ]
                found[y, x] = sum(w * c for w, c in near) / sum(w for w, _ in near)
            colours |= found
            left -= ring
        for (y, x), colour in colours.items():
            torch.testing.assert_close(answer[:, y, x].double(), colour, rtol=0, atol=1e-5)


CROSSING = {
    "horizontal": "vertical",
    "vertical": "horizontal",
    "falling": "rising",
    "rising": "falling",
}


def bar(angle):
    """A hole of 12 x 60 pixels in 96, along one of the directions, and how far along a pixel is."""
    rows, columns = np.mgrid[:96, :96] - 47.5
    falling, rising = (rows + columns) / np.sqrt(2), (rows - columns) / np.sqrt(2)
    places = {"horizontal": columns, "vertical": rows, "falling": falling, "rising": rising}
    inside = (np.abs(places[angle]) < 30) & (np.abs(places[CROSSING[angle]]) < 6)
    return torch.from_numpy(inside)[None, None], torch.from_numpy(places[angle]).float()


@pytest.mark.parametrize("angle", DIRECTIONS)
def test_waves_are_continued_through_a_hole_that_they_cross(angle):
    hole, along = bar(angle)
    image = (0.5 + 0.5 * torch.sin(along / 3)).expand(1, 3, -1, -1)
    inside = hole.expand_as(image)
    errors = {
        name: float((filled - image)[inside].square().mean().sqrt())
        for name, filled in zip(SMOOTH_FILLS, smooth_fills(image, hole).unbind(1), strict=True)
    }
    assert errors[CROSSING[angle]] < 0.05
    assert min(errors, key=errors.get) == CROSSING[angle]
    assert errors[angle] > 0.3
    # The mixture follows the hole: it is better than any fill along another direction.
    others = set(DIRECTIONS) - {CROSSING[angle]}
    assert errors["across"] < 0.9 * min(errors[direction] for direction in others)


def test_what_is_no_hole_is_refused():
    image, hole = some(8, 8)
    with pytest.raises(TypeError, match=r"torch.float32, but must be bool: write mask > 0"):
        across_fill(image, hole.float())
    with pytest.raises(ValueError, match="Did you mean 'falling'"):
        directional_fill(image, hole, "faling")
