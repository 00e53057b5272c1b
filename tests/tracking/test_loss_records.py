"""losses.csv: the epoch's mean of every step, the same after an interruption."""

import pytest

from lab.tracking import LossRecords
from tests.tiny import fit_tiny, tiny_experiment


class InterruptedError(Exception):
    """Stands for whatever ends a process."""


def test_an_interrupted_run_records_what_an_uninterrupted_one_does(tmp_path):
    def interrupt(progress):
        if (progress.epoch, progress.step) == (2, 1):
            raise InterruptedError

    with pytest.raises(InterruptedError):
        fit_tiny(tmp_path / "run", "--fit.epochs=2", on_step=interrupt)
    fit_tiny(tmp_path / "run", "--fit.epochs=2")
    fit_tiny(tmp_path / "whole", "--fit.epochs=2")
    found, expected = (
        LossRecords(tmp_path / name / "losses.csv").by_epoch() for name in ("run", "whole")
    )
    assert list(found.index) == [1, 2]
    assert ((found - expected).abs() <= 1e-6).all(axis=None)
    assert {"total", "hole_l1", "adversarial", "real_logit", "fake_logit"} <= set(found)


def test_the_mean_is_over_the_steps(tmp_path, monkeypatch):
    seen = []
    log = type(tiny_experiment().model)._log_training

    def spy(module, values):
        if "total" in values:
            seen.append(values["total"].item())
        log(module, values)

    monkeypatch.setattr("lab.variants.InpaintingModule._log_training", spy)
    fit_tiny(tmp_path / "run", "--fit.epochs=1")
    assert len(seen) == 2
    recorded = LossRecords(tmp_path / "run" / "losses.csv").by_epoch().loc[1, "total"]
    assert recorded == pytest.approx(sum(seen) / 2, rel=1e-5)


def test_a_repeated_epoch_replaces_its_rows_and_any_later_ones(tmp_path):
    records = LossRecords(tmp_path / "losses.csv")
    for epoch in (1, 2, 3):
        records.write_epoch(epoch, {"total": float(epoch), "hole_l1": 0.5})
    records.write_epoch(2, {"total": 9.0})
    assert records.by_epoch()["total"].to_dict() == {1: 1.0, 2: 9.0}


def test_a_run_without_records_has_an_empty_table(tmp_path):
    assert len(LossRecords(tmp_path / "losses.csv").by_epoch()) == 0


def test_a_file_that_is_no_table_is_named(tmp_path):
    path = tmp_path / "losses.csv"
    path.write_text("epoch,loss\n1,total\n")
    with pytest.raises(ValueError, match=r"losses\.csv is no table of epoch, loss, value"):
        LossRecords(path).by_epoch()
