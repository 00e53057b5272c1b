"""Tiny shards of real photos, packed by the command that packs Places2."""

from data_prep import places2
from tests.data_prep.making import data_256, easyformat, val_256, write_tar

ARCHIVES = {"easyformat": easyformat, "data_256": data_256, "val_256": val_256}


def pack(folder, archive="easyformat", count=12, shard_size=3):
    """Pack ``count`` photos (easyformat: and three of ``val``); returns the folder of shards."""
    source = write_tar(folder / f"{archive}.tar", ARCHIVES[archive](count))
    shards = folder / "shards"
    options = ["--shard-size", str(shard_size), "--workers", "1"]
    assert places2.main([str(source), str(shards), *options]) == 0
    return shards
