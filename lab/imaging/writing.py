"""Write photos: known pixels as they were, metadata kept, never half a file.

What is pasted is pasted in the file's own integers, because the promise "known pixels come back bit
for bit" is about the file, not about a float tensor made from it.
"""

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor

from lab.checks import check_image, check_image_and_mask
from lab.files import replacing
from lab.imaging.deep_encoding import encode_png16, encode_tiff
from lab.imaging.reading import read_source
from lab.imaging.source_photo import SourcePhoto, change_depth, quantize, white_of

_UINT8 = np.dtype(np.uint8)
_UINT16 = np.dtype(np.uint16)
_TIFF = (".tif", ".tiff")
_JPEG = (".jpg", ".jpeg")

WRITTEN_SUFFIXES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
"""The suffixes (in lower case) of formats that photos are written in."""

# ITU-R BT.601 luma, which "gray" means in JPEG, Pillow and OpenCV.
_LUMA = (0.299, 0.587, 0.114)


def paste_into_source(source: SourcePhoto, completed: Tensor, mask: Tensor) -> SourcePhoto:
    """Put the completed hole into the photo, in the photo's own integers.

    Known pixels, the alpha channel and the metadata are the source's, bit for bit. A gray photo
    stays gray: its hole gets the completion's luma. Palette and CMYK files have been decoded to
    RGB, and those RGB values are kept.

    Args:
        source: the photo, from ``read_source``.
        completed: float ``(3, H, W)`` in [0, 1], as `SourcePhoto.image` shows a photo, over white;
            only the hole is used. Where the photo is translucent, what it shows is to be that, as
            far as its alpha can: it stays.
        mask: float ``(1, H, W)``, exactly 0 or 1, 1 = hole.

    Raises:
        TypeError: not floating-point tensors.
        ValueError: sizes that differ, or values outside the conventions.
    """
    check_image_and_mask(completed[None], mask[None])
    if tuple(completed.shape[1:]) != (source.height, source.width):
        raise ValueError(
            f"the completed image is {completed.shape[2]}x{completed.shape[1]} (width x height), "
            f"but the photo is {source.width}x{source.height}: paste at the photo's own size"
        )
    hole = mask[0].detach().cpu().numpy().astype(bool)
    filled = completed.detach().cpu().numpy()[:, hole].T
    if source.alpha is not None:
        filled = _without_white(filled, source.alpha[hole])
    if source.is_gray:
        filled = filled.astype(np.float64) @ np.array(_LUMA)[:, None]
    pixels = source.pixels.copy()
    pixels[hole] = quantize(filled, pixels.dtype)
    return replace(source, pixels=pixels)


def _without_white(shown: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    """The colours ``(N, C)`` that show as ``shown`` under ``alpha``, over white."""
    opacity = alpha.reshape(-1, 1).astype(np.float64) / white_of(alpha.dtype)
    # What is not seen at all keeps the colour that was filled in.
    opacity = np.where(opacity > 0.0, opacity, 1.0)
    return np.clip((shown - (1.0 - opacity)) / opacity, 0.0, 1.0)


def write_image(
    path: str | Path,
    image: Tensor,
    like: str | Path | SourcePhoto | None = None,
    lossy: bool = False,
    durable: bool = True,
) -> None:
    """Write an image; the suffix names the format.

    Args:
        path: ends in .png, .tif, .tiff, .webp (lossless), .bmp, .jpg or .jpeg.
        image: float ``(3, H, W)`` in [0, 1].
        like: a photo of the same size whose depth, grayness, alpha, EXIF, colour profile and
            resolution are taken over (BMP has room for resolution only). Without it: 8-bit RGB.
        lossy: allow a format that changes pixels (see ``check_destination``).
        durable: as for `lab.files.replacing`.

    Raises:
        UnreadablePhotoError: ``like`` cannot be read.
        TypeError: not a floating-point tensor.
        ValueError: values outside [0, 1], another size than ``like``, or a format that will not do.
        OSError: the file cannot be written; a file that was there is untouched.
    """
    check_image(image[None])
    if like is None:
        pixels = quantize(image.detach().cpu().numpy(), np.dtype(np.uint8))
        photo = SourcePhoto(np.ascontiguousarray(np.moveaxis(pixels, 0, -1)))
    else:
        source = like if isinstance(like, SourcePhoto) else read_source(like)
        photo = paste_into_source(source, image, torch.ones_like(image[:1]))
    write_photo(path, photo, lossy, durable)


def write_photo(
    path: str | Path, photo: SourcePhoto, lossy: bool = False, durable: bool = True
) -> None:
    """Write a decoded photo with its alpha and metadata; the suffix names the format.

    A folder that is missing is made. The file appears whole or not at all; ``durable`` as for
    `lab.files.replacing`.

    Raises:
        ValueError: the format would change pixels and ``lossy`` is not set, or is unknown.
        OSError: the file cannot be written; a file that was there is untouched.
    """
    path = Path(path)
    check_destination(path, photo, lossy)
    data = _encode(photo, path.suffix.lower())
    with replacing(path, durable) as temporary:
        temporary.write_bytes(data)


def check_destination(path: str | Path, photo: SourcePhoto, lossy: bool = False) -> None:
    """Raise unless the format that ``path`` names keeps every pixel of ``photo``.

    PNG holds 8 and 16 bits, TIFF also floating point; WebP (written lossless) and BMP hold 8 bits,
    BMP no alpha. JPEG changes every pixel. With ``lossy``, deeper pixels are rounded, transparent
    ones composited on white where there is no alpha, and JPEG is written at quality 95.

    Raises:
        ValueError: an unknown suffix, or a loss that ``lossy`` does not allow.
    """
    path = Path(path)
    suffix = path.suffix.lower()
    if suffix not in WRITTEN_SUFFIXES:
        raise ValueError(
            f"cannot write {path}: no format is known for the suffix {path.suffix!r}; use "
            f"{', '.join(WRITTEN_SUFFIXES)}"
        )
    if lossy:
        return
    depth, safe = photo.pixels.dtype, ".tif" if photo.pixels.dtype == np.float32 else ".png"
    if suffix in _JPEG:
        loss = "JPEG changes every pixel, so known pixels could not stay identical"
    elif depth != _UINT8 and suffix not in _TIFF and not (depth == _UINT16 and suffix == ".png"):
        kind = "32-bit floating point" if depth == np.float32 else "16 bits"
        loss = f"the photo has {kind}, which {suffix} cannot hold"
    elif photo.alpha is not None and suffix == ".bmp":
        loss = "the photo has an alpha channel, which .bmp cannot hold"
    else:
        return
    raise ValueError(
        f"cannot write {path}: {loss}; write {path.with_suffix(safe).name}, "
        "or allow the loss with --lossy (lossy=True)"
    )


def _encode(photo: SourcePhoto, suffix: str) -> bytes:
    """Return the bytes of a file; losses have been allowed by now."""
    if suffix in _TIFF:
        return encode_tiff(photo)
    if suffix == ".png" and photo.pixels.dtype != _UINT8:
        return encode_png16(_in_depth(photo, _UINT16))
    if photo.alpha is not None and suffix not in (".png", ".webp"):
        photo = replace(photo, pixels=photo.opaque_pixels(), alpha=None)
    photo = _in_depth(photo, _UINT8)
    if photo.alpha is None:
        samples = photo.pixels[..., 0] if photo.is_gray else photo.pixels
    else:
        samples = np.concatenate((photo.pixels, photo.alpha[..., None]), axis=2)
    options: dict[str, object] = {
        name: value
        for name, value in vars(photo.metadata).items()
        if value is not None and (suffix != ".bmp" or name == "dpi")
    }
    if suffix in _JPEG:
        options |= {"format": "JPEG", "quality": 95, "subsampling": 0}
    elif suffix == ".webp":
        # `exact` keeps the colours under transparent pixels.
        options |= {"format": "WEBP", "lossless": True, "exact": True}
    elif suffix == ".bmp":
        options["format"] = "BMP"
    else:
        # The default takes 2.5 times as long for files 6 % smaller.
        options |= {"format": "PNG", "compress_level": 3}
    file = io.BytesIO()
    Image.fromarray(np.ascontiguousarray(samples)).save(file, **options)  # type: ignore[arg-type]
    return file.getvalue()


def _in_depth(photo: SourcePhoto, depth: np.dtype) -> SourcePhoto:
    """Return the photo with pixels and alpha in another depth."""
    alpha = None if photo.alpha is None else change_depth(photo.alpha, depth)
    return replace(photo, pixels=change_depth(photo.pixels, depth), alpha=alpha)
