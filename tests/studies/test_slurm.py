"""The job array of `sweeps/slurm`, as a cluster runs it, on a stand-in for its ``sbatch``."""

import os
import re
import subprocess
import sys
from pathlib import Path

import optuna
import pytest
from optuna.trial import TrialState

from tests.studies.conftest import write_question
from tests.tiny import PROJECT

SCRIPT = PROJECT / "sweeps" / "slurm" / "workers.sbatch"

# What `man sbatch` knows of what the script asks for, and what each may hold.
DIRECTIVES = {
    "job-name": r"\w+",
    "array": r"\d+-\d+",
    "ntasks": "1",
    "cpus-per-task": r"\d+",
    "gres": r"gpu:\d+",
    "mem": r"\d+G",
    "time": r"\d\d:\d\d:\d\d",
    "signal": r"B:INT@\d+",
    "requeue": "",
    "open-mode": "append",
    "output": r"[\w%.-]+",
}

# Takes options before the script's name over its directives, and runs the array's tasks at once.
SBATCH = f"""#!{sys.executable}
import os, re, subprocess, sys
words = sys.argv[1:]
place = next(index for index, word in enumerate(words) if not word.startswith("--"))
script, arguments = words[place], words[place + 1 :]
asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", open(script).read(), re.MULTILINE))
asked |= dict(word.removeprefix("--").split("=", 1) for word in words[:place])
first, last = map(int, asked["array"].split("-"))
tasks = []
for task in range(first, last + 1):
    environment = dict(os.environ, SLURM_JOB_ID="7", SLURM_ARRAY_TASK_ID=str(task),
                       SLURM_CPUS_PER_TASK=asked["cpus-per-task"])
    log = open(asked["output"].replace("%A", "7").replace("%a", str(task)), "a")
    tasks.append(subprocess.Popen(["bash", script, *arguments], env=environment,
                                  stdout=log, stderr=log))
print("Submitted batch job 7")
sys.exit(max(task.wait() for task in tasks))
"""


def test_it_asks_for_what_slurm_knows():
    asked = re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", SCRIPT.read_text(), re.MULTILINE)
    assert SCRIPT.read_text().startswith("#!/bin/bash\n#SBATCH")
    for name, value in asked:
        assert re.fullmatch(DIRECTIVES[name], value), f"--{name}={value}"
    # Slurm reads no directive after the first command.
    commands = SCRIPT.read_text().index("set -euo pipefail")
    assert "#SBATCH" not in SCRIPT.read_text()[commands:]


@pytest.fixture
def cluster(tmp_path):
    """Submits the script in a folder; returns the process and the tasks' logs."""
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "sbatch").write_text(SBATCH)
    (tmp_path / "bin" / "sbatch").chmod(0o755)
    path = os.pathsep.join(
        [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    )

    def submit(*words, **variables):
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT), "COLUMNS": "200"}
        environment.pop("STORAGE", None)
        done = subprocess.run(
            ["sbatch", *words], cwd=tmp_path, env=environment | variables, text=True,
            capture_output=True, timeout=600, check=False,
        )  # fmt: skip
        return done, [log.read_text() for log in sorted(tmp_path.glob("study-7-*.log"))]

    return submit


def test_it_says_what_it_lacks(cluster):
    done, logs = cluster("--array=1-1", str(SCRIPT), "tiny")
    assert done.returncode != 0
    assert "export STORAGE=postgresql://" in logs[0]


@pytest.mark.slow
def test_workers_of_an_array_share_a_study(cluster, tmp_path, address):
    write_question(tmp_path / "sweeps", trials=3, epochs=1, baselines=["telea"])
    done, logs = cluster(
        "--array=1-2", "--cpus-per-task=1", str(SCRIPT), "tiny",
        STORAGE=address, RUNS=str(tmp_path / "shared"),
    )  # fmt: skip
    assert "Submitted batch job 7" in done.stdout
    assert any("Best by hole_psnr" in log for log in logs), logs
    study = optuna.load_study(
        study_name="tiny", storage=address.replace("postgresql:", "postgresql+psycopg:")
    )
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 3
    trained = [line for log in logs for line in log.splitlines() if " epoch 1/1" in line]
    assert sorted(re.findall(r"^trial (\d)", "\n".join(trained), re.MULTILINE)) == ["0", "1", "2"]
