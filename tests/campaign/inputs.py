"""Mutated inputs: whatever stands in a file, a command ends with a result or with one line.

Each case is a whole file of one kind, changed by draws of its own, and a command that reads it, in
a forked child. What is held: no traceback, no signal, an end in time, at most two gigabytes, a
status that fits, a result that is whole or none, and nothing half-written.
"""

import bz2
import gzip
import io
import json
import lzma
import multiprocessing
import shutil
import tempfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from PIL import Image

from lab.command_line import complain
from lab.data import read_evaluation_set
from lab.faults import in_one_line
from lab.formats.shards import read_index
from lab.imaging import read_source
from lab.networks import create as create_network
from lab.networks import describe_network, load_network, load_upscaler
from lab.settings import build_experiment, parse_experiment
from lab.studies import begin_sweep
from tests.campaign.checks import Asked, Case, Check
from tests.campaign.contained import Main, call, command, complaints, import_commands, litter
from tests.campaign.mutations import changed
from tests.data.shards import pack
from tests.data_prep.making import WalkingClip, data_256, write_tar
from tests.networks.tensorflow_graphs import graph
from tests.networks.test_super_resolution import drawn_constants
from tests.studies.conftest import TINY_QUESTION
from tests.test_damaged_folders import write_damageable
from tests.tiny import TINY, fit_tiny

SIZE = (48, 40)
"""Width and height of photos and masks here."""


@dataclass(frozen=True)
class Kind:
    """Files of one kind, and the command that reads one of them.

    Attributes:
        files: whole ones below the material; one is changed.
        beside: a folder of the material that is copied, in which the changed file lies.
        main: the command.
        arguments: of it; ``{it}`` is the changed file, ``{at}`` the folder of ``beside``.
        result: looks at what was made by a call that succeeded; raises where that is not whole.
        output: what must not be there where the call did not succeed.
    """

    files: str
    main: Main
    arguments: Sequence[str]
    result: Callable[[Path], object]
    output: str = ""
    beside: str = ""


def make_material(folder: Path) -> None:
    """Write whole files of all kinds, the same ones each time."""
    draws = np.random.default_rng(0)
    rows, columns = np.mgrid[0 : SIZE[1], 0 : SIZE[0]]
    rgb = np.dstack([rows * 5, columns * 4, 200 - rows - columns]).astype(np.uint8)
    rgb ^= draws.integers(0, 8, rgb.shape, dtype=np.uint8)
    photos, masks = folder / "photos", folder / "masks"
    photos.mkdir(parents=True)
    masks.mkdir()
    whole = Image.fromarray(rgb)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 1, "maker"
    for name, image, options in (
        ("plain.png", whole, {}),
        ("palette.png", whole.convert("P"), {"transparency": 3}),
        ("alpha.png", whole.convert("RGBA"), {}),
        ("plain.jpg", whole, {"exif": exif}),
        ("progressive.jpg", whole, {"progressive": True}),
        ("print.jpg", whole.convert("CMYK"), {}),
        ("plain.webp", whole, {"exif": exif}),
        ("alpha.webp", whole.convert("RGBA"), {"lossless": True}),
        ("plain.tif", whole, {"compression": "tiff_lzw"}),
        ("plain.bmp", whole, {}),
        ("plain.gif", whole.convert("P"), {}),
    ):
        image.save(photos / name, **options)
    deep = rgb.astype(np.uint16) * 257
    cv2.imwrite(str(photos / "deep.png"), deep)
    cv2.imwrite(str(photos / "deep.tif"), deep)
    hole = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    hole[10:22, 12:30] = 255
    drawn = Image.fromarray(hole)
    for name, image in (
        ("plain.png", drawn),
        ("bit.png", drawn.convert("1")),
        ("alpha.png", Image.fromarray(np.dstack([hole] * 4))),
        ("palette.png", drawn.convert("P")),
        ("plain.jpg", drawn),
        ("plain.bmp", drawn),
        ("plain.gif", drawn),
        ("plain.tif", drawn),
    ):
        image.save(masks / name)

    settings, questions = folder / "settings", folder / "questions"
    settings.mkdir()
    questions.mkdir()
    (settings / "tiny.yaml").write_text(build_experiment(parse_experiment([*TINY])).yaml)
    variant = parse_experiment([*TINY, "--variant=both_gates", "--variant=tiled"])
    (settings / "variant.yaml").write_text(build_experiment(variant).yaml)
    (questions / "tiny.yaml").write_text(yaml.safe_dump(TINY_QUESTION))
    grid = {"model.objective.balancing": {"choices": ["StatedWeights", "GradNorm"]}}
    grid["data.batch_size"] = {"low": 2, "high": 4, "whole": True, "step": 2}
    further = {"search": grid, "first": [], "seeds": 2, "goal": ["hole_psnr", "hole_l1"]}
    (questions / "several.yaml").write_text(yaml.safe_dump({**TINY_QUESTION, **further}))

    networks = folder / "checkpoints"
    networks.mkdir()
    torch.manual_seed(0)
    for name in ("InpaintSANet", "GlobalLocal", "PartialConvolutionUNet"):
        content = describe_network(create_network(name, width=8), epoch=3, settings="")
        torch.save(content, networks / f"{name}.pt")
    graphs = folder / "graphs"
    graphs.mkdir()
    for name in ("FSRCNN", "ESPCN"):
        (graphs / f"{name}_x2.pb").write_bytes(graph(drawn_constants(name, 2)))

    archives = folder / "archives"
    archives.mkdir()
    plain = write_tar(archives / "a.tar", data_256(6)).read_bytes()
    (archives / "a.tar.gz").write_bytes(gzip.compress(plain, mtime=0))
    (archives / "a.tar.xz").write_bytes(lzma.compress(plain))
    (archives / "a.tar.bz2").write_bytes(bz2.compress(plain))
    (folder / "shards").mkdir()
    with redirect_stdout(io.StringIO()):  # what they say of their work
        pack(folder / "shards")
        write_damageable(folder / "study")
    clips = folder / "clips"
    clips.mkdir()
    WalkingClip(frames=16, walkers=1).write(clips / "clip.avi")
    fit_tiny(folder / "runs" / "run", "--fit.epochs=1")


def plan(arguments: Sequence[str] | None) -> int:
    """What `lab.sweep` does before it trains: read the question and build every trial's run."""
    assert arguments is not None
    try:
        begin_sweep(arguments[0], runs=Path("runs"), threads=1)
    except Exception as error:
        complain(in_one_line(error))
        return 2
    return 0


def resume(arguments: Sequence[str] | None) -> int:
    """Go on with a run, to its second epoch."""
    return command("lab.train")([*TINY, "--fit.epochs=2", *(arguments or ())])


def _completed(folder: Path) -> None:
    # The photo itself may have another size now.
    read_source(folder / "out.png")


def _converted(folder: Path) -> None:
    for path in (folder / "out").iterdir():
        load_upscaler(path)


def _packed(folder: Path) -> None:
    assert read_index(folder / "out").splits


def _paired(folder: Path) -> None:
    assert read_evaluation_set(folder / "out").records


def _resumed(folder: Path) -> None:
    load_network(folder / "it" / "run" / "checkpoints" / "epoch-002.pt")


def _trebled(folder: Path) -> None:
    manifest = json.loads((folder / "out" / "manifest.json").read_text())
    for record in manifest["triplets"]:
        read_source(folder / "out" / record["frame"]["file"])


def _page(folder: Path) -> None:
    assert "</html>" in (folder / "page" / "index.html").read_text()


def _nothing(folder: Path) -> None:
    pass


def kinds() -> dict[str, Kind]:
    """What is mutated, and by which command it is read."""
    inpaint, select, report = map(command, ("lab.inpaint", "lab.select", "lab.report"))
    out = ("-o", "out.png", "--overwrite")
    photo, mask = ("{material}/photos/plain.png", "--mask", "{material}/masks/plain.png")[::2]
    tables = "study/trials/trial-000/*.csv study/results.csv study/board.csv"
    notes = "study/votes/*.jsonl study/selection.json study/trials/trial-000/run.json"
    notes += " study/trials/trial-000/config.yaml"
    run = "runs/run/checkpoints/last.ckpt runs/run/*.csv runs/run/*.json runs/run/config.yaml"
    page = ("{at}", "-o", "page")
    return {
        "photos": Kind(
            "photos/*", inpaint, ("{it}", "--mask", mask, "--method", "smooth", *out), _completed,
            "out.png",
        ),
        "masks": Kind(
            "masks/*", inpaint, (photo, "--mask", "{it}", "--method", "smooth", *out), _completed,
            "out.png",
        ),
        "checkpoints": Kind(
            "checkpoints/*", inpaint, (photo, "--mask", mask, "--checkpoint", "{it}", *out),
            _completed, "out.png",
        ),
        "settings": Kind(
            "settings/*", command("lab.train"), ("--config", "{it}", "--print-config"), _nothing
        ),
        "questions": Kind("questions/*", plan, ("{it}",), _nothing),
        "tables": Kind(tables, select, ("{at}",), _nothing, beside="study"),
        "tables on a page": Kind(tables, report, page, _page, "page", "study"),
        "votes": Kind(notes, select, ("{at}", "--votes"), _nothing, beside="study"),
        "votes on a page": Kind(notes, report, page, _page, "page", "study"),
        "databases": Kind("study/study.db", select, ("{at}",), _nothing, beside="study"),
        "archives": Kind(
            "archives/*", command("data_prep.places2"), ("{it}", "out", "--workers", "1"), _packed
        ),
        "shards": Kind(
            "shards/shards/*", command("data_prep.evaluation_sets"),
            ("{at}", "out", "--set", "valid", "--total", "3", "--size", "32"), _paired,
            "out/manifest.json", "shards/shards",
        ),
        "graphs": Kind("graphs/*", command("data_prep.upscalers"), ("{it}", "out"), _converted),
        "clips": Kind(
            "clips/*", command("data_prep.clean_plate"), ("{it}", "out", "--every", "0.4"),
            _trebled, "out/manifest.json",
        ),
        "runs": Kind(run, resume, ("--runs", "it", "--name", "run"), _resumed, beside="runs"),
    }  # fmt: skip


ROUND = (
    *("photos", "masks", "settings", "checkpoints", "graphs", "archives", "tables", "photos"),
    *("masks", "questions", "checkpoints", "graphs", "votes", "photos", "settings", "archives"),
    *("shards", "masks", "tables on a page", "checkpoints", "photos", "settings", "graphs"),
    *("databases", "masks", "archives", "clips", "checkpoints", "settings", "votes on a page"),
    "runs",
)
"""The kinds of the cases, in turn: what commands read most, more often."""


def try_case(asked: Asked, material: Path, number: int) -> Case:
    """Mutate one input and give it to its command."""
    draws = asked.draws(number)
    name = ROUND[number % len(ROUND)]
    kind = kinds()[name]
    files = sorted(path for pattern in kind.files.split() for path in material.glob(pattern))
    whole = files[int(draws.integers(len(files)))]
    folder = Path(tempfile.mkdtemp(dir=asked.folder))
    try:
        if kind.beside:
            at = folder / "it"
            shutil.copytree(material / kind.beside, at)
            it = at / whole.relative_to(material / kind.beside)
        else:
            at, it = folder, folder / whole.name
        it.write_bytes(changed(whole.read_bytes(), whole.name, draws))
        words = [word.format(it=it, at=at, material=material) for word in kind.arguments]
        outcome = call(kind.main, words, folder)
        findings = complaints(outcome) + litter(folder)
        if (folder / "hacked").exists():
            findings.append("ran what stood in the file")
        if outcome.status == 0:
            try:
                kind.result(folder)
            except Exception as error:
                findings.append(f"status 0, but no whole result: {type(error).__name__}: {error}")
        elif kind.output and (folder / kind.output).exists():
            findings.append(f"status {outcome.status}, and yet a result: {kind.output}")
        return Case(number, f"{name}, {whole.name}", findings)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def run(asked: Asked) -> Iterator[Case]:
    """Try all cases, in several processes that each fork a child for one."""
    material = asked.folder / "material"
    make_material(material)
    import_commands()
    context = multiprocessing.get_context("fork")
    with context.Pool(asked.processes) as pool:
        jobs = ((asked, material, number) for number in asked.cases)
        yield from pool.imap_unordered(_try, jobs, chunksize=8)


def _try(job: tuple[Asked, Path, int]) -> Case:
    return try_case(*job)


CHECKS = (
    Check(
        "inputs",
        "no traceback, no hang, at most 2 GiB, nothing half-written, the status that fits",
        10_000,
        run,
        smoke=12,
    ),
)
