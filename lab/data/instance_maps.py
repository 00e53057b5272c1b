"""Maps of objects, one a photo, found by the photo's place and name."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

from lab.checks import UserError
from lab.imaging import PHOTO_SUFFIXES, plain_name
from lab.untrusted import printable


@dataclass(frozen=True)
class InstanceMaps:
    """A folder, searched recursively, with a map for each photo: ``beach.png`` for ``beach.jpg``.

    Where photos in several folders have one name, the maps lie in folders called alike.

    Attributes:
        folder: of the maps.
    """

    folder: Path

    def file_of(self, place: str) -> Path:
        """The map of a photo.

        Args:
            place: the photo's path without its suffix, with all of its folders that are known, and
                ``/`` between them.

        Raises:
            UserError: there is none, or several; or it is another photo's already.
        """
        parts = tuple(map(plain_name, PurePosixPath(place).parts))
        stem = printable(parts[-1])
        found = self._by_stem.get(parts[-1], ())
        # The folders that a map lies in say whose it is, as far as the photo lies in such.
        own = [path for path in found if self._parts(path) == parts[-len(self._parts(path)) :]]
        nearest = max((len(self._parts(path)) for path in own), default=0)
        chosen = [path for path in own if len(self._parts(path)) == nearest] or found
        if len(chosen) > 1:
            names = ", ".join(printable(path.relative_to(self.folder)) for path in chosen)
            raise UserError(
                f"several instance maps could be of the photo {stem}: {names}; keep one, or put "
                "each into folders called as those of its photo"
            )
        if not chosen:
            raise UserError(
                f"the photo {stem} has no instance map in {printable(self.folder)}: put "
                f"{stem}.png there, of the photo's size, or leave instances out of data.guides"
            )
        (path,) = chosen
        other = self._given_to.setdefault(path, place)
        if other != place:
            raise UserError(
                f"{printable(path)} would be the instance map of two photos, {printable(other)} "
                f"and {printable(place)}: put each one's map into folders called as its own"
            )
        return path

    def _parts(self, path: Path) -> tuple[str, ...]:
        return tuple(map(plain_name, path.relative_to(self.folder).with_suffix("").parts))

    @cached_property
    def _given_to(self) -> dict[Path, str]:
        """Whose map each file was so far, in this process."""
        return {}

    @cached_property
    def _by_stem(self) -> Mapping[str, Sequence[Path]]:
        found = defaultdict(list)
        for path in sorted(self.folder.rglob("*")):
            if path.suffix.lower() in PHOTO_SUFFIXES and not path.name.startswith("."):
                found[plain_name(path.stem)].append(path)
        return found
