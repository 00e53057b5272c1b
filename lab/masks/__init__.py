"""Mask generators: which holes the training sees.

A generator is called with ``(height, width, generator)`` and draws one float32 mask
``(1, height, width)`` of 0 and 1, with 1 = hole, neither empty nor full. A settings file names it
by its class path::

    masks:
      class_path: lab.masks.PersonMixture
      init_args:
        scribble_probability: 0.2

and composes several in the same way::

    masks:
      class_path: lab.masks.Degraded
      init_args:
        masks:
          class_path: lab.masks.Mixture
          init_args:
            generators:
              - class_path: lab.masks.PersonRectangle
              - class_path: lab.masks.Boxes
            probabilities: [0.9, 0.1]
        degradations:
          - class_path: lab.masks.BoundaryAttack
"""

from collections.abc import Callable, Mapping

from lab.contracts import MaskGenerator
from lab.masks.boundary_attack import BoundaryAttack
from lab.masks.boxes import Boxes
from lab.masks.combined import Degraded, Mixture, Union
from lab.masks.drawing import MaskDegradation, check_probability
from lab.masks.person import PersonMixture, PersonRectangle
from lab.masks.scribbles import Scribbles
from lab.masks.silhouettes import Silhouettes

__all__ = [
    "MASK_GENERATORS",
    "BoundaryAttack",
    "Boxes",
    "Degraded",
    "MaskDegradation",
    "Mixture",
    "PersonMixture",
    "PersonRectangle",
    "Scribbles",
    "Silhouettes",
    "Union",
    "check_probability",
]

MASK_GENERATORS: Mapping[str, Callable[[], MaskGenerator]] = {
    "person_mixture": PersonMixture,
    "person_rectangle": PersonRectangle,
    "scribbles": Scribbles,
    "silhouettes": Silhouettes,
    "boxes": Boxes,
    "union": lambda: Union([PersonRectangle(), Scribbles()]),
    "mixture": lambda: Mixture([PersonRectangle(), Boxes()], [0.5, 0.5]),
    "boundary_attack": lambda: Degraded(PersonRectangle(), [BoundaryAttack(probability=1.0)]),
}
"""Every generator by name, each built with its defaults; the contract suite runs over them."""
