"""Strategies within strategies, from the command line and from YAML."""

import pytest
import torch

from lab.parsing import SettingsError
from lab.settings import build_experiment, parse_experiment
from lab.strategies import Cropped, Direct, Repeated, Tiled, Upscaled
from tests.strategies.networks import box, noise
from tests.tiny import TINY, tiny_experiment


def test_three_deep_from_the_command_line():
    experiment = tiny_experiment(
        "--model.strategy=lab.strategies.Repeated",
        "--model.strategy.rounds=2",
        "--model.strategy.inner=lab.strategies.Tiled",
        "--model.strategy.inner.rows=3",
        "--model.strategy.inner.blending=smooth",
        "--model.strategy.inner.inner=lab.strategies.Upscaled",
        "--model.strategy.inner.inner.factor=3",
    )
    check(experiment.model)


def test_the_same_from_yaml_and_from_the_runs_own_config(tmp_path):
    written = tmp_path / "config.yaml"
    written.write_text("""\
model:
  strategy:
    class_path: lab.strategies.Repeated
    init_args:
      rounds: 2
      inner:
        class_path: lab.strategies.Tiled
        init_args:
          rows: 3
          blending: smooth
          inner:
            class_path: lab.strategies.Upscaled
            init_args: {factor: 3}
""")
    experiment = build_experiment(parse_experiment(TINY, written))
    check(experiment.model)
    written.write_text(experiment.yaml)
    again = build_experiment(parse_experiment([], written))
    check(again.model)
    assert again.yaml == experiment.yaml


def check(model):
    outer = model.strategy
    assert (type(outer), outer.rounds, outer.erosion, outer.paste_between) == (
        *(Repeated, 2, 7),
        False,  # Direct's `paste` must not be carried over to the strategy in its place
    )
    tiled = outer.inner
    assert (type(tiled), tiled.rows, tiled.columns, tiled.blending) == (Tiled, 3, 2, "smooth")
    upscaled = tiled.inner
    assert (type(upscaled), upscaled.factor, upscaled.keep_known) == (Upscaled, 3, True)
    assert type(upscaled.inner) is Direct
    assert upscaled.inner.network is model.network
    image, mask = noise(32, 40), box(32, 40, (4, 28), (10, 30))
    completed = model.complete(image, mask)
    assert torch.equal(completed[mask.expand_as(image) == 0], image[mask.expand_as(image) == 0])


@pytest.mark.parametrize("name", ["Tiled", "Repeated", "Upscaled", "Cropped", "Feathered"])
def test_each_is_chosen_by_its_name_and_keeps_its_own_defaults(name):
    chosen = tiny_experiment(f"--model.strategy=lab.strategies.{name}").model.strategy
    module = __import__("lab.strategies", fromlist=[name])
    default = getattr(module, name)(chosen.inner.network)
    for attribute in set(vars(default)) - {"inner", "upscaler"}:
        assert getattr(chosen, attribute) == getattr(default, attribute), attribute
    assert chosen.inner.paste is default.inner.paste


def test_an_option_of_another_strategy_is_refused():
    with pytest.raises(SettingsError, match=r"model\.strategy\.rouws.*model\.strategy\.rows"):
        parse_experiment(
            [*TINY, "--model.strategy=lab.strategies.Tiled", "--model.strategy.rouws=3"]
        )


def test_a_wrong_value_is_refused_with_its_rule():
    settings = parse_experiment(
        [
            *TINY,
            f"--model.strategy={Cropped.__module__}.Cropped",
            "--model.strategy.context_share=0",
        ]
    )
    with pytest.raises(SettingsError, match="context_share is 0, but must be above 0"):
        build_experiment(settings)
