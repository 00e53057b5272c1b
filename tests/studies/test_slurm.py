"""The job array of `sweeps/slurm`, as a cluster runs it, on stand-ins for Slurm's programs."""

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
    "signal": r"B:USR1@\d+",
    "requeue": "",
    "open-mode": "append",
    "output": r"[\w%.-]+",
}

# Takes options before the script's name over its directives, and runs the array's tasks at once.
# When a task's log says what is in AFTER, its time is nearly over: the script asks for its shell
# alone to be told so (--signal=B:). With SCANCEL, a person ends it: all its processes are told.
SBATCH = f"""#!{sys.executable}
import os, re, signal, subprocess, sys, time
from pathlib import Path
words = sys.argv[1:]
place = next(index for index, word in enumerate(words) if not word.startswith("--"))
script, arguments = words[place], words[place + 1 :]
asked = dict(re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", open(script).read(), re.MULTILINE))
asked |= dict(word.removeprefix("--").split("=", 1) for word in words[:place])
first, last = map(int, asked["array"].split("-"))
word = re.fullmatch(r"B:(\\w+)@\\d+", asked["signal"])[1]
requeued, begun, told, running, statuses = Path("requeued"), {{}}, set(), {{}}, {{}}
def begin(task):
    environment = dict(os.environ, SLURM_JOB_ID=str(6 + task), SLURM_ARRAY_JOB_ID="7",
                       SLURM_ARRAY_TASK_ID=str(task), SLURM_RESTART_COUNT=str(begun.get(task, 0)),
                       SLURM_CPUS_PER_TASK=asked["cpus-per-task"])
    begun[task] = begun.get(task, 0) + 1
    log = open(asked["output"].replace("%A", "7").replace("%a", str(task)), "a")
    running[task] = subprocess.Popen(["bash", script, *arguments], env=environment,
                                     stdout=log, stderr=log, start_new_session=True)
for task in range(first, last + 1):
    begin(task)
print("Submitted batch job 7")
while running:
    time.sleep(0.05)
    for task, process in [*running.items()]:
        said = Path(asked["output"].replace("%A", "7").replace("%a", str(task))).read_text()
        if task not in told and "AFTER" in os.environ and os.environ["AFTER"] in said:
            told.add(task)
            if "SCANCEL" in os.environ:
                os.killpg(process.pid, signal.SIGTERM)
            else:
                process.send_signal(getattr(signal, "SIG" + word))
        if process.poll() is not None:
            statuses[task] = running.pop(task).returncode
            lines = requeued.read_text().splitlines() if requeued.exists() else []
            if lines.count(f"requeue 7_{{task}}") == begun[task]:
                begin(task)
sys.exit(max(abs(status) for status in statuses.values()))
"""

# As Slurm does, it ends what runs of the task that goes back into the queue.
SCONTROL = """#!/bin/sh
[ -z "$NO_REQUEUEING" ] || exit 1
echo "$*" >> requeued
kill -TERM $PPID
"""

# In place of the worker: it runs until it is told to end, and ends with the status in ENDS_WITH.
# In a task that was requeued, the study has been finished meanwhile.
PYTHON = f"""#!{sys.executable}
import os, signal, sys, time
def end(number, frame):
    print("told to end", flush=True)
    time.sleep(0.2)  # what the shell waits for does not end at once
    os._exit(int(os.environ.get("ENDS_WITH", "143")))
signal.signal(signal.SIGTERM, end)
print("worker:", *sys.argv[1:], flush=True)
if os.environ["SLURM_RESTART_COUNT"] == "0" and "AFTER" in os.environ:
    time.sleep(60)
sys.exit(0)
"""


def test_it_asks_for_what_slurm_knows():
    asked = re.findall(r"^#SBATCH --([a-z-]+)=?(.*)$", SCRIPT.read_text(), re.MULTILINE)
    assert SCRIPT.read_text().startswith("#!/bin/bash\n#SBATCH")
    for name, value in asked:
        assert re.fullmatch(DIRECTIVES[name], value), f"--{name}={value}"
    # Slurm reads no directive after the first command.
    commands = SCRIPT.read_text().index("set -euo pipefail")
    assert "#SBATCH" not in SCRIPT.read_text()[commands:]


def add_program(folder, name, content):
    (folder / "bin").mkdir(exist_ok=True)
    (folder / "bin" / name).write_text(content)
    (folder / "bin" / name).chmod(0o755)


@pytest.fixture
def cluster(tmp_path):
    """Submits the script in a folder; returns the process and the tasks' logs."""
    add_program(tmp_path, "sbatch", SBATCH)
    add_program(tmp_path, "scontrol", SCONTROL)
    path = os.pathsep.join(
        [str(tmp_path / "bin"), str(Path(sys.executable).parent), os.environ["PATH"]]
    )

    def submit(*words, **variables):
        environment = {**os.environ, "PATH": path, "PYTHONPATH": str(PROJECT), "COLUMNS": "200"}
        for name in ("STORAGE", "RUNS", "AFTER"):
            environment.pop(name, None)
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


@pytest.fixture
def workers(cluster, tmp_path):
    """Submits the script with stand-ins for its workers, too; also returns what was requeued."""
    add_program(tmp_path, "python", PYTHON)

    def submit(*words, **variables):
        done, logs = cluster(*words, STORAGE="journal:shared", **variables)
        requeued = tmp_path / "requeued"
        return done, logs, requeued.read_text().splitlines() if requeued.exists() else []

    return submit


def test_what_is_given_to_the_script_comes_last_and_counts(workers):
    words = ["tiny", "--photos", "of mine", "--runs", "/scratch/mine"]
    done, logs, requeued = workers("--array=1-1", "--cpus-per-task=3", str(SCRIPT), *words)
    assert (done.returncode, requeued) == (0, [])
    assert logs == [
        "worker: -m lab.sweep --storage journal:shared --runs runs --workers 1 --threads 3 "
        "tiny --photos of mine --runs /scratch/mine\n"
    ]


def test_no_task_sets_aside_what_another_has_begun(workers):
    done, logs, _ = workers("--array=1-2", str(SCRIPT), "tiny", "--fresh", "--trials", "4")
    assert done.returncode == 2
    for log in logs:
        assert re.fullmatch(r"error: with --fresh, .* python -m lab.sweep … --fresh .*\n", log)


def test_tasks_whose_time_is_over_go_back_into_the_queue(workers):
    done, logs, requeued = workers("--array=1-2", str(SCRIPT), "tiny", AFTER="worker:")
    assert sorted(requeued) == ["requeue 7_1", "requeue 7_2"]
    assert done.returncode == 0, "the study was finished by the requeued tasks"
    for task, log in enumerate(logs, start=1):
        begun = "worker: -m lab.sweep --storage journal:shared "
        assert [line.startswith(begun) for line in log.splitlines()] == [True, False, False, True]
        assert log.splitlines()[1:3] == [
            "told to end",
            f"The time is over: task 7_{task} goes back into the queue",
        ]


@pytest.mark.parametrize("status", [0, 1, 2])
def test_a_worker_that_ended_for_another_reason_is_not_requeued(workers, status):
    done, logs, requeued = workers(
        "--array=1-1", str(SCRIPT), "tiny", AFTER="worker:", ENDS_WITH=str(status)
    )
    assert "told to end" in logs[0]
    assert (done.returncode, requeued) == (status, [])


def test_what_a_person_ends_is_not_requeued(workers):
    done, logs, requeued = workers(
        "--array=1-1", str(SCRIPT), "tiny", AFTER="worker:", SCANCEL="yes"
    )
    assert "told to end" in logs[0]
    assert (done.returncode, requeued) == (143, [])


def test_a_cluster_that_requeues_nothing_is_said_in_one_line(workers):
    done, logs, requeued = workers(
        "--array=1-1", str(SCRIPT), "tiny", AFTER="worker:", NO_REQUEUEING="yes"
    )
    assert (done.returncode, requeued) == (143, [])
    assert "error: task 7_1 was not requeued: submit the same command again" in logs[0]


@pytest.mark.slow
def test_a_trial_goes_on_in_the_requeued_task(cluster, tmp_path):
    write_question(tmp_path / "sweeps", trials=1, epochs=3, baselines=["telea"])
    done, (log,) = cluster(
        "--array=1-1", "--cpus-per-task=1", str(SCRIPT), "tiny",
        "--runs", str(tmp_path / "shared"), STORAGE=f"journal:{tmp_path / 'studies.journal'}",
        AFTER=" epoch 2/3",
    )  # fmt: skip
    assert done.returncode == 0, log
    assert (tmp_path / "requeued").read_text() == "requeue 7_1\n"
    interrupted, again = log.split("The time is over: task 7_1 goes back into the queue\n")
    assert "Interrupted. Finished trials are kept" in interrupted
    assert "error" not in log
    assert "Best by hole_psnr" in again
    # An epoch is told of before it is kept: the second one may be trained again, the first is not.
    assert " epoch 1/3" not in again
    assert " epoch 3/3" in again


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
