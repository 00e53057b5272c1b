"""What finds a person in a photo, and what it says when there is none."""

from typing import Protocol, runtime_checkable

from torch import Tensor

from lab.checks import check_image


class NoPersonError(ValueError):
    """A photo in which no person was found: an empty mask would restore nothing and say nothing."""


@runtime_checkable
class MaskSource(Protocol):
    """``image -> mask``: marks the person who is to be taken out of one photo.

    The mask is as tight as the source sees the person. The background notes (V4) dilate it by ten
    pixels, because a rim of the person that is left is painted on into the hole:
    ``lab.imaging.dilate(mask, DILATION)``.
    """

    def __call__(self, image: Tensor) -> Tensor:
        """Mark the person in ``image (1, 3, H, W)`` in [0, 1].

        Returns:
            Tensor: float32 ``(1, 1, H, W)`` of 0 and 1, 1 = the person; never empty.

        Raises:
            NoPersonError: nobody was found.
            TypeError, ValueError: not one photo that keeps the conventions.
        """
        ...


DILATION = 10
"""Pixels by which the background notes dilate a person's mask (V4)."""


def check_photo(image: Tensor) -> None:
    """Raise unless ``image`` is one photo, float ``(1, 3, H, W)`` in [0, 1].

    Raises:
        TypeError, ValueError: something else.
    """
    check_image(image)
    if len(image) != 1:
        raise ValueError(
            f"image holds {len(image)} photos, but a person is looked for in one at a time: "
            "call with image[i : i + 1]"
        )
