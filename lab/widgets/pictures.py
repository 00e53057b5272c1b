"""Images as a notebook takes them, and two of them under a line that moves."""

import io
from pathlib import Path

import anywidget
import IPython.display
import ipywidgets
import traitlets
from PIL import Image
from torch import Tensor

from lab.completion import Completed
from lab.imaging import Picture, photo_file, read_image, to_uint8

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


def show(*pictures: Tensor | Picture | Completed | ipywidgets.Widget) -> None:
    """Show pictures below the cell, no wider than the page.

    Args:
        pictures: each an image ``(3, H, W)`` in [0, 1], such as a contact sheet; a path; a PIL
            image; an array ``(H, W, 3)``; what `lab.complete` or `lab.compare` returned.

    Raises:
        TypeError, ValueError: something else.
    """
    for picture in pictures:
        if isinstance(picture, Completed):
            print(picture)
        if isinstance(picture, Completed | ipywidgets.Widget):
            IPython.display.display(picture)
            continue
        image = picture if isinstance(picture, Tensor) else read_image(photo_file(picture))
        IPython.display.display(IPython.display.Image(encode_picture(image), width=image.shape[-1]))


class Wipe(anywidget.AnyWidget):
    """Shows one picture left of a line and another right of it; the line follows mouse and keys.

    Args:
        left: bytes of a picture file (`encode_picture`, or as a run wrote them).
        right: of a picture of the same size.
        left_name: in words.
        right_name: in words.
    """

    _esm = ASSETS / "wipe.js"
    _css = ASSETS / "widgets.css"
    left = traitlets.Bytes().tag(sync=True)
    right = traitlets.Bytes().tag(sync=True)
    left_name = traitlets.Unicode().tag(sync=True)
    right_name = traitlets.Unicode().tag(sync=True)
    position = traitlets.Float(50.0, min=0.0, max=100.0).tag(sync=True)

    def __init__(
        self, left: bytes, right: bytes, left_name: str = "left", right_name: str = "right"
    ) -> None:
        super().__init__(left=left, right=right, left_name=left_name, right_name=right_name)
