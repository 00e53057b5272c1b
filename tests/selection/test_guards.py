"""When a judge teaches nothing, by the adversarial loss that it was trained by."""

import re
from typing import get_args

import pytest

from lab.losses import JUDGES, AdversarialKind
from lab.results import open_study
from lab.selection.choosing import choose
from lab.selection.guards import ALIVE
from tests.selection.run_folders import write_run
from tests.tiny import tiny_experiment

# (real_logit, fake_logit, discriminator) as trainings leave them.
JUDGED = {
    "hinge": {"alive": (0.8, -0.4, 0.9), "dead": (0.02, 0.01, 2.0), "won": (1.6, -1.4, 1e-4)},
    "log": {"alive": (1.0, -0.8, 0.7), "dead": (-0.3, -0.3, 1.4), "won": (7.0, -7.0, 2e-3)},
    "least_squares": {
        "alive": (0.53, 0.49, 0.24),  # a gap and a loss with which others would be dead, or had won
        "dead": (0.51, 0.5, 0.25),
        "won": (0.99, 0.01, 1e-4),
    },
    "relativistic_average": {
        "alive": (-4.0, -5.0, 0.63),
        "dead": (3.01, 3.0, 1.38),
        "won": (9.0, 1.0, 7e-4),
    },
    "wasserstein": {
        "alive": (0.03, 0.0, -0.03),
        "dead": (-0.1, 0.2, 0.3),
        "won": (2500.0, -1500.0, -4000.0),
    },
}
SAID = {"alive": "", "dead": "tells nothing apart", "won": "has won"}


def marked(folder, kind, judged, settings="model: {init_args: {objective: {init_args: {%s}}}}"):
    """The reasons why an epoch's judges are marked."""
    losses = {
        f"{'' if judge == 'whole' else f'{judge}_'}{name}": value
        for judge, values in judged.items()
        for name, value in zip(("real_logit", "fake_logit", "discriminator"), values, strict=True)
    }
    run = write_run(folder, [0.5], losses=losses)
    if kind is not None:
        (run / "config.yaml").write_text(settings % f"adversarial_kind: {kind}")
    (marks,) = choose(open_study(run), ["hole_ssim"]).marks
    assert {mark.kind for mark in marks} <= {"judge"}
    return [mark.reason for mark in marks]


def test_every_adversarial_loss_has_its_signs():
    assert set(ALIVE) == set(JUDGED) == set(get_args(AdversarialKind))


@pytest.mark.parametrize("kind", JUDGED)
def test_each_loss_has_its_own_signs_of_death(tmp_path, kind):
    for state, values in JUDGED[kind].items():
        reasons = marked(tmp_path / state, kind, {"whole": values})
        said = "runs away" if (kind, state) == ("wasserstein", "won") else SAID[state]
        assert len(reasons) == bool(said), (state, reasons)
        assert all(reason.startswith(said) for reason in reasons)


@pytest.mark.parametrize("judge", JUDGES)
def test_every_judge_is_judged_and_named_but_the_one_of_whole_images(tmp_path, judge):
    judged = {name: JUDGED["hinge"]["alive"] for name in JUDGES}
    judged[judge] = JUDGED["hinge"]["dead"]
    (reason,) = marked(tmp_path, "hinge", judged)
    name = "" if judge == "whole" else f"the judge '{judge}' "
    assert re.match(rf"{name}tells nothing apart: its logit is \+0\.01 higher for real", reason)


def test_several_dead_judges_are_several_reasons(tmp_path):
    judged = {"whole": JUDGED["log"]["won"], "edges": JUDGED["log"]["dead"]}
    whole, edges = marked(tmp_path, "log", judged)
    assert whole.startswith("has won")
    assert edges.startswith("the judge 'edges' tells nothing apart")


@pytest.mark.parametrize("kind", [None, "a_kind_to_come"])
def test_an_unknown_loss_is_judged_as_hinge_is(tmp_path, kind):
    (reason,) = marked(tmp_path, kind, {"whole": JUDGED["wasserstein"]["won"]})
    assert reason.startswith("has won")


def test_the_loss_is_found_in_the_settings_that_a_run_writes(tmp_path):
    experiment = tiny_experiment("--model.objective.adversarial_kind=wasserstein")
    judged = {"whole": JUDGED["wasserstein"]["alive"]}
    settings = experiment.yaml.replace("adversarial_kind: wasserstein", "%s")
    assert marked(tmp_path / "own", "wasserstein", judged, settings) == []
    (reason,) = marked(tmp_path / "other", "hinge", judged, settings)
    assert reason.startswith("tells nothing apart")
