"""The checkpoints that can be chosen from, and what their photos scored, read from the disk."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from lab.checks import unknown_name_message
from lab.metrics import METRICS
from lab.selection.resampling import Floats, photo_of
from lab.tracking import PhotoRecords, checkpoint_path

_NAME = re.compile(r"(?:(trial-\d{3,})/)?epoch-(\d{3,})")


class SelectionError(RuntimeError):
    """What was asked cannot be answered from the files there; the message says what to do."""


@dataclass(frozen=True)
class Checkpoint:
    """A network after some epochs of a run.

    Attributes:
        name: ``epoch-009``, in a study ``trial-003/epoch-009``.
        run: the run's folder.
        epoch: counted from 1.
    """

    name: str
    run: Path
    epoch: int

    @property
    def path(self) -> Path:
        """The network's file, which may be gone."""
        return checkpoint_path(self.run, self.epoch)


def describe(name: str) -> str:
    """A checkpoint's name in words: ``trial 3, epoch 9``."""
    match = _NAME.fullmatch(name)
    if match is None:
        return name
    trial, epoch = match.groups()
    before = f"trial {int(trial.removeprefix('trial-'))}, " if trial else ""
    return f"{before}epoch {int(epoch)}"


@dataclass(frozen=True)
class Scores:
    """The checkpoints of a run or a study on the samples that all of them were scored on.

    Attributes:
        folder: of the run or study.
        checkpoints: trial by trial, epoch by epoch.
        samples: the photos and crops.
        ratios: the hole's share of each sample.
        values: ``(samples, checkpoints)`` for each recorded metric; NaN where a value is missing.
        notes: what was left out, in words.
    """

    folder: Path
    checkpoints: list[Checkpoint]
    samples: list[str]
    ratios: Floats
    values: dict[str, Floats]
    notes: list[str]

    @property
    def photos(self) -> list[str]:
        """The photo of each sample."""
        return [photo_of(sample) for sample in self.samples]


def find_runs(folder: Path) -> dict[str, Path]:
    """The runs of a folder: itself, as ``""``, or a study's trials by the names of their folders.

    Raises:
        SelectionError: there is no such folder, or it is neither a run nor a study.
    """
    if not folder.is_dir():
        raise SelectionError(f"there is no folder {folder}: give the folder of a run or a study")
    trials = sorted(path for path in folder.glob("trials/trial-*") if path.is_dir())
    if trials:
        return {path.name: path for path in trials}
    if (folder / "photos.csv").exists() or (folder / "config.yaml").exists():
        return {"": folder}
    raise SelectionError(
        f"{folder} is neither a run (no photos.csv) nor a study (no trials/): give a folder that "
        "python -m lab.train or python -m lab.sweep made"
    )


def read_scores(folder: Path, metrics: Sequence[str]) -> Scores:
    """Read what every epoch of every run scored.

    Args:
        folder: of a run or a study.
        metrics: those that a checkpoint must have, finite, to take part.

    Raises:
        SelectionError: an unknown metric, nothing scored yet, files that cannot be read, or no
            sample that all runs share.
    """
    for metric in metrics:
        if metric not in METRICS:
            raise SelectionError(unknown_name_message("metric", metric, METRICS))
    notes: list[str] = []
    tables: dict[str, pd.DataFrame] = {}
    runs = find_runs(folder)
    for name, run in runs.items():
        table = _read(run)
        if len(table):
            tables[name] = table
        elif name:
            notes.append(f"{name} has no scored epoch yet")
    if not tables:
        raise SelectionError(
            f"no epoch is scored in {folder} yet: wait until the first has ended, or see why it "
            "has not by giving the command of the run again"
        )
    samples = _common_samples(tables, folder, notes)
    checkpoints, columns = [], []
    for name, table in tables.items():
        for epoch, rows in table.groupby("epoch"):
            label = f"epoch-{epoch:03d}"
            scored = rows.pivot(index="photo", columns="metric", values="value").reindex(samples)
            reason = _unusable(scored, metrics)
            if reason:
                notes.append(f"{f'{name}/' if name else ''}{label} is left out: {reason}")
                continue
            full = f"{name}/{label}" if name else label
            checkpoints.append(Checkpoint(full, runs[name], int(str(epoch))))
            columns.append(scored)
    if not checkpoints:
        raise SelectionError(f"no checkpoint in {folder} can be ranked: {'; '.join(notes)}")
    recorded = sorted({str(metric) for column in columns for metric in column})
    any_table = next(iter(tables.values()))
    ratios = any_table.drop_duplicates("photo").set_index("photo")["hole_ratio"]
    return Scores(
        folder=folder,
        checkpoints=checkpoints,
        samples=samples,
        ratios=ratios.reindex(samples).to_numpy(dtype=np.float64),
        values={
            metric: np.column_stack(
                [
                    column[metric] if metric in column else np.full(len(samples), np.nan)
                    for column in columns
                ]
            ).astype(np.float64)
            for metric in recorded
        },
        notes=notes,
    )


def _read(run: Path) -> pd.DataFrame:
    try:
        table = PhotoRecords(run / "photos.csv").read()
    except ValueError as error:
        raise SelectionError(str(error)) from error
    if table.duplicated(["epoch", "photo", "metric"]).any():
        raise SelectionError(
            f"{run / 'photos.csv'} holds a photo twice in an epoch: two different photos of one "
            "name cannot be compared"
        )
    return table


def _common_samples(tables: dict[str, pd.DataFrame], folder: Path, notes: list[str]) -> list[str]:
    sets = [set(table["photo"]) for table in tables.values()]
    common = set.intersection(*sets)
    if not common:
        raise SelectionError(f"the trials in {folder} share no validation photo: choose in each")
    everything = len(set.union(*sets))
    if len(common) < everything:
        notes.append(f"compared on the {len(common)} of {everything} samples that all trials have")
    first = next(iter(tables.values()))["photo"].drop_duplicates()
    return [sample for sample in first if sample in common]


def _unusable(scored: pd.DataFrame, metrics: Sequence[str]) -> str:
    """Why an epoch cannot be ranked; empty if it can."""
    for metric in metrics:
        if metric not in scored:
            return f"{metric} was not recorded (it has {', '.join(map(str, scored.columns))})"
        missing = int((~np.isfinite(scored[metric].to_numpy(dtype=np.float64))).sum())
        if missing:
            return f"{metric} is missing or not finite on {missing} of {len(scored)} samples"
    return ""
