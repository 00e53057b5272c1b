"""A teacher trains a student: what it says, what comes of it, and how it is found again."""

import shutil

import pytest
import torch
import torch.nn.functional as F
from torch.utils.data import DataLoader

from lab.data import Batch
from lab.losses import LossWeights, Objective
from lab.networks import (
    DeepFillv2,
    InpaintSANet,
    PartialConvolutionUNet,
    describe_network,
    write_checkpoint,
)
from lab.parsing import SettingsError
from lab.results import open_run
from lab.training import Distillation, Judges, Optimization
from tests.tiny import fit_tiny, read_photos, tiny_experiment
from tests.toys import NONE, trainer

TAUGHT = ("coarse_teacher_whole_l1", "teacher_whole_l1", "teacher_attention", "teacher_perceptual")


SIZE = 64


def make_batch():
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(2, 3, 8, 8, generator=generator)
    mask = torch.zeros(2, 1, SIZE, SIZE)
    mask[..., 20:40, 24:36] = 1.0
    return Batch(F.interpolate(image, (SIZE, SIZE), mode="bilinear"), mask, ["a", "b"], ["a", "b"])


def make_teacher(seed=1):
    torch.manual_seed(seed)
    return DeepFillv2(width=16, initialization="identity")


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "teacher.pt"
    write_checkpoint(path, describe_network(make_teacher(), 1, ""))
    return path


def student(weights, teacher=None, **options):
    torch.manual_seed(0)
    chosen = LossWeights(**{**NONE, **weights})
    module = Distillation(
        network=lambda: InpaintSANet(width=8, initialization="identity"),
        objective=lambda: Objective(chosen),
        judges=Judges(),
        optimization=Optimization(0.003),
        **options,
    )
    if teacher is not None:
        module.take_teacher(teacher)
    module.prepare(SIZE)
    return module


def lesson(module, batch):
    stages = module(batch.image, batch.mask)
    completed = torch.where(batch.mask > 0, stages.refined, batch.image)
    return module.loss_inputs(batch, stages, completed, {}), stages, completed


def test_a_lesson_is_the_teachers_own_answer_and_features():
    teacher = make_teacher().eval()
    module = student(dict.fromkeys(TAUGHT, 1.0), teacher)
    batch = make_batch()
    inputs, _, completed = lesson(module, batch)
    with torch.no_grad():
        expected = teacher(batch.image, batch.mask)
    for one, other in zip(inputs.lesson.stages.images, expected.images, strict=True):
        torch.testing.assert_close(one, other)
    value = module.objective(inputs)
    distance = (inputs.stages.refined - expected.refined).abs().mean()
    torch.testing.assert_close(value.terms["teacher_whole_l1"], distance)
    mask = batch.mask
    # Its first layer by hand: what it is shown of a whole image is the image, ones, and no hole.
    seen = torch.cat([2 * completed - 1, torch.ones_like(mask), torch.zeros_like(mask)], 1)
    first = inputs.lesson.features(completed)["coarse_network.0"]
    torch.testing.assert_close(first, teacher.coarse_network[0](seen))
    assert set(inputs.lesson.features(completed)) == set(DeepFillv2.feature_layers)
    mapped = inputs.lesson.project(inputs.stages.extras["attended"])
    pair = (mapped, expected.extras["attended"])
    ours, theirs = (each / each.norm(dim=1, keepdim=True) for each in pair)
    by_hand = 2 - 2 * (ours * theirs).sum(1).mean()
    torch.testing.assert_close(value.terms["teacher_attention"], by_hand)


def test_the_student_comes_nearer_to_its_teacher_which_stays_as_it_was():
    teacher = make_teacher()
    before = {name: tensor.clone() for name, tensor in teacher.state_dict().items()}
    module = student({"teacher_attention": 0.1, "teacher_whole_l1": 1.0}, teacher)
    started = module.projection.weight.clone()
    told = []
    for epochs in (1, 12):
        trainer(epochs).fit(module, DataLoader([make_batch()] * 2, batch_size=None))
        told.append({name: float(value) for name, value in module.step_losses.items()})
    for term in ("teacher_whole_l1", "teacher_attention"):
        assert told[1][term] < 0.5 * told[0][term], term
    assert not torch.equal(module.projection.weight, started)
    after = teacher.state_dict()
    assert all(torch.equal(tensor, after[name]) for name, tensor in before.items())
    assert not teacher.training


@pytest.mark.parametrize("start", ["published", "fill", "residual"])
def test_what_the_teacher_perceives_trains_the_student_whatever_it_starts_from(start):
    teacher = DeepFillv2(width=16, initialization="identity", start=start)
    module = student({"teacher_perceptual": 1.0}, teacher)
    inputs, stages, _ = lesson(module, make_batch())
    stages.refined.retain_grad()
    module.objective(inputs).total.backward()
    assert stages.refined.grad.abs().sum() > 0


def test_no_checkpoint_holds_the_teacher():
    names = set(student(dict.fromkeys(TAUGHT, 1.0), make_teacher()).state_dict())
    beside = {name for name in names if not name.startswith("network.")}
    assert beside == {"projection.weight", "projection.bias"}


def test_a_teacher_may_see_larger_photos_and_never_what_is_under_the_hole():
    teacher = make_teacher()
    module = student({"teacher_whole_l1": 1.0}, teacher, teacher_size=2 * SIZE)
    seen = []
    teacher.register_forward_hook(lambda module, inputs, answer: seen.append(inputs))
    batch = make_batch()
    answer = lesson(module, batch)[0].lesson.stages
    assert seen[0][0].shape[-1] == 2 * SIZE
    assert all(image.shape[-1] == SIZE for image in answer.images)
    hidden = torch.where(batch.mask > 0, 0.9, batch.image)
    other = Batch(hidden, batch.mask, batch.sample, batch.photo, batch.planes)
    again = lesson(module, other)[0].lesson.stages
    assert torch.equal(answer.refined, again.refined)


def test_without_a_weight_on_its_terms_no_teacher_is_looked_for(file):
    file.unlink()
    module = tiny_experiment("--model=lab.training.Distillation", f"--model.teacher={file}").model
    assert not module.learned_beside()
    with pytest.raises(SettingsError, match=r"teacher\.pt is not there: put the file back"):
        tiny_experiment("--variant=distilled", f"--model.teacher={file}")


def test_what_does_not_fit_is_said_before_training(tmp_path, file):
    with pytest.raises(SettingsError, match=r"teacher_hole_l1 asks a teacher.*Distillation"):
        tiny_experiment("--model.objective.weights.teacher_hole_l1=1")
    with pytest.raises(SettingsError, match=r"model\.teacher is empty"):
        tiny_experiment("--variant=distilled")
    unet = tmp_path / "unet.pt"
    write_checkpoint(unet, describe_network(PartialConvolutionUNet(width=8, depth=3), 1, ""))
    given = ("--model=lab.training.Distillation", f"--model.teacher={unet}")
    with pytest.raises(SettingsError, match=r"the teacher \(PartialConvolutionUNet\).*'attended'"):
        tiny_experiment(*given, "--model.objective.weights.teacher_attention=1")
    with pytest.raises(SettingsError, match=r"PartialConvolutionUNet names none.*teacher_layers"):
        tiny_experiment(*given, "--model.objective.weights.teacher_perceptual=1")
    with pytest.raises(SettingsError, match="no layer of the teacher is called 'encoder"):
        tiny_experiment(
            *given,
            "--model.objective.weights.teacher_perceptual=1",
            "--model.teacher_layers=[encoder.9]",
        )
    sketched = DeepFillv2(width=8, sketch=True)
    with pytest.raises(ValueError, match=r"reads the guide sketch, which the student"):
        student({"teacher_whole_l1": 1.0}, sketched)


class InterruptedError(Exception):
    """Stands for whatever ends a process."""


def test_a_run_goes_on_as_if_it_had_never_stopped_but_with_its_own_teacher_alone(tmp_path, file):
    options = [
        "--variant=distilled_perceptual",
        f"--model.teacher={file}",
        "--fit.epochs=2",
        "--data.validation_photos=1",
        "--model.optimization.generator_learning_rate=0.01",
    ]
    assert fit_tiny(tmp_path / "whole", *options) == [1, 2]

    def interrupt(progress):
        if progress.epoch == 2:
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_tiny(tmp_path / "cut", *options, on_step=interrupt)
    kept = file.read_bytes()
    write_checkpoint(file, describe_network(make_teacher(seed=2), 1, ""))
    with pytest.raises(SettingsError, match=r"teacher\.pt is not the one that this run began with"):
        fit_tiny(tmp_path / "cut", *options)
    file.write_bytes(kept)
    assert fit_tiny(tmp_path / "cut", *options) == [2]
    whole, cut = (
        torch.load(tmp_path / run / "checkpoints" / "last.ckpt", weights_only=True)
        for run in ("whole", "cut")
    )
    assert {"projection.weight", "projection.bias"} <= set(whole["state_dict"])
    for name, tensor in whole["state_dict"].items():
        assert torch.equal(tensor, cut["state_dict"][name]), name
    for one, other in zip(whole["optimizer_states"], cut["optimizer_states"], strict=True):
        for number, state in one["state"].items():
            for what, value in state.items():
                assert torch.equal(value, other["state"][number][what]), (number, what)
    assert read_photos(tmp_path / "whole").equals(read_photos(tmp_path / "cut"))
    losses = open_run(tmp_path / "cut").losses
    assert (losses[["teacher_hole_l1", "teacher_attention", "teacher_perceptual"]] > 0).all().all()
    # It is rebuilt from what the checkpoint says, and the file.
    again = Distillation.load_from_checkpoint(tmp_path / "cut" / "checkpoints" / "last.ckpt")
    assert torch.equal(again.projection.weight, cut["state_dict"]["projection.weight"])
    shutil.rmtree(tmp_path / "whole")
