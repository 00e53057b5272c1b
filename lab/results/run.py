"""One run, read from its folder when something of it is asked for."""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pandas as pd

from lab.checks import UserError
from lab.formats.plain import LARGEST_YAML, flatten, parse_yaml, read_json
from lab.formats.runs import (
    DISTRIBUTION_SCORES,
    SCORES,
    SETTINGS,
    checkpoint_path,
    loss_table,
    photo_table,
    read_record,
    visual_path,
)
from lab.metrics import ALL_METRICS
from lab.statistics import Floats, rests_on
from lab.untrusted import read_text

State = Literal[
    "run", "complete", "repeat", "pruned", "failed", "running", "applied", "entrant", "baseline"
]

_WITHOUT_NETWORK = ("entrant", "baseline")

PICTURE_COLUMNS = ("sample", "what", "epoch", "path")

_PICTURE = re.compile(r"epoch-(\d{3,6})-([a-z0-9_-]+)\.png")


class ResultsError(UserError):
    """What was asked cannot be answered from the files there; the message says what to do."""


@dataclass(frozen=True)
class Run:
    """One run: of `lab.train`, a trial of a study, a variant without training, or a baseline.

    Or an entrant: what another program made, of which nothing but its pictures is known.

    Attributes:
        name: unique in its study: ``trial-003``, ``baselines/telea``; the folder's for a lone run.
        label: for people: ``trial 3``, or the variant's or baseline's name.
        folder: where it lies.
        goal: the metric that its best epoch is the best by.
        state: how a trial ended; "repeat" for one that ended well and trained another one's
            setting from another seed; "applied", "entrant" or "baseline" for what was not trained
            here; "run" outside of a study.
        values: what its trial varied, by the option's dotted path.
        reason: why it failed or was pruned.
        is_reference: the question names its settings.
        place: in the order in which the trials of a study were named or drawn.
        counts_last: the study has several goals, by which no epoch is the best: the last one is
            taken for it, so that every run is judged after the same training.
        setting: the name of the run whose setting this one trains again; empty elsewhere.
        repeats: the runs of the same setting from other seeds. They count in ``best_scores`` and
            the means; epochs, losses, pictures and the checkpoint are each run's own.
    """

    name: str
    label: str
    folder: Path
    goal: str
    state: State = "run"
    values: Mapping[str, Any] = field(default_factory=dict)
    reason: str = ""
    is_reference: bool = False
    place: int = 0
    counts_last: bool = False
    setting: str = ""
    repeats: Sequence["Run"] = ()

    @cached_property
    def scores(self) -> pd.DataFrame:
        """What was measured: a row an (epoch, sample), a column a metric.

        Columns: ``photo`` (what the sample was cut from), ``hole_ratio`` (the hole's share of it),
        then the metrics of `lab.metrics.METRICS` (of removals without a truth those of
        `lab.metrics.REMOVAL_METRICS`), and those of a network's answer before anything is pasted
        over it as ``answer_…``. Of several answers to a hole, a metric is the mean, and
        ``<metric>_best_of_<N>`` that of the best one. No rows before the first epoch is scored.

        Raises:
            ResultsError: ``photos.csv`` is damaged.
        """
        return _read(photo_table(self.folder).read).set_index(["epoch", "sample"])

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """The mean over the samples: a row an epoch, a column a metric of ``scores``."""
        metrics = self.scores.drop(columns=["photo", "hole_ratio"])
        return metrics.groupby(level="epoch").mean()

    @cached_property
    def losses(self) -> pd.DataFrame:
        """The mean over its steps: a row an epoch, a column a loss or logit that was logged.

        Columns: ``total``, each term of the objective by its name, and what the variant adds.

        Raises:
            ResultsError: ``losses.csv`` is damaged.
        """
        return _read(loss_table(self.folder).read).set_index("epoch")

    @cached_property
    def pictures(self) -> pd.DataFrame:
        """What lies in ``visuals/``: a row a picture, of `PICTURE_COLUMNS`.

        ``what`` is ``truth``, ``hole`` or a stage; ``epoch`` is missing for the first two.
        """
        rows: list[tuple[str, str, int | None, Path]] = []
        for folder in sorted((self.folder / "visuals").glob("*/")):
            for path in sorted(folder.glob("*.png")):
                # What a link leads to is no picture of ours, and reports are handed on.
                if path.is_symlink() or not path.is_file():
                    continue
                found = _PICTURE.fullmatch(path.name)
                if found:
                    rows.append((folder.name, found[2], int(found[1]), path))
                elif path.stem in ("truth", "hole"):
                    rows.append((folder.name, path.stem, None, path))
        table = pd.DataFrame(rows, columns=list(PICTURE_COLUMNS))
        return table.astype({"epoch": "Int64"})

    def picture(self, sample: str, what: str, epoch: int | None = None) -> Path | None:
        """Where the picture of a sample lies, as in ``pictures``; None where there is none."""
        path = visual_path(self.folder, sample, what, epoch)
        return path if path.exists() else None

    @property
    def changed(self) -> int:
        """When its scores last changed, in nanoseconds since 1970; 0 where there are none."""
        path = self.folder / SCORES
        return path.stat().st_mtime_ns if path.exists() else 0

    @cached_property
    def best(self) -> int | None:
        """The epoch with the best mean of the goal, the earliest of equals; None without scores.

        The last one where ``counts_last``.
        """
        # Epochs of an earlier version may lack a goal that came later.
        if self.goal not in self.epochs:
            return None
        means = self.epochs[self.goal].dropna()
        if not len(means):
            return None
        return self.last if self.counts_last else best_epoch(self.goal, means.to_dict())

    @cached_property
    def best_scores(self) -> pd.DataFrame:
        """The scores of the best epoch: a row a sample; of several seeds the means.

        Each seed is judged at its own best epoch.
        """
        own = self.scores_at(self.best)
        if not self.repeats:
            return own
        tables = [own, *(run.best_scores for run in self.repeats)]
        samples = [name for name in own.index if all(name in table.index for table in tables)]
        columns = [name for name in own if all(name in table for table in tables)]
        means = own.loc[samples, columns].copy()
        metrics = [name for name in columns if name not in ("photo", "hole_ratio")]
        means[metrics] = sum(table.loc[samples, metrics] for table in tables) / len(tables)
        return means

    def seed_scores(self, metric: str, samples: pd.Index) -> Floats:
        """A metric ``(samples, seeds)``, each seed at its best epoch; all must have the samples."""
        tables = [run.scores_at(run.best) for run in (self, *self.repeats)]
        columns = [table.loc[samples, metric].to_numpy(dtype=np.float64) for table in tables]
        return np.column_stack(columns)

    @property
    def best_seed(self) -> "Run":
        """Of its setting's runs the one with the best mean of the goal: the network to keep."""
        sign = 1.0 if ALL_METRICS[self.goal].higher_is_better else -1.0
        means = [run.scores_at(run.best)[self.goal].mean() for run in (self, *self.repeats)]
        return max(zip((self, *self.repeats), means, strict=True), key=lambda p: sign * p[1])[0]

    @property
    def trainings(self) -> int:
        """From how many seeds its setting was trained; 0 for what needs no training."""
        return 0 if self.state in _WITHOUT_NETWORK else 1 + len(self.repeats)

    def scores_at(self, epoch: int | None) -> pd.DataFrame:
        """The scores of an epoch, a row a sample, of what was measured then; no rows without."""
        chosen = self.scores[self.scores.index.get_level_values("epoch") == epoch]
        scores = chosen.droplevel("epoch")
        return scores.dropna(axis="columns", how="all") if len(scores) else scores

    def mean(self, metric: str) -> float:
        """The metric's mean over the samples at the best epoch; NaN where it was not scored."""
        scores = self.best_scores
        return float(scores[metric].mean()) if metric in scores and len(scores) else float("nan")

    def spread(self, metric: str) -> float:
        """The metric's standard deviation over the samples at the best epoch."""
        scores = self.best_scores
        return float(scores[metric].std()) if metric in scores and len(scores) else float("nan")

    @property
    def rests_on(self) -> str:
        """How many samples of how many photos its scores rest on."""
        scores = self.best_scores
        return rests_on(len(scores), scores["photo"].nunique())

    @property
    def last(self) -> int:
        """The last epoch that was scored; 0 where none was."""
        return int(self.epochs.index.max()) if len(self.epochs) else 0

    @property
    def is_untrained(self) -> bool:
        """Whether it was scored without a training of its own."""
        return self.state == "applied" or self.state in _WITHOUT_NETWORK

    @property
    def variant(self) -> str | None:
        """The documented variant that its label names; None for what is only called like one."""
        is_one = self.state == "applied" or self.values.get("variant") == self.label
        return self.label if is_one else None

    @property
    def only_scores(self) -> bool:
        """Whether it scored a network that another run trained."""
        return self.record.get("checkpoint") is not None

    @property
    def checkpoint(self) -> Path | None:
        """The network of the best epoch, where it is still kept."""
        path = None if self.best is None else self.checkpoint_at(self.best)
        return path if path is not None and path.exists() else None

    def checkpoint_at(self, epoch: int) -> Path | None:
        """The network that scored what ``epoch`` says, which may be gone; None without one."""
        noted = self.record.get("checkpoint")
        if noted is not None:
            return Path(noted)
        return None if self.state in _WITHOUT_NETWORK else checkpoint_path(self.folder, epoch)

    @cached_property
    def record(self) -> dict[str, Any]:
        """What the run noted of itself in ``run.json``.

        Raises:
            ResultsError: it is damaged.
        """
        return _read(lambda: read_record(self.folder))

    @cached_property
    def distributions(self) -> pd.DataFrame:
        """What all photos together scored: a row a measure (``fid``, ``kid``, ``inception_score``).

        Columns: ``value``, ``spread`` (NaN for FID, which has none) and ``photos``. No rows where
        nothing of the kind was asked for.

        Raises:
            ResultsError: ``distributions.json`` is damaged.
        """
        path = self.folder / DISTRIBUTION_SCORES
        if not path.exists():
            return pd.DataFrame(columns=["value", "spread", "photos"])
        try:
            return pd.DataFrame.from_dict(read_json(path), orient="index").astype(float)
        except (AttributeError, TypeError, ValueError) as error:
            raise ResultsError(f"{path} is damaged ({error}): remove it") from error

    @cached_property
    def settings_text(self) -> str:
        """``config.yaml``, which reproduces the run; empty where there is none.

        Raises:
            ResultsError: it is no text, or larger than any settings.
        """
        path = self.folder / SETTINGS
        try:
            return read_text(path, LARGEST_YAML) if path.exists() else ""
        except ValueError as error:
            raise ResultsError(f"{path} is not what a run writes ({error})") from error

    @cached_property
    def settings(self) -> dict[str, Any]:
        """``config.yaml`` as plain values.

        Raises:
            ResultsError: it is damaged.
        """
        plain = _read(lambda: parse_yaml(self.settings_text, self.folder / SETTINGS)) or {}
        if not isinstance(plain, dict):
            raise ResultsError(f"{self.folder / SETTINGS} is damaged (it holds no settings)")
        return plain

    @property
    def options(self) -> "pd.Series[Any]":
        """``settings`` by dotted path, as `lab.train` takes them: ``data.size`` and so on."""
        return pd.Series(dict(flatten(self.settings)), name=self.name, dtype=object)

    @property
    def seed(self) -> int | None:
        """What its training was drawn from; None where there was none, or nothing notes it."""
        try:
            fit = self.settings.get("fit")
        except ResultsError:
            return None
        return fit.get("seed") if isinstance(fit, dict) and not self.is_untrained else None


def best_epoch(goal: str, means: Mapping[int, float]) -> int:
    """The epoch whose mean of the metric ``goal`` is best; the earliest of equals."""
    sign = 1.0 if ALL_METRICS[goal].higher_is_better else -1.0
    return max(sorted(means), key=lambda epoch: sign * means[epoch])


def _read(read: Any) -> Any:  # noqa: ANN401 (whatever the reader gives)
    try:
        return read()
    except ValueError as error:
        raise ResultsError(str(error)) from error
