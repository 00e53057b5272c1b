"""What every guide promises, over the table of them."""

import numpy as np
import pytest
import torch

from lab.checks import UserError
from lab.guides import GUIDES, GuideInputs, check_guides, draw_guides, show, shrink_guides
from tests.guides.photos import photo


def inputs(seed=0):
    truth = torch.stack((photo(48, 64, 0), photo(48, 64, 1)))
    mask = torch.zeros(2, 1, 48, 64)
    mask[0, :, 10:40, 20:50] = 1
    mask[1, :, :30, :25] = 1
    ids = (torch.arange(64) // 16).expand(2, 1, 48, 64).int()
    return GuideInputs(truth, mask, np.random.default_rng(seed), ids)


@pytest.mark.parametrize("name", GUIDES)
def test_it_is_of_the_photos_size_and_within_its_values(name):
    guide, given = GUIDES[name], inputs()
    planes = guide.draw(given)
    check_guides({name: planes}, given.truth)
    assert planes.dtype == torch.float32
    assert planes.isfinite().all()
    assert planes.std() > 0
    if guide.is_binary:
        assert set(planes.unique().tolist()) == {0.0, 1.0}


@pytest.mark.parametrize("name", GUIDES)
def test_the_same_generator_draws_the_same(name):
    first, again = (GUIDES[name].draw(inputs()) for _ in range(2))
    assert torch.equal(first, again)


@pytest.mark.parametrize("name", GUIDES)
def test_a_sample_is_drawn_the_same_whatever_else_is_asked_for(name):
    given = inputs()
    parts = given.truth[0], given.mask[0], (3, 4)
    alone = draw_guides([name], *parts, given.instance_ids[0])
    all_of_them = draw_guides(list(GUIDES), *parts, given.instance_ids[0])
    assert torch.equal(alone[name], all_of_them[name])


@pytest.mark.parametrize("name", [name for name in GUIDES if GUIDES[name].shown != "everywhere"])
def test_nothing_is_drawn_where_it_is_not_shown(name):
    guide, given = GUIDES[name], inputs()
    planes = guide.draw(given)
    assert torch.equal(show(guide, planes, given.mask), planes)


@pytest.mark.parametrize("name", [name for name in GUIDES if GUIDES[name].shown == "known"])
def test_what_lies_under_the_hole_does_not_matter_to_what_is_of_known_pixels(name):
    given = inputs()
    other = torch.where(given.mask > 0, float("nan"), given.truth)
    hidden = GuideInputs(other, given.mask, np.random.default_rng(0), given.instance_ids)
    assert torch.equal(GUIDES[name].draw(hidden), GUIDES[name].draw(given))


@pytest.mark.parametrize("factor", [1, 2, 3])
@pytest.mark.parametrize("name", GUIDES)
def test_shrinking_keeps_lines_and_noise(name, factor):
    given = inputs()
    planes = show(GUIDES[name], GUIDES[name].draw(given), given.mask)
    small = shrink_guides({name: planes}, given.mask, factor)[name]
    assert small.shape[2:] == (-(-48 // factor), -(-64 // factor))
    if GUIDES[name].is_binary:
        # Every line is still there: what is enlarged covers it.
        large = small.repeat_interleave(factor, 2).repeat_interleave(factor, 3)[..., :48, :64]
        assert (large >= planes).all()
    else:
        assert small.std() == pytest.approx(1, abs=0.15)


def test_no_guide_of_an_unknown_name_or_another_size_gets_in():
    image = torch.rand(1, 3, 8, 9)
    with pytest.raises(UserError, match="Did you mean 'edges'"):
        check_guides({"edge": torch.zeros(1, 1, 8, 9)}, image)
    with pytest.raises(ValueError, match=r"'edges' of shape \(1, 1, 9, 8\) does not fit"):
        check_guides({"edges": torch.zeros(1, 1, 9, 8)}, image)
    with pytest.raises(ValueError, match=r"besides 0 and 1, from 0\.5 to 0\.5: thresh"):
        check_guides({"sketch": torch.full((1, 1, 8, 9), 0.5)}, image)
    with pytest.raises(TypeError, match="int64, but must be a float32"):
        check_guides({"edges": torch.zeros(1, 1, 8, 9, dtype=torch.int64)}, image)
