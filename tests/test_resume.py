"""A run that was interrupted, in any way, ends as one that was not."""

import itertools
import math
import os
import shutil
import signal
import tempfile
import time
from pathlib import Path

import pytest
import torch
import yaml

from lab import train
from lab.faults import in_one_line
from lab.files import clear_litter
from lab.parsing import SettingsError
from lab.results import open_run
from lab.runs import evaluate_run, fit_run, open_tasks, refuse_other_settings, settle
from lab.settings import build_experiment, parse_experiment
from lab.training import NonFiniteLossError, completion_module
from tests.tiny import (
    TINY,
    fit_tiny,
    is_newer,
    put_photos,
    read_photos,
    tiny_experiment,
    wait_until,
)

# Large steps, so that a forgotten optimizer, schedule or generator would show.
EAGER = (
    "--model.optimization.generator_learning_rate=0.01",
    "--model.optimization.discriminator_learning_rate=0.01",
)
FOUR = ("--fit.epochs=4", *EAGER)
VARIANTS = {
    "constant": (),
    "cosine": (
        "--model.optimization.schedule=cosine",
        "--model.optimization.warmup_steps=5",
        "--model.optimization.gradient_clip=0.5",
        "--model.objective.weights.hole_texture=0.5",  # which draws at every step
    ),
    "no discriminator": ("--model.objective.weights.adversarial=0",),
    "loader process": ("--data.workers=1",),
    "uncertainty": ("--model.objective.balancing=lab.losses.UncertaintyWeighting",),
    "gradient norms": ("--model.objective.balancing=lab.losses.GradNorm",),
}


class InterruptedError(Exception):
    """Stands for whatever ends a process."""


def interrupt_when(epoch, step=None):
    """Reports for `fit_run` that raise: after a step of the epoch, or once the epoch is scored."""

    def on_step(progress):
        if step is not None and (progress.epoch, progress.step) == (epoch, step):
            raise InterruptedError

    def on_epoch(score):
        if step is None and score.epoch == epoch:
            raise InterruptedError

    return {"on_step": on_step, "on_epoch": on_epoch}


@pytest.fixture(scope="module")
def uninterrupted(tmp_path_factory):
    """The folder of a whole run of each variant, trained when first asked for."""
    folders = {}

    def run(variant):
        if variant not in folders:
            folder = tmp_path_factory.mktemp("whole") / "run"
            with pytest.MonkeyPatch.context() as patch:
                patch.setenv("WANDB_MODE", "disabled")
                assert fit_tiny(folder, *FOUR, *VARIANTS[variant]) == [1, 2, 3, 4]
            folders[variant] = folder
        return folders[variant]

    return run


def assert_near(one, other, where=""):
    assert type(one) is type(other), where
    if isinstance(one, torch.Tensor):
        torch.testing.assert_close(one, other, rtol=0, atol=1e-6, msg=lambda m: f"{where}: {m}")
    elif isinstance(one, dict):
        assert one.keys() == other.keys(), where
        for key in one:
            assert_near(one[key], other[key], f"{where}/{key}")
    elif isinstance(one, list | tuple):
        assert len(one) == len(other), where
        for index, pair in enumerate(zip(one, other, strict=True)):
            assert_near(*pair, f"{where}/{index}")
    else:
        assert one == (pytest.approx(other, abs=1e-6) if isinstance(one, float) else other), where


def assert_same_run(found, expected):
    one, other = (
        torch.load(run / "checkpoints" / "last.ckpt", weights_only=True)
        for run in (found, expected)
    )
    assert len(one["optimizer_states"]) == len(other["optimizer_states"]) > 0
    assert any(name.startswith("network.") for name in one["state_dict"])
    compared = ("state_dict", "optimizer_states", "lr_schedulers", "epoch", "global_step")
    for part in (*compared, "random_state"):
        assert_near(one[part], other[part], part)
    photos = read_photos(expected)
    assert sorted(set(photos.index.get_level_values("epoch"))) == [1, 2, 3, 4]
    torch.testing.assert_close(
        torch.tensor(read_photos(found).to_numpy()),
        torch.tensor(photos.to_numpy()),
        atol=1e-6,
        rtol=0,
    )
    assert read_photos(found).index.equals(photos.index)
    for epoch in range(1, 5):
        networks = [
            torch.load(run / "checkpoints" / f"epoch-{epoch:03d}.pt", weights_only=True)
            for run in (found, expected)
        ]
        assert_near(networks[0]["state"], networks[1]["state"], f"epoch {epoch}")
    names = [
        sorted(str(path.relative_to(run)) for path in (run / "visuals").rglob("*.png"))
        for run in (found, expected)
    ]
    assert names[0] == names[1]


def test_a_run_changes_the_network_at_every_epoch(uninterrupted):
    networks = [
        torch.load(
            uninterrupted("constant") / "checkpoints" / f"epoch-{epoch:03d}.pt", weights_only=True
        )["state"]["coarse_network.0.convolution.weight"]
        for epoch in range(1, 5)
    ]
    for one, other in itertools.pairwise(networks):
        assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize(
    ("variant", "interruption", "epochs_left"),
    [
        ("cosine", {"epoch": 3, "step": 1}, [3, 4]),
        pytest.param("no discriminator", {"epoch": 4, "step": 2}, [4], marks=pytest.mark.slow),
        ("loader process", {"epoch": 3, "step": 1}, [3, 4]),
        ("uncertainty", {"epoch": 3, "step": 1}, [3, 4]),
        ("gradient norms", {"epoch": 2, "step": 2}, [2, 3, 4]),
    ],
)
def test_a_run_interrupted_by_an_exception_ends_the_same(
    tmp_path, uninterrupted, variant, interruption, epochs_left
):
    folder, options = tmp_path / "run", (*FOUR, *VARIANTS[variant])
    with pytest.raises(InterruptedError):
        fit_tiny(folder, *options, **interrupt_when(**interruption))
    torch.manual_seed(12345)  # another process begins with other generators
    assert fit_tiny(folder, *options) == epochs_left
    assert_same_run(folder, uninterrupted(variant))


def test_a_run_may_be_interrupted_again_and_again(tmp_path, uninterrupted):
    folder = tmp_path / "run"
    for interruption in ({"epoch": 1}, {"epoch": 2, "step": 1}, {"epoch": 2}, {"epoch": 4}):
        with pytest.raises(InterruptedError):
            fit_tiny(folder, *FOUR, **interrupt_when(**interruption))
    assert fit_tiny(folder, *FOUR) == [4]
    assert_same_run(folder, uninterrupted("constant"))


@pytest.fixture
def ctrl_c():
    """Ctrl-C as a person's terminal has it: where tests run in the background, it is ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("ctrl_c")
def test_ctrl_c_passes_through_and_leaves_what_is_finished(tmp_path, uninterrupted):
    def press(progress):
        if (progress.epoch, progress.step) == (3, 1):
            os.kill(os.getpid(), signal.SIGINT)

    before = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        fit_tiny(tmp_path / "run", *FOUR, on_step=press)
    assert signal.getsignal(signal.SIGINT) is before
    assert fit_tiny(tmp_path / "run", *FOUR) == [3, 4]
    assert_same_run(tmp_path / "run", uninterrupted("constant"))


def test_a_finished_run_trains_nothing_more_and_goes_on_with_more_epochs(tmp_path, uninterrupted):
    folder = tmp_path / "run"
    assert fit_tiny(folder, "--fit.epochs=2", *EAGER) == [1, 2]
    before = (folder / "photos.csv").read_bytes()
    assert fit_tiny(folder, "--fit.epochs=2", *EAGER) == []
    assert (folder / "photos.csv").read_bytes() == before
    assert fit_tiny(folder, *FOUR) == [3, 4]
    assert_same_run(folder, uninterrupted("constant"))


def test_what_a_kill_after_the_last_network_left_half_written_is_cleared_away(tmp_path):
    command = [*TINY, "--runs", str(tmp_path), "--name", "run", "--fit.epochs=1"]
    assert train.main(command) == 0
    checkpoints = tmp_path / "run" / "checkpoints"
    (checkpoints / "last.ckpt").rename(checkpoints / ".0123456789abcdef.partial")
    clear_litter.cache_clear()  # as in another process
    assert train.main(command) == 0
    assert [path.name for path in checkpoints.iterdir()] == ["epoch-001.pt"]


def test_the_checkpoint_is_replaced_and_never_rewritten(tmp_path, monkeypatch):
    # A file rewritten in place would be half a checkpoint when the process is killed meanwhile.
    # The system's temporary folder is often another file system, where moving is copying.
    memory = Path("/dev/shm")
    if memory.is_dir() and memory.stat().st_dev != tmp_path.stat().st_dev:
        monkeypatch.setattr(tempfile, "tempdir", str(memory))
    last = tmp_path / "run" / "checkpoints" / "last.ckpt"
    opened = []

    def open_first(score):
        if score.epoch == 2:
            opened.append(last.open("rb"))

    fit_tiny(tmp_path / "run", "--fit.epochs=3", on_epoch=open_first)
    with opened[0] as file:
        assert torch.load(file, weights_only=True)["epoch"] == 0
    assert torch.load(last, weights_only=True)["epoch"] == 2
    assert sorted(path.name for path in last.parent.iterdir()) == [
        "epoch-001.pt",
        "epoch-002.pt",
        "epoch-003.pt",
        "last.ckpt",
    ]


# What the last training step of an epoch breaks shows in validation: both must tell it alike.
@pytest.mark.parametrize("samples", [4, 8])
def test_a_gradient_that_overflows_ends_the_run_and_says_why(tmp_path, samples):
    # The loss itself, some 1e37, is finite.
    options = ("--model.objective.weights.hole_l1=1e38", f"--data.samples_per_epoch={samples}")
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, .* network's answer = nan"):
        fit_tiny(tmp_path / "run", "--fit.epochs=2", *options)
    assert not (tmp_path / "run" / "photos.csv").exists()


@pytest.mark.parametrize(
    ("tensor", "named"),
    [
        ("network.coarse_network.0.convolution.weight", "network's answer = nan"),
        ("judges.whole.layers.0.0.bias", "discriminator = nan"),
        # A gate that is shut for ever: all answers are finite, and the network is broken.
        ("network.coarse_network.1.convolution.bias", r"coarse_network.1.convolution.bias = inf"),
    ],
)
def test_a_broken_network_ends_the_run_and_is_named(tmp_path, tensor, named):
    experiment = tiny_experiment("--fit.epochs=2")
    experiment.model.prepare(experiment.data.size)
    with torch.no_grad():
        broken = experiment.model.get_parameter(tensor)
        if named.endswith("inf"):
            broken[-1] = -math.inf
        else:
            broken[0] = math.nan
    with pytest.raises(NonFiniteLossError, match=named):
        fit_run(experiment, tmp_path / "run", "run")


def test_a_score_that_is_not_finite_ends_the_run_before_it_is_written(tmp_path, monkeypatch):
    # Of what is pasted over, of which the finished picture shows nothing.
    broken = completion_module.measure_answer

    def measured(*given):
        found = broken(*given)
        return found | {name: values * math.nan for name, values in list(found.items())[:1]}

    monkeypatch.setattr(completion_module, "measure_answer", measured)
    with pytest.raises(NonFiniteLossError, match=r"epoch 1, .* the metric answer_\w+ = nan\."):
        fit_tiny(tmp_path / "run", "--fit.epochs=2")
    assert not (tmp_path / "run" / "photos.csv").exists()


class Overflowing(torch.nn.Module):
    """A term that is infinite, among others that are not."""

    def forward(self, inputs):
        return inputs.stages.refined.mean() + float("inf")


def test_a_term_that_is_not_finite_is_named(tmp_path):
    experiment = tiny_experiment("--fit.epochs=2")
    experiment.model.objective._terms["known_l1"] = Overflowing()
    with pytest.raises(NonFiniteLossError, match=r"known_l1 = inf") as error:
        fit_run(experiment, tmp_path / "run", "run")
    assert "hole_l1 = 0." in str(error.value)
    assert "gradient_clip" in str(error.value)


def test_train_reports_a_loss_that_is_not_finite_and_ends_with_status_2(tmp_path, capsys):
    options = [*TINY, "--runs", str(tmp_path), "--model.objective.weights.hole_l1=1e38"]
    assert train.main([*options, "--fit.epochs=2"]) == 2
    assert "network's answer = nan" in capsys.readouterr().err


@pytest.mark.parametrize(
    "option",
    [
        "--data.size=40",
        "--model.objective.weights.hole_l1=1",
        "--model.network.width=10",
        "--fit.seed=5",
        "--data.seed=5",
    ],
)
def test_other_settings_in_the_same_folder_are_refused(tmp_path, option, capsys):
    command = [*TINY, "--runs", str(tmp_path), "--name", "run", "--fit.epochs=1"]
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(settle(tiny_experiment("--fit.epochs=1")).yaml)
    assert train.main([*command, option]) == 2
    path = option.removeprefix("--").partition("=")[0]
    assert f"other settings ({path} differ" in capsys.readouterr().err
    assert not (folder / "photos.csv").exists()
    with pytest.raises(SettingsError, match=path):
        refuse_other_settings(tiny_experiment("--fit.epochs=1", option), folder)


def test_settings_that_came_later_stand_at_their_defaults_in_an_older_run(tmp_path):
    experiment = settle(tiny_experiment("--fit.epochs=1"))
    older = experiment.plain
    del older["evaluation"]["boundary_attack"]
    del older["model"]["init_args"]["objective"]["init_args"]["balancing"]
    (tmp_path / "config.yaml").write_text(yaml.safe_dump(older))
    refuse_other_settings(experiment, tmp_path)
    attacked = tiny_experiment("--fit.epochs=1", "--evaluation.boundary_attack=0.3")
    with pytest.raises(SettingsError, match=r"\(evaluation.boundary_attack differ"):
        refuse_other_settings(attacked, tmp_path)


@pytest.mark.parametrize(
    "option",
    [
        "--fit.epochs=9",
        "--fit.log_every=3",
        "--fit.checkpoint_minutes=null",
        "--fit.compile=true",
    ],
)
def test_what_changes_no_result_may_change(tmp_path, option):
    (tmp_path / "config.yaml").write_text(settle(tiny_experiment()).yaml)
    refuse_other_settings(settle(tiny_experiment(option)), tmp_path)


@pytest.mark.parametrize("lost", ["pytorch-lightning_version", "loops", "planned_steps"])
def test_a_checkpoint_that_lacks_what_the_trainer_looks_up_is_said_in_a_line(tmp_path, lost):
    run = tmp_path / "run"
    fit_tiny(run, "--fit.epochs=1")
    last = run / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    torch.save({name: value for name, value in content.items() if name != lost}, last)
    with pytest.raises(SettingsError, match=f"it lacks {lost}. Put back a whole one; or remove"):
        fit_tiny(run, "--fit.epochs=2")


def test_a_checkpoint_without_one_of_the_weights_is_said_in_a_line(tmp_path):
    run = tmp_path / "run"
    fit_tiny(run, "--fit.epochs=1")
    last = run / "checkpoints" / "last.ckpt"
    content = torch.load(last, weights_only=True)
    content["state_dict"].pop("network.refine_decoder.2.convolution.bias")
    torch.save(content, last)
    with pytest.raises(SettingsError, match=r"last.ckpt does not hold (.|\n)*Put back a whole one"):
        fit_tiny(run, "--fit.epochs=2")


@pytest.mark.slow
def test_a_killed_train_command_given_again_ends_as_if_never_killed(tmp_path, start):
    longer = ("--data.samples_per_epoch=64", *FOUR)
    command = [*TINY, *longer, "--name", "run", "--runs", tmp_path / "runs"]
    run = tmp_path / "runs" / "run"
    last, second = run / "checkpoints" / "last.ckpt", run / "checkpoints" / "epoch-002.pt"

    process = start("train", *command, folder=tmp_path)
    wait_until(process, lambda: is_newer(last, second))
    time.sleep(0.1)  # sixteen steps take longer
    os.killpg(process.pid, signal.SIGKILL)
    output, _ = process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    assert "epoch 2:" in output
    assert "epoch 3:" not in output
    assert set(read_photos(run).index.get_level_values("epoch")) == {1, 2}

    process = start("train", *command, folder=tmp_path)
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    assert [line.split(":")[0] for line in output.splitlines() if line.startswith("epoch")] == [
        "epoch 3",
        "epoch 4",
    ]
    assert fit_tiny(tmp_path / "whole", *longer) == [1, 2, 3, 4]
    assert_same_run(run, tmp_path / "whole")


def learning_rates(folder):
    last = torch.load(folder / "checkpoints" / "last.ckpt", weights_only=True)
    return [state["_last_lr"][0] for state in last["lr_schedulers"]]


def test_more_epochs_on_a_finished_schedule_go_on_at_its_last_rate(tmp_path):
    cosine = ("--model.optimization.schedule=cosine", *EAGER)
    assert fit_tiny(tmp_path / "run", "--fit.epochs=2", *cosine) == [1, 2]
    end = learning_rates(tmp_path / "run")
    assert end == pytest.approx([1e-4, 1e-4]), "a hundredth of the first"
    assert fit_tiny(tmp_path / "run", "--fit.epochs=4", *cosine) == [3, 4]
    assert learning_rates(tmp_path / "run") == pytest.approx(end)


def test_a_run_does_not_go_on_with_other_photos(tmp_path):
    photos = f"--data.photos={tmp_path / 'photos'}"
    put_photos(tmp_path / "photos", range(8))
    fit_tiny(tmp_path / "run", "--fit.epochs=1", photos)
    put_photos(tmp_path / "photos", range(4))
    with pytest.raises(SettingsError, match=r"photos of the run in .* have changed since it began"):
        fit_tiny(tmp_path / "run", "--fit.epochs=2", photos)
    put_photos(tmp_path / "photos", range(8))
    assert fit_tiny(tmp_path / "run", "--fit.epochs=2", photos) == [2]


@pytest.mark.parametrize("workers", [0, 2])
def test_a_photo_that_is_replaced_meanwhile_ends_the_run_and_back_in_place_it_goes_on(
    tmp_path, workers, monkeypatch
):
    photos = put_photos(tmp_path / "photos")
    options = [f"--data.photos={photos}", f"--data.workers={workers}", "--fit.epochs=2"]
    # As of more photos than are kept in memory.
    monkeypatch.setattr("lab.data.photo_data_module._CACHE_BYTES", 0)

    def replace_all(score):
        put_photos(photos, range(1, 9))
        (photos / "photo8.png").replace(photos / "photo0.png")

    with pytest.raises(Exception, match="it is not what it was when it was found") as ended:
        fit_tiny(tmp_path / "run", *options, on_epoch=replace_all)
    assert in_one_line(ended.value).endswith("the same command goes on")
    assert open_run(tmp_path / "run").last == 1
    put_photos(photos)
    assert fit_tiny(tmp_path / "run", *options) == [2]


def test_a_run_goes_on_where_its_photos_and_files_lie_elsewhere_and_not_with_other_files(
    tmp_path, capsys
):
    fit_tiny(tmp_path / "before", "--fit.epochs=1")
    network = tmp_path / "before" / "checkpoints" / "epoch-001.pt"
    put_photos(tmp_path / "photos", range(8))
    moved = {"photos": tmp_path / "moved", "network": tmp_path / "elsewhere.pt"}

    def command(epochs, photos, network):
        return train.main(
            [
                *TINY,
                *("--runs", str(tmp_path), "--name", "run", f"--fit.epochs={epochs}"),
                *(f"--data.photos={photos}", f"--model.warm_start={network}"),
            ]
        )

    assert command(1, tmp_path / "photos", network) == 0
    (tmp_path / "photos").rename(moved["photos"])
    network.rename(moved["network"])
    assert command(2, **moved) == 0
    run = open_run(tmp_path / "run")
    assert run.last == 2
    assert run.settings["data"]["photos"] == str(moved["photos"])
    capsys.readouterr()
    fit_tiny(tmp_path / "other", "--fit.epochs=1", "--fit.seed=1")
    other = tmp_path / "other" / "checkpoints" / "epoch-001.pt"
    assert command(3, moved["photos"], other) == 2
    assert "other settings (model.warm_start differ" in capsys.readouterr().err
    # Another network under the same name is another network.
    shutil.copy(other, moved["network"])
    assert command(3, **moved) == 2
    assert "other settings (model.warm_start differ" in capsys.readouterr().err


def test_a_run_of_before_files_were_noted_goes_on_by_where_they_lie(tmp_path):
    fit_tiny(tmp_path / "before", "--fit.epochs=1")
    network = tmp_path / "before" / "checkpoints" / "epoch-001.pt"
    experiment = settle(tiny_experiment(f"--model.warm_start={network}"))
    (tmp_path / "config.yaml").write_text(experiment.yaml)
    refuse_other_settings(experiment, tmp_path)
    shutil.copy(network, tmp_path / "copy.pt")
    copied = tiny_experiment(f"--model.warm_start={tmp_path / 'copy.pt'}")
    with pytest.raises(SettingsError, match=r"\(model.warm_start differ"):
        refuse_other_settings(copied, tmp_path)


def test_a_run_says_the_threads_and_precision_that_it_computed_with_and_keeps_them(tmp_path):
    open_settings = [option for option in TINY if "threads" not in option]
    experiment = build_experiment(
        parse_experiment([*open_settings, "--fit.precision=auto", "--fit.epochs=1"])
    )
    before = torch.get_num_threads()
    fit_run(experiment, tmp_path / "run", "run")
    said = open_run(tmp_path / "run").settings["fit"]
    assert said["threads"] == before
    assert said["precision"] in ("bfloat16", "float32")
    other = "float32" if said["precision"] == "bfloat16" else "bfloat16"
    for option in (f"--fit.threads={before + 1}", f"--fit.precision={other}"):
        changed = build_experiment(parse_experiment([*open_settings, "--fit.epochs=1", option]))
        with pytest.raises(SettingsError, match="other settings"):
            refuse_other_settings(changed, tmp_path / "run")
    refuse_other_settings(experiment, tmp_path / "run")


def test_a_new_run_in_a_folder_of_the_same_name_is_another_run(tmp_path):
    names = []
    for _ in range(2):
        fit_tiny(tmp_path / "run", "--fit.epochs=1")
        names.append(open_run(tmp_path / "run").record["id"])
        fit_tiny(tmp_path / "run", "--fit.epochs=2")
        assert open_run(tmp_path / "run").record["id"] == names[-1], "it went on"
        shutil.rmtree(tmp_path / "run")
    assert names[0] != names[1]


def test_scores_are_those_of_float32_whatever_training_computes_in(tmp_path):
    options = ("--fit.precision=bfloat16", "--fit.epochs=1", "--data.validation_crops=2")
    fit_tiny(tmp_path / "run", *options)
    experiment = tiny_experiment(*options)
    checkpoint = open_run(tmp_path / "run").checkpoint
    evaluate_run(experiment, open_tasks(experiment), checkpoint, tmp_path / "again", "again")
    found, expected = (open_run(tmp_path / name).best_scores for name in ("run", "again"))
    assert list(found.index) == list(expected.index)
    for metric in ("hole_psnr", "hole_ssim", "rim_ssim"):
        assert found[metric].to_numpy() == pytest.approx(expected[metric].to_numpy(), abs=2e-5)
