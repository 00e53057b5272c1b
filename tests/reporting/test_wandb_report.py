"""The W&B Report, built and saved by W&B's own library, against a stand-in for its API."""

import json
from types import SimpleNamespace

import pytest
import wandb

from lab.parsing import SettingsError
from lab.report import main
from lab.reporting.offline_runs import require_login
from lab.reporting.wandb_report import build_wandb_report, config_key
from lab.results import open_study
from lab.tracking import logged_in
from tests.reporting.studies import HOLE, write_study


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    return write_study(tmp_path_factory.mktemp("runs") / "weights")


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


def test_a_run_of_this_process_does_not_hide_who_is_logged_in(study, wandb_server, monkeypatch):
    with monkeypatch.context() as going_on:
        going_on.setattr(wandb, "run", SimpleNamespace(url="https://wandb.ai/e/p/runs/1"))
        assert logged_in()
    run = wandb.init(mode="disabled")
    with pytest.raises(SettingsError, match=r"wandb\.finish\(\) ends"):
        require_login("nothing")
    run.finish()
    require_login("nothing")
