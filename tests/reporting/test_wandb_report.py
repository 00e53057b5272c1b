"""The W&B Report, built and saved by W&B's own library, against a stand-in for its API."""

import json

import pytest
import wandb

from lab.report import main
from lab.reporting.wandb_report import build_wandb_report, config_key
from lab.results import open_study
from tests.reporting.studies import HOLE, write_study
from tests.reporting.wandb_stand_in import StandIn


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("runs") / "weights")


@pytest.fixture
def wandb_server(monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "online")
    server = StandIn()
    monkeypatch.setenv("WANDB_BASE_URL", server.url)
    monkeypatch.setenv("WANDB_API_KEY", "0" * 40)
    # Settings that were read for other tests, by threads of theirs until now.
    wandb.teardown()
    yield server
    server.close()


def test_the_report_has_every_panel_and_our_findings(study, wandb_server, capsys):
    assert main([str(study), "--wandb", "--entity", "somebody", "--project", "project"]) == 0
    address = capsys.readouterr().out.strip().splitlines()[-1]
    assert address.startswith("http")
    assert "/somebody/project/reports/" in address
    (saved,) = wandb_server.asked("upsertView")
    assert saved["displayName"] == "Does it matter <b>how</b> much?"
    spec = json.loads(saved["spec"])
    text = json.dumps(spec)
    grid = next(block for block in spec["blocks"] if block["type"] == "panel-grid")
    panels = [panel["viewType"] for panel in panels_of(grid)]
    assert panels.count("Media Browser") == 2, "a photo each"
    for kind in (
        "Run History Line Plot",
        "Parallel Coordinates Plot",
        "Parameter Importance",
        "Run Comparer",
    ):
        assert kind in panels
    assert "val/hole_ssim" in text
    assert "epochs_trained" in text
    assert "visuals/cat" in text
    assert "trial 2, epoch 4" in text
    assert "weights" in json.dumps(grid["metadata"]["runSets"]), "only the study's group"


def panels_of(grid):
    sections = grid["metadata"]["panelBankSectionConfig"]
    return sections["panels"]


def test_panels_do_not_lie_on_each_other(study, wandb_server):
    report = build_wandb_report(open_study(study), "somebody", "project")
    boxes = [panel.layout for block in report.blocks for panel in getattr(block, "panels", [])]
    for index, one in enumerate(boxes):
        for other in boxes[:index]:
            apart = (
                one.x >= other.x + other.w
                or other.x >= one.x + one.w
                or one.y >= other.y + other.h
                or other.y >= one.y + one.h
            )
            assert apart, f"{one} and {other}"


def test_an_option_is_found_under_the_name_it_is_logged_by():
    settings = {
        "model": {
            "class_path": "lab.training.AdversarialCompletion",
            "init_args": {
                "objective": {"class_path": "O", "init_args": {"weights": {"hole_l1": 2.4}}}
            },
        }
    }
    assert config_key(settings, HOLE) == "model.init_args.objective.init_args.weights.hole_l1"
    assert config_key({"model": {"objective": {}}}, "model.objective") == "model.objective"
