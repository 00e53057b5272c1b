"""Files made to do harm: each is given to a command, which must refuse it in a line or do without.

What they would do: write elsewhere, run code, take memory and disk, wait for ever, or act on the
terminal or in the browser of whoever looks at them.
"""

import gzip
import html.parser
import os
import pickle
import shutil
import tarfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import yaml

from lab.networks import create as create_network
from lab.networks import describe_network
from lab.selection.votes import Vote, add_vote, pair_id
from tests.campaign.checks import Asked, Case, Check
from tests.campaign.contained import (
    Main,
    call,
    command,
    complaints,
    import_commands,
    litter,
)
from tests.campaign.inputs import plan
from tests.campaign.works import make_material
from tests.data_prep.making import jpeg, member, val_256, write_tar
from tests.data_prep.test_hostile_sources import PLAYLISTS
from tests.data_prep.test_places2_attacks import ATTACKS
from tests.imaging.test_budgets import png_of
from tests.networks.tensorflow_graphs import message, varint
from tests.studies.conftest import TINY_QUESTION
from tests.tiny import TINY, fit_tiny

RUN = "was_run"
"""The file that code in a hostile file would leave in the folder of the call."""

HARMFUL = (
    "<img src=x onerror=alert(1)>",
    "'\"><svg onload=alert(1)>",
    "<!--<script>",
    "javascript:alert(1)",
    "\x1b]0;title\x07",
    "\u202egnp.exe",
    "=cmd|' C'!A0",
    "{{7*7}}${7*7}",
)
"""Names of photos; as long as they hold no slash, files may have them."""


class Code:
    """Whoever unpickles it runs this."""

    def __reduce__(self) -> tuple:
        return os.system, (f"touch {RUN}",)


class Gigabytes:
    """Whoever unpickles it takes a hundred gigabytes."""

    def __reduce__(self) -> tuple:
        return bytearray, (100 * 2**30,)


@dataclass(frozen=True)
class Attempt:
    """A hostile file and who reads it.

    Attributes:
        name: what it would do.
        write: writes it, given the folder of the call and the material.
        main: the command.
        words: of it, in that folder.
        statuses: with which it may end.
    """

    name: str
    write: Callable[[Path, Path], object]
    main: Main
    words: Sequence[str]
    statuses: Sequence[int] = (2,)


def _inpaint_with(path: str) -> tuple[Main, list[str]]:
    words = ["photo.png", "--mask", "mask.png", "-o", "out.png", "--checkpoint", path]
    return command("lab.inpaint"), words


def _pictures(folder: Path, material: Path) -> None:
    shutil.copy(material / "photos" / "0.png", folder / "photo.png")
    shutil.copy(material / "mask.png", folder)


def archives() -> Iterator[Attempt]:
    """Archives that lead elsewhere, link, or unpack to more than there is."""
    places2, words = command("data_prep.places2"), ["a.tar", "out", "--workers", "1"]
    for form, number in (("GNU", tarfile.GNU_FORMAT), ("pax", tarfile.PAX_FORMAT)):
        for name, (attack, _) in ATTACKS.items():
            photos = list(val_256(4))

            def write(folder, _, attack=attack, photos=photos, number=number):
                members = [*photos[:2], attack, *photos[2:]]
                write_tar(folder / "a.tar", members, form=number)

            yield Attempt(f"archive ({form}): {name}", write, places2, words, (0,))

    def bomb(folder: Path, _: Path) -> None:
        """Gigabytes of nothing in megabytes: a photo, and then only more of it."""
        zeros = gzip.compress(bytes(64 * 2**20), 9, mtime=0)
        header = gzip.compress(member("val_256/p.jpg")[0].tobuf(), mtime=0)
        with (folder / "a.tar").open("wb") as file:
            file.write(header)
            for _ in range(40):
                file.write(zeros)

    def large_member(folder: Path, _: Path) -> None:
        info = tarfile.TarInfo("val_256/p.jpg")
        info.size = 40 * 2**26
        zeros = gzip.compress(bytes(64 * 2**20), 9, mtime=0)
        with (folder / "a.tar").open("wb") as file:
            file.write(gzip.compress(info.tobuf(), mtime=0))
            for _ in range(40):
                file.write(zeros)

    def pictures(folder: Path, _: Path) -> None:
        bombs = [png_of(13_000, 13_000, 16, 6), png_of(40_000, 40_000, 1, 0)]
        named = (member(f"val_256/{n}.png", data) for n, data in enumerate(bombs))
        write_tar(folder / "a.tar", [*val_256(2), *named])

    def many(folder: Path, _: Path) -> None:
        empty = (member(f"val_256/{'d/' * 40}{n}.jpg") for n in range(20_000))
        write_tar(folder / "a.tar", [*val_256(2), *empty])

    yield Attempt("archive: 2.7 GB of zeros in 3 MB", bomb, places2, words, (0, 2))
    yield Attempt("archive: a photo of 2.7 GB in 3 MB", large_member, places2, words, (0, 2))
    yield Attempt("archive: photos that unpack to gigabytes", pictures, places2, words, (0, 2))
    yield Attempt("archive: 20,000 empty photos", many, places2, words, (0, 2))

    def swapped(folder: Path, _: Path) -> None:
        """A folder whose photos are links to elsewhere, and to itself."""
        (folder / "a.tar").mkdir()
        for number in range(3):
            (folder / "a.tar" / f"{number}.jpg").write_bytes(jpeg(number))
        (folder / "a.tar" / "out.jpg").symlink_to("/etc/passwd")
        (folder / "a.tar" / "again").symlink_to(folder / "a.tar")

    yield Attempt("folder: links to elsewhere and to itself", swapped, places2, words, (0, 2))


def pickles() -> Iterator[Attempt]:
    """Code, and claims of a hundred gigabytes, wherever a file of tensors or arrays is read."""
    network = describe_network(create_network("InpaintSANet", width=8), epoch=1, settings="")

    def torch_file(path: str, content: object, as_zip: bool = True) -> Callable:
        def write(folder: Path, material: Path) -> None:
            _pictures(folder, material)
            (folder / path).parent.mkdir(parents=True, exist_ok=True)
            torch.save(content, folder / path, _use_new_zipfile_serialization=as_zip)

        return write

    def raw(path: str, content: object) -> Callable:
        def write(folder: Path, material: Path) -> None:
            _pictures(folder, material)
            (folder / path).write_bytes(pickle.dumps(content))

        return write

    for what, harm in (("code", Code()), ("100 GB", Gigabytes())):
        for place, content in (
            ("alone", harm),
            ("as a tensor", {**network, "state": {"a": harm}}),
            ("as an argument", {**network, "arguments": {"width": harm}}),
            ("as its settings", {**network, "settings": harm}),
            ("as a key", {**network, "x": [harm]}),
        ):
            for kind, write in (
                ("zip", torch_file("a.pt", content)),
                ("legacy", torch_file("a.pt", content, as_zip=False)),
                ("pickle", raw("a.pt", content)),
            ):
                label = f"checkpoint ({kind}): {what} {place}"
                yield Attempt(label, write, *_inpaint_with("a.pt"))
        write = torch_file("runs/train/checkpoints/last.ckpt", {"state_dict": harm})

        def resumable(folder: Path, material: Path, write: Callable = write) -> None:
            fit_tiny(folder / "runs" / "train", "--fit.epochs=1")
            write(folder, material)

        words = [*TINY, "--fit.epochs=2"]
        yield Attempt(f"last.ckpt: {what}", resumable, command("lab.train"), words)
        write = torch_file("a.pt", {**network, "state": {"a": harm}})
        words = [*TINY, "--model.warm_start=a.pt", "--fit.epochs=1"]
        yield Attempt(f"warm start: {what}", write, command("lab.train"), words)

        def library(folder: Path, material: Path, harm: object = harm) -> None:
            shutil.copytree(material / "photos", folder / "photos")
            array = np.empty(1, object)
            array[0] = harm
            np.savez(folder / "people.npz", sizes=array, bits=array)

        words = ["photos", "out", "--set", "valid", "--total", "3", "--size", "32"]
        words += ["--masks", "people.npz"]
        sets = command("data_prep.evaluation_sets")
        yield Attempt(f"silhouettes: {what}", library, sets, words)

    def claims(folder: Path, material: Path) -> None:
        """A tensor of 25 billion values that shows one of them again and again."""
        state = {"a": torch.zeros(1).expand(25_000, 1_000_000)}
        torch_file("a.pt", {**network, "state": state})(folder, material)

    def record(folder: Path, material: Path) -> None:
        """Entries of a zip that unpack to more than may be taken."""
        torch_file("b.pt", network)(folder, material)
        with zipfile.ZipFile(folder / "b.pt") as whole:
            entries = {name: whole.read(name) for name in whole.namelist()}
        zeros = bytes(2**27)
        with zipfile.ZipFile(folder / "a.pt", "w", zipfile.ZIP_DEFLATED, compresslevel=1) as large:
            for name, data in entries.items():
                large.writestr(name, data)
            for number in range(20):
                large.writestr(f"{next(iter(entries)).split('/')[0]}/data/x{number}", zeros)

    def sparse(folder: Path, material: Path) -> None:
        _pictures(folder, material)
        with (folder / "a.pt").open("wb") as file:
            file.truncate(100 * 2**30)

    for name, write in (("a tensor", claims), ("2.7 GB packed", record), ("a sparse file", sparse)):
        yield Attempt(f"checkpoint that claims too much: {name}", write, *_inpaint_with("a.pt"))

    def graph(folder: Path, _: Path) -> None:
        shape = message(*((2, message((1, size))) for size in (2**16, 2**16, 8)))
        tensor = message((1, 1), (2, shape)) + varint(5 << 3 | 5) + b"\0\0\0\0"
        kind = message((1, b"value"), (2, message((8, tensor))))
        (folder / "a.pb").write_bytes(message((1, message((1, b"f1"), (2, b"Const"), (5, kind)))))

    yield Attempt(
        "graph that claims 100 GB", graph, command("data_prep.upscalers"), ["a.pb", "out"]
    )


def settings() -> Iterator[Attempt]:
    """Settings and questions that name what runs, or that unfold."""
    system = {"class_path": "os.system", "init_args": {"command": f"touch {RUN}"}}
    popen = {"class_path": "subprocess.Popen", "init_args": {"args": ["touch", RUN]}}
    texts = {
        "os.system as a network": yaml.safe_dump({"model": {"network": system}}),
        "a process as a mask": yaml.safe_dump({"data": {"masks": popen}}),
        "a tag": f"model: !!python/object/apply:os.system ['touch {RUN}']\n",
        "a billion values": "a: &a [1,1,1,1,1,1,1,1,1,1]\n"
        + "".join(
            f"{b}: &{b} [{','.join([f'*{a}'] * 10)}]\n"
            for a, b in zip("abcdefgh", "bcdefghi", strict=True)
        ),
        "itself": "model: &m {network: *m}\n",
        "a deep one": "a: " + "[" * 5000 + "]" * 5000,
        "imports of its own": "allow_imports: [os]\nmodel: {network: {class_path: os.system}}\n",
    }
    for name, text in texts.items():

        def write(folder: Path, _: Path, text: str = text) -> None:
            (folder / "a.yaml").write_text(text)

        words = ["--config", "a.yaml", "--print-config"]
        yield Attempt(f"settings: {name}", write, command("lab.train"), words)

        def ask(folder: Path, _: Path, text: str = text) -> None:
            base = yaml.safe_dump({k: v for k, v in TINY_QUESTION.items() if k != "base"})
            indented = text.replace("\n", "\n  ")
            (folder / "a.yaml").write_text(f"{base}base:\n  {indented}\n")

        yield Attempt(f"question: {name}", ask, plan, ["a.yaml"])


def clips() -> Iterator[Attempt]:
    """Lists of other files and addresses that call themselves clips."""
    for name, text in PLAYLISTS.items():

        def write(folder: Path, material: Path, name: str = name, text: str = text) -> None:
            shutil.copy(material / "clip.avi", folder / "other.avi")
            filled = text.format(clip=folder / "other.avi", folder=folder)
            (folder / name).write_text(filled)

        yield Attempt(f"clip: {name}", write, command("data_prep.clean_plate"), [name, "out"])


class _Tags(html.parser.HTMLParser):
    """Counts the elements of a page, and finds what acts by itself."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: Counter[str] = Counter()
        self.acting: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found[tag] += 1
        self.acting += [f"{tag} {name}" for name, _ in attrs if name.startswith("on")]


def _named_study(folder: Path, material: Path, name: str) -> None:
    """A study whose photo0 is called otherwise, in its tables, votes and pictures."""
    study = shutil.copytree(material / "study", folder / "study")
    quoted = name.replace('"', '""')
    for path in study.rglob("photos.csv"):
        path.write_text(path.read_text().replace("photo0", f'"{quoted}"'))
    for shown in study.rglob("photo0"):
        shown.rename(shown.with_name(name))
    shutil.rmtree(study / "votes")  # a vote's pair is known by the photo's name
    sides = ("trial-000/epoch-001", "trial-001/epoch-001")
    voted = Vote(pair_id(name, *sides), name, *sides, "left", "ann", "2026-01-01T00:00:00Z")
    add_vote(study, voted)


def show_names(asked: Asked) -> Iterator[Case]:
    """Studies and photos with harmful names are reported: the page has no element more."""
    material = asked.folder / "material"
    make_material(material)
    import_commands()
    # Its elements are those of every page.
    _, plain = _shown(asked.folder / "plain", material, "photo0")
    for number in asked.cases:
        if number >= len(HARMFUL):
            return
        name = HARMFUL[number]
        findings, tags = _shown(asked.folder / str(number), material, name)
        if tags is not None:
            if plain is None or tags.found != plain.found:
                other = tags.found - (Counter() if plain is None else plain.found)
                findings.append(f"its page has other elements: {other}")
            findings += [f"its page acts by itself: {what}" for what in tags.acting]
        yield Case(number, f"a photo is called {name!r}", findings)


def _shown(folder: Path, material: Path, name: str) -> tuple[list[str], _Tags | None]:
    """What select and report broke with a photo of that name, and the page, where there is one."""
    folder.mkdir()
    _named_study(folder, material, name)
    findings = []
    for command_name, words in (
        ("lab.select", ["study", "--votes"]),
        ("lab.report", ["study", "-o", "page"]),
    ):
        findings += complaints(call(command(command_name), words, folder), (0,))
    if findings:
        return findings, None
    return [], _Tags((folder / "page" / "index.html").read_text())


def attempts() -> list[Attempt]:
    """All hostile files."""
    kinds = (archives, pickles, settings, clips)
    return [attempt for kind in kinds for attempt in kind()]


def run(asked: Asked) -> Iterator[Case]:
    """Give every hostile file to its command."""
    material = asked.folder / "material"
    make_material(material)
    import_commands()
    for number, attempt in enumerate(attempts()):
        if number not in asked.cases:
            continue
        around = asked.folder / str(number)
        folder = around / "in"
        folder.mkdir(parents=True)
        attempt.write(folder, material)
        before = {path for path in around.rglob("*") if not path.is_symlink()}
        outcome = call(attempt.main, attempt.words, folder)
        findings = complaints(outcome, attempt.statuses) + litter(folder)
        if (folder / RUN).exists():
            findings.append("its code was run")
        new = [path for path in around.rglob("*") if path not in before and path.is_file()]
        size = sum(path.lstat().st_size for path in new)
        if size > 2**26:
            findings.append(f"wrote {size} bytes")
        findings += [f"wrote {path}" for path in new if not path.is_relative_to(folder)]
        shutil.rmtree(around)
        yield Case(number, attempt.name, findings)


CHECKS = (
    Check(
        "hostile.files",
        "nothing written elsewhere, no code run, at most 2 GiB, one line",
        200,
        run,
        smoke=3,
    ),
    Check("hostile.names", "a name does nothing in a terminal or a page", 8, show_names, smoke=0),
)
