"""Two pictures of the same place under a line that moves."""

import anywidget
import traitlets

from lab.widgets.pictures import ASSETS


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
