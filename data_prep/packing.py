"""From a source of photos to a folder of finished shards and their index."""

import json
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import asdict
from pathlib import Path

from filelock import Timeout

from data_prep.commands import DataError
from data_prep.photo_proof import prove_photo
from data_prep.photo_sources import LeftOut, PhotoSource, SourceFile
from data_prep.places_layout import photo_place
from data_prep.records import count_of, reasons_of, value_of
from data_prep.shards import (
    Sample,
    ShardListing,
    ShardWriter,
    finished_shards,
)
from lab.files import lock_of, replacing
from lab.formats.plain import read_json
from lab.formats.shards import INDEX, LARGEST_LISTING, IndexedShard, listing_name
from lab.imaging import UnreadablePhotoError

_LOCK = ".lock"
# A thread takes this much at a time: handing over single photos would cost as much as decoding.
_BATCH_FILES = 32
_BATCH_BYTES = 4 * 2**20
_BATCHES_AHEAD = 4
# Of all workers together: with many cores and large photos, the batches alone would fill a memory.
_MOST_WAITING_BYTES = 256 * 2**20
_SHOWN_REASONS = 5

OnProgress = Callable[[int, float], None]
"""Called with the number of entries dealt with in this call, and the fraction of the source."""


def pack_photos(
    source: PhotoSource,
    folder: Path,
    size: int | None,
    shard_size: int,
    workers: int,
    on_progress: OnProgress,
) -> dict:
    """Write the photos of a source into WebDataset shards, or go on where a kill ended that.

    Every photo is decoded once, in threads: a process that outlives a killed command would hang.

    Args:
        source: where the photos come from.
        folder: for the shards; new, empty, or left by an earlier call with the same arguments.
        size: see ``prove_photo``.
        shard_size: the most photos in a shard.
        workers: threads that decode.
        on_progress: told now and then.

    Returns:
        The index, as written to ``index.json``: ``complete``, ``fingerprint`` and ``settings``;
        for each of ``splits`` its counts and its shards with their hashes; ``left_out``.

    Raises:
        DataError: the source is damaged, ends too early, or holds no photo.
        DataError: the folder holds something else, or another process is writing there.
    """
    folder.mkdir(parents=True, exist_ok=True)
    try:
        with lock_of(folder / _LOCK).acquire(timeout=0):
            return _pack(source, folder, size, shard_size, workers, on_progress)
    except Timeout:
        raise DataError(f"another process is writing to {folder}") from None


def _pack(
    source: PhotoSource,
    folder: Path,
    size: int | None,
    shard_size: int,
    workers: int,
    on_progress: OnProgress,
) -> dict:
    start = {
        "format": "webdataset",
        "complete": False,
        "fingerprint": source.fingerprint,
        "settings": {"size": size, "shard_size": shard_size},
    }
    before = _earlier_index(folder)
    writer = ShardWriter(folder, shard_size, finished_shards(folder))
    if before is not None and (writer.listings or before["complete"]):
        _check_same(folder, before, start)
        if before["complete"]:
            _check_shards_there(folder, before, writer.listings)
            return before
    else:
        _write_index(folder, start)
    done = 0
    try:
        for batch in _proven(source.entries(writer.resume), size, workers):
            for entry in batch:
                writer.add(entry)
            done += len(batch)
            on_progress(done, source.fraction())
        writer.finish()
    finally:
        writer.abandon()
    if not writer.listings:
        (folder / INDEX).unlink()
        raise DataError(f"no readable photo in the source{_reasons(writer.left_out)}")
    index = start | {"complete": True, **_totals(writer.listings), "left_out": writer.left_out}
    _write_index(folder, index)
    return index


def _proven(
    entries: Iterator[SourceFile | LeftOut], size: int | None, workers: int
) -> Iterator[list[Sample | LeftOut]]:
    """Decode in threads; batches come back in order, and few of them and few bytes wait in memory.

    What was streamed before a source failed comes back before its error.
    """
    with ThreadPoolExecutor(workers) as pool:
        waiting: deque[tuple[Future[list[Sample | LeftOut]], int]] = deque()
        held = 0
        failure: DataError | None = None
        batches = _batches(entries)
        try:
            while True:
                try:
                    batch = next(batches)
                except StopIteration:
                    break
                except DataError as error:
                    failure = error
                    break
                waiting.append((pool.submit(_prove_batch, batch, size), _bytes_of(batch)))
                held += waiting[-1][1]
                while len(waiting) > _BATCHES_AHEAD * workers or held > _MOST_WAITING_BYTES:
                    proven, freed = waiting.popleft()
                    held -= freed
                    yield proven.result()
            while waiting:
                yield waiting.popleft()[0].result()
        finally:
            pool.shutdown(cancel_futures=True)
        if failure is not None:
            raise failure


def _batches(entries: Iterator[SourceFile | LeftOut]) -> Iterator[list[SourceFile | LeftOut]]:
    """Group entries, so that neither their number nor their bytes are many."""
    batch: list[SourceFile | LeftOut] = []
    held = 0
    try:
        for entry in entries:
            batch.append(entry)
            held += _bytes_of([entry])
            if len(batch) >= _BATCH_FILES or held >= _BATCH_BYTES:
                yield batch
                batch, held = [], 0
    except DataError:
        yield batch
        raise
    if batch:
        yield batch


def _bytes_of(batch: list[SourceFile | LeftOut]) -> int:
    return sum(len(entry.data) for entry in batch if isinstance(entry, SourceFile))


def _prove_batch(batch: list[SourceFile | LeftOut], size: int | None) -> list[Sample | LeftOut]:
    return [_prove(entry, size) if isinstance(entry, SourceFile) else entry for entry in batch]


def _prove(file: SourceFile, size: int | None) -> Sample | LeftOut:
    try:
        photo = prove_photo(file.data, file.name, size)
    except UnreadablePhotoError as error:
        return LeftOut(file.place, file.name, error.reason)
    place = photo_place(file.name)
    return Sample(file.place, file.name, place.split, place.key, photo)


def _totals(listings: list[ShardListing]) -> dict:
    """Return ``photos`` and ``splits`` of an index."""
    splits: dict[str, dict] = {}
    for listing in sorted(listings, key=lambda listing: listing.shard):
        split = splits.setdefault(listing.split, {"photos": 0, "bytes": 0, "shards": []})
        split["photos"] += listing.photos
        split["bytes"] += listing.bytes
        split["shards"].append(
            asdict(
                IndexedShard(
                    name=listing.shard,
                    photos=listing.photos,
                    bytes=listing.bytes,
                    sha256=listing.sha256,
                    listing=listing_name(listing.shard),
                )
            )
        )
    return {"photos": sum(split["photos"] for split in splits.values()), "splits": splits}


def _reasons(left_out: list[tuple[str, str]]) -> str:
    """Return the first reasons, to end the line of an error."""
    shown = "; ".join(f"{name} ({reason})" for name, reason in left_out[:_SHOWN_REASONS])
    return f": {shown}" if shown else ""


def _earlier_index(folder: Path) -> dict | None:
    """Read the index that an earlier call left; None in an empty folder."""
    try:
        index = read_json(folder / INDEX, LARGEST_LISTING)
        _check_types(index)
        return index
    except FileNotFoundError:
        found = sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))
        if found:
            raise DataError(
                f"{folder} holds something else ({', '.join(found[:3])}): name a new folder"
            ) from None
        return None
    except ValueError as error:
        raise DataError(
            f"{folder / INDEX} is damaged ({error}): remove the folder, or name another"
        ) from error


def _check_types(index: object) -> None:
    """Raise ValueError unless an index that was read has all that is taken from it here."""
    complete = value_of(index, "complete", bool)
    value_of(index, "fingerprint", str)
    settings = value_of(index, "settings", dict)
    count_of(settings, "shard_size", 1)
    if settings.get("size") is not None:
        count_of(settings, "size", 1)
    if not complete:
        return
    count_of(index, "photos", 1)
    reasons_of(index, "left_out")
    for split in value_of(index, "splits", dict).values():
        count_of(split, "photos", 1)
        for shard in value_of(split, "shards", list):
            value_of(shard, "name", str)


def _check_same(folder: Path, before: dict, now: dict) -> None:
    """Raise unless the folder was begun from the same source with the same settings."""
    if before["fingerprint"] != now["fingerprint"]:
        raise DataError(f"{folder} holds the shards of another source: name a new folder")
    for name, value in now["settings"].items():
        earlier = before["settings"].get(name)
        if earlier != value:
            option = f"--{name.replace('_', '-')}"
            raise DataError(
                f"{folder} was begun with {option} {earlier}, not {value}: "
                "name a new folder, or give the same options"
            )


def _check_shards_there(folder: Path, index: dict, listings: list[ShardListing]) -> None:
    """Raise where a complete set has lost a shard."""
    there = {listing.shard for listing in listings}
    for split in index["splits"].values():
        for shard in split["shards"]:
            if shard["name"] not in there:
                raise DataError(
                    f"{folder / shard['name']} is missing from a set that was complete: "
                    "remove the folder, or name another"
                )


def _write_index(folder: Path, index: dict) -> None:
    with replacing(folder / INDEX) as temporary:
        temporary.write_text(json.dumps(index, indent=1) + "\n")
