"""Six things taken out of starter photos, by methods and by networks: the picture of the README.

python -m tests.benchmarks.removals removals.png "knee=CHECKPOINT"
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np

import lab
from lab.data.photo_sets import starter_photos
from lab.imaging import contact_sheet, read_image, show_hole, write_image

METHODS = ("telea", "smooth", "shift-map", "patch-match")

# By the photo: a person is found in a box (x, y, width, height); holes are drawn as boxes.
PEOPLE = {"kodim12": (103, 26, 95, 176)}
HOLES = {
    "kodim21": [(156, 28, 50, 124)],
    "kodim06": [(52, 98, 236, 106), (150, 22, 40, 80)],
    "kodim07": [(160, 74, 88, 90)],
    "kodim03": [(224, 108, 66, 68)],
    "kodim02": [(102, 92, 54, 56)],
}


def main(arguments: Sequence[str] | None = None) -> None:
    """Complete all six, and write the sheet: a row a photo."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("picture", type=Path)
    options.add_argument("networks", nargs="+", metavar="NAME=CHECKPOINT")
    given = options.parse_args(arguments)
    networks = dict(network.split("=", 1) for network in given.networks)
    photos = starter_photos()
    paths = {photo.name: photo.path for photo in (*photos.training, *photos.validation)}
    rows = []
    for name in (*PEOPLE, *HOLES):
        photo = read_image(paths[name])
        mask = _mask(name, paths[name], tuple(photo.shape[1:]))
        fills = [{"method": method} for method in METHODS]
        fills += [{"checkpoint": checkpoint} for checkpoint in networks.values()]
        made = [lab.complete(paths[name], mask, **fill) for fill in fills]
        hole = show_hole(photo, made[0].mask)
        rows.append([photo, hole, *(one.tensor for one in made)])
        print(name, *(f"{one.name} {one.seconds:.1f} s" for one in made), sep=", ", flush=True)
    columns = ["photo", "hole", *METHODS, *networks]
    write_image(given.picture, contact_sheet(rows, columns, cell_size=224))


def _mask(name: str, path: Path, size: tuple[int, ...]) -> np.ndarray:
    """White where the hole is, uint8 ``(H, W)``."""
    if name in PEOPLE:
        found = lab.complete(path, person="grabcut", box=PEOPLE[name], method="smooth")
        return (255 * found.mask[0].numpy()).astype(np.uint8)
    mask = np.zeros(size, np.uint8)
    for x, y, width, height in HOLES[name]:
        mask[y : y + height, x : x + width] = 255
    return mask


if __name__ == "__main__":
    main()
