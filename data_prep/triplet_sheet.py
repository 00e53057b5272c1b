"""A contact sheet of triplets, to be looked at before anything is trained or scored on them."""

from pathlib import Path

import numpy as np

from data_prep.pictures import read_manifest
from lab.formats.manifests import TRIPLETS
from lab.imaging import contact_sheet, outline_hole, read_image, read_mask, write_image

_ROWS, _TRIPLETS_A_ROW = 12, 3


def write_sheet(folder: Path, path: Path, rows: int = _ROWS) -> None:
    """Draw triplets, spread over the clip: the frame with its hole outlined, and the background.

    Args:
        folder: as written by ``write_triplets``.
        path: of the picture.
        rows: of three triplets each.
    """
    triplets = read_manifest(folder, TRIPLETS)["triplets"]
    count = min(len(triplets), rows * _TRIPLETS_A_ROW)
    cells = []
    for index in np.linspace(0, len(triplets) - 1, count).astype(int):
        triplet = triplets[index]
        frame = read_image(folder / triplet["frame"]["file"])
        mask = read_mask(folder / triplet["mask"]["file"]).mask
        cells += [outline_hole(frame, mask, 1), read_image(folder / triplet["background"]["file"])]
    width = 2 * _TRIPLETS_A_ROW
    sheet = contact_sheet(
        [cells[start : start + width] for start in range(0, len(cells), width)],
        ["frame", "background"] * _TRIPLETS_A_ROW if count >= _TRIPLETS_A_ROW else (),
    )
    write_image(path, sheet)
