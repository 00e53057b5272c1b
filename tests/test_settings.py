"""Settings: one dotted path an option everywhere, YAML that comes back, errors that help."""

import os
import subprocess
import sys
import time
from inspect import signature
from pathlib import Path

import pytest
import torch
import yaml

from lab import inpaint, sweep, train
from lab.command_line import SETTING_GROUPS
from lab.data import PhotoDataModule
from lab.losses import LossWeights
from lab.networks import NETWORKS, InpaintSANet
from lab.parsing import SettingsError, options_from
from lab.runs import settle
from lab.settings import Fit, build_experiment, parse_experiment, plain_settings
from lab.training import Optimization
from tests.tiny import PROJECT, TINY, tiny_experiment


def test_nothing_given_is_the_published_network_and_every_default_of_the_signatures():
    experiment = build_experiment(parse_experiment([]))
    assert isinstance(experiment.model.network, InpaintSANet)
    assert experiment.model.network.width == 32
    assert experiment.model.objective.weights == LossWeights()
    assert experiment.model.optimization == Optimization()
    assert experiment.fit == Fit()
    assert experiment.data.size == 256


def test_a_dotted_path_reaches_every_depth():
    experiment = tiny_experiment(
        "--model.network.width=10",
        "--model.network.input_channels=4",
        "--model.objective.weights.hole_l1=7.5",
        "--model.objective.weights.ms_ssim=0.25",
        "--model.objective.adversarial_kind=log",
        "--model.optimization.betas=[0.5,0.9]",
        "--model.optimization.schedule=cosine",
        "--model.strategy.paste=false",
        "--data.masks=lab.masks.Boxes",
        "--data.masks.count=[2,3]",
        "--data.photos=/some/folder",
        "--fit.seed=11",
    )
    model, data = experiment.model, experiment.data
    assert (model.network.width, model.network.input_channels) == (10, 4)
    assert (model.objective.weights.hole_l1, model.objective.weights.ms_ssim) == (7.5, 0.25)
    assert model.objective.weights.known_l1 == LossWeights().known_l1
    assert model.objective.adversarial_kind == "log"
    assert model.optimization.betas == (0.5, 0.9)
    assert model.optimization.schedule == "cosine"
    assert model.strategy.paste is False
    assert (type(data.masks).__name__, tuple(data.masks.count)) == ("Boxes", (2, 3))
    assert data.folder == Path("/some/folder")
    assert experiment.fit.seed == 11


def test_the_long_form_with_init_args_is_the_same():
    short = tiny_experiment("--model.network.width=10", "--data.masks=lab.masks.Boxes")
    long = tiny_experiment(
        "--model.init_args.network.init_args.width=10", "--data.masks.class_path=lab.masks.Boxes"
    )
    assert short.yaml == long.yaml


@pytest.mark.parametrize(
    "options",
    [
        [],
        TINY,
        [
            "--data.photos=/some/folder",
            "--data.masks=lab.masks.Boxes",
            "--data.masks.count=[2,3]",
            "--data.validation_masks=lab.masks.Scribbles",
            "--model.objective.weights.adversarial=0",
            "--model.objective.weights.hole_l1=1e-7",
            "--model.optimization.betas=[0.5,0.9]",
            "--fit.precision=bfloat16",
        ],
    ],
    ids=["defaults", "tiny", "others"],
)
def test_the_yaml_of_an_experiment_rebuilds_it(tmp_path, options):
    written = build_experiment(parse_experiment(options)).yaml
    (tmp_path / "config.yaml").write_text(written)
    again = build_experiment(parse_experiment([], tmp_path / "config.yaml"))
    assert again.yaml == written

    from_options = build_experiment(parse_experiment(options_from(yaml.safe_load(written))))
    assert from_options.yaml == written


def test_equal_settings_build_equal_networks(tmp_path):
    one, two = tiny_experiment("--fit.seed=3"), tiny_experiment("--fit.seed=3")
    other = tiny_experiment("--fit.seed=4")
    first = [model.network.state_dict() for model in (one.model, two.model, other.model)]
    assert all(first[0][name].equal(first[1][name]) for name in first[0])
    assert not all(first[0][name].equal(first[2][name]) for name in first[0])


def test_options_go_on_top_of_a_file_and_the_later_of_two_counts(tmp_path):
    file = tmp_path / "partial.yaml"
    file.write_text("data: {size: 64, batch_size: 2}\nfit:\n  epochs: 3\n")
    experiment = build_experiment(
        parse_experiment(["--data.size=96", "--fit.seed=1", "--fit.seed=2"], file)
    )
    assert (experiment.data.size, experiment.data.batch_size) == (96, 2)
    assert (experiment.fit.epochs, experiment.fit.seed) == (3, 2)


MISSPELT = {
    "modle.network.width": "model.network.width",
    "model.network.widht": "model.network.width",
    "model.judges.whole.dpeth": "model.judges.whole.depth",
    "model.optimization.gradient_clp": "model.optimization.gradient_clip",
    "model.objective.wieghts.hole_l1": "model.objective.weights.hole_l1",
    "model.objective.weights.adversarail": "model.objective.weights.adversarial",
    "model.objective.weights.sty": "model.objective.weights.style",
    "model.objective.weights.hole_ll": "model.objective.weights.hole_l1",
    "data.sise": "data.size",
    "data.batchsize": "data.batch_size",
    "fit.epcohs": "fit.epochs",
}


def assert_names(error, wrong, right):
    assert f"no setting --{wrong}." in str(error.value)
    # hole_ll is as near to hole_l2.
    nearest = str(error.value).split("--")[-1].strip()
    assert nearest == right or {nearest[-1], right[-1]} == {"1", "2"}


@pytest.mark.parametrize(("wrong", "right"), MISSPELT.items())
def test_a_misspelt_option_is_an_error_that_names_the_nearest(wrong, right):
    with pytest.raises(SettingsError) as error:
        parse_experiment([f"--{wrong}=1"])
    assert_names(error, wrong, right)


@pytest.mark.parametrize(
    "wrong", ["model.network.widht", "model.judges.whole.dpeth", "data.batchsize"]
)
def test_the_options_of_a_chosen_class_are_known_too(wrong):
    with pytest.raises(SettingsError) as error:
        parse_experiment([*TINY, f"--{wrong}=1"])
    assert_names(error, wrong, MISSPELT[wrong])


@pytest.mark.parametrize(
    ("wrong", "line"),
    [
        ("model.network.widht", ("width:", "widht:")),
        ("model.objective.weights.adversarail", ("adversarial: ", "adversarail: ")),
        ("fit.epcohs", (" epochs:", " epcohs:")),
    ],
)
def test_a_misspelt_line_of_a_file_is_an_error_that_names_the_nearest(tmp_path, wrong, line):
    whole = tiny_experiment("--data.photos=/some/folder").yaml
    (tmp_path / "config.yaml").write_text(whole.replace(*line, 1))
    with pytest.raises(SettingsError) as error:
        parse_experiment([], tmp_path / "config.yaml")
    assert_names(error, wrong, MISSPELT[wrong])


@pytest.mark.parametrize("value", ["null", "3", "[1]"])
@pytest.mark.parametrize("group", SETTING_GROUPS)
def test_a_group_is_not_one_value(tmp_path, group, value):
    (tmp_path / "config.yaml").write_text(f"{group}: {value}\n")
    with pytest.raises(SettingsError, match=f"{group}.*(group of settings|Not a valid subclass)"):
        parse_experiment([], tmp_path / "config.yaml")


def test_a_right_option_is_not_blamed_for_another(tmp_path):
    # Those whose default is "none" are easily forgotten among the known ones.
    nones = ["--data.photos=/x", "--data.samples_per_epoch=8", "--fit.threads=1"]
    with pytest.raises(SettingsError, match=r"data\.size(.|\n)*abc"):
        parse_experiment([*nones, "--data.size=abc"])
    with pytest.raises(SettingsError, match=r"no setting --data\.sise"):
        parse_experiment([*nones, "--data.sise=64"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--data.size=abc", r"data\.size"),
        ("--data.size=64.5", r"data\.size"),
        ("--data.batch_size=null", r"data\.batch_size"),
        ("--fit.precision=float16", "must be auto, float32 or bfloat16, not float16"),
        ("--fit.device=cuda", "must be auto, cpu or gpu, not cuda. Did you mean 'gpu'?"),
        ("--fit.device=", "not empty"),
        ("--fit.threads=x", r"fit\.threads must be a whole number or null, not x"),
        ("--model.network.gate=nope", "network.gate must be sigmoid, gct or both, not nope"),
        ("--model.network.width=wide", r"model\.network\.width must be a whole number, not wide"),
        ("--model.network.generator=nope", "no setting --model.network.generator. The nearest is"),
        ("--model.network=nope", "must be a class, such as lab.networks.InpaintSANet, not nope"),
        ("--data.masks=lab.masks.Scribbels", "Did you mean lab.masks.Scribbles?"),
        ("--data.masks={class_path: lab.masks.Scribbles, init_args: {brushs: 1}}", "mean 'brush'?"),
        ("--data.size=" + "9" * 5000, "4300 digits"),
        ("--trainer.accelerator=gpu", "The nearest is --fit.device"),
        ("--model.objective.weights.hole_l1=much", r"weights\.hole_l1"),
        ("--model.objective.adversarial_kind=hinges", "'hinge'"),
        ("--model.optimization.betas=[0.5]", r"optimization\.betas"),
        ("--model.network=lab.networks.InpaintSANe", "InpaintSANe"),
        ("--model.network=no.such.module.Network", r"no\.such\.module"),
        (
            "--data.masks=lab.masks.Mixture",
            "lacks generators, probabilities: set --data.masks",
        ),
        ("--data=64", "--data is a group"),
        ("--fit=3", "--fit is a group"),
        ("--model=3", "model must be a class, such as lab.training.AdversarialCompletion, not 3"),
    ],
)
def test_a_value_of_a_wrong_type_is_an_error_that_says_where(option, message):
    with pytest.raises(SettingsError, match=message) as refused:
        parse_experiment([option])
    assert "\n" not in str(refused.value)
    assert len(str(refused.value)) < 300


def test_an_option_of_a_class_that_was_chosen_is_compared_with_its_own():
    with pytest.raises(SettingsError, match=r"^data\.masks\.probabilities must be .* not x$"):
        parse_experiment(["--data.masks=lab.masks.Mixture", "--data.masks.probabilities=[x]"])
    with pytest.raises(SettingsError, match=r"The nearest is --data\.masks\.strokes"):
        parse_experiment(["--data.masks=lab.masks.Scribbles", "--data.masks.stroke=3"])


@pytest.mark.parametrize(
    ("option", "message"),
    [
        ("--fit.epochs=0", "epochs must be at least 1, not 0"),
        ("--fit.seed=-1", r"0 to 2\*\*32 - 1, not -1"),
        ("--fit.threads=0", "threads must be at least 1, not 0"),
        ("--fit.log_every=0", "log_every must be at least 1"),
        ("--fit.checkpoint_minutes=0", "checkpoint_minutes must be above 0, not 0.0; null keeps"),
        ("--data.size=16", "size must be at least 32, not 16"),
        ("--data.batch_size=0", "batch_size must be at least 1"),
        ("--data.samples_per_epoch=0", "samples_per_epoch must be at least 1"),
        ("--data.validation_photos=0", "validation_photos must be at least 1"),
        ("--data.validation_crops=0", "validation_crops must be at least 1"),
        ("--data.workers=-1", "workers must be at least 0"),
        ("--data.smallest_crop=0", "smallest_crop must lie in"),
        ("--data.validation_share=1", "validation_share must lie in"),
        ("--model.network.width=7", "not 7"),
        ("--model.judges.whole.depth=9", "not 9"),
        ("--model.objective.weights.hole_l1=-1", "hole_l1 is -1"),
        ("--model.objective.weights.hole_l1=.nan", "hole_l1 is nan"),
        ("--model.optimization.generator_learning_rate=0", "generator_learning_rate must lie"),
        ("--model.optimization.gradient_clip=-1", "must not be negative"),
        ("--model.optimization.warmup_steps=-1", "must not be negative"),
    ],
)
def test_a_value_out_of_its_range_is_an_error_that_states_the_rule(option, message):
    with pytest.raises(SettingsError, match=message):
        tiny_experiment(option)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "mapping"),
        ("- data", "mapping"),
        ("data: {size: [}", r"config\.yaml is not YAML"),
        ("data: {size: [3]}", r"data\.size"),
        ("fit: 3", "group"),
    ],
)
def test_a_file_that_holds_something_else_is_an_error(tmp_path, content, message):
    (tmp_path / "config.yaml").write_text(content)
    with pytest.raises(SettingsError, match=message):
        parse_experiment([], tmp_path / "config.yaml")


def test_a_file_that_is_not_there_is_an_error(tmp_path):
    with pytest.raises(SettingsError, match=r"absent\.yaml cannot be read"):
        parse_experiment([], tmp_path / "absent.yaml")


def test_print_config_prints_a_file_that_gives_the_same_run(tmp_path, capsys):
    assert train.main([*TINY, "--print-config", "--runs", str(tmp_path / "runs")]) == 0
    printed = capsys.readouterr().out
    assert not (tmp_path / "runs").exists()
    assert printed == tiny_experiment().yaml

    (tmp_path / "config.yaml").write_text(printed)
    again = ["--config", str(tmp_path / "config.yaml"), "--data.size=48", "--print-config"]
    assert train.main(again) == 0
    expected = yaml.safe_load(printed)
    expected["data"]["size"] = 48
    assert yaml.safe_load(capsys.readouterr().out) == expected


def test_a_printed_file_leaves_no_setting_out(capsys):
    assert train.main(["--print-config"]) == 0
    printed = yaml.safe_load(capsys.readouterr().out)
    assert set(printed["fit"]) == set(Fit.__dataclass_fields__)
    weights = printed["model"]["init_args"]["objective"]["init_args"]["weights"]
    assert set(weights) == set(LossWeights.__dataclass_fields__)
    built = PhotoDataModule()
    assert set(printed["data"]) - {"photos"} <= set(vars(built))


@pytest.mark.parametrize(
    ("main", "arguments", "message"),
    [
        (train.main, ["--nmae", "x"], "--name"),
        (train.main, ["--confg", "x"], "--config"),
        (train.main, ["--data.size", "64"], "in one piece: --data.size="),
        (train.main, ["--modle.network.width=8"], "nearest option is --model.network.width"),
        (train.main, ["--epochs=3"], "--fit.epochs="),
        (train.main, ["size=64"], "'size=64'"),
        (sweep.main, ["loss_weights", "--trails", "3"], "--trials"),
        (sweep.main, ["loss_weights", "--photo", "x"], "--photos"),
        (inpaint.main, ["photo.png", "--msak", "m.png"], "--mask"),
    ],
)
def test_a_misspelt_option_of_a_command_names_the_nearest(main, arguments, message, capsys):
    with pytest.raises(SystemExit) as stop:
        main(arguments)
    assert stop.value.code == 2
    assert message in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--data.sise=64"], "The nearest is --data.size"),
        (["--data.size=16"], "size must be at least 32"),
        (["--data.photos=/no/such/folder"], "/no/such/folder does not exist"),
        pytest.param(
            ["--fit.device=gpu"],
            "PyTorch finds none here",
            marks=pytest.mark.skipif(torch.accelerator.is_available(), reason="there is a GPU"),
        ),
        (["--config", "/no/such/file.yaml"], "file.yaml cannot be read"),
    ],
)
def test_train_ends_with_one_message_and_status_2(tmp_path, capsys, arguments, message):
    assert train.main([*TINY, *arguments, "--runs", str(tmp_path / "runs")]) == 2
    captured = capsys.readouterr()
    assert captured.err.startswith("error: ")
    assert message in captured.err
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize("command", ["train", "sweep", "inpaint"])
def test_help_comes_at_once_and_shows_an_example(command, tmp_path):
    times = []
    for _ in range(3):
        began = time.monotonic()
        done = subprocess.run(
            [sys.executable, "-m", f"lab.{command}", "--help"],
            cwd=tmp_path,
            env={**os.environ, "PYTHONPATH": str(PROJECT)},
            capture_output=True,
            text=True,
            check=True,
            timeout=60,
        )
        times.append(time.monotonic() - began)
        if times[-1] < 3.0:
            break
    assert f"example:\n  python -m lab.{command} " in done.stdout
    assert min(times) < 3.0


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_chosen_by_its_name_keeps_its_own_defaults(name):
    settings = plain_settings(parse_experiment([f"--model.network=lab.networks.{name}"]))
    for argument, about in signature(NETWORKS[name].build).parameters.items():
        value = settings[f"model.network.{argument}"]
        assert value == about.default or tuple(value) == about.default, argument


def test_what_was_given_holds_for_the_network_that_is_put_in_place():
    options = ["--model.network.width=24", "--model.network=lab.networks.FillSelector"]
    assert plain_settings(parse_experiment(options))["model.network.width"] == 24


_READERS = {
    "EdgeConnect": ["edges"],
    "EdgePainter": ["edges", "sketch"],
    # Its options say what it reads.
    "DeepFillv2": ["sketch"],
    "InpaintSANet": [],
}


def _reader(network, *options):
    reads_sketch = ["--model.network.sketch=true"] if network == "DeepFillv2" else []
    return tiny_experiment(
        f"--model.network=lab.networks.{network}",
        "--model.network.width=8",
        *reads_sketch,
        *options,
    )


@pytest.mark.parametrize("network", _READERS)
def test_the_guides_that_the_network_reads_are_drawn_and_written_down(network):
    experiment = _reader(network)
    assert list(experiment.data.guides) == _READERS[network]
    assert settle(experiment).plain["data"]["guides"] == _READERS[network]


@pytest.mark.parametrize(
    ("network", "stated", "said"),
    [
        (
            "EdgePainter",
            "[sketch]",
            "EdgePainter reads the guide 'edges': add --data.guides+=edges, or "
            "lab.photos(..., guides=['sketch', 'edges'])",
        ),
        (
            "EdgePainter",
            "[]",
            "EdgePainter reads the guides 'edges' and 'sketch': add --data.guides+=edges "
            "--data.guides+=sketch, or lab.photos(..., guides=['edges', 'sketch'])",
        ),
        (
            "DeepFillv2",
            "[edges]",
            "DeepFillv2 reads the guide 'sketch': add --data.guides+=sketch, or "
            "lab.photos(..., guides=['edges', 'sketch'])",
        ),
    ],
)
def test_a_guide_that_stated_ones_leave_out_is_missed_at_once(network, stated, said):
    with pytest.raises(SettingsError) as raised:
        _reader(network, f"--data.guides={stated}")
    assert str(raised.value) == said
    asked = said.partition(": add ")[2].partition(", or")[0].split()
    _reader(network, f"--data.guides={stated}", *asked)
