"""Maps of objects, one a photo, found by the photo's name."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

from lab.checks import UserError
from lab.imaging import PHOTO_SUFFIXES
from lab.untrusted import printable


@dataclass(frozen=True)
class InstanceMaps:
    """A folder, searched recursively, with a map for each photo: ``beach.png`` for ``beach.jpg``.

    Attributes:
        folder: of the maps.
    """

    folder: Path

    def file_of(self, stem: str) -> Path:
        """The map of the photo whose file is called ``stem`` without its suffix.

        Raises:
            UserError: there is none, or several.
        """
        found = self._by_stem.get(stem, ())
        if len(found) == 1:
            return found[0]
        if found:
            names = ", ".join(printable(path.relative_to(self.folder)) for path in found)
            raise UserError(
                f"several instance maps could be of the photo {printable(stem)}: {names}; keep one"
            )
        raise UserError(
            f"the photo {printable(stem)} has no instance map in {printable(self.folder)}: put "
            f"{printable(stem)}.png there, of the photo's size, or leave instances out of "
            "data.guides"
        )

    @cached_property
    def _by_stem(self) -> Mapping[str, Sequence[Path]]:
        found = defaultdict(list)
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith("."):
                found[path.stem].append(path)
        return found
