"""Pictures for people show the hole, and sheets show every picture with its title."""

import pytest
import torch

from lab.imaging import contact_sheet, outline_hole, show_hole


@pytest.fixture
def image() -> torch.Tensor:
    return torch.rand(3, 40, 50, generator=torch.Generator().manual_seed(0)) * 0.5


@pytest.fixture
def mask() -> torch.Tensor:
    mask = torch.zeros(1, 40, 50)
    mask[:, 10:20, 15:30] = 1
    return mask


def where_changed(before: torch.Tensor, after: torch.Tensor) -> torch.Tensor:
    return (before != after).any(0)


def test_the_hole_and_nothing_else_is_painted(image, mask):
    shown = show_hole(image, mask)

    assert torch.equal(where_changed(image, shown), mask[0].bool())
    assert torch.equal(show_hole(image, torch.zeros_like(mask)), image)


def test_the_paint_shows_on_a_picture_of_its_own_colour(image, mask):
    painted = show_hole(image, torch.ones_like(mask))

    assert (show_hole(painted, mask).flatten(1).unique(dim=1)).shape[1] == 2


def test_the_outline_leaves_the_hole_in_view(image, mask):
    outlined = outline_hole(image, mask, width=2)

    changed = where_changed(image, outlined)
    assert not (changed & mask[0].bool()).any()
    ring = torch.zeros(40, 50, dtype=torch.bool)
    ring[7:23, 12:33] = True  # two pixels of line, one of rim
    assert torch.equal(changed, ring & ~mask[0].bool())


@pytest.mark.parametrize("draw", [show_hole, outline_hole])
def test_batches_are_drawn_like_their_samples(image, mask, draw):
    images, masks = torch.stack([image, 1 - image]), torch.stack([mask, 1 - mask])

    drawn = draw(images, masks)
    for index in range(2):
        assert torch.equal(drawn[index], draw(images[index], masks[index]))


def test_wrong_input_is_refused(image, mask):
    with pytest.raises(ValueError, match="does not fit"):
        show_hole(image, mask[:, :5])
    with pytest.raises(ValueError, match="exactly 0"):
        outline_hole(image, mask * 0.5)
    with pytest.raises(ValueError, match="width is 0"):
        outline_hole(image, mask, width=0)


def contains(sheet: torch.Tensor, picture: torch.Tensor) -> bool:
    """Whether ``picture`` (8-bit values) lies somewhere in ``sheet``, pixel by pixel."""
    height, width = picture.shape[1:]
    windows = sheet.unfold(1, height, 1).unfold(2, width, 1)
    wanted = (picture * 255).round() / 255
    return bool((windows == wanted[:, None, None]).all(-1).all(-1).all(0).any())


def test_a_sheet_holds_every_picture_unscaled(image):
    pictures = [image[:, :20, :20], image[:, 5:35, :10], image[:, :9, 10:40]]
    sheet = contact_sheet([pictures[:2], pictures[2:]], ["first", "second"], ["a", "b"])

    assert all(contains(sheet, picture) for picture in pictures)
    assert sheet.min() >= 0
    assert sheet.max() == 1


def test_titles_are_drawn_and_take_no_room_when_absent(image):
    plain = contact_sheet([[image, image]])
    titled = contact_sheet([[image, image]], ["telea", "network"], ["beach"])

    assert titled.shape[1] > plain.shape[1]
    assert titled.shape[2] > plain.shape[2]
    header = titled[:, : titled.shape[1] - 50]
    assert (header < 0.3).all(0).sum() > 50  # ink


def test_long_titles_are_wrapped_not_cut(image):
    short = contact_sheet([[image]], ["a"], ["b"])
    long = contact_sheet([[image]], ["words " * 10], ["one_name_without_any_space_" * 5])

    assert long.shape[1] > short.shape[1] + 50
    assert long.shape[2] < 400


def test_cells_are_scaled_on_request(image):
    sheet = contact_sheet([[image, image[:, :, :20]]], cell_size=100)

    # 50x40 becomes 100x80, 20x40 becomes 50x100.
    assert sheet.shape == (3, 100 + 8, 100 + 50 + 12)


def test_blank_cells(image):
    sheet = contact_sheet([[image, None], [image]])

    assert sheet.shape[2] > 100
    with pytest.raises(ValueError, match="at least one picture"):
        contact_sheet([[None]])
    with pytest.raises(ValueError, match="at least one picture"):
        contact_sheet([])


def test_titles_must_be_as_many_as_columns(image):
    with pytest.raises(ValueError, match="1 column titles for 2 columns"):
        contact_sheet([[image, image]], ["a"])
    with pytest.raises(ValueError, match="2 row titles for 1 rows"):
        contact_sheet([[image]], row_titles=["a", "b"])


def test_a_cell_must_be_an_image(image):
    with pytest.raises(ValueError, match="contact sheet's cell"):
        contact_sheet([[image * 3]])
