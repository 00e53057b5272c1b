"""Guides: what a network may be shown beside photo and mask.

A network names those that it reads in a class attribute, ``guides = ("edges",)``, and takes them as
a third argument of ``forward(image, mask, guides=None)``. `GUIDES` says of each how it is drawn,
read from a person's file, shrunk, and where a network sees it.
"""

from lab.guides.carrying import (
    ask_network,
    blank_guides,
    check_guides,
    check_guides_given,
    crop_guides,
    guides_of,
    show,
    show_guides,
    shrink_guides,
)
from lab.guides.drawing import draw_guides, select_sample
from lab.guides.edges import find_edges
from lab.guides.guide import Guide, GuideInputs, GuideReading
from lab.guides.instances import border_map
from lab.guides.noise import draw_noise, noise_of_sample
from lab.guides.sketch import draw_strokes
from lab.guides.table import GUIDES, check_guide_names

__all__ = [
    "GUIDES",
    "Guide",
    "GuideInputs",
    "GuideReading",
    "ask_network",
    "blank_guides",
    "border_map",
    "check_guide_names",
    "check_guides",
    "check_guides_given",
    "crop_guides",
    "draw_guides",
    "draw_noise",
    "draw_strokes",
    "find_edges",
    "guides_of",
    "noise_of_sample",
    "select_sample",
    "show",
    "show_guides",
    "shrink_guides",
]
