"""Shards are read as folders are: the same draws, a fixed validation, nothing altered."""

import itertools
import json
import os
import re
import shutil
import tarfile
from collections import Counter
from functools import cache

import pytest
import torch

from data_prep import places2
from lab.checks import UserError
from lab.data import PhotoDataModule, photo_data_module, shard_set
from lab.data.content_split import content_fraction
from lab.files import file_sha256
from lab.formats.shards import read_index, read_samples
from lab.imaging import UnreadablePhotoError
from lab.parsing import SettingsError
from tests.data.shards import pack
from tests.data_prep.making import data_256, jpeg, member, unpack, write_tar
from tests.tiny import tiny_experiment


@pytest.fixture(scope="module")
def easyformat(tmp_path_factory):
    """Twelve training photos in four shards, three validation photos in one."""
    return pack(tmp_path_factory.mktemp("easyformat"))


@pytest.fixture(scope="module")
def train_only(tmp_path_factory):
    """Forty training photos in eight shards."""
    return pack(tmp_path_factory.mktemp("data_256"), "data_256", count=40, shard_size=5)


def module(photos, **options):
    return PhotoDataModule(photos=photos, **{"size": 32, "batch_size": 4, **options})


def epoch_of(data, epoch):
    """The batches' names, and each sample by its name and place among its namesakes."""
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    batches = list(loader)
    samples = {}
    for batch in batches:
        for image, mask, name in zip(batch.image, batch.mask, batch.sample, strict=True):
            again = sum(other == name for other, _ in samples)
            samples[name, again] = (image, mask)
    return [name for batch in batches for name in batch.sample], samples


def assert_same(samples, others):
    assert samples.keys() == others.keys()
    for key, (image, mask) in samples.items():
        assert torch.equal(image, others[key][0])
        assert torch.equal(mask, others[key][1])


def records(folder, split):
    return [
        sample
        for shard in read_index(folder).splits[split]
        for sample in read_samples(folder / shard.listing)
    ]


# Five processes share four shards: one has none.
@pytest.mark.filterwarnings("ignore:This DataLoader will create 5")
@pytest.mark.parametrize("workers", [1, 2, 5])
def test_an_epoch_shows_every_training_photo_once_whatever_the_loader_processes(
    easyformat, workers
):
    alone, samples = epoch_of(module(easyformat), 3)
    shared, others = epoch_of(module(easyformat, workers=workers), 3)
    assert sorted(alone) == sorted(record.key for record in records(easyformat, "train"))
    assert sorted(shared) == sorted(alone)
    assert_same(samples, others)


def test_draws_depend_on_seed_epoch_and_sample_and_the_order_on_the_epoch(easyformat):
    data = module(easyformat)
    names, first = epoch_of(data, 0)
    again_names, again = epoch_of(module(easyformat, batch_size=3), 0)
    assert names == again_names
    assert_same(first, again)
    for other in (epoch_of(data, 1), epoch_of(module(easyformat, seed=1), 0)):
        assert other[0] != names
        assert sorted(other[0]) == sorted(names)
        for key, (image, mask) in first.items():
            assert not torch.equal(image, other[1][key][0])
            assert not torch.equal(mask, other[1][key][1])


@pytest.mark.parametrize("workers", [0, 2])
def test_photos_come_again_with_other_draws_when_an_epoch_wants_more_than_there_are(
    easyformat, workers
):
    data = module(easyformat, samples_per_epoch=36, workers=workers)
    assert len(data.train_dataloader()) == 9
    names, samples = epoch_of(data, 0)
    assert sorted(names) == sorted(3 * [record.key for record in records(easyformat, "train")])
    for name in set(names):
        crops = [samples[name, again][0] for again in range(3)]
        assert not torch.equal(crops[0], crops[1])
        assert not torch.equal(crops[1], crops[2])


def test_a_process_whose_shard_has_nothing_to_train_on_goes_on_with_the_next(train_only):
    # Nearly all of forty photos validate, so most of the eight shards have none for training.
    data = module(train_only, validation_share=0.95, samples_per_epoch=60, workers=2)
    names, _ = epoch_of(data, 0)
    assert data.source.training_count < 8
    assert len(names) == 60
    assert len(set(names)) == data.source.training_count


def test_an_epoch_of_fewer_samples_takes_other_photos_each_time(easyformat):
    data = module(easyformat, samples_per_epoch=5, batch_size=2)
    loader = data.train_dataloader()
    shown = []
    for epoch in range(8):
        loader.sampler.set_epoch(epoch)
        batches = list(loader)
        assert [len(batch.sample) for batch in batches] == [2, 2] == 2 * [len(loader)]
        shown.append(frozenset(name for batch in batches for name in batch.sample))
    assert len(set(shown)) > 4
    assert len(frozenset.union(*shown)) == 12


@pytest.mark.parametrize("workers", [0, 2])
def test_the_same_loader_goes_through_other_orders_epoch_after_epoch(easyformat, workers):
    data = module(easyformat, workers=workers)
    loader = data.train_dataloader()
    for epoch in (0, 1, 5):
        loader.sampler.set_epoch(epoch)
        names = [name for batch in loader for name in batch.sample]
        assert names == epoch_of(data, epoch)[0]


def test_distinct_epochs_come_again(train_only):
    data = module(train_only, distinct_epochs=2)
    names, samples = epoch_of(data, 1)
    names_again, again = epoch_of(data, 3)
    assert names == names_again
    assert_same(samples, again)
    assert epoch_of(data, 2)[0] != names


def test_a_resumed_run_begins_with_the_epoch_after_those_that_are_done(easyformat):
    data = module(easyformat)
    data.load_state_dict({"epochs_done": 2})
    # Before Lightning has told the epoch, which it does when the first samples are on their way.
    assert [name for batch in data.train_dataloader() for name in batch.sample] == epoch_of(
        data, 2
    )[0]


class Counting:
    """A mask policy that counts what it draws."""

    def __init__(self):
        self.drawn = 0

    def __call__(self, height, width, generator):
        self.drawn += 1
        return torch.ones(1, height, width)


@pytest.mark.parametrize(
    ("workers", "batches", "done"),
    # Three processes share four shards, which end at different times; two batches are sent at once.
    [(0, 32, (1, 31)), (3, 32, (7, 16, 31))],
)
def test_what_is_left_of_an_epoch_is_given_without_decoding_the_rest(
    easyformat, workers, batches, done
):
    def left_after(count):
        options = {"batch_size": 2, "samples_per_epoch": 65, "workers": workers}
        masks = Counting()
        data = module(easyformat, masks=lambda: masks, **options)
        data.load_state_dict({"epochs_done": 2, "batches_done": count})
        loader = data.train_dataloader()
        assert len(loader) == batches
        return loader, list(loader), masks.drawn

    _, whole, _ = left_after(0)
    assert len(whole) == batches
    for count in done:
        loader, left, drawn = left_after(count)
        assert [batch.sample for batch in left] == [batch.sample for batch in whole[count:]]
        for one, other in zip(left, whole[count:], strict=True):
            assert torch.equal(one.pixels, other.pixels)
        assert workers or drawn == 2 * len(left)
        loader.sampler.set_epoch(3)
        assert sum(1 for _ in loader) == batches, "the next epoch is whole"


def test_neighbours_of_a_sorted_archive_come_apart(train_only):
    # data_256 has all airfields before all balconies.
    names, _ = epoch_of(module(train_only), 0)
    changes = sum(
        one.split("/")[0] != other.split("/")[0] for one, other in itertools.pairwise(names)
    )
    assert changes > 5


SHARED = {
    # Of twenty-three training photos, in shards of 5, 5, 5, 5 and 3.
    "shards": {"count": 23, "shard_size": 5},
    "one shard": {"count": 23, "shard_size": 50},
    # Of forty, some half of which train: four of one shard, and none of another.
    "by content": {"archive": "data_256", "count": 40, "shard_size": 5},
}


@pytest.fixture(scope="module")
def shared(tmp_path_factory):
    """Sets that ranks share, by name, packed when they are first asked for."""
    return cache(lambda name: pack(tmp_path_factory.mktemp("shared"), **SHARED[name]))


@pytest.fixture
def as_rank(monkeypatch):
    """Makes of this process one of several ranks, for data modules."""

    def become(rank, ranks):
        monkeypatch.setattr(photo_data_module, "rank", lambda: rank)
        monkeypatch.setattr(photo_data_module, "ranks", lambda: ranks)

    return become


def trained_in(source):
    """How many training photos each shard has."""
    counts = Counter({str(source.folder / shard.name): shard.photos for shard in source.training})
    counts.subtract(str(member.shard) for member in source.judged)
    return [counts[str(source.folder / shard.name)] for shard in source.training]


@pytest.mark.parametrize("kind", SHARED)
@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranks", [1, 2, 3, 4])
def test_ranks_share_out_the_photos_and_show_each_once(shared, as_rank, kind, workers, ranks):
    folder = shared(kind)
    alone = module(folder, batch_size=1, validation_share=0.5)
    count = alone.source.training_count
    if kind != "one shard":
        assert len(set(trained_in(alone.source))) > 1, "they are of equal sizes"
    for epoch in (0, 1):
        as_rank(0, 1)
        _, drawn = epoch_of(alone, epoch)
        shown = {}
        for rank in range(ranks):
            as_rank(rank, ranks)
            options = {"batch_size": ranks, "workers": workers, "validation_share": 0.5}
            names, samples = epoch_of(module(folder, **options), epoch)
            assert len(names) == count // ranks
            assert not shown.keys() & samples.keys(), "a photo was shown twice"
            shown |= samples
        assert len(shown) == count // ranks * ranks
        assert_same(shown, {key: drawn[key] for key in shown})


def test_whatever_is_left_over_is_another_photo_in_every_epoch(shared, as_rank):
    left_over = set()
    for epoch in range(12):
        shown = set()
        for rank in range(2):
            as_rank(rank, 2)
            shown |= set(epoch_of(module(shared("shards"), batch_size=2), epoch)[0])
        every = {record.key for record in records(shared("shards"), "train")}
        left_over |= every - shown
        assert len(every - shown) == 1
    assert len(left_over) > 4


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize(
    ("share", "ranks", "samples"),
    # Twenty-two photos for training; and one, of which seven ranks of eight have none at first.
    [(0.5, 3, 60), (0.5, 4, 40), (1 - 1e-9, 8, 24)],
)
def test_photos_come_to_ranks_again_where_an_epoch_wants_more_than_there_are(
    shared, as_rank, workers, share, ranks, samples
):
    crops, times = [], Counter()
    for rank in range(ranks):
        as_rank(rank, ranks)
        data = module(
            shared("by content"),
            batch_size=ranks,
            samples_per_epoch=samples,
            validation_share=share,
            workers=workers,
        )
        names, drawn = epoch_of(data, 0)
        assert len(names) == samples // ranks
        times.update(names)
        crops += [image.numpy().tobytes() for image, _ in drawn.values()]
    count = data.source.training_count
    assert len(times) == count
    assert max(times.values()) <= -(-samples // count)
    # Of loader processes, one may begin again before another has ended, as without ranks.
    assert workers or min(times.values()) >= samples // count
    assert len(set(crops)) == samples, "two samples were drawn alike"


@pytest.mark.parametrize("workers", [0, 2])
@pytest.mark.parametrize("ranks", [2, 3])
def test_ranks_go_on_within_an_epoch(shared, as_rank, ranks, workers):
    def left_after(count):
        options = {"batch_size": 2 * ranks, "samples_per_epoch": 40, "workers": workers}
        data = module(shared("shards"), **options)
        data.load_state_dict({"epochs_done": 2, "batches_done": count})
        return list(data.train_dataloader())

    for rank in range(ranks):
        as_rank(rank, ranks)
        whole = left_after(0)
        assert len(whole) == 20 // ranks
        for count in (1, 4):
            left = left_after(count)
            assert [batch.sample for batch in left] == [batch.sample for batch in whole[count:]]
            for one, other in zip(left, whole[count:], strict=True):
                assert torch.equal(one.pixels, other.pixels)


@pytest.mark.parametrize("workers", [0, 2])
def test_who_shares_the_photos_is_not_what_a_launcher_left_in_the_environment(
    easyformat, as_rank, monkeypatch, workers
):
    # As containers and launchers set them, each for purposes of its own.
    for name, value in (("RANK", 0), ("WORLD_SIZE", 1), ("WORKER", 0), ("NUM_WORKERS", 1)):
        monkeypatch.setenv(name, str(value))
    shown = []
    for rank in range(2):
        as_rank(rank, 2)
        names, _ = epoch_of(module(easyformat, batch_size=2, workers=workers), 0)
        assert len(names) == 6
        shown += names
    assert sorted(shown) == sorted(record.key for record in records(easyformat, "train"))


def test_more_ranks_than_samples_are_refused_by_every_rank(easyformat, as_rank):
    for rank in range(3):
        as_rank(rank, 3)
        with pytest.raises(UserError, match="3 ranks cannot share 2 samples an epoch: train on f"):
            module(easyformat, samples_per_epoch=2, batch_size=3).train_dataloader()


def test_validation_from_shards_is_that_of_the_unpacked_folder(easyformat, tmp_path):
    # Packing keeps every byte, and validation draws come from the bytes alone.
    for split in ("train", "val"):
        for shard in read_index(easyformat).splits[split]:
            with tarfile.open(easyformat / shard.name) as archive:
                archive.extractall(tmp_path / split, filter="data")
    packed, plain = module(easyformat, seed=4), module(tmp_path)
    assert packed.source.training_count == plain.source.training_count == 12
    places = {photo.sha256: place for place, photo in enumerate(plain.source.validation)}
    photos = packed.source.validation_photos(None)
    assert {photo.sha256 for photo in photos} == places.keys()
    assert len(photos) == 3
    for index, photo in enumerate(photos):
        one = packed.validation_samples[index]
        other = plain.validation_samples[places[photo.sha256]]
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.mask, other.mask)
        # 64 pixels shrunk to 32: not a blank.
        assert one.image.std() > 0.02


def test_validation_photos_are_in_no_order_of_the_archive_and_fewer_are_the_first_ones(train_only):
    data = module(train_only, validation_share=0.5, validation_crops=2)
    photos = data.source.validation_photos(None)
    assert [photo.sha256 for photo in photos] == sorted(photo.sha256 for photo in photos)
    assert data.source.validation_photos(4) == photos[:4]
    fewer = module(train_only, validation_share=0.5, validation_photos=4, seed=9).validation_samples
    assert len(fewer) == 4
    for index in range(4):
        assert fewer[index].sample == data.validation_samples[index].sample
        assert torch.equal(fewer[index].mask, data.validation_samples[index].mask)
    names = [batch.sample for batch in data.val_dataloader()]
    assert len({name for batch in names for name in batch}) == 2 * len(photos)
    assert all("/" not in name for batch in names for name in batch)


def test_without_a_validation_split_content_decides_as_in_a_folder(train_only, tmp_path):
    source = module(train_only, validation_share=0.3).source
    every = records(train_only, "train")
    judged = {record.sha256 for record in every if content_fraction(record.sha256) < 0.3}
    assert 0 < len(judged) < len(every)
    assert {photo.sha256 for photo in source.validation_photos(None)} == judged
    assert source.training_count == len(every) - len(judged)
    assert source.summary() == (
        f"{source.training_count} photos for training in 8 shards, {len(judged)} for validation "
        "(by content, about 30 % for validation); 0 unreadable when they were packed"
    )
    names, _ = epoch_of(module(train_only, validation_share=0.3, batch_size=1), 0)
    trained = {record.key for record in every if record.sha256 not in judged}
    assert sorted(names) == sorted(trained)
    folder = unpack(data_256(40), tmp_path / "photos")
    split = module(folder, validation_share=0.3).source
    assert {photo.sha256 for photo in split.validation} == judged


@pytest.mark.parametrize("share", [1e-9, 1 - 1e-9])
def test_content_leaves_no_side_empty(train_only, share):
    source = module(train_only, validation_share=share, batch_size=1).source
    assert {source.validation_count, source.training_count} == {1, 39}
    assert (source.validation_count == 1) == (share < 0.5)
    names, _ = epoch_of(module(train_only, validation_share=share, batch_size=1), 0)
    assert len(names) == source.training_count


def test_copies_of_one_photo_stay_on_one_side(tmp_path):
    members = [member(f"data_256/a/airfield/{number:08d}.jpg", jpeg(number // 3))
               for number in range(12)]  # fmt: skip
    packed = tmp_path / "shards"
    assert places2.main([str(write_tar(tmp_path / "a.tar", members)), str(packed)]) == 0
    for share in (1e-9, 0.5, 1 - 1e-9):
        source = module(packed, validation_share=share, batch_size=1).source
        names, _ = epoch_of(module(packed, validation_share=share, batch_size=1), 0)
        assert source.validation_count % 3 == source.training_count % 3 == 0
        assert len(names) == source.training_count == 12 - source.validation_count


def test_photos_of_one_key_in_two_shards_have_two_names(tmp_path):
    names = [f"data_256/a/airfield/1.{suffix}" for suffix in ("jpg", "jpeg")]
    archive = [member(name, jpeg(number)) for number, name in enumerate(names)]
    archive.insert(1, member("data_256/a/airfield/2.jpg", jpeg(7)))
    packed = tmp_path / "s"
    options = [str(write_tar(tmp_path / "a.tar", archive)), str(packed), "--shard-size", "2"]
    assert places2.main(options) == 0
    photos = module(packed, validation_share=1 - 1e-9).source.validation_photos(None)
    every = records(packed, "train")
    assert sorted(record.key for record in every) == ["airfield/1", "airfield/1", "airfield/2"]
    assert len({photo.name for photo in photos}) == len(photos) == 2


def test_test_photos_neither_train_nor_validate(tmp_path):
    names = [f"places/{split}/a/{number}.jpg" for split in ("train", "test") for number in range(6)]
    archive = [member(name, jpeg(number)) for number, name in enumerate(names)]
    assert places2.main([str(write_tar(tmp_path / "a.tar", archive)), str(tmp_path / "s")]) == 0
    source = module(tmp_path / "s").source
    assert source.training_count + source.validation_count == 6
    assert "6 for tests are not used" in source.summary()


def packed_folder(folder, sides, *options):
    """Pack a folder of photos, given by the numbers of those on each side."""
    members = [
        member(f"photos/{side}/{place}.jpg", jpeg(number))
        for side, numbers in sides.items()
        for place, number in enumerate(numbers)
    ]
    shards = folder / "shards"
    assert places2.main([str(unpack(members, folder) / "photos"), str(shards), *options]) == 0
    return shards


def test_photos_beside_the_sides_are_left_alone_as_in_a_folder(tmp_path):
    shards = packed_folder(tmp_path, {"train": range(3), "valid": [3], "more": [4, 5], "test": [6]})
    source, plain = module(shards).source, module(tmp_path / "photos").source
    assert (source.training_count, source.validation_count) == (3, 1)
    assert (plain.training_count, plain.validation_count) == (3, 1)
    assert source.rule == "by their splits; 2 elsewhere are not used; 1 for tests are not used"
    names, _ = epoch_of(module(shards, batch_size=1), 0)
    assert sorted(names) == ["0", "1", "2"]


# A photo may be shrunk on both sides.
@pytest.mark.parametrize("options", [(), ("--size", "32")])
def test_a_photo_on_both_sides_is_reported(tmp_path, options):
    shards = packed_folder(tmp_path, {"train": [0, 1, 1, 2], "val": [3, 1]}, *options)
    source = module(shards).source
    ((seen, judged),) = source.leaks
    assert (seen.key, judged.key) == ("1", "1")
    assert source.summary().splitlines()[1:] == [
        f"leak: {shards}/train-000000.tar: 1 and {shards}/val-000000.tar: 1 are the same file, "
        "and validation flatters"
    ]
    assert source.validation_count == 2


def test_many_leaks_are_not_all_listed(tmp_path):
    source = module(packed_folder(tmp_path, {"train": range(13), "val": range(13)})).source
    lines = source.summary().splitlines()[1:]
    assert len(source.leaks) == 13
    assert len(lines) == 11
    assert lines[-1] == "leak: and 3 more"


def test_without_sides_nothing_leaks(easyformat, train_only):
    for shards in (easyformat, train_only):
        source = module(shards).source
        assert source.leaks == ()
        assert "leak" not in source.summary()


def test_the_digest_tells_contents_apart_and_not_places(easyformat, train_only, tmp_path):
    moved = shutil.copytree(easyformat, tmp_path / "moved")
    assert module(moved).source.digest == module(easyformat).source.digest
    assert module(moved).source.digest != module(train_only).source.digest
    shares = [module(train_only, validation_share=share).source.digest for share in (0.2, 0.6)]
    assert shares[0] != shares[1]


def flip_a_byte(path):
    data = bytearray(path.read_bytes())
    data[600] ^= 1
    path.write_bytes(bytes(data))


def cut_short(path):
    path.write_bytes(path.read_bytes()[:-100])


def hash_as_mapping(path):
    path.write_text(re.sub(r'"[0-9a-f]{64}"', "{}", path.read_text()))


@pytest.mark.parametrize(
    ("harm", "file", "said"),
    [
        (os.remove, "train-000002.tar", "train-000002.tar is missing"),
        (cut_short, "train-000001.tar", "train-000001.tar is truncated: it has"),
        (flip_a_byte, "train-000003.tar", "train-000003.tar is altered: its SHA-256 is"),
        (flip_a_byte, "val-000000.tar", "val-000000.tar is altered: its SHA-256 is"),
        (os.remove, "val-000000.json", "val-000000.json is missing"),
        (cut_short, "val-000000.json", "val-000000.json is no listing of a shard, or damaged"),
        (cut_short, "index.json", "index.json is no index of shards, or damaged"),
        (hash_as_mapping, "index.json", "index.json is no index of shards, or damaged"),
        (hash_as_mapping, "val-000000.json", "val-000000.json is no listing of a shard, or damag"),
    ],
)
@pytest.mark.parametrize("seen_before", [False, True])
def test_what_is_not_as_it_was_packed_is_refused_before_training(
    easyformat, tmp_path, harm, file, said, seen_before
):
    folder = shutil.copytree(easyformat, tmp_path / "shards")
    if seen_before:
        tiny_experiment(f"--data.photos={folder}").read_photos()
    harm(folder / file)
    with pytest.raises(SettingsError, match=re.escape(said)) as error:
        tiny_experiment(f"--data.photos={folder}").read_photos()
    assert str(folder) in str(error.value)


def test_unfinished_shards_are_refused(easyformat, tmp_path):
    folder = shutil.copytree(easyformat, tmp_path / "shards")
    index = json.loads((folder / "index.json").read_text())
    (folder / "index.json").write_text(json.dumps(index | {"complete": False}))
    with pytest.raises(ValueError, match=r"not finished: run data_prep\.places2 again"):
        _ = module(folder).source


def test_hashes_are_computed_once(easyformat, tmp_path, monkeypatch):
    folder = shutil.copytree(easyformat, tmp_path / "shards")
    hashed = []
    monkeypatch.setattr(
        shard_set, "file_sha256", lambda path: hashed.append(path.name) or file_sha256(path)
    )
    for _ in range(2):
        _ = module(folder).source
        shard_set._sha256.cache_clear()  # as in another process
        assert sorted(hashed) == [*(f"train-{number:06d}.tar" for number in range(4)),
                                  "val-000000.tar"]  # fmt: skip
    os.utime(folder / "train-000002.tar")
    _ = module(folder).source
    assert hashed[5:] == ["train-000002.tar"]
    # The command that packed them takes the folder as before.
    assert not list(folder.glob("*.partial"))


def test_a_shard_altered_under_a_run_is_named(easyformat, tmp_path):
    folder = shutil.copytree(easyformat, tmp_path / "shards")
    data = module(folder)
    samples = data.validation_samples
    flip_a_byte(folder / "val-000000.tar")
    with pytest.raises(UnreadablePhotoError, match=r"val-000000.tar.*not what the shard's listing"):
        list(map(samples.__getitem__, range(len(samples))))
    shutil.copy(folder / "train-000000.tar", folder / "train-000001.tar")
    (folder / "train-000003.tar").write_bytes(bytes(1024))
    with pytest.raises(ValueError, match="gave 2 batches of the 3 that they are listed with"):
        epoch_of(data, 0)


def test_a_shard_damaged_under_a_run_does_not_end_early(easyformat, tmp_path):
    folder = shutil.copytree(easyformat, tmp_path / "shards")
    # Fewer than there are: what is left would be enough.
    data = module(folder, samples_per_epoch=4)
    assert data.source.training_count == 12
    shard = folder / "train-000002.tar"
    whole = shard.read_bytes()
    second = 512 + 512 * -(-int(whole[124:135], 8) // 512)
    for damaged, said in (
        (whole[:second] + b"?" + whole[second + 1 :], f"at byte {second}: bad checksum"),
        (whole[: second + 600], "it is cut off"),
        (whole[:-1024], "not the end mark"),
        (whole[:second] + whole[-1024:] + whole[second:], "not the end mark"),
    ):
        shard.write_bytes(damaged)
        with pytest.raises(ValueError, match=rf"{shard} is damaged \(.*{said}\): pack"):
            epoch_of(data, 0)
