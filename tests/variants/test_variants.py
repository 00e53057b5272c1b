"""Every documented variant has a card, builds, and combines."""

import importlib
from pathlib import Path

import pytest
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

from lab import variants
from lab.layers import GatedChannelTransformation
from lab.parsing import SettingsError
from lab.strategies import Direct, Repeated, Tiled, Upscaled
from lab.variants import VARIANTS
from tests.tiny import fit_tiny, tiny_experiment

# What only weights that are downloaded can build, or a set of triplets that the test has not.
NEEDS = {
    "recurrent": "vgg16",
    "super_resolved": "FSRCNN",
    "super_resolved_espcn": "ESPCN",
    "segmented_person": "evaluation.set",
}


def cards():
    """The docstring of every file that defines a variant."""
    files = {}
    for path in sorted(variants.__path__):
        for file in sorted(Path(path).glob("*.py")):
            module = importlib.import_module(f"lab.variants.{file.stem}")
            if any(isinstance(value, variants.Variant) for value in vars(module).values()):
                files[file.stem] = module.__doc__
    return files


@pytest.mark.parametrize("file", [name for name in cards() if name != "__init__"])
def test_every_file_has_a_whole_card(file):
    card = cards()[file]
    for heading in ("Document:", "Known to be wrong:", "Changed:", "Logged:", "Measured:"):
        if file == "published" and heading in ("Known to be wrong:", "Changed:"):
            continue
        assert heading in card, f"{file} does not say {heading}"


@pytest.mark.parametrize("name", NEEDS)
def test_a_variant_that_lacks_something_says_what(name):
    with pytest.raises(SettingsError, match=NEEDS[name]):
        tiny_experiment(f"--variant={name}")


@pytest.mark.parametrize("name", sorted(VARIANTS.keys() - NEEDS.keys()))
def test_a_variant_builds_as_its_settings_say(name):
    plain = tiny_experiment(f"--variant={name}").plain
    for path, value in VARIANTS[name].settings.items():
        setting = plain
        for part in path.split("."):
            setting = setting.get("init_args", setting)[part]
        assert (setting["class_path"] if isinstance(setting, dict) else setting) == value, path


TRAINED = [name for name, variant in VARIANTS.items() if variant.is_trained and name not in NEEDS]


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_variant_trains(name, tmp_path):
    options = ["--data.validation_photos=1", "--fit.epochs=1", f"--variant={name}"]
    options += ["--data.size=32", "--data.samples_per_epoch=4"]  # places2 has its own
    assert fit_tiny(tmp_path, *options) == [1]


def test_variants_combine_and_options_go_on_top():
    experiment = tiny_experiment(
        "--variant=channel_gate", "--variant", "structural_loss", "--variant=tiled",
        "--model.strategy.rows=3",
    )  # fmt: skip
    kinds = {type(module) for module in experiment.model.network.modules()}
    assert GatedChannelTransformation in kinds
    assert experiment.model.objective.weights.ms_ssim == 1.0
    assert isinstance(experiment.model.strategy, Tiled)
    assert (experiment.model.strategy.rows, experiment.model.strategy.overlap) == (3, 16)


def test_what_is_applied_changes_the_strategy_alone():
    kinds = {"repeated": Repeated, "tiled_as_documented": Tiled, "completed_small": Upscaled}
    for name, kind in kinds.items():
        assert isinstance(tiny_experiment(f"--variant={name}").model.strategy, kind)
        assert not VARIANTS[name].is_trained
    assert isinstance(tiny_experiment("--variant=published").model.strategy, Direct)


def test_an_unknown_variant_names_the_nearest():
    with pytest.raises(SettingsError, match=r"no variant is called 'chanel_gate'.*'channel_gate'"):
        tiny_experiment("--variant=chanel_gate")


def test_the_documented_structural_loss_gives_no_gradient():
    """V3.6 as written: both images detached, one in [0, 510]."""
    image = torch.rand(1, 3, 192, 192)
    completed = torch.rand(1, 3, 192, 192, requires_grad=True)  # in [-1, 1] there
    as_documented = 1 - ms_ssim(
        image.cpu().detach(), ((completed + 1) * 255).cpu().detach(), data_range=255.0
    )
    known = (completed - image).abs().mean()
    (gradient,) = torch.autograd.grad(known + as_documented, completed)
    (without,) = torch.autograd.grad((completed - image).abs().mean(), completed)
    assert not as_documented.requires_grad
    assert torch.equal(gradient, without)
    # Ours reaches the network.
    ours = tiny_experiment("--variant=structural_loss").model.objective
    assert ours.weights.ms_ssim > 0
