"""Guides of samples: drawn beside crops and masks, which stay as they are without them."""

import numpy as np
import pytest
import torch
from PIL import Image
from skimage import data as pictures

from lab.checks import UserError
from lab.data import PhotoDataModule
from lab.guides import GUIDES, border_map, find_edges
from tests.data.shards import pack

ALL = tuple(GUIDES)
DRAWN = ("edges", "sketch", "noise")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Photos, and maps whose objects are the photo's own gray levels: 16 of them."""
    folder = tmp_path_factory.mktemp("photos")
    (folder / "maps").mkdir()
    (folder / "photos").mkdir()
    for index in range(8):
        part = pictures.astronaut()[20 * index : 20 * index + 150, 100:300]
        levels = (part.mean(2) // 16 * 16).astype(np.uint8)
        # What a map says of a pixel can then be read off the photo.
        Image.fromarray(np.repeat(levels[..., None], 3, 2)).save(folder / f"photos/p{index}.png")
        Image.fromarray(levels // 16 + index).save(folder / f"maps/p{index}.png")
    return folder


def module(folder, **options):
    return PhotoDataModule(folder / "photos", **{"size": 64, "batch_size": 3, **options})


def first_epoch(data):
    return list(data.train_dataloader())


def all_of(data):
    return [*first_epoch(data), *data.val_dataloader()]


def test_crops_and_masks_stay_bit_for_bit_with_any_guides(folder):
    without = all_of(module(folder))
    with_all = all_of(module(folder, guides=ALL, instance_maps=folder / "maps"))
    for plain, guided in zip(without, with_all, strict=True):
        assert torch.equal(plain.image, guided.image)
        assert torch.equal(plain.mask, guided.mask)
        assert plain.sample == guided.sample
        assert dict(plain.guides) == {}
        assert set(guided.guides) == set(ALL)


def test_every_guide_is_the_batchs_and_the_same_at_every_start(folder):
    options = {"guides": ALL, "instance_maps": folder / "maps"}
    first, again = (all_of(module(folder, **options)) for _ in range(2))
    for batch, other in zip(first, again, strict=True):
        for name, planes in batch.guides.items():
            assert planes.shape == (len(batch.sample), GUIDES[name].channels, 64, 64)
            assert torch.equal(planes, other.guides[name])
        assert torch.equal(batch.guides["edges"], find_edges(batch.image, batch.mask))
        assert not (batch.guides["sketch"] * (1 - batch.mask)).any()


def test_the_validations_guides_do_not_vary_with_the_runs_seed_and_the_trainings_do(folder):
    one, other = module(folder, guides=DRAWN, seed=0), module(folder, guides=DRAWN, seed=1)
    for batch, again in zip(one.val_dataloader(), other.val_dataloader(), strict=True):
        for name in DRAWN:
            assert torch.equal(batch.guides[name], again.guides[name])
    noise, others = (first_epoch(data)[0].guides["noise"] for data in (one, other))
    assert not torch.equal(noise, others)


def test_a_photo_of_its_own_size_has_its_map_pixel_for_pixel(tmp_path):
    for place in ("photos", "maps"):
        (tmp_path / place).mkdir()
    ids = np.random.default_rng(0).integers(0, 5, (32, 32), dtype=np.uint8)
    for index in range(6):
        levels = np.roll(ids, index, 0)
        Image.fromarray(np.repeat(levels[..., None] * 50, 3, 2)).save(
            tmp_path / f"photos/p{index}.png"
        )
        Image.fromarray(levels).save(tmp_path / f"maps/p{index}.png")
    data = module(tmp_path, size=32, guides=["instances"], instance_maps=tmp_path / "maps")
    for batch in data.val_dataloader():
        for one, image, sample in zip(
            batch.guides["instances"], batch.image, batch.sample, strict=True
        ):
            if "~" not in sample:  # further crops are enlarged
                levels = (image[:1] * 255 / 50).round().int()
                assert torch.equal(one, border_map(levels[None])[0])


def test_shards_give_guides_too_and_batches_across_processes_keep_them_together(tmp_path):
    shards = pack(tmp_path)
    options = {"size": 32, "batch_size": 5, "guides": DRAWN}
    plain = PhotoDataModule(shards, **{**options, "guides": ()})
    alone, shared = (
        PhotoDataModule(shards, **options),
        PhotoDataModule(shards, workers=2, **options),
    )
    for one, other in zip(first_epoch(plain), first_epoch(alone), strict=True):
        assert torch.equal(one.image, other.image)
        assert torch.equal(one.mask, other.mask)
    by_name = {
        name: (batch.image[index], {guide: batch.guides[guide][index] for guide in DRAWN})
        for batch in first_epoch(alone)
        for index, name in enumerate(batch.sample)
    }
    compared = 0
    for batch in first_epoch(shared):
        for index, name in enumerate(batch.sample):
            image, guides = by_name.get(name, (None, {}))
            for guide, planes in guides.items():
                assert torch.equal(batch.image[index], image)
                assert torch.equal(batch.guides[guide][index], planes)
                compared += 1
    assert compared


def test_maps_of_photos_in_shards_are_found_by_their_keys(tmp_path):
    shards = pack(tmp_path)
    maps = tmp_path / "maps"
    maps.mkdir()
    with pytest.raises(UserError, match=r"the photo \w+ has no instance map in"):
        first_epoch(PhotoDataModule(shards, size=32, guides=["instances"], instance_maps=maps))


def test_a_map_that_is_missing_ambiguous_or_of_another_size_is_named(folder, tmp_path):
    def read(maps):
        return first_epoch(module(folder, guides=["instances"], instance_maps=maps))

    with pytest.raises(UserError, match=r"the photo p\d has no instance map in .*: put p\d\.png"):
        read(tmp_path)
    for index in range(8):
        Image.fromarray(np.zeros((150, 201), np.uint8)).save(tmp_path / f"p{index}.png")
    with pytest.raises(ValueError, match=r"p\d\.png is 201x150 .* but its photo is 200x150"):
        read(tmp_path)
    for index in range(8):
        (tmp_path / f"p{index}.png").unlink()
        for other in ("some", "others"):
            (tmp_path / other).mkdir(exist_ok=True)
            (tmp_path / other / f"p{index}.png").write_bytes((folder / "maps/p0.png").read_bytes())
    with pytest.raises(UserError, match=r"several instance maps could be of the photo p\d"):
        read(tmp_path)


def test_what_does_not_go_together_is_refused_at_once(folder):
    with pytest.raises(UserError, match="Did you mean 'sketch'"):
        module(folder, guides=["skech"])
    with pytest.raises(UserError, match="go together"):
        module(folder, guides=["instances"])
    with pytest.raises(UserError, match="go together"):
        module(folder, guides=["edges"], instance_maps=folder / "maps")
    with pytest.raises(UserError, match="no folder of maps"):
        module(folder, guides=["instances"], instance_maps=folder / "nowhere")
