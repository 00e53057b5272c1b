"""Samples: the validation never changes, the training depends on nothing but what it is for."""

import numpy as np
import pytest
import torch
from PIL import Image

from lab.data import PhotoDataModule, photo_sets
from lab.imaging import read_source
from lab.masks import PersonMixture


@pytest.fixture
def folder(tmp_path):
    draws = np.random.default_rng(0)
    for index in range(10):
        pixels = draws.integers(0, 256, (40 + index, 60, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"photo{index}.png")
    return tmp_path


def validation(**options):
    samples = PhotoDataModule(size=32, validation_crops=2, **options).validation_samples
    return {samples[i].sample: samples[i] for i in range(len(samples))}


def test_validation_is_the_same_whatever_the_runs_seed_and_masks(folder):
    first = validation(photos=folder, seed=0)
    second = validation(photos=folder, seed=7, batch_size=2, masks=PersonMixture)
    assert first.keys() == second.keys()
    for name, sample in first.items():
        assert torch.equal(sample.image, second[name].image)
        assert torch.equal(sample.mask, second[name].mask)


def test_no_sample_is_called_as_another_photo(folder):
    for index in range(10):
        source = folder / f"photo{index}.png"
        (folder / f"photo{index}-crop1.png").write_bytes(source.read_bytes()[:-1] + b"x")
    samples = PhotoDataModule(photos=folder, size=32, validation_crops=3).validation_samples
    found = [samples[index] for index in range(len(samples))]
    assert len({sample.sample for sample in found}) == len(found)
    assert len({sample.photo for sample in found}) == len(found) / 3


def test_adding_a_photo_changes_no_other_validation_sample(folder):
    before = validation(photos=folder)
    pixels = np.full((64, 64, 3), 128, dtype=np.uint8)
    Image.fromarray(pixels).save(folder / "another.png")
    after = validation(photos=folder)
    assert before.keys() <= after.keys()
    for name, sample in before.items():
        assert torch.equal(sample.image, after[name].image)
        assert torch.equal(sample.mask, after[name].mask)


def test_what_changed_in_a_folder_is_seen_by_the_next_module_in_the_same_process(folder):
    first = PhotoDataModule(photos=folder, size=32).source
    path = folder / "photo3.png"
    Image.fromarray(np.zeros((50, 50, 3), np.uint8)).save(path)
    (folder / "photo4.png").write_bytes(b"no photo")
    second = PhotoDataModule(photos=folder, size=32).source
    sizes = {photo.name: (photo.height, photo.width)
             for photo in second.training + second.validation}  # fmt: skip
    assert sizes["photo3"] == (50, 50)
    assert [photo.path.name for photo in second.unreadable] == ["photo4.png"]
    assert first.digest != second.digest
    (folder / "photo4.png").unlink()
    assert not PhotoDataModule(photos=folder, size=32).source.unreadable


def test_a_photo_that_has_not_changed_is_decoded_once(folder, monkeypatch):
    decoded = []
    monkeypatch.setattr(
        photo_sets, "read_source", lambda path: decoded.append(path.name) or read_source(path)
    )
    for _ in range(2):
        assert PhotoDataModule(photos=folder, size=32).source.training_count
    assert sorted(decoded) == sorted(path.name for path in folder.iterdir())


def epoch_of(data, epoch):
    loader = data.train_dataloader()
    loader.sampler.set_epoch(epoch)
    return [(batch.image, batch.mask, list(batch.sample)) for batch in loader]


def test_training_samples_do_not_depend_on_loader_processes(folder):
    alone = epoch_of(PhotoDataModule(photos=folder, size=32, batch_size=3), 1)
    shared = epoch_of(PhotoDataModule(photos=folder, size=32, batch_size=3, workers=2), 1)
    assert len(alone) == len(shared) > 0
    for (image, mask, names), (other_image, other_mask, other_names) in zip(
        alone, shared, strict=True
    ):
        assert names == other_names
        assert torch.equal(image, other_image)
        assert torch.equal(mask, other_mask)


def test_training_draws_anew_in_every_epoch_and_for_every_seed(folder):
    data = PhotoDataModule(photos=folder, size=32, batch_size=3)
    first, again, next_epoch = epoch_of(data, 0), epoch_of(data, 0), epoch_of(data, 1)
    assert torch.equal(first[0][0], again[0][0])
    assert not torch.equal(first[0][0], next_epoch[0][0])
    other_seed = epoch_of(PhotoDataModule(photos=folder, size=32, batch_size=3, seed=1), 0)
    assert not torch.equal(first[0][1], other_seed[0][1]) or first[0][2] != other_seed[0][2]


def test_distinct_epochs_come_again_in_another_order(folder):
    def samples(data, epoch):
        loader = data.train_dataloader()
        loader.sampler.set_epoch(epoch)
        keys = list(loader.sampler)
        return keys, {key: loader.dataset[key] for key in keys}

    data = PhotoDataModule(photos=folder, size=32, batch_size=3, distinct_epochs=2)
    order, first = samples(data, 1)
    order_again, again = samples(data, 3)
    assert first.keys() == again.keys()
    assert order != order_again
    for key, sample in first.items():
        assert torch.equal(sample.image, again[key].image)
        assert torch.equal(sample.mask, again[key].mask)
    assert samples(data, 2)[1].keys() != first.keys()
    always_new = PhotoDataModule(photos=folder, size=32, batch_size=3)
    assert first.keys() == samples(always_new, 1)[1].keys()


def test_every_photo_is_visited_once_an_epoch(folder):
    data = PhotoDataModule(photos=folder, size=32, batch_size=1)
    names = [name for _, _, batch in epoch_of(data, 0) for name in batch]
    assert sorted(names) == sorted(photo.name for photo in data.source.training)


def test_two_photos_are_enough(folder):
    for path in sorted(folder.iterdir())[2:]:
        path.unlink()
    data = PhotoDataModule(photos=folder, size=32, batch_size=4)
    (batch,) = epoch_of(data, 0)
    assert batch[0].shape == (1, 3, 32, 32)
    assert len(data.validation_samples) == 6  # one photo, six crops of it


@pytest.mark.parametrize(
    ("option", "value", "found"),
    [
        ("size", 16, "data.size must be at least 32, not 16"),
        ("batch_size", 0, "data.batch_size must be at least 1, not 0"),
        ("smallest_crop", 0.0, r"must lie in \(0, 1\], not 0.0"),
        ("validation_share", 1.0, r"must lie in \(0, 1\), not 1.0"),
        ("samples_per_epoch", 0, "at least 1, not 0"),
    ],
)
def test_a_value_out_of_range_is_named(option, value, found):
    with pytest.raises(ValueError, match=found):
        PhotoDataModule(**{option: value})
