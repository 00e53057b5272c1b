"""Batches travel with 8 bits a value, and whoever asks sees the workbench's floats."""

import pickle

import pytest
import torch
from torch.utils.data import DataLoader

from lab.data import Batch, PhotoDataModule
from lab.data.batches import join_batches

NAMES = ["a", "b", "c"]


@pytest.fixture
def batch():
    """Every 8-bit value, in three samples, with a guide of 0 and 1 and one of floats."""
    generator = torch.Generator().manual_seed(0)
    pixels = torch.randperm(3 * 3 * 16 * 16, generator=generator).reshape(3, 3, 16, 16) % 256
    holes = torch.rand(3, 1, 16, 16, generator=generator) > 0.5
    planes = {"edges": holes.roll(1).byte(), "noise": torch.randn(3, 1, 16, 16)}
    return Batch(pixels.byte(), holes.byte(), NAMES, NAMES, planes)


def test_its_floats_are_the_bytes_exactly(batch):
    assert batch.image.dtype == batch.mask.dtype == batch.guides["edges"].dtype == torch.float32
    assert batch.image.is_contiguous()
    # One rounding of the true quotient, as in NumPy; a multiplication by 1/255 is off in places.
    exact = torch.from_numpy(batch.pixels.numpy() / 255.0).float()
    assert torch.equal(batch.image, exact)
    assert not torch.equal(batch.pixels.float() * (1 / 255), exact)
    assert torch.equal(batch.mask, batch.holes.float())
    assert torch.equal(batch.guides["noise"], batch.planes["noise"])


def test_floats_may_be_given_and_stay_as_they_are():
    image, mask = torch.rand(1, 3, 8, 8), torch.ones(1, 1, 8, 8)
    assert Batch(image, mask, "a", "a").image is image
    assert Batch(image, mask, "a", "a").mask is mask


def test_what_moves_has_8_bits_and_the_floats_are_made_there(batch):
    _ = batch.image
    moved = batch.to("meta")
    assert moved.pixels.dtype == moved.holes.dtype == moved.planes["edges"].dtype == torch.uint8
    assert {moved.image.device.type, moved.mask.device.type} == {"meta"}
    assert {planes.device.type for planes in moved.guides.values()} == {"meta"}
    assert moved.sample == NAMES


def test_selected_and_joined_samples_are_the_same(batch):
    again = join_batches([batch.select(slice(1)), batch.select(slice(1, None))])
    assert again.sample == again.photo == NAMES
    for one, other in ((again.image, batch.image), (again.mask, batch.mask)):
        assert torch.equal(one, other)
    for name, planes in batch.guides.items():
        assert torch.equal(again.guides[name], planes)


@pytest.mark.parametrize("workers", [0, 1])
def test_any_loader_makes_batches_of_samples(workers):
    samples = PhotoDataModule(size=32, guides=("edges", "noise")).validation_samples
    (batch,) = DataLoader(samples, batch_size=len(samples), num_workers=workers)
    assert isinstance(batch, Batch)
    assert batch.pixels.dtype == batch.holes.dtype == batch.planes["edges"].dtype == torch.uint8
    for index in range(len(samples)):
        assert batch.sample[index] == samples[index].sample
        assert torch.equal(batch.image[index], samples[index].image)
        assert torch.equal(batch.mask[index], samples[index].mask)
        assert torch.equal(batch.guides["noise"][index], samples[index].guides["noise"])


@pytest.mark.parametrize("guides", [(), ("edges", "sketch")])
def test_a_sample_takes_one_byte_a_value(guides):
    sample = PhotoDataModule(size=64, guides=guides).validation_samples[0]
    assert len(pickle.dumps(sample)) < (4 + len(guides)) * 64 * 64 + 4000
