"""Settings name classes of lab; to run other code, a person has to say so, and no file can."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from lab.checks import UserError
from lab.settings import build_experiment, parse_experiment
from tests.tiny import TINY, start_command

EVIL = """\
from pathlib import Path
Path("was_run").touch()
from lab.networks import InpaintSANet
class Evil(InpaintSANet):
    pass
"""


@pytest.fixture(autouse=True)
def own_package(tmp_path, monkeypatch):
    """A folder, the current one and on the path, with packages that leave a trace when run."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    for name in ("evilmod", "labelled"):
        (tmp_path / f"{name}.py").write_text(EVIL)
    yield
    for name in ("evilmod", "labelled"):
        sys.modules.pop(name, None)


OPTIONS = [
    "--model.network=evilmod.Evil",
    "--model.network=labelled.Evil",
    "--model.network={class_path: evilmod.Evil}",
    "--model.strategy=evilmod.Evil",
    "--model.judges.whole=evilmod.Evil",
    "--model=evilmod.Evil",
    "--data.masks=evilmod.Evil",
    "--model.network=os.system",
    "--model.network=builtins.exec",
    "--model.network=jsonargparse.ArgumentParser",
]


@pytest.mark.parametrize("option", OPTIONS)
def test_a_class_from_elsewhere_is_refused_before_its_module_is_run(option):
    with pytest.raises(UserError, match=r"no part of lab.*add --allow-imports \w+$"):
        parse_experiment([option])
    assert not Path("was_run").exists()


@pytest.mark.parametrize(
    "text",
    [
        "model: {network: evilmod.Evil}",
        "model: {network: {class_path: evilmod.Evil}}",
        "model: {class_path: evilmod.Evil}",
        "--allow-imports: evilmod\nmodel: {network: evilmod.Evil}",
        "allow_imports: [evilmod]\nmodel: {network: evilmod.Evil}",
        "allowed_imports: [evilmod]\nmodel: {network: evilmod.Evil}",
        "config: other.yaml",
    ],
)
def test_nor_can_a_file_of_settings_allow_it(text):
    Path("other.yaml").write_text("model: {network: evilmod.Evil}")
    Path("settings.yaml").write_text(text)
    with pytest.raises(UserError) as refused:
        parse_experiment([], Path("settings.yaml"))
    assert "\n" not in str(refused.value)
    assert not Path("was_run").exists()


def test_the_option_is_two_words_so_that_no_setting_can_stand_for_it():
    for written in ("--allow-imports=evilmod", "--allow_imports=evilmod"):
        with pytest.raises(UserError, match="no file can allow its own imports"):
            parse_experiment([written, "--model.network=evilmod.Evil"])
    for package in ("", "../evilmod", "evil mod", "evilmod;os"):
        with pytest.raises(UserError, match="names no package"):
            parse_experiment(["--allow-imports", package])
    assert not Path("was_run").exists()


def test_what_a_person_allows_is_built_and_only_as_long_as_they_say():
    allowed = [*TINY, "--allow-imports", "evilmod"]
    settings = parse_experiment([*allowed, "--model.network=evilmod.Evil"])
    experiment = build_experiment(settings)
    assert type(experiment.model.network).__name__ == "Evil"
    assert "allow" not in experiment.yaml
    with pytest.raises(UserError, match="no part of lab"):
        parse_experiment(["--model.network=evilmod.Evil"])
    with pytest.raises(UserError, match="no part of lab"):
        parse_experiment(["--allow-imports", "evilmod", "--model.network=labelled.Evil"])


def test_classes_of_lab_need_no_leave():
    settings = parse_experiment(["--model.strategy=lab.strategies.Tiled"])
    assert settings.model.init_args.strategy.class_path == "lab.strategies.Tiled"


def test_a_question_is_refused_in_a_line(tmp_path):
    Path("mine.yaml").write_text(
        "question: Which?\ngoal: hole_ssim\nsearch: {model.network.width: [8]}\n"
        "base: {model: {network: evilmod.Evil}}\n"
    )
    process = start_command("sweep", "mine.yaml", "--workers", "1", folder=tmp_path, cold=True)
    _, said = process.communicate(timeout=120)
    assert process.returncode == 2
    assert said.startswith("error: ")
    assert said.endswith("add --allow-imports evilmod\n")
    assert not Path("was_run").exists()


def test_a_person_allows_a_package_on_the_command_line(tmp_path):
    printed = subprocess.run(
        [
            *(sys.executable, "-m", "lab.train", "--print-config"),
            *("--allow-imports", "evilmod", "--model.network=evilmod.Evil"),
        ],
        env={**os.environ, "PYTHONPATH": f"{Path(__file__).parents[1]}:{tmp_path}"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "class_path: evilmod.Evil" in printed.stdout


def test_a_value_that_is_the_name_of_a_file_is_not_read(tmp_path):
    os.mkfifo("pipe")
    Path("network.yaml").write_text("class_path: lab.networks.RFR")
    for option in ("--model.network=pipe", "--model.network=network.yaml", "--model=pipe"):
        with pytest.raises(UserError, match=r"must be a class|no part of lab"):
            parse_experiment([option])


@pytest.mark.parametrize(
    "value",
    ["[" * 5000, "&a [*a]", "{1: 2}", "{a: &a [1,1], b: [*a,*a]}", "!!python/name:os.system"],
)
def test_values_of_options_are_limited_as_files_are(value):
    with pytest.raises(UserError) as refused:
        parse_experiment([f"--data.size={value}"])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 500
