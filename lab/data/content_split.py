"""Which photos validate, told from their content alone.

A photo whose SHA-256, read as a fraction of its range, is below the validation share validates. So
copies of one photo always land on one side, names and order do not matter, and a photo stays where
it is when others are added.
"""

import math
from collections.abc import Collection


def content_fraction(sha256: str) -> float:
    """Return where a hash in hexadecimal lies in its range, in [0, 1]."""
    return int(sha256, 16) / 2**256


def validation_bound(fractions: Collection[float], share: float) -> float:
    """Return the bound below which fractions validate: ``share``, moved where a side were empty.

    Args:
        fractions: of all photos, at least one.
        share: for validation, in (0, 1).
    """
    lowest, highest = min(fractions), max(fractions)
    if lowest >= share:
        return math.nextafter(lowest, 2.0)
    # The highest one stays for training.
    return min(share, highest)


def check_share(share: float) -> None:
    """Raise ``ValueError`` unless ``share`` lies in (0, 1)."""
    if not 0.0 < share < 1.0:
        raise ValueError(f"the validation share is {share:g}, but must lie in (0, 1)")
