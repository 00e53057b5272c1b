"""Images as a notebook takes them."""

import io
from pathlib import Path

import IPython.display
from PIL import Image
from torch import Tensor

from lab.imaging import to_uint8

ASSETS = Path(__file__).parent / "assets"


def encode_picture(image: Tensor) -> bytes:
    """The bytes of a PNG file.

    Args:
        image: ``(3, H, W)`` in [0, 1].

    Raises:
        TypeError, ValueError: something else.
    """
    file = io.BytesIO()
    Image.fromarray(to_uint8(image)).save(file, "PNG")
    return file.getvalue()


def show(image: Tensor) -> None:
    """Show an image ``(3, H, W)`` below the cell, such as a contact sheet, no wider than the page.

    Raises:
        TypeError, ValueError: something else.
    """
    IPython.display.display(IPython.display.Image(encode_picture(image), width=image.shape[-1]))
