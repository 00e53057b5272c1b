"""How well an epoch from shards is mixed: photos that lie together there come far apart."""

import numpy as np
import pytest

from data_prep import places2
from lab.data import PhotoDataModule
from tests.data_prep.making import jpeg, member, write_tar

SHARDS, SIZE, BATCH = 24, 100, 16


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos that are called by their place in the archive."""
    folder = tmp_path_factory.mktemp("order")
    files = [jpeg(number, 16) for number in range(12)]
    members = [
        # With a comment, so that no two are the same file.
        member(
            f"data_256/a/airfield/{number:08d}.jpg",
            files[number % 12][:2] + b"\xff\xfe\x00\x06%04d" % number + files[number % 12][2:],
        )
        for number in range(SHARDS * SIZE)
    ]
    members.append(member("val/a/airfield/0.jpg", files[0]))
    archive = write_tar(folder / "a.tar", members)
    options = ["--shard-size", str(SIZE), "--workers", "1"]
    assert places2.main([str(archive), str(folder / "shards"), *options]) == 0
    return folder / "shards"


def mixing(order):
    """Of neighbours in a shard, in samples of an epoch: the median distance between them, and the
    share that comes within a batch's length; and how many shards a batch is of."""
    places = np.argsort(order)
    within = np.arange(1, len(order)) % SIZE != 0
    apart = np.abs(np.diff(places))[within]
    batches = np.array(order).reshape(-1, BATCH) // SIZE
    return (
        np.median(apart),
        np.mean(apart < BATCH),
        np.mean([len(set(batch)) for batch in batches.tolist()]),
    )


@pytest.mark.parametrize("workers", [0, 2])
def test_neighbours_in_a_shard_come_apart(folder, workers):
    data = PhotoDataModule(folder, 32, BATCH, workers=workers)
    loader = data.train_dataloader()
    orders = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        names = [name for batch in loader for name in batch.sample]
        orders.append([int(name.rpartition("/")[2]) for name in names])
        assert sorted(orders[-1]) == list(range(SHARDS * SIZE))
        median, near, shards = mixing(orders[-1])
        # A perfect shuffle: 0.29 of the epoch, which is 700; 1.3 %; 12 shards of the 24.
        assert median > 350
        assert near < 0.025
        assert shards > 7
    assert orders[0] != orders[1]


def test_the_figures_tell_a_bad_order():
    unmixed = np.arange(SHARDS * SIZE)
    median, near, shards = mixing(unmixed)
    assert (median, near) == (1, 1)
    assert shards < 1.2
    # One photo of each of sixteen shards in turn, and nothing else.
    in_turn = unmixed.reshape(-1, SIZE)[:16].T.ravel()
    assert mixing(in_turn)[0] == 16
    median, near, shards = mixing(np.random.default_rng(0).permutation(unmixed))
    assert median == pytest.approx(0.29 * len(unmixed), rel=0.05)
    assert near < 0.02
    assert shards > 11
