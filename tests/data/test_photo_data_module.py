"""The data module around the samples: batches, their order, and sets of two photos."""

import inspect

import numpy as np
import pytest
import torch

from lab.data import PhotoDataModule
from lab.data.photo_datasets import EpochKey
from tests.tiny import fit_tiny, put_photos, read_photos


def equal(one, other):
    return torch.equal(one.image, other.image) and torch.equal(one.mask, other.mask)


def test_a_training_sample_depends_on_seed_epoch_and_number_only():
    data = PhotoDataModule(size=32)
    others = [
        PhotoDataModule(size=32, batch_size=2, samples_per_epoch=50, validation_crops=3),
        PhotoDataModule(size=32, workers=1, validation_seed=5),
    ]
    photos = data.train_dataloader().dataset
    key = EpochKey(epoch=3, sample=2)
    for other in others:
        assert equal(photos[key], other.train_dataloader().dataset[key])
    torch.rand(3)
    np.random.rand(3)
    assert equal(photos[key], photos[key])
    for changed in (EpochKey(4, 2), EpochKey(3, 21)):  # 21 is another crop of the photo of 2
        assert photos[changed].sample == photos[key].sample
        assert not torch.equal(photos[changed].image, photos[key].image)
        assert not torch.equal(photos[changed].mask, photos[key].mask)
    another_seed = PhotoDataModule(size=32, seed=1).train_dataloader().dataset
    assert not equal(another_seed[key], photos[key])


def test_the_order_is_drawn_anew_in_every_epoch_and_visits_every_sample_once():
    loader = PhotoDataModule(size=32, samples_per_epoch=20).train_dataloader()
    orders = []
    for epoch in (0, 1):
        loader.sampler.set_epoch(epoch)
        orders.append(list(loader.sampler))
    for epoch, order in enumerate(orders):
        assert sorted(order) == [EpochKey(epoch, sample) for sample in range(20)]
    assert [key.sample for key in orders[0]] != [key.sample for key in orders[1]]


def test_an_epoch_goes_on_after_the_batches_that_are_done_and_the_next_is_whole():
    data = PhotoDataModule(size=32, samples_per_epoch=22, batch_size=4)
    sampler = data.train_dataloader().sampler
    orders = []
    for epoch in (1, 2):
        sampler.set_epoch(epoch)
        orders.append(list(sampler))
    data.load_state_dict({"epochs_done": 1, "batches_done": 3})
    loader = data.train_dataloader()
    assert len(loader) == 5
    assert list(loader.sampler) == orders[0][12:]
    loader.sampler.set_epoch(2)
    assert list(loader.sampler) == orders[1]


def test_validation_batches_are_the_validation_samples_in_order_every_time():
    data = PhotoDataModule(size=32, validation_crops=7)
    samples = data.validation_samples
    for _ in range(2):
        batches = list(data.val_dataloader())
        names = [name for batch in batches for name in batch.sample]
        assert names == [samples[index].sample for index in range(len(samples))]
        assert torch.equal(torch.cat([batch.mask for batch in batches])[20], samples[20].mask)
        assert torch.equal(torch.cat([batch.image for batch in batches])[20], samples[20].image)
    assert len(set(names)) == len(names) == 91


def test_fewer_validation_photos_are_the_first_ones():
    data = PhotoDataModule(size=32, validation_photos=2)
    assert [sample.sample for sample in map(data.validation_samples.__getitem__, range(2))] == [
        photo.name for photo in data.source.validation[:2]
    ]
    assert len(data.validation_samples) == 2


@pytest.mark.parametrize("count", [2, 3])
def test_a_run_on_two_or_three_photos_trains(tmp_path, count):
    (tmp_path / "photos").mkdir()
    photos = put_photos(tmp_path / "photos", range(count))
    options = [f"--data.photos={photos}", "--data.samples_per_epoch=null", "--fit.epochs=2"]
    assert fit_tiny(tmp_path / "run", *options) == [1, 2]
    assert read_photos(tmp_path / "run").notna().all()


def test_few_photos_still_give_the_six_samples_that_a_run_shows(tmp_path):
    assert len(PhotoDataModule(size=32).validation_samples) == 13
    assert len(PhotoDataModule(put_photos(tmp_path, range(5)), size=32).validation_samples) == 6


def test_what_is_scored_is_told_by_arguments_that_are_there():
    arguments = set(inspect.signature(PhotoDataModule).parameters)
    of_validation = {name for name in arguments if name.startswith("validation_")}
    assert of_validation <= PhotoDataModule.SCORED_BY <= arguments
