"""Commands that write, each with what it is given and what it must end with: killed, or on a disk
that is full, they are given again, and compared with a call that nothing disturbed."""

import io
import re
import shutil
from collections.abc import Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from tests.campaign.contained import Main, Outcome, call, command
from tests.data_prep.making import WalkingClip, data_256, write_tar
from tests.imaging.test_reading import smooth
from tests.test_damaged_folders import write_damageable
from tests.test_faults import content_of
from tests.tiny import TINY

_MOMENT = re.compile(rb"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\+00:00")


@dataclass(frozen=True)
class Work:
    """A command that writes into the folder that it is called in.

    Attributes:
        name: of the command.
        main: the command.
        arguments: its words; ``{material}`` is the folder of `make_material`.
        made: what it makes, by paths in its folder, that must be the same in the end.
        copies: what of the material it writes into, and so is copied first.
        once: whether it refuses what it has finished.
    """

    name: str
    main: Main
    arguments: Sequence[str]
    made: Sequence[str]
    copies: Sequence[str] = ()
    once: bool = False

    def begin(self, folder: Path, material: Path) -> None:
        """Lay out a folder that it can be called in."""
        folder.mkdir(parents=True, exist_ok=True)
        for name in self.copies:
            shutil.copytree(material / name, folder / name)

    def words(self, material: Path) -> list[str]:
        """Its words."""
        return [word.format(material=material) for word in self.arguments]

    def call(self, folder: Path, material: Path) -> Outcome:
        """Call it to its end."""
        return call(self.main, self.words(material), folder)

    @property
    def statuses(self) -> tuple[int, ...]:
        """With which it may end where it may have been finished before."""
        return (0, 2) if self.once else (0,)

    def content(self, folder: Path) -> dict[str, object]:
        """What it made, so that two can be compared."""
        if self.name == "lab.train":
            photos, losses, checkpoints, pictures = content_of(folder / "runs" / "train")
            weights = {
                f"{name} {key}": value.numpy().tobytes()
                for name, state in checkpoints.items()
                for key, value in state.items()
            }
            return {"photos": photos.to_dict(), "losses": losses, **weights, **pictures}
        files = [
            path
            for name in self.made
            for path in sorted([folder / name, *(folder / name).rglob("*")])
            if path.is_file() and not path.name.startswith(".")
        ]
        # A page says when it was written.
        return {
            str(path.relative_to(folder)): _MOMENT.sub(b"", path.read_bytes()) for path in files
        }


def make_material(folder: Path) -> None:
    """Write what the commands are given."""
    folder.mkdir(parents=True)
    write_tar(folder / "a.tar", data_256(12))
    WalkingClip(frames=24, walkers=1).write(folder / "clip.avi")
    with redirect_stdout(io.StringIO()):  # it says what it selects
        write_damageable(folder / "study")
    (folder / "photos").mkdir()
    for number in range(5):
        Image.fromarray(smooth(48 + number, 64)).save(folder / "photos" / f"{number}.png")
    hole = Image.new("L", (64, 48))
    hole.paste(255, (20, 10, 40, 30))
    hole.save(folder / "mask.png")


def works() -> tuple[Work, ...]:
    """All of them, the quickest first."""
    return (
        Work(
            "lab.inpaint", command("lab.inpaint"),
            ("{material}/photos/0.png", "--mask", "{material}/mask.png", "--method", "smooth",
             "-o", "out.png", "--overwrite", "--preview", "preview.png"),
            ("out.png", "preview.png"),
        ),
        Work(
            "data_prep.places2", command("data_prep.places2"),
            ("{material}/a.tar", "out", "--shard-size", "3", "--workers", "1"), ("out",),
        ),
        Work("lab.select", command("lab.select"), ("study",), ("study/selection.csv",
             "study/selection.json"), ("study",)),
        Work("lab.report", command("lab.report"), ("study",), ("study/report",), ("study",)),
        Work(
            "data_prep.clean_plate", command("data_prep.clean_plate"),
            ("{material}/clip.avi", "out", "--every", "0.4"), ("out",), once=True,
        ),
        Work(
            "lab.train", command("lab.train"),
            (
                *TINY,
                "--fit.epochs=2",
                "--data.photos={material}/photos",
                "--fit.checkpoint_minutes=1e-6",  # within each epoch, too
            ),
            (),
        ),
    )  # fmt: skip


def differences(work: Work, folder: Path, whole: dict[str, object]) -> list[str]:
    """How what a command made differs from what an undisturbed call made."""
    try:
        made = work.content(folder)
    except Exception as error:
        return [f"what it made cannot be read: {type(error).__name__}: {error}"]
    found = [f"{name} is missing" for name in whole.keys() - made.keys()]
    found += [f"{name} is there, too" for name in made.keys() - whole.keys()]
    changed = [name for name in whole.keys() & made.keys() if whole[name] != made[name]]
    return sorted(found + [f"{name} is not what an undisturbed call makes" for name in changed])
