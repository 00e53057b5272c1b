"""Uploading offline W&B runs later, by W&B's own `wandb sync`, each once."""

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory

import wandb

from lab.files import lock_run
from lab.parsing import SettingsError
from lab.tracking import logged_in


@dataclass(frozen=True)
class SyncSummary:
    """What `sync_offline_runs` found and did: run folders of W&B.

    Attributes:
        sent: uploaded now.
        earlier: uploaded by an earlier call; W&B's marker lies beside them.
        running: left alone, because their training goes on.
        failed: W&B could not upload them; another call tries again.
        output: what W&B printed.
    """

    sent: Sequence[Path]
    earlier: Sequence[Path]
    running: Sequence[Path]
    failed: Sequence[Path]
    output: str = ""


def require_login(instead: str) -> None:
    """Raise unless somebody is logged in to W&B; nothing is asked of the network or the person.

    Raises:
        SettingsError: says how to log in, and what to do ``instead``.
    """
    mode = os.environ.get("WANDB_MODE", "online")
    if mode not in ("online", "run", "shared"):
        raise SettingsError(
            f"WANDB_MODE={mode} asks for nothing to be sent: give the command again with "
            f"WANDB_MODE=online before it. Without W&B, {instead}"
        )
    if logged_in():
        return
    if wandb.run is not None:
        raise SettingsError(
            "a W&B run that reports to no server goes on in this process, and until it ends W&B "
            f"logs nobody in: wandb.finish() ends it. Without W&B, {instead}"
        )
    raise SettingsError(
        "nobody is logged in to W&B here: run `wandb login`, or set WANDB_API_KEY (and "
        f"WANDB_BASE_URL for a server of your own). Without W&B, {instead}"
    )


def sync_offline_runs(
    folder: Path, entity: str | None = None, project: str | None = None, dry_run: bool = False
) -> SyncSummary:
    """Upload every offline run below a study's or a run's folder that was not uploaded yet.

    Runs keep their names, groups, steps and pictures. W&B puts a ``.synced`` marker beside what it
    has uploaded, and that is not sent again. The parts of a resumed run go up in their order.

    Args:
        folder: ``runs/<study>``, ``runs/<run>`` or a folder of those.
        entity: user or team, in place of your own.
        project: in place of the one that the runs were logged for.
        dry_run: only look; ``sent`` is then what would be sent.

    Raises:
        SettingsError: no such folder, no offline run in it, or nobody is logged in.
    """
    if not folder.is_dir():
        raise SettingsError(
            f"{folder} is no folder: give that of a study or run, such as runs/NAME"
        )
    files = sorted(folder.glob("**/wandb/offline-run-*/run-*.wandb"))
    if not files:
        raise SettingsError(
            f"no offline W&B run lies below {folder}. Runs that were logged in are on W&B already; "
            "with WANDB_MODE=disabled, nothing was recorded"
        )
    earlier = [file for file in files if _is_synced(file)]
    running = [file for file in files if file not in earlier and _is_written(file)]
    waiting = [file for file in files if file not in earlier and file not in running]
    output = ""
    if waiting and not dry_run:
        require_login(f"`python -m lab.report {folder}` makes a page that opens offline")
        output = _wandb_sync([file.parent for file in waiting], entity, project)
    failed = [] if dry_run else [file for file in waiting if not _is_synced(file)]
    return SyncSummary(
        sent=[file.parent for file in waiting if file not in failed],
        earlier=[file.parent for file in earlier],
        running=[file.parent for file in running],
        failed=[file.parent for file in failed],
        output=output,
    )


def _wandb_sync(folders: Sequence[Path], entity: str | None, project: str | None) -> str:
    """One call for all: W&B puts the parts of a resumed run in order only within a call."""
    options = [
        *(["--entity", entity] if entity else []),
        *(["--project", project] if project else []),
    ]
    command = [sys.executable, "-m", "wandb", "sync", *options, *map(str, folders)]
    # The command gets a W&B process of its own: at its end, it would stop ours.
    environment = {name: value for name, value in os.environ.items() if name != "WANDB_SERVICE"}
    with TemporaryDirectory() as logs:
        done = subprocess.run(
            command,
            # Without it, W&B leaves a folder of logs wherever the command is given.
            env={**environment, "WANDB_DIR": logs},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            check=False,
        )
    return done.stdout


def _is_synced(file: Path) -> bool:
    return file.with_name(f"{file.name}.synced").exists()


def _is_written(file: Path) -> bool:
    """Whether the run is being trained: what it logs from now on would never be sent."""
    lock = lock_run(file.parents[2])
    if lock is None:
        return True
    lock.release()
    return False
