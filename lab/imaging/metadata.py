"""What a photo file says beside its pixels: EXIF, colour profile, resolution."""

from dataclasses import dataclass

from PIL import Image

from lab.imaging.budgets import LARGEST_EXIF

ORIENTATION_TAG = 274
ICC_PROFILE_TAG = 34675

# Tags that say how pixels lie in *that* file, previews of it (they still show what was removed),
# and blocks that repeat the orientation (XMP): wrong or harmful in the file that is written.
# What a JPEG file has room for.
_MOST_DPI = 65535.0
_TAGS_OF_THE_LAYOUT = frozenset(
    [
        *(*range(254, 260), *range(262, 267), 273, *range(277, 282), 284, *range(288, 294), 297),
        *(301, 317, 320, *range(322, 326), 330, *range(332, 335), *range(336, 344), 347),
        *(*range(512, 522), *range(529, 533), 700, 33723, 34377, ICC_PROFILE_TAG),
    ]
)


@dataclass(frozen=True)
class PhotoMetadata:
    """What a photo file carries beside its pixels.

    ``exif`` is an EXIF block (orientation already 1, no thumbnail: it would still show what was
    removed), ``icc_profile`` the colour profile's bytes, ``dpi`` dots per inch along x and y.
    """

    exif: bytes | None = None
    icc_profile: bytes | None = None
    dpi: tuple[float, float] | None = None


def read_exif(image: Image.Image) -> Image.Exif:
    """Return a loaded image's EXIF; an empty one where it is damaged or larger than any."""
    if len(image.info.get("exif") or b"") > LARGEST_EXIF:
        return Image.Exif()
    try:
        return image.getexif()
    # A photo is not unreadable because a camera wrote a bad tag; the parser raises nearly anything.
    except Exception:
        return Image.Exif()


def orientation_of(exif: Image.Exif) -> int:
    """Return the EXIF orientation, 1 to 8; anything else counts as 1 (upright)."""
    value = exif.get(ORIENTATION_TAG, 1)
    return value if isinstance(value, int) and 1 <= value <= 8 else 1


def metadata_of(exif: Image.Exif, profile: object, dpi: object) -> PhotoMetadata:
    """Collect what is kept: EXIF for upright pixels, the profile, and a plausible resolution."""
    return PhotoMetadata(
        exif=_exif_to_keep(exif),
        icc_profile=profile if isinstance(profile, bytes) and profile else None,
        dpi=_plausible_dpi(dpi),
    )


def _exif_to_keep(exif: Image.Exif) -> bytes | None:
    """Return the EXIF block to write, or ``None``; the thumbnail is dropped by Pillow's writer."""
    if not len(exif):
        return None
    try:
        kept = Image.Exif()
        kept.load(exif.tobytes())
        for tag in _TAGS_OF_THE_LAYOUT.intersection(kept):
            del kept[tag]
        if ORIENTATION_TAG in kept:
            kept[ORIENTATION_TAG] = 1
        return kept.tobytes() if len(kept) else None
    except Exception:  # as in read_exif
        return None


def _plausible_dpi(dpi: object) -> tuple[float, float] | None:
    """Return dots per inch as two positive numbers that every format holds, or ``None``."""
    try:
        x, y = (float(value) for value in dpi)  # type: ignore[attr-defined]
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    # A number that is none compares as False.
    return (x, y) if all(0.0 < value <= _MOST_DPI for value in (x, y)) else None
