"""Every documented variant has a card, builds, and combines."""

import inspect

import pytest
import pytorch_lightning as lightning
import torch
from torchmetrics.functional.image import multiscale_structural_similarity_index_measure as ms_ssim

import lab
from lab import variants
from lab.layers import GatedChannelTransformation
from lab.parsing import options_from
from lab.settings import SettingsError
from lab.strategies import Direct, Repeated, Tiled, Upscaled
from lab.variants import VARIANTS
from tests.tiny import fit_tiny, tiny_experiment

# What only weights that are downloaded can build, a teacher or a set of triplets, which the test
# has not. tests/training/test_distillation.py has teachers.
NEEDS = {
    "distilled": "model.teacher",
    "distilled_perceptual": "model.teacher",
    "distilled_reweighted": "model.teacher",
    "edge_connect": "vgg19",
    "lbam": "vgg16",
    "partial_convolution": "vgg16",
    "recurrent": "vgg16",
    "super_resolved": "FSRCNN",
    "super_resolved_espcn": "ESPCN",
    "segmented_person": "evaluation.set",
}


# What makes the larger networks as cheap as the rest, by path below the module.
SMALL = {
    "context_encoder": {"network.view_size": 32},
    "context_encoder_l2": {"network.view_size": 32},
    "deepfill_v1": {"optimization.judge_steps": 2},
    "deepfill_v2_600m": {"network.width": 8},
    "edge_connect_without_vgg": {"network.blocks": 1, "judges.edges.width": 8},
    "inpaint_sanet_600m": {"network.width": 8},
    "lama_without_perceptual": {"network.blocks": 1},
    "lbam_without_vgg": {"network.depth": 3},
    "migan": {"network.resolution": 32},
    "partial_convolution_without_vgg": {"network.depth": 3},
    "shift_net_without_vgg": {"network.depth": 5, "judges.local.width": 8},
}

# Another width or size of photo than those of 600m, by the same settings.
ALIKE = {name for name in VARIANTS if name.endswith(("_4g", "_1g", "_300m"))}


def cheap(name):
    """Settings of a variant under which a step is cheap, and a phase one epoch long."""
    phases = VARIANTS[name].settings.get("model.phases", [])
    shortened = {"phases": [{**phase, "epochs": 1} for phase in phases]} if phases else {}
    return SMALL.get(name, {}) | shortened, max(1, len(phases))


@pytest.mark.parametrize("name", VARIANTS)
def test_every_variant_has_a_whole_card(name):
    card = inspect.getdoc(getattr(variants, name))
    assert card == VARIANTS[name].card
    headings = {"Document:", "Known to be wrong:", "Changed:", "Logged:", "Measured:"}
    if name == "published":
        headings -= {"Known to be wrong:", "Changed:"}
    # What a paper trains, beside what the notes tried.
    if "model.network" in VARIANTS[name].settings and not VARIANTS[name].number.startswith("V"):
        headings |= {"Missing:"}
    lines = {f"{line.partition(':')[0]}:" for line in card.splitlines()}
    assert headings <= lines, f"{name} does not say {headings - lines}"


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
        setting = setting["class_path"] if isinstance(setting, dict) else setting
        assert says(setting, value), path


def says(setting, value):
    """Whether a setting is as a variant has it: of a phase, what the variant says of it."""
    if isinstance(value, dict):
        return all(says(setting[key], part) for key, part in value.items())
    if isinstance(value, list):
        pairs = zip(setting, value, strict=True)
        return all(says(found, part) for found, part in pairs)
    return setting == value


BUILT = sorted(VARIANTS.keys() - NEEDS.keys() - ALIKE)
TRAINED = [name for name in BUILT if VARIANTS[name].is_trained]


@pytest.mark.parametrize("name", TRAINED)
def test_every_trained_variant_trains(name, tmp_path):
    settings, epochs = cheap(name)
    options = ["--data.validation_photos=1", f"--fit.epochs={epochs}", f"--variant={name}"]
    options += ["--data.size=32", "--data.samples_per_epoch=4"]  # places2 has its own
    options += options_from({f"model.{path}": value for path, value in settings.items()})
    assert fit_tiny(tmp_path, *options) == list(range(1, epochs + 1))


@pytest.mark.parametrize("name", BUILT)
def test_every_variant_trains_by_any_trainer_and_comes_back(name, tmp_path):
    settings, epochs = cheap(name)
    module = getattr(variants, name)(**{"width": 8, "judges.whole.width": 8} | settings)
    before = {key: value.clone() for key, value in module.network.named_parameters()}
    asked = VARIANTS[name].of_group("data")
    photos = lab.photos(
        variant=[name] if asked else [],
        **{"size": 32, "batch_size": 2, "samples_per_epoch": 4} | asked,
    )
    trainer = lightning.Trainer(
        max_epochs=epochs,
        limit_train_batches=2,
        limit_val_batches=0,
        accelerator="cpu",
        logger=False,
        enable_checkpointing=False,
        enable_progress_bar=False,
        enable_model_summary=False,
        default_root_dir=tmp_path,
    )
    trainer.fit(module, photos)
    assert any(not torch.equal(before[key], now) for key, now in module.network.named_parameters())
    trainer.save_checkpoint(tmp_path / "variant.ckpt")
    again = type(module).load_from_checkpoint(tmp_path / "variant.ckpt")
    assert again.expected_data == module.expected_data == asked
    kept, found = module.state_dict(), again.state_dict()
    assert kept.keys() == found.keys()
    assert all(torch.equal(value, found[key]) for key, value in kept.items())


def test_photos_whose_stated_guides_lack_one_of_the_variants_network_are_refused():
    module = variants.edge_connect_without_vgg(width=8)
    trainer = lightning.Trainer(accelerator="cpu", logger=False, enable_checkpointing=False)
    with pytest.raises(ValueError, match=r"reads.*lab\.photos\(\.\.\., guides=\['edges'\]"):
        trainer.fit(module, lab.photos(size=32, guides=[]))


@pytest.mark.parametrize(
    "variants",
    [
        ["--variant=channel_gate", "--variant", "structural_loss", "--variant=tiled"],
        ["--variant=channel_gate+structural_loss", "--variant=tiled"],
    ],
)
def test_variants_combine_and_options_go_on_top(variants):
    experiment = tiny_experiment(*variants, "--model.strategy.rows=3")
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


@pytest.mark.parametrize("asked", ["chanel_gate", "published+chanel_gate"])
def test_an_unknown_variant_names_the_nearest(asked):
    with pytest.raises(SettingsError, match=r"no variant is called 'chanel_gate'.*'channel_gate'"):
        tiny_experiment(f"--variant={asked}")


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
