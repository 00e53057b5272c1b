"""Generators are named and composed in a settings file."""

import jsonargparse
import numpy as np
import pytest
import torch

import lab.settings  # noqa: F401 (tells jsonargparse how to read the protocols)
from lab.contracts import MaskGenerator
from lab.masks import BoundaryAttack, Boxes, Degraded, Mixture, PersonRectangle

NESTED = """
masks:
  class_path: lab.masks.Degraded
  init_args:
    masks:
      class_path: lab.masks.Mixture
      init_args:
        generators:
          - class_path: lab.masks.PersonRectangle
          - class_path: lab.masks.Boxes
            init_args:
              count: [2, 3]
        probabilities: [0.9, 0.1]
    degradations:
      - class_path: lab.masks.BoundaryAttack
"""


@pytest.fixture
def parser():
    parser = jsonargparse.ArgumentParser(exit_on_error=False)
    parser.add_argument("--masks", type=MaskGenerator)
    return parser


def test_a_nested_policy_draws_what_the_same_objects_draw(parser):
    masks = parser.instantiate(parser.parse_string(NESTED)).masks
    same = Degraded(
        Mixture([PersonRectangle(), Boxes(count=(2, 3))], [0.9, 0.1]), [BoundaryAttack()]
    )
    ours, theirs = np.random.default_rng(0), np.random.default_rng(0)
    for _ in range(10):
        assert torch.equal(masks(32, 48, ours), same(32, 48, theirs))


def test_a_misspelt_parameter_is_an_error(parser):
    with pytest.raises(jsonargparse.ArgumentError, match="shares"):
        parser.parse_string(NESTED.replace("count", "shares"))
