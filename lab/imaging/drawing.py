"""Pictures for people: the hole made visible, and labelled sheets for reports."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from PIL import Image, ImageDraw, ImageFont
from torch import Tensor

from lab.checks import check_image, check_image_and_mask
from lab.imaging.conversion import from_uint8, to_uint8
from lab.imaging.morphology import dilate

# Magenta is rare in photographs, and two shades of it stay visible on a magenta one.
_HOLE_SHADES = ((0.93, 0.15, 0.62), (1.0, 0.55, 0.85))
_STRIPE = 8
# A bright line inside a dark one shows on light and on dark ground alike.
_OUTLINE = (1.0, 0.92, 0.1)
_OUTLINE_RIM = (0.05, 0.05, 0.05)

_PAPER = (255, 255, 255)
_INK = (25, 25, 25)
_EMPTY_CELL = (225, 225, 225)


def show_hole(image: Tensor, mask: Tensor) -> Tensor:
    """Paint the hole with diagonal stripes, as nothing in a photo looks.

    Args:
        image: float ``(3, H, W)`` or ``(B, 3, H, W)`` in [0, 1].
        mask: float ``(1, H, W)`` or ``(B, 1, H, W)``, exactly 0 or 1, 1 = hole.

    Returns:
        An image of the same shape; known pixels are unchanged.

    Raises:
        TypeError: not floating-point tensors.
        ValueError: shapes that do not fit, or values outside the conventions.
    """
    _check(image, mask)
    height, width = image.shape[-2:]
    rows = torch.arange(height, device=image.device)[:, None]
    columns = torch.arange(width, device=image.device)[None]
    dark = ((rows + columns) // _STRIPE % 2 == 0).to(image.dtype)
    first, second = (_colour(shade, image) for shade in _HOLE_SHADES)
    stripes = first * dark + second * (1 - dark)
    return torch.where(mask.bool(), stripes, image)


def outline_hole(image: Tensor, mask: Tensor, width: int = 2) -> Tensor:
    """Draw a line around the hole, on the known side: the hole itself stays in full view.

    Args:
        image: float ``(3, H, W)`` or ``(B, 3, H, W)`` in [0, 1].
        mask: float ``(1, H, W)`` or ``(B, 1, H, W)``, exactly 0 or 1, 1 = hole.
        width: of the bright line in pixels, at least 1; a dark rim of half of it lies outside.

    Returns:
        An image of the same shape.

    Raises:
        TypeError: not floating-point tensors.
        ValueError: shapes that do not fit, values outside the conventions, or no width.
    """
    _check(image, mask)
    if width < 1:
        raise ValueError(f"width is {width}, but a line must be at least 1 pixel wide")
    batch = mask.reshape(-1, *mask.shape[-3:])
    line = dilate(batch, width).reshape(mask.shape)
    outer = dilate(batch, width + (width + 1) // 2).reshape(mask.shape)
    drawn = torch.where(outer.bool(), _colour(_OUTLINE_RIM, image), image)
    drawn = torch.where(line.bool(), _colour(_OUTLINE, image), drawn)
    return torch.where(mask.bool(), image, drawn)


def contact_sheet(
    rows: Sequence[Sequence[Tensor | None]],
    column_titles: Sequence[str] = (),
    row_titles: Sequence[str] = (),
    cell_size: int | None = None,
) -> Tensor:
    """Lay images out in a labelled table.

    Args:
        rows: images ``(3, H, W)`` in [0, 1], of any sizes; ``None`` and short rows leave a blank.
        column_titles: one a column, or none at all; long ones are wrapped.
        row_titles: one a row, or none at all; long ones are wrapped.
        cell_size: the longer side of every picture in pixels (they are scaled to it); by default
            pictures keep their size.

    Returns:
        The sheet, float32 ``(3, H', W')``: dark text on white.

    Raises:
        TypeError: a cell is not a floating-point tensor.
        ValueError: no picture at all, a wrong number of titles, or a cell that is no image.
    """
    columns = max((len(row) for row in rows), default=0)
    for kind, titles, count in (
        ("column", column_titles, columns),
        ("row", row_titles, len(rows)),
    ):
        if titles and len(titles) != count:
            raise ValueError(f"{len(titles)} {kind} titles for {count} {kind}s: {list(titles)}")
    cells = [[_cell(image, cell_size) for image in row] for row in rows]
    cells = [row + [None] * (columns - len(row)) for row in cells]
    sizes = [cell.size for row in cells for cell in row if cell is not None]
    if not sizes:
        raise ValueError("a contact sheet needs at least one picture")

    font_size = int(np.clip(np.median([min(size) for size in sizes]) / 14, 14, 40))
    font = ImageFont.load_default(font_size)
    line, gap = round(font_size * 1.25), max(4, font_size // 3)
    widths, heights = _table(cells)
    if column_titles:
        # Narrow pictures must not squeeze their titles to single letters.
        widths = [max(width, 5 * font_size) for width in widths]
    heads = [_wrap(text, font, width) for text, width in zip(column_titles, widths, strict=False)]
    margin = min(max((int(font.getlength(t)) + 1 for t in row_titles), default=0), 11 * font_size)
    labels = [_wrap(title, font, margin) for title in row_titles]
    if labels:
        heights = [max(h, line * len(t)) for h, t in zip(heights, labels, strict=True)]

    left = gap + (margin + gap if labels else 0)
    top = gap + (line * max(len(lines) for lines in heads) + gap if heads else 0)
    lefts = [left + sum(widths[:i]) + gap * i for i in range(len(widths))]
    tops = [top + sum(heights[:i]) + gap * i for i in range(len(heights))]
    sheet = Image.new("RGB", (lefts[-1] + widths[-1] + gap, tops[-1] + heights[-1] + gap), _PAPER)
    draw = ImageDraw.Draw(sheet)
    style: dict[str, Any] = {"fill": _INK, "font": font, "spacing": line - font_size}
    for lines, x, width in zip(heads, lefts, widths, strict=False):
        foot = (x + width / 2, top - gap)
        draw.multiline_text(foot, "\n".join(lines), anchor="md", align="center", **style)
    for lines, y, height in zip(labels, tops, heights, strict=False):
        end = (left - gap, y + height / 2)
        draw.multiline_text(end, "\n".join(lines), anchor="rm", align="right", **style)
    for row, y, height in zip(cells, tops, heights, strict=True):
        for cell, x, width in zip(row, lefts, widths, strict=True):
            if cell is None:
                draw.rectangle((x, y, x + width - 1, y + height - 1), _EMPTY_CELL)
            else:
                sheet.paste(cell, (x + (width - cell.width) // 2, y + (height - cell.height) // 2))
    return from_uint8(np.array(sheet))


def _table(cells: Sequence[Sequence[Image.Image | None]]) -> tuple[list[int], list[int]]:
    """Return the widths of the columns and the heights of the rows of a full table."""
    sizes = [cell.size for row in cells for cell in row if cell is not None]
    # A column or row without any picture takes the size of a typical one.
    typical = tuple(int(np.median(sides)) for sides in zip(*sizes, strict=True))
    widths = [
        max((cell.width for cell in column if cell is not None), default=typical[0])
        for column in zip(*cells, strict=True)
    ]
    heights = [max((cell.height for cell in row if cell), default=typical[1]) for row in cells]
    return widths, heights


def _check(image: Tensor, mask: Tensor) -> None:
    """Raise unless both are single or both are batches, in the workbench's conventions."""
    single = isinstance(image, Tensor) and image.ndim == 3
    check_image_and_mask(image[None] if single else image, mask[None] if single else mask)


def _colour(shade: tuple[float, float, float], image: Tensor) -> Tensor:
    """Return ``(3, 1, 1)`` of one colour, as ``image`` is stored."""
    return torch.tensor(shade, dtype=image.dtype, device=image.device)[:, None, None]


def _cell(image: Tensor | None, cell_size: int | None) -> Image.Image | None:
    """Return one picture of the sheet, scaled."""
    if image is None:
        return None
    check_image(image[None] if isinstance(image, Tensor) else image, "a contact sheet's cell")
    picture = Image.fromarray(to_uint8(image))
    if cell_size is None:
        return picture
    scale = cell_size / max(picture.size)
    width, height = (max(1, round(side * scale)) for side in picture.size)
    # Enlarged patches must show their true pixels, not a smooth guess.
    method = Image.Resampling.NEAREST if scale >= 2 else Image.Resampling.LANCZOS
    return picture.resize((width, height), method)


def _wrap(text: str, font: ImageFont.FreeTypeFont | ImageFont.ImageFont, width: float) -> list[str]:
    """Break a title into lines of at most ``width`` pixels, between words where it can."""
    lines = [""]
    for word in text.split():
        joined = f"{lines[-1]} {word}".strip()
        if font.getlength(joined) <= width:
            lines[-1] = joined
            continue
        if lines[-1]:
            lines.append("")
        for letter in word:
            # At least one letter a line, or a width of nothing would loop for ever.
            if lines[-1] and font.getlength(lines[-1] + letter) > width:
                lines.append("")
            lines[-1] += letter
    return lines
