"""losses.csv: the epoch's mean of every step, the same after an interruption."""

import pytest

from lab.results import open_run
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
    found, expected = (open_run(tmp_path / name).losses for name in ("run", "whole"))
    assert list(found.index) == [1, 2]
    assert ((found - expected).abs() <= 1e-6).all(axis=None)
    assert {"total", "hole_l1", "adversarial", "real_logit", "fake_logit"} <= set(found)


def test_the_mean_is_over_the_steps(tmp_path, monkeypatch):
    seen = []
    log = type(tiny_experiment().model).log_step

    def spy(module, values):
        if "total" in values:
            seen.append(values["total"].item())
        log(module, values)

    monkeypatch.setattr("lab.training.CompletionModule.log_step", spy)
    fit_tiny(tmp_path / "run", "--fit.epochs=1")
    assert len(seen) == 2
    recorded = open_run(tmp_path / "run").losses.loc[1, "total"]
    assert recorded == pytest.approx(sum(seen) / 2, rel=1e-5)
