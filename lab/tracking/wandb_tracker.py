"""One W&B run a trial: online when logged in, else offline; never a prompt, never a failure."""

import os
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, cast

import wandb
from pytorch_lightning.loggers import WandbLogger

from lab.training import EPOCHS_TRAINED

PROJECT = "background-inpainting"

# Long enough for a slow connection, short enough that a trial does not wait for a dead one.
_SECONDS_TO_CONNECT = 30.0

# By then, what an epoch left is sent; by itself W&B would wait for a dead server without end.
_SECONDS_TO_FINISH = 120.0

# Once the server did not answer, the later runs of this process do not wait for it again.
_server_is_silent = False


@dataclass
class WandbTracker:
    """A started W&B run and Lightning's logger on it."""

    logger: WandbLogger

    def log_epoch(self, epoch: int, values: Mapping[str, float]) -> None:
        """Log metrics of an epoch."""
        self.logger.experiment.log({**values, EPOCHS_TRAINED: epoch})

    def log_images(self, epoch: int, panels: Mapping[str, Sequence[tuple[str, Path]]]) -> None:
        """Log captioned image files under ``visuals/<panel>``; they are copied, not encoded anew.

        As images and not inside a table: offline runs lose the images of tables.
        """
        entries: dict[str, Any] = {
            f"visuals/{panel}": [
                wandb.Image(str(path), caption=caption) for caption, path in images
            ]
            for panel, images in panels.items()
        }
        self.logger.experiment.log({**entries, EPOCHS_TRAINED: epoch})

    def finish(self, exit_code: int = 0) -> None:
        """End the run; what is not sent yet is on disk.

        A server that takes nothing is waited for two minutes; later runs of this process are then
        offline at once, with a warning.
        """
        global _server_is_silent
        run = self.logger.experiment
        try:
            run.finish(exit_code=exit_code)
        except TimeoutError:
            _server_is_silent = True
            warnings.warn(
                f"W&B did not take all within {_SECONDS_TO_FINISH:.0f} s; the rest is on disk, and "
                f"python -m lab.sync sends it. Later runs of this process are tracked offline",
                stacklevel=2,
            )


def logged_in() -> bool:
    """Whether W&B knows whose runs it would send; nothing is asked of the network or the person.

    A log-in that W&B cannot read is none, with a warning, and so is any while a run of this process
    goes on that reports to no server.
    """
    # While a run of this process goes on, W&B's own look says no, whoever is logged in.
    if wandb.run is not None and wandb.run.url is not None:
        return True
    try:
        # verify=False: a look at the configuration, not a request.
        return bool(wandb.login(prompt=False, verify=False))
    except Exception as error:
        warnings.warn(f"W&B's log-in is unusable: {error}", stacklevel=3)
        return False


def start_wandb(
    folder: Path, name: str, group: str | None, run_id: str, config: Mapping[str, Any]
) -> WandbTracker | None:
    """Start a W&B run whose files lie in ``folder/wandb``.

    Online when the person is logged in (``wandb login`` or ``WANDB_API_KEY``), otherwise offline;
    ``WANDB_MODE`` decides where it is set. A server that does not answer means offline too, with
    a warning; later runs of the same process are then offline at once and without another.

    Args:
        folder: of the run.
        name: what W&B shows.
        group: the study, if the run belongs to one.
        run_id: the same for a resumed run, so that it goes on where it was.
        config: everything that reproduces the run, as plain values.

    Returns:
        WandbTracker | None: None only where ``WANDB_MODE=disabled`` asks for no tracking.
    """
    global _server_is_silent
    asked = os.environ.get("WANDB_MODE") or ("online" if logged_in() else "offline")
    if asked == "disabled":
        return None
    # Words that W&B knew of old ("dryrun", "run") mean the same as its present ones.
    asked = {"dryrun": "offline", "run": "online"}.get(asked, asked)
    mode = cast(Literal["online", "offline", "shared"], "offline" if _server_is_silent else asked)
    try:
        run = _start(folder, name, group, run_id, config, mode)
    except Exception as error:
        if mode == "offline":
            warnings.warn(f"W&B could not start ({error}); this run is not tracked", stacklevel=2)
            return None
        warnings.warn(
            f"W&B did not answer ({error}); this run and later ones of this process are tracked "
            "offline",
            stacklevel=2,
        )
        _server_is_silent = True
        try:
            # W&B's own process believes that the run goes on; a new one does not.
            wandb.teardown()
            run = _start(folder, name, group, run_id, config, "offline")
        except Exception as second:
            warnings.warn(f"W&B could not start ({second}); not tracked", stacklevel=2)
            return None
    run.define_metric(EPOCHS_TRAINED)
    for pattern in ("val/*", "visuals/*"):
        run.define_metric(pattern, step_metric=EPOCHS_TRAINED)
    return WandbTracker(WandbLogger(experiment=run))


def _start(
    folder: Path,
    name: str,
    group: str | None,
    run_id: str,
    config: Mapping[str, Any],
    mode: Literal["online", "offline", "shared"],
) -> Any:  # noqa: ANN401 (W&B's run has no stable public type)
    return wandb.init(
        project=os.environ.get("WANDB_PROJECT", PROJECT),
        dir=folder,
        name=name,
        group=group,
        id=run_id,
        resume="allow",
        config=dict(config),
        mode=mode,
        reinit="finish_previous",
        settings=wandb.Settings(
            init_timeout=_SECONDS_TO_CONNECT,
            finish_timeout=_SECONDS_TO_FINISH,
            finish_timeout_raises=True,
            console="off",
            silent=True,
            x_disable_stats=True,
        ),
    )
