"""What a person sees of a page that is open in a browser."""

import io
import time

import numpy as np
from PIL import Image


def seen(page, selector):
    """What a person sees, from a screenshot: the page itself may not read pixels."""
    element = page.locator(selector)
    element.scroll_into_view_if_needed()
    picture = Image.open(io.BytesIO(element.screenshot()))
    return np.asarray(picture.convert("RGB"), float)


def wait_for_pictures(page, selector):
    """Playwright's own waiting evaluates text inside the page, which the page's policy forbids."""
    loaded = "images => images.length > 0 && images.every(image => image.naturalWidth > 0)"
    end = time.monotonic() + 30
    while not page.eval_on_selector_all(selector, loaded):
        assert time.monotonic() < end, f"{selector} never loaded"
        page.wait_for_timeout(20)


def left_and_right(page, cell=0):
    """Mean colours of a cell's left and right quarter, below the tags and beside the rule."""
    frame = f".grid figure:nth-child({cell + 1}) .cell"
    page.locator(frame).scroll_into_view_if_needed()  # pictures load when they come near
    wait_for_pictures(page, f"{frame} img[src]")
    pixels = seen(page, frame)
    height, width = pixels.shape[:2]
    rows = slice(height // 2 + 20, height - 10)
    return (
        pixels[rows, 10 : width // 5].mean(axis=(0, 1)),
        pixels[rows, width * 4 // 5 : width - 10].mean(axis=(0, 1)),
    )


def is_colour(found, expected):
    # The grain of the made pictures averages out, up to its values being clipped near 0.
    return abs(found - expected).max() < 8


def set_slider(page, value):
    page.locator("#epoch").fill(str(value))
