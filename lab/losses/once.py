"""A function of an image that is computed once for each image of an objective's evaluation."""

from collections.abc import Callable
from typing import Generic, TypeVar

import torch
from torch import Tensor

Answer = TypeVar("Answer")


class OncePerImage(Generic[Answer]):
    """Wraps a costly ``image -> answer`` and remembers its answers until :meth:`forget`.

    Several terms ask a judge or VGG about the same image. An image is known again as the
    same tensor object, so it must not be changed in place in between; and an answer computed
    without gradient is never given where gradient is wanted.

    Args:
        function: what to remember the answers of.
    """

    def __init__(self, function: Callable[[Tensor], Answer]) -> None:
        self._function = function
        # The image is kept beside its answer: while it lives, no other tensor can have its id.
        self._answers: dict[tuple[int, bool], tuple[Tensor, Answer]] = {}

    def __call__(self, image: Tensor) -> Answer:
        """Return the answer for ``image``, computed now or before."""
        key = (id(image), torch.is_grad_enabled())
        if key not in self._answers:
            self._answers[key] = (image, self._function(image))
        return self._answers[key][1]

    def forget(self) -> None:
        """Drop every answer, with the memory that it holds."""
        self._answers.clear()
