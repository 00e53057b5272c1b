"""How `data_prep.places2` takes a large archive: ``python -m tests.benchmarks.packing``.

The archive is made: small JPEGs, as in train_256_places365standard.tar, in its order of folders.
The yardstick is decoding the same files on as many threads and doing nothing else.
"""

import argparse
import io
import os
import statistics
import subprocess
import sys
import tarfile
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import simplejpeg

from lab.processors import usable_processors
from tests.benchmarks.feeding import places_like_files

PLACES2 = 1_803_460
"""Training photos of Places365-Standard."""

_CATEGORIES = 365
_BATCH = 32


@dataclass(frozen=True)
class Used:
    """What packing or decoding took: seconds, processor seconds over all cores, bytes at most."""

    photos: int
    seconds: float
    processor_seconds: float
    peak_bytes: int = 0
    shard_bytes: int = 0

    @property
    def rate(self) -> float:
        """Photos a second."""
        return self.photos / self.seconds

    @property
    def microseconds(self) -> float:
        """Of a processor, a photo: other programs on the machine hardly change it."""
        return 1e6 * self.processor_seconds / self.photos


@contextmanager
def synthetic_archive(files: Sequence[bytes], photos: int) -> Iterator[Path]:
    """A tar archive of so many photos, sorted by category; the files come again and again."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "train_256_places365standard.tar")
        with tarfile.open(path, "w") as archive:
            for number in range(photos):
                category = number * _CATEGORIES // photos
                letter = chr(ord("a") + category * 26 // _CATEGORIES)
                member = tarfile.TarInfo(
                    f"data_256/{letter}/category_{category:03d}/{number:08d}.jpg"
                )
                data = files[number % len(files)]
                member.size = len(data)
                archive.addfile(member, io.BytesIO(data))
        yield path


def packed(archive: Path, photos: int, workers: int) -> Used:
    """Run the command in a process of its own, from its start to its end."""
    with tempfile.TemporaryDirectory(dir=archive.parent) as folder:
        shards = Path(folder, "shards")
        command = [sys.executable, "-m", "data_prep.places2", str(archive), str(shards)]
        began = time.perf_counter()
        process = subprocess.Popen(
            [*command, "--workers", str(workers)],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        peak = 0
        while os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOHANG | os.WNOWAIT) is None:
            # Not `ru_maxrss`, which a process inherits from the one that started it.
            peak = max(peak, _peak_bytes(process.pid))
            time.sleep(0.1)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - began
        if status:
            raise RuntimeError(f"data_prep.places2 ended with {status}")
        return Used(
            photos,
            seconds,
            usage.ru_utime + usage.ru_stime,
            peak,
            sum(path.stat().st_size for path in shards.iterdir()),
        )


def _peak_bytes(process: int) -> int:
    """The most memory that a process has had, on Linux; 0 where it has just ended."""
    try:
        lines = Path(f"/proc/{process}/status").read_text().splitlines()
    except OSError:
        return 0
    return 1024 * sum(int(line.split()[1]) for line in lines if line.startswith("VmHWM:"))


def decoded(files: Sequence[bytes], workers: int) -> Used:
    """Decode the files, and do nothing else."""

    def decode(start: int) -> None:
        for data in files[start : start + _BATCH]:
            simplejpeg.decode_jpeg(data, strict=True)

    began, used = time.perf_counter(), time.process_time()
    with ThreadPoolExecutor(workers) as pool:
        list(pool.map(decode, range(0, len(files), _BATCH)))
    return Used(len(files), time.perf_counter() - began, time.process_time() - used)


def packing_and_decoding(photos: int, workers: int, rounds: int) -> tuple[Used, Used]:
    """The medians of packing and of decoding, taken in turns."""
    files = places_like_files(480)
    with synthetic_archive(files, photos) as archive:
        ours, plain = [], [decoded(4 * files, workers)]
        for _ in range(rounds):
            ours.append(packed(archive, photos, workers))
            plain.append(decoded(4 * files, workers))
    return _median(ours), _median(plain)


def _median(found: Sequence[Used]) -> Used:
    return Used(
        found[0].photos,
        statistics.median(each.seconds for each in found),
        statistics.median(each.processor_seconds for each in found),
        max(each.peak_bytes for each in found),
        found[0].shard_bytes,
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--photos", type=int, default=100_000)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--workers", type=int, default=usable_processors())
    given = parser.parse_args()
    for photos in (given.photos // 10, given.photos):
        ours, plain = packing_and_decoding(photos, given.workers, given.rounds)
        share = PLACES2 / photos
        free = 1e6 * given.workers / ours.microseconds
        for line in (
            f"{photos:,} photos, {given.workers} threads:",
            f"  {ours.rate:,.0f}/s (decoding alone: {plain.rate:,.0f}/s)",
            f"  {ours.microseconds:.0f} us of a core each (decoding alone: "
            f"{plain.microseconds:.0f}); at most {free:,.0f}/s on {given.workers} free cores",
            f"  {ours.peak_bytes / 2**20:.0f} MiB of memory at most",
            f"  {PLACES2:,} photos: {share * ours.seconds / 60:.0f} min at this rate, "
            f"{PLACES2 / free / 60:.0f} min on free cores, {share * ours.shard_bytes / 1e9:.1f} GB",
        ):
            print(line, flush=True)


if __name__ == "__main__":
    main()
