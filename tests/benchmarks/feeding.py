"""How many photos a second reach the training, from a folder and from shards."""

import io
import multiprocessing
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import simplejpeg
import torch
from PIL import Image

from data_prep.packing import pack_photos
from data_prep.photo_sources import FolderSource
from lab.data import PhotoDataModule, photo_data_module
from lab.data.photo_sets import starter_photos
from lab.imaging import decode_photo

WORKERS = (0, 1, 2)
_PHOTOS = 480


def places_like_files(count: int) -> list[bytes]:
    """JPEGs of 256x256: squares of the starter photos."""
    split = starter_photos()
    photos = [decode_photo(photo.path) for photo in (*split.training, *split.validation)]
    generator = np.random.default_rng(0)
    files = []
    for number in range(count):
        photo = photos[number % len(photos)]
        side = int(generator.integers(256, min(photo.shape[:2]) + 1))
        top, left = (int(generator.integers(length - side + 1)) for length in photo.shape[:2])
        square = cv2.resize(photo[top : top + side, left : left + side], (256, 256))
        file = io.BytesIO()
        Image.fromarray(square).save(file, "JPEG", quality=85)
        files.append(file.getvalue())
    return files


@contextmanager
def places_like_photos(count: int = _PHOTOS) -> Iterator[dict[str, Path]]:
    """The same JPEGs of 256x256 as a folder and as shards."""
    with tempfile.TemporaryDirectory() as temporary:
        folder, shards = Path(temporary, "places"), Path(temporary, "shards")
        for number, data in enumerate(places_like_files(count)):
            path = folder / ("val" if number % 24 == 0 else "train") / f"{number:08d}.jpg"
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(data)
        pack_photos(FolderSource(folder), shards, None, 60, 1, lambda done, fraction: None)
        yield {"folder": folder, "shards": shards}


@dataclass(frozen=True)
class Fed:
    """Samples a second, and microseconds of a processor a sample, over all processes."""

    rate: float
    microseconds: float


def fed(photos: Path, size: int, batch: int, workers: int, rounds: int) -> Fed:
    """Feed epochs in which every photo is read, decoded, cut, masked, and floats in the end."""
    kept = photo_data_module._CACHE_BYTES
    # A set such as Places2 does not fit in memory.
    photo_data_module._CACHE_BYTES = 0
    try:
        data = PhotoDataModule(photos, size=size, batch_size=batch, workers=workers)
        loader = data.train_dataloader()
    finally:
        photo_data_module._CACHE_BYTES = kept
    # Once a training step has freed larger blocks, the allocator keeps memory for the next batch.
    torch.ones(30 * 2**20, dtype=torch.uint8)
    times, samples, used = [], 0, 0.0
    # The first epoch starts the processes.
    for epoch in range(rounds + 1):
        if epoch == 1:
            samples, used = 0, _processor_seconds()
        loader.sampler.set_epoch(epoch)
        began = time.perf_counter()
        samples += sum(len(each.image) * (each.mask.ndim > 0) for each in loader)
        times.append(time.perf_counter() - began)
    a_sample = (_processor_seconds() - used) / samples
    return Fed(samples / rounds / statistics.median(times[1:]), 1e6 * a_sample)


def decoding_microseconds(photos: Path) -> float:
    """Of a processor, to decode a photo of the folder and do nothing else."""
    files = [path.read_bytes() for path in photos.rglob("*.jpg")]
    began = time.process_time()
    for data in files:
        simplejpeg.decode_jpeg(data)
    return 1e6 * (time.process_time() - began) / len(files)


def decoding_rate(photos: Path, processes: int) -> float:
    """Photos of the folder a second, decoded by several processes at once that do nothing else."""
    files = [path.read_bytes() for path in photos.rglob("*.jpg")]
    with multiprocessing.get_context("fork").Pool(processes) as pool:
        spans = pool.map(_span_of_decoding, [files] * processes, chunksize=1)
    began, ended = zip(*spans, strict=True)
    return processes * len(files) / (max(ended) - min(began))


def _span_of_decoding(files: list[bytes]) -> tuple[float, float]:
    began = time.perf_counter()
    for data in files:
        simplejpeg.decode_jpeg(data)
    return began, time.perf_counter()


def _processor_seconds() -> float:
    """Return what this process and its loader processes have used."""
    loaders = 0
    for process in multiprocessing.active_children():
        # Behind the name, which may hold spaces: the 12th and 13th, in user and in system mode.
        fields = Path(f"/proc/{process.pid}/stat").read_text().rpartition(")")[2].split()
        loaders += int(fields[11]) + int(fields[12])
    return time.process_time() + loaders / os.sysconf("SC_CLK_TCK")


def main() -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    with places_like_photos() as sets:
        for size, batch in ((64, 16), (256, 4), (256, 16)):
            for name, photos in sets.items():
                for workers in WORKERS:
                    before = decoding_microseconds(sets["folder"]), decoding_rate(sets["folder"], 2)
                    found = fed(photos, size, batch, workers, 3)
                    after = decoding_microseconds(sets["folder"]), decoding_rate(sets["folder"], 2)
                    plain, rate = (sum(both) / 2 for both in zip(before, after, strict=True))
                    print(
                        f"{size}x{size}, batches of {batch}, {name}, {workers} loader processes: "
                        f"{found.rate:,.0f}/s, {found.rate / rate:.0%} of the {rate:,.0f}/s that "
                        f"two processes decode; {found.microseconds:.0f} us of a core each, "
                        f"{found.microseconds / plain:.2f} times decoding alone ({plain:.0f}); "
                        f"two free cores feed {2e6 / found.microseconds:,.0f}/s",
                        flush=True,
                    )


if __name__ == "__main__":
    main()
