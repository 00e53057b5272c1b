"""A map of objects is cut exactly as its photo is, whatever the crop and the sizes."""

import numpy as np
import pytest
from PIL import Image

from lab.imaging import Crop, CropReader, UnreadablePhotoError

HEIGHT, WIDTH = 150, 220
CELL = 25


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A photo that is red by its column and green by its row, and a map of cells of it."""
    folder = tmp_path_factory.mktemp("files")
    rows, columns = np.mgrid[:HEIGHT, :WIDTH]
    photo = np.stack((columns, rows, np.zeros_like(rows)), -1).astype(np.uint8)
    Image.fromarray(photo).save(folder / "photo.png")
    Image.fromarray((rows // CELL * 16 + columns // CELL).astype(np.uint8)).save(folder / "map.png")
    return folder / "photo.png", folder / "map.png"


def same_cells(pixels, ids):
    """Whether pixels are of one object just where their colours say that they are of one cell."""
    column, row = pixels[:2].numpy().astype(int)
    cells = row // CELL * 16 + column // CELL
    # A pixel is the mean of several in the photo; at a cell's border it could be of either.
    inside = (np.abs(row % CELL - CELL / 2) < 8) & (np.abs(column % CELL - CELL / 2) < 8)
    pairs = {*zip(cells[inside].tolist(), ids[0].numpy()[inside].tolist(), strict=True)}
    found, expected = {pair[1] for pair in pairs}, {pair[0] for pair in pairs}
    return len(pairs) == len(found) == len(expected) > 3


@pytest.mark.parametrize("size", [32, 100, 256])
@pytest.mark.parametrize("cached", [0, 2**24])
@pytest.mark.parametrize("mirrored", [False, True])
def test_a_map_follows_its_photo(files, size, cached, mirrored):
    photo, its_map = files
    reader = CropReader(size, 0.4, cached)
    for side, top, left in ((1.0, 0.5, 0.5), (0.7, 0.1, 0.9), (0.5, 1.0, 0.0)):
        crop = Crop(side, top, left, mirrored)
        pixels, ids = reader.read_with_instances(photo, its_map, crop)
        assert ids.shape == (1, size, size)
        assert np.array_equal(pixels, reader.read(photo, crop))
        assert same_cells(pixels, ids)
        # Of another crop it would not be.
        assert not same_cells(reader.read(photo, Crop(side, 1 - top, 0.3, mirrored)), ids)


def test_a_map_of_another_size_or_none_is_refused(files, tmp_path):
    Image.fromarray(np.zeros((HEIGHT, WIDTH + 1), np.uint8)).save(tmp_path / "wide.png")
    # The photo is kept smaller than it is, and its own size is what counts.
    reader = CropReader(32, 1.0, 2**24)
    for _ in range(2):
        with pytest.raises(ValueError, match=r"is 221x150 .* but its photo is 220x150"):
            reader.read_with_instances(files[0], tmp_path / "wide.png", Crop())
    with pytest.raises(UnreadablePhotoError, match="no such file"):
        reader.read_with_instances(files[0], tmp_path / "none.png", Crop())
