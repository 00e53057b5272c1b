"""What a run is begun with, and whether the one in a folder may go on."""

import secrets
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from pathlib import Path
from typing import Any, Literal

import torch
import yaml

from lab.compiling import why_nothing_compiles
from lab.data.shard_set import ShardSet
from lab.devices import compute_device
from lab.evaluation import Evaluation
from lab.files import lock_run, replacing
from lab.formats.runs import SETTINGS, can_go_on, checkpoint_path, read_record, write_record
from lab.parsing import ALLOW_IMPORTS, SettingsError
from lab.rank_processes import first_place
from lab.results import ResultsError, open_run
from lab.runs.contents import by_content, contents
from lab.settings import Experiment, Fit, parse_experiment, plain_settings

# A run may go on for longer, and on other machines.
_MAY_CHANGE = {
    "fit.epochs",
    "fit.log_every",
    "fit.checkpoint_minutes",
    "fit.compile",
    "fit.devices",
    "fit.nodes",
}


def settle(experiment: Experiment, folder: Path | None = None) -> Experiment:
    """Say in the settings what was left open: threads and precision, which change the numbers.

    And the guides that are drawn, where they were not stated.

    Args:
        experiment: as the person asked for it.
        folder: of a run; what it was begun with is what it goes on with.
    """
    begun: dict[str, Any] = {}
    if folder is not None and (folder / SETTINGS).exists():
        begun = _begun_with(folder)["fit"]
    fit = experiment.fit
    threads = fit.threads or begun.get("threads")
    if threads is None:
        threads = max(1, torch.get_num_threads() // fit.devices)  # which share the cores
    precision = fit.precision
    if precision == "auto":
        precision = begun.get("precision", "auto")
    if precision == "auto":
        precision = "bfloat16" if computes_in_bfloat16(fit.device) else "float32"
    plain = experiment.plain
    plain["fit"] |= {"threads": threads, "precision": precision}
    plain["data"]["guides"] = list(experiment.data.guides)
    return replace(
        experiment,
        fit=replace(fit, threads=threads, precision=precision),
        yaml=yaml.safe_dump(plain, sort_keys=False, allow_unicode=True),
    )


def note_beginning(
    experiment: Experiment, folder: Path, digest: str, goes_on: bool = False, **noted: str
) -> str:
    """Write what a run is before it starts, and return its name for W&B.

    The name is drawn, and kept in the folder: a run that goes on is the same one, a new one in a
    folder of the same name is not.
    """
    record = recorded(folder) if goes_on else {}
    record.setdefault("id", secrets.token_hex(8))
    record |= {
        "photos": digest,
        "files": contents(experiment),
        "torch": torch.__version__,
        **noted,
    }
    with replacing(folder / SETTINGS) as temporary:
        temporary.write_text(experiment.yaml)
    write_record(folder, record)
    run_id: str = record["id"]
    return run_id


def recorded(folder: Path) -> dict[str, Any]:
    """What was noted of the run in a folder.

    Raises:
        SettingsError: it is damaged.
    """
    try:
        return read_record(folder)
    except ValueError as error:
        raise SettingsError(str(error)) from error


@contextmanager
def holding_run(folder: Path, fit: Fit | None = None) -> Iterator[None]:
    """Hold the lock of a run's folder: nobody else writes in it meanwhile.

    Args:
        folder: of the run.
        fit: of a training; of several machines the first holds the lock for all.

    Raises:
        SettingsError: another process does, or the environment does not say which machine this is.
    """
    if fit is not None and not is_first_machine(fit):
        yield
        return
    lock = lock_run(folder)
    if lock is None:
        raise SettingsError(
            f"another process is writing the run in {folder}: wait until it has ended, or give "
            "this one another name"
        )
    try:
        yield
    finally:
        lock.release()


def is_first_machine(fit: Fit) -> bool:
    """Whether this machine is the one of ``fit.nodes`` that writes and reports.

    Raises:
        SettingsError: the environment does not say which machine this is.
    """
    return first_place(fit.devices, fit.nodes).node == 0


def has_ended(experiment: Experiment, folder: Path) -> bool:
    """Whether the run in the folder has all its epochs."""
    return checkpoint_path(folder, experiment.fit.epochs).exists()


def change_of_devices(experiment: Experiment, folder: Path) -> str | None:
    """Say what changes where the folder's run goes on with another number of devices; else None.

    Raises:
        SettingsError: what was noted of the run is damaged.
    """
    if not can_go_on(folder) or not (folder / SETTINGS).exists():
        return None
    begun, fit = _begun_with(folder)["fit"], experiment.fit
    before, now = begun.get("devices", 1) * begun.get("nodes", 1), fit.devices * fit.nodes
    if before == now:
        return None
    stays = "steps, batches, crops, masks and learning rates stay as they were"
    if isinstance(experiment.data.source, ShardSet):
        stays = (
            "steps and learning rates stay as they were, and so do the crops and masks drawn for a "
            "photo, but other photos meet in a batch, for shards are dealt out by the number of "
            "devices"
        )
    return (
        f"The run had {before} device{'s' * (before != 1)} and goes on with {now}: {stays}. Sums "
        "are rounded differently, and what a device draws for itself (dropout, gradient penalty) "
        "begins anew on those that were not there"
    )


def refuse_other_photos(experiment: Experiment, folder: Path) -> None:
    """Refuse to go on with a run whose photos have changed: its epochs could not be compared.

    Raises:
        SettingsError: photos were added, removed or replaced since the run began.
    """
    experiment.read_photos()
    before = recorded(folder).get("photos")
    now = experiment.data.source.digest
    if can_go_on(folder) and before is not None and before != now:
        raise SettingsError(
            f"the photos of the run in {folder} have changed since it began (digest {before} then, "
            f"{now} now): its epochs could not be compared. Put the photos back as they were, or "
            "give this one another --name"
        )


def refuse_other_settings(experiment: Experiment, folder: Path) -> None:
    """Refuse to go on with a run that was begun with other settings, which would mix two runs.

    The number of epochs may grow: that is how a finished run is continued. And it may go on with
    another number of devices. Photos and files may lie elsewhere, if they hold what they held.

    Raises:
        SettingsError: the folder's run differs.
    """
    path = folder / SETTINGS
    if not path.exists():
        return
    begun = recorded(folder)
    # What was begun before files were noted, by where they lie.
    noted = begun.get("files", {})
    held = {name: file for name, file in contents(experiment).items() if name in noted}
    now = by_content(settle(experiment, folder).plain, held)
    changed = _changed(by_content(_begun_with(folder), noted), now)
    if changed:
        # Settings that this run's version did not know yet stand at their defaults.
        imports = [word for name in experiment.packages for word in (ALLOW_IMPORTS, name)]
        with suppress(SettingsError):
            whole = plain_settings(parse_experiment(imports, path))
            changed = _changed(by_content(whole, noted), now)
    if changed:
        raise SettingsError(
            f"the run in {folder} was begun with other settings ({', '.join(changed)} differ; see "
            f"{path}): give this one another --name, or the same settings to go on"
        )


def refuse_evaluation(experiment: Experiment) -> None:
    """Refuse settings by which only methods and finished networks are scored.

    Raises:
        SettingsError: one of them is not what it is by itself.
    """
    usual = Evaluation()
    for name in Evaluation.__dataclass_fields__:
        value = getattr(experiment.evaluation, name)
        if value != getattr(usual, name):
            raise SettingsError(
                f"evaluation.{name} is {value}, which trainings do not follow: they are scored "
                "on their validation photos, under data.validation_masks. Leave it out, and score "
                "what comes of it by python -m lab.evaluate"
            )


def _changed(before: Mapping[str, object], now: Mapping[str, object]) -> list[str]:
    """The paths of settings that differ, but for those that may."""
    paths = sorted({*before, *now} - _MAY_CHANGE)
    return [path for path in paths if before.get(path) != now.get(path)]


def _begun_with(folder: Path) -> dict[str, Any]:
    """The settings that the folder's run was begun with.

    Raises:
        SettingsError: they are damaged.
    """
    try:
        settings = open_run(folder).settings
        if not isinstance(settings.get("fit"), dict):
            raise ResultsError(f"{folder / SETTINGS} is damaged (it holds no settings of a run)")
    except ResultsError as error:
        raise SettingsError(
            f"{error}: put it back as it was, or give this run another --name"
        ) from error
    return settings


def refuse_missing_device(fit: Fit) -> None:
    """Raise ``SettingsError`` for a device that is not there."""
    if fit.device == "gpu" and not torch.accelerator.is_available():
        raise SettingsError("fit.device is gpu, but PyTorch finds none here: leave it at auto")
    if fit.device != "cpu" and torch.accelerator.is_available():
        there = torch.accelerator.device_count()
        if fit.devices > there:
            raise SettingsError(f"fit.devices is {fit.devices}, but PyTorch finds {there} here")


def refuse_missing_means(fit: Fit) -> None:
    """Raise ``SettingsError`` for what a training needs and this machine lacks.

    A device; where it is to be compiled, what compiles.
    """
    refuse_missing_device(fit)
    if fit.compile and (why := why_nothing_compiles(compute_device(fit.device))) is not None:
        raise SettingsError(
            f"fit.compile is on, but PyTorch cannot compile here ({why}): install a C++ compiler "
            "(g++, or what CXX names), on GPUs Triton; or leave fit.compile out"
        )


def trainer_precision(fit: Fit) -> Literal["bf16-mixed", "32-true"]:
    """What a settled ``fit.precision`` is called by the trainer."""
    return "bf16-mixed" if fit.precision == "bfloat16" else "32-true"


def computes_in_bfloat16(device: Literal["auto", "cpu", "gpu"]) -> bool:
    """Whether the device has bfloat16 instructions (emulated ones are slower than float32)."""
    if device != "cpu" and torch.cuda.is_available():
        return torch.cuda.is_bf16_supported(including_emulation=False)
    capabilities = torch.cpu.get_capabilities()
    return bool(capabilities.get("avx512_bf16") or capabilities.get("amx_bf16"))
