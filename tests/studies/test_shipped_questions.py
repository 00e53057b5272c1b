"""Every question that ships can be asked: its trials build, from end to end of what is searched."""

from pathlib import Path

import pytest

from lab.studies import begin_sweep

SWEEPS = Path(__file__).parents[2] / "sweeps"


@pytest.mark.parametrize("name", sorted(path.stem for path in SWEEPS.glob("*.yaml")))
def test_a_shipped_question_can_be_asked(name, tmp_path):
    sweep = begin_sweep(name, runs=tmp_path, sweeps=SWEEPS)
    waiting = sweep.open().get_trials()
    assert [trial.system_attrs["fixed_params"] for trial in waiting] == sweep.question.first
    for values in sweep.question.first:
        sweep.build(values)
