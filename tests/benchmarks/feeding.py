"""How many photos a second reach the training, from a folder and from shards."""

import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
import torch
from PIL import Image

from data_prep.packing import pack_photos
from data_prep.photo_sources import FolderSource
from lab.data import PhotoDataModule, photo_data_module
from lab.data.photo_sets import starter_photos
from lab.imaging import decode_photo

WORKERS = (0, 1, 2)
_PHOTOS = 480


@contextmanager
def places_like_photos(count: int = _PHOTOS) -> Iterator[dict[str, Path]]:
    """The same JPEGs of 256x256 as a folder and as shards: squares of the starter photos."""
    split = starter_photos()
    photos = [decode_photo(photo.path) for photo in (*split.training, *split.validation)]
    generator = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as temporary:
        folder, shards = Path(temporary, "places"), Path(temporary, "shards")
        for number in range(count):
            photo = photos[number % len(photos)]
            side = int(generator.integers(256, min(photo.shape[:2]) + 1))
            top, left = (int(generator.integers(length - side + 1)) for length in photo.shape[:2])
            square = cv2.resize(photo[top : top + side, left : left + side], (256, 256))
            path = folder / ("val" if number % 24 == 0 else "train") / f"{number:08d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(square).save(path, quality=85)
        pack_photos(FolderSource(folder), shards, None, 60, 1, lambda done, fraction: None)
        yield {"folder": folder, "shards": shards}


def feeding_rate(photos: Path, size: int, batch: int, workers: int, rounds: int) -> float:
    """Training photos a second: median over epochs in which every photo is read and decoded."""
    kept = photo_data_module._CACHE_BYTES
    # A set such as Places2 does not fit in memory.
    photo_data_module._CACHE_BYTES = 0
    try:
        data = PhotoDataModule(photos, size=size, batch_size=batch, workers=workers)
        loader = data.train_dataloader()
    finally:
        photo_data_module._CACHE_BYTES = kept
    times = []
    for epoch in range(rounds + 1):
        loader.sampler.set_epoch(epoch)
        began = time.perf_counter()
        fed = sum(len(found.sample) for found in loader)
        times.append(time.perf_counter() - began)
    return fed / statistics.median(times[1:])  # the first epoch starts the processes


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with places_like_photos() as sets:
        for size, batch in ((64, 16), (256, 4)):
            for name, photos in sets.items():
                rates = [feeding_rate(photos, size, batch, workers, 3) for workers in WORKERS]
                print(size, name, " ".join(f"{rate:,.0f}/s" for rate in rates))


if __name__ == "__main__":
    main()
