"""The mask that is drawn from strokes, without a browser."""

import cv2
import numpy as np
import pytest
import torch

from lab.widgets import MaskPainter

PHOTO = torch.rand(3, 60, 80, generator=torch.Generator().manual_seed(0))


def stroke(kind, radius, *points):
    return {"kind": kind, "radius": radius, "points": [list(point) for point in points]}


def distance_to_segment(height, width, start, stop):
    """From each pixel's middle, as the browser measures: (0, 0) is the upper left corner."""
    y, x = np.mgrid[:height, :width] + 0.5
    along = np.subtract(stop, start).astype(float)
    place = ((x - start[0]) * along[0] + (y - start[1]) * along[1]) / max(1e-9, along @ along)
    place = place.clip(0, 1)
    return np.hypot(x - start[0] - place * along[0], y - start[1] - place * along[1])


def test_nothing_painted_is_an_empty_mask():
    painter = MaskPainter(PHOTO)
    assert painter.mask.shape == (1, 60, 80)
    assert painter.mask.dtype == torch.float32
    assert not painter.mask.any()
    assert painter.summary == "nothing is painted yet"


@pytest.mark.parametrize(
    ("start", "stop", "radius"),
    [((40, 30), (40, 30), 12), ((20.5, 15.25), (60, 44), 6), ((0, 0), (79, 0), 4)],
)
def test_a_stroke_is_a_line_of_its_radius_with_round_ends(start, stop, radius):
    painter = MaskPainter(PHOTO, strokes=[stroke("brush", radius, start, stop)])
    mask = painter.mask[0].numpy() == 1
    distance = distance_to_segment(60, 80, start, stop)
    assert mask[distance < radius - 1].all()
    assert not mask[distance > radius + 1].any()


def test_the_eraser_takes_away_and_undo_brings_back():
    brush, eraser = stroke("brush", 10, (20, 30), (60, 30)), stroke("eraser", 20, (60, 30))
    painter = MaskPainter(PHOTO, strokes=[brush])
    before = painter.mask
    painter.strokes = [brush, eraser]
    assert painter.mask[0, 30, 20] == 1
    assert painter.mask[0, 30, 60] == 0
    painter.strokes = [brush]
    assert torch.equal(painter.mask, before)


def test_clear_empties_all_before_it():
    painter = MaskPainter(
        PHOTO,
        start=torch.ones(1, 60, 80),
        strokes=[stroke("brush", 5, (10, 10)), stroke("clear", 0), stroke("brush", 3, (70, 50))],
    )
    assert painter.mask[0, 10, 10] == 0
    assert painter.mask[0, 50, 70] == 1


def test_a_mask_that_was_found_can_be_mended():
    found = torch.zeros(1, 60, 80)
    found[:, 10:20, 10:20] = 1
    painter = MaskPainter(PHOTO, found, [stroke("brush", 4, (60, 40))])
    assert painter.mask[:, 10:20, 10:20].all()
    assert painter.mask[0, 40, 60] == 1
    assert not found[0, 40, 60], "what was given stays as it was"
    shown = cv2.imdecode(np.frombuffer(painter.start, np.uint8), cv2.IMREAD_UNCHANGED)
    assert np.array_equal(shown[..., 3] == 255, found[0].numpy() == 1), "seen where it is hole"


def test_the_summary_follows_the_strokes():
    painter = MaskPainter(PHOTO)
    painter.strokes = [stroke("brush", 200, (40, 30))]
    assert painter.summary == "hole: 100.0% of the photo"


def test_strokes_are_in_the_pixels_of_a_photo_that_is_shown_smaller():
    painter = MaskPainter(torch.zeros(3, 1500, 3000), strokes=[stroke("brush", 50, (2900, 1400))])
    shown = cv2.imdecode(np.frombuffer(painter.photo, np.uint8), cv2.IMREAD_COLOR)
    assert shown.shape == (512, 1024, 3)
    assert (painter.width, painter.height) == (3000, 1500)
    assert painter.mask.shape == (1, 1500, 3000)
    assert painter.mask[0, 1400, 2900] == 1


def test_another_kind_of_stroke_is_refused():
    with pytest.raises(ValueError, match="'pen'"):
        MaskPainter(PHOTO, strokes=[stroke("pen", 5, (1, 1))])
