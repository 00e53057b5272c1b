"""Trained on Places2."""

from lab.training import CompletionModule
from lab.variants.variant import build_variants, documented


@documented("V5", "trained on Places2", {"data.size": 256, "data.samples_per_epoch": 20_000})
def places2(**settings: object) -> CompletionModule:
    """V5: trained on Places2.

    Document: retrained on 256x256 photos of Places2.
    Found there: nothing stated.
    Known to be wrong: nothing.
    Changed: the photos: ``python -m data_prep.places2 ARCHIVE SHARDS`` once, then ``python -m
    lab.train --variant=places2 --data.photos=SHARDS``. An epoch is what the published training saw
    in about one: 20,000 photos of the 1.8 million.
    Logged: as V0.
    Measured: not here: the archive is 25 GB and its training takes days on a GPU.
    """
    return build_variants(["places2"], settings)
