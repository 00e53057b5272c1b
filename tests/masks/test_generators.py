"""What each mask generator promises beyond the contract of them all."""

import numpy as np
import pytest
import torch

from lab.masks import (
    BoundaryAttack,
    Boxes,
    Degraded,
    Mixture,
    PersonMixture,
    PersonRectangle,
    Scribbles,
    Union,
)


def documented_person(generator):
    """The formula of the variant notebook (V8), line by line."""
    mask = np.zeros((256, 256), np.float32)
    s = generator.normal(0, 1, 2) / 3 * 128
    s = np.maximum(s, -s)
    s[s > 128] = 128
    height, width = int(s[0]), int(s[1])
    mask[height : 256 - height, 128 - width : 128 + width] = 1
    return torch.from_numpy(mask)[None]


def test_person_rectangle_is_the_documented_formula_at_256():
    ours, documents = np.random.default_rng(0), np.random.default_rng(0)
    masks = PersonRectangle(as_documented=True)
    for _ in range(300):
        assert torch.equal(masks(256, 256, ours), documented_person(documents))


def test_person_rectangle_draws_unusable_masks_again():
    seed = next(s for s in range(500) if not documented_person(np.random.default_rng(s)).any())
    assert not PersonRectangle(as_documented=True)(256, 256, np.random.default_rng(seed)).any()
    generator = np.random.default_rng(seed)
    corrected = PersonRectangle()(256, 256, generator)
    again = np.random.default_rng(seed)
    documented_person(again)
    assert torch.equal(corrected, documented_person(again))


@pytest.mark.parametrize(("height", "width"), [(64, 64), (481, 321), (100, 31)])
def test_person_rectangle_is_centred(height, width):
    generator = np.random.default_rng(1)
    for _ in range(50):
        mask = PersonRectangle()(height, width, generator)
        assert torch.equal(mask, mask.flip(1))
        assert torch.equal(mask, mask.flip(2))


def test_person_rectangle_is_mostly_tall_and_narrow():
    generator = np.random.default_rng(2)
    tall = 0
    for _ in range(300):
        mask = PersonRectangle()(128, 128, generator)[0]
        tall += int(mask.any(1).sum() > mask.any(0).sum())
    assert tall > 0.7 * 300


def test_scribbles_grow_with_the_image():
    def share(size):
        generator = np.random.default_rng(3)
        return np.mean([float(Scribbles()(size, size, generator).mean()) for _ in range(200)])

    assert share(64) == pytest.approx(share(256), rel=0.2)


def test_boxes_keep_their_sizes():
    generator = np.random.default_rng(4)
    for _ in range(100):
        mask = Boxes(size=(0.25, 0.5))(64, 128, generator)[0]
        rows, columns = int(mask.any(1).sum()), int(mask.any(0).sum())
        assert 16 <= rows <= 32
        assert 32 <= columns <= 64
        assert mask.sum() == rows * columns


def test_union_is_pixelwise():
    generator, again = np.random.default_rng(5), np.random.default_rng(5)
    both = Union([PersonRectangle(), Boxes()])(64, 64, generator)
    parts = [part(64, 64, again) for part in (PersonRectangle(), Boxes())]
    assert torch.equal(both, torch.maximum(*parts))


def test_mixture_draws_by_probability():
    class Corner:
        def __call__(self, height, width, generator):
            mask = torch.zeros(1, height, width)
            mask[:, 0, 0] = 1
            return mask

    generator = np.random.default_rng(6)
    masks = Mixture([Corner(), PersonRectangle(), Boxes()], [0.25, 0.75, 0.0])
    corners = sum(float(masks(64, 64, generator).sum()) == 1 for _ in range(1000))
    assert 200 < corners < 300


def test_person_mixture_adds_scribbles_to_the_share_asked_for():
    def rectangular(mask):
        return mask.sum() == mask[0].any(1).sum() * mask[0].any(0).sum()

    generator = np.random.default_rng(7)
    masks = PersonMixture(scribble_probability=0.2)
    plain = sum(bool(rectangular(masks(64, 64, generator))) for _ in range(1000))
    assert 750 < plain < 850


def test_boundary_attack_adds_only_near_the_border():
    mask = torch.zeros(1, 128, 128)
    mask[:, 30:100, 50:80] = 1
    attack = BoundaryAttack(probability=1.0, size=(0.02, 0.05))
    attacked = attack(mask, np.random.default_rng(8))
    added = (attacked > mask)[0].nonzero()
    assert 0 < len(added) < 16 * 9**2
    assert (attacked >= mask).all()
    # A rectangle of at most 0.05 * 128 pixels reaches three pixels out.
    assert added[:, 0].min() >= 27
    assert added[:, 0].max() < 103
    assert added[:, 1].min() >= 47
    assert added[:, 1].max() < 83


def test_boundary_attack_leaves_its_input_and_borderless_masks_alone():
    attack, generator = BoundaryAttack(probability=1.0), np.random.default_rng(9)
    mask = PersonRectangle()(64, 64, generator)
    before = mask.clone()
    assert not torch.equal(attack(mask, generator), before)
    assert torch.equal(mask, before)
    for borderless in (torch.zeros(1, 16, 16), torch.ones(1, 16, 16)):
        assert torch.equal(attack(borderless, generator), borderless)


def test_boundary_attack_happens_as_often_as_asked():
    generator = np.random.default_rng(10)
    mask = PersonRectangle()(64, 64, generator)
    attack = BoundaryAttack(probability=0.3)
    attacked = sum(not torch.equal(attack(mask, generator), mask) for _ in range(1000))
    assert 250 < attacked < 350


def test_the_mixture_attacks_as_often_as_asked_and_else_draws_as_ever():
    changed = 0
    for seed in range(300):
        plain, attacked = (
            PersonMixture(attack_probability=share)(64, 64, np.random.default_rng(seed))
            for share in (0.0, 0.3)
        )
        assert (attacked >= plain).all()
        changed += not torch.equal(attacked, plain)
    assert 60 < changed < 120


def test_degradations_run_in_order():
    def invert(mask, generator):
        return 1 - mask

    def corner(mask, generator):
        mask = mask.clone()
        mask[:, 0, 0] = 1
        return mask

    generator, again = np.random.default_rng(11), np.random.default_rng(11)
    degraded = Degraded(PersonRectangle(), [invert, corner])(64, 64, generator)
    assert torch.equal(degraded, corner(1 - PersonRectangle()(64, 64, again), None))


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: Scribbles(strokes=(4, 1)), r"strokes is \(4, 1\)"),
        (lambda: Boxes(size=(0.5, 1.5)), r"size is \(0.5, 1.5\)"),
        (lambda: Union([]), "at least one generator"),
        (lambda: Mixture([Boxes()], [0.5, 0.5]), "1 generators have 2 probabilities"),
        (lambda: Mixture([Boxes(), Boxes()], [0.5, 0.6]), r"sum to 1\.1"),
        (lambda: PersonMixture(scribble_probability=20), "scribble_probability is 20"),
        (lambda: BoundaryAttack(probability=-1), "probability is -1"),
    ],
)
def test_wrong_parameters_are_refused_at_once(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_a_generator_that_cannot_leave_anything_known_says_so():
    with pytest.raises(RuntimeError, match=r"Boxes.*empty or full"):
        Boxes(size=(1.0, 1.0))(16, 16, np.random.default_rng(0))
