"""A study with all its runs, read from its folder."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from io import StringIO
from pathlib import Path
from typing import Any

import numpy as np
import optuna
import pandas as pd

from lab.formats.plain import read_json
from lab.formats.runs import BOARD, SELECTION
from lab.metrics import ALL_METRICS
from lab.results.run import ResultsError, Run
from lab.statistics import PairedDifference, SeedSpread, compare_scores, race, rank, seed_spread
from lab.untrusted import MEBIBYTE, read_text

COST_COLUMNS = ("parameters", "multiply_adds", "milliseconds", "peak_bytes")

# What `lab.select` lists, and of what kind each item is.
_SELECTION = {"metrics": str, "sentences": str, "notes": str, "checkpoints": dict}

COMPARISON_COLUMNS = ("mean", "low", "high", "share_won", "samples", "photos", "verdict")

LARGEST_BOARD = 16 * MEBIBYTE
"""Bytes of a board; one of a hundred variants has 50 KB."""


@dataclass(frozen=True)
class Study:
    """A study, or a run alone as a study of one.

    Attributes:
        name: of the study or run.
        folder: where it lies.
        question: in words; empty where none was asked.
        goals: metrics; the first one ranks.
        runs: those that ended well, best first; then the other trials, those that repeat a setting
            from another seed among them; then what was not trained.
        optuna_study: Optuna's, with one trial a setting; None without one.
        seeds: from how many seeds a setting may be trained.
    """

    name: str
    folder: Path
    question: str
    goals: Sequence[str]
    runs: Sequence[Run]
    optuna_study: optuna.Study | None = None
    seeds: int = 1

    @property
    def is_study(self) -> bool:
        """Whether this is more than a single run."""
        return all(run.folder != self.folder for run in self.runs)

    @property
    def trials(self) -> list[Run]:
        """The runs that were trained, or scored as a trial."""
        return [run for run in self.runs if not run.is_untrained]

    @property
    def ranked(self) -> list[Run]:
        """The settings whose run ended well and has scores, best by the first goal first.

        Where there is no run of ours at all, the entrants; without them the methods.
        """
        if self.trials:
            return [run for run in self.runs if is_ranked(run)]
        goal = self.goals[0]
        sign = -1.0 if ALL_METRICS[goal].higher_is_better else 1.0
        untrained = [run for run in self.entrants or self.baselines if run.best is not None]
        return sorted(untrained, key=lambda run: sign * run.mean(goal))

    @property
    def others(self) -> list[Run]:
        """Pruned, failed and running trials."""
        return [run for run in self.trials if not is_ranked(run) and run.state != "repeat"]

    @property
    def settings(self) -> list[Run]:
        """The runs of which tables have a line: without those that repeat another's setting."""
        return [run for run in self.runs if run.state != "repeat"]

    @property
    def counts_seeds(self) -> bool:
        """Whether any setting was trained from several seeds: then intervals are over them, too."""
        return any(run.repeats for run in self.runs)

    @property
    def applied(self) -> list[Run]:
        """Variants without training, put on the reference's best epoch."""
        return [run for run in self.runs if run.state == "applied"]

    @property
    def entrants(self) -> list[Run]:
        """What other programs made of the same photos and holes, best by the first goal first."""
        return [run for run in self.runs if run.state == "entrant"]

    @property
    def baselines(self) -> list[Run]:
        """Methods without a network, on the same photos and holes."""
        return [run for run in self.runs if run.state == "baseline"]

    @property
    def reference(self) -> Run | None:
        """What the others are compared with: the first trial that the question names.

        None where that has not run to its end.
        """
        named = [run for run in self.ranked if run.is_reference]
        return min(named, key=lambda run: run.place, default=None)

    @property
    def compared_with(self) -> Run | None:
        """The reference, or where there is none the best run: what a page compares all with."""
        return self.reference or next(iter(self.ranked), None)

    @property
    def worst(self) -> Run | None:
        """The run whose best epoch is worst, among the finished and the pruned ones."""
        goal = self.goals[0]
        sign = 1.0 if ALL_METRICS[goal].higher_is_better else -1.0
        scored = [
            run
            for run in self.trials
            if run.best is not None and run.state in ("complete", "run", "pruned")
        ]
        return min(scored, key=lambda run: sign * run.mean(goal), default=None)

    def best_by(self, goal: str) -> Run:
        """The ranked run with the best mean of a metric; there must be one."""
        sign = 1.0 if ALL_METRICS[goal].higher_is_better else -1.0
        return max(self.ranked, key=lambda run: sign * run.mean(goal))

    @property
    def front(self) -> list[Run]:
        """The ranked runs than which none is as good by every goal and better by one."""
        return [run for run in self.ranked if not any(self._beats(o, run) for o in self.ranked)]

    @property
    def knee(self) -> Run | None:
        """Of several goals, the run of the front that gives up least: the one a person would take.

        The nearest to the best value of every goal at once, where each goal runs from 0 at the
        front's worst to 1 at its best. None with one goal, or a front of fewer than three runs.
        """
        front = self.front
        if len(self.goals) < 2 or len(front) < 3:
            return None
        values = np.array([[run.mean(goal) for goal in self.goals] for run in front])
        signs = [1.0 if ALL_METRICS[goal].higher_is_better else -1.0 for goal in self.goals]
        values = values * signs
        spans = np.ptp(values, axis=0)
        missing = (values.max(axis=0) - values) / np.where(spans > 0, spans, 1.0)
        return front[int(np.square(missing).sum(axis=1).argmin())]

    def _beats(self, one: Run, other: Run) -> bool:
        leads = []
        for goal in self.goals:
            lead = one.mean(goal) - other.mean(goal)
            leads.append(lead if ALL_METRICS[goal].higher_is_better else -lead)
        return min(leads) >= 0.0 and max(leads) > 0.0

    def compare(
        self, first: Run, second: Run, metric: str | None = None, samples: pd.Index | None = None
    ) -> PairedDifference:
        """How much better ``first`` is, each at its best epoch, paired by sample.

        Where any setting of the study was trained from several seeds, the means are over each
        one's seeds, and the interval over photos and seeds. A variant that was put on the
        reference's network is compared with that network, for both have its seed.

        Args:
            first: a run.
            second: another.
            metric: default: the first goal.
            samples: the samples to compare on; default: all that both have.

        Raises:
            ValueError: they share no sample.
        """
        metric = metric or self.goals[0]
        shares_network = self._share_network(first, second)
        scores, others = (
            run.scores_at(run.best) if shares_network else run.best_scores
            for run in (first, second)
        )
        if samples is not None:
            scores = scores.loc[scores.index.intersection(samples)]
        if shares_network or not self.counts_seeds:
            return compare_scores(scores, others, metric)
        spread = self._seed_spread(metric, scores.loc[scores.index.intersection(others.index)])
        return compare_scores(scores, others, metric, spread, (first.trainings, second.trainings))

    def differences(
        self, metric: str, samples: pd.Index | None = None
    ) -> dict[str, PairedDifference]:
        """How much better each scored setting is than ``compared_with``, by its run's name.

        Args:
            metric: of those that `compare` compares by.
            samples: the samples to compare on; default: all that both have.
        """
        anchor = self.compared_with
        if anchor is None or metric not in anchor.best_scores:
            return {}
        shared = anchor.best_scores.index if samples is None else samples
        return {
            run.name: self.compare(run, anchor, metric, samples)
            for run in self.settings
            if run is not anchor and metric in run.best_scores
            if len(run.best_scores.index.intersection(shared))
        }

    @cached_property
    def comparisons(self) -> pd.DataFrame:
        """`differences` by every metric: a row a (metric, run), of `COMPARISON_COLUMNS`.

        ``mean`` is above 0 where the run is better than ``compared_with``; ``low`` and ``high`` are
        the ends of its 95 % interval (infinite where one photo says nothing about others);
        ``share_won`` is the share of the samples on which it is better, ``samples`` and ``photos``
        what that rests on; ``verdict`` is "better", "worse" or "no difference".
        """
        rows = {
            (metric, name): [getattr(difference, column) for column in COMPARISON_COLUMNS]
            for metric in ALL_METRICS
            for name, difference in self.differences(metric).items()
        }
        index = pd.MultiIndex.from_tuples(rows, names=["metric", "run"])
        return pd.DataFrame(list(rows.values()), index, list(COMPARISON_COLUMNS))

    def _share_network(self, first: Run, second: Run) -> bool:
        """Whether both completed photos with the same network: the reference's first one."""
        on_reference = [run.state == "applied" or run is self.reference for run in (first, second)]
        return all(on_reference)

    def _seed_spread(self, metric: str, scores: pd.DataFrame) -> SeedSpread | None:
        """How far the seeds of a setting are apart on the samples of ``scores``."""
        key = (metric, tuple(scores.index))
        if key not in self._seed_spreads:
            values = [
                run.seed_scores(metric, scores.index)
                for run in self.ranked
                if run.repeats and metric in run.best_scores
                if scores.index.isin(run.best_scores.index).all()
            ]
            self._seed_spreads[key] = seed_spread(values, list(scores["photo"]))
        return self._seed_spreads[key]

    @cached_property
    def _seed_spreads(self) -> dict[tuple[str, tuple[str, ...]], SeedSpread | None]:
        return {}

    def race(self, seeds: int, begun: Mapping[str, int] | None = None) -> tuple[list[Run], ...]:
        """Which settings can still be the best or on the front, and which deserve another seed.

        Args:
            seeds: that a setting may have.
            begun: how many each has by its run's name, those included that have not ended.

        Returns:
            The contenders, and those whose next seed could decide something, the first one first.
        """
        entrants = [run for run in self.ranked if set(self.goals) <= set(run.best_scores)]
        if not entrants:
            return [], []
        samples = _common_samples(entrants)
        signs = [1.0 if ALL_METRICS[goal].higher_is_better else -1.0 for goal in self.goals]
        settings = [
            np.stack(
                [
                    sign * run.seed_scores(goal, samples)
                    for goal, sign in zip(self.goals, signs, strict=True)
                ]
            )
            for run in entrants
        ]
        reference = self.reference
        stands = race(
            settings,
            list(entrants[0].best_scores.loc[samples, "photo"]),
            seeds,
            [(begun or {}).get(run.name, run.trainings) for run in entrants],
            next((index for index, run in enumerate(entrants) if run is reference), None),
        )
        return [entrants[index] for index in stands.contenders], [entrants[i] for i in stands.due]

    def chances(self) -> dict[str, float]:
        """How probably each ranked setting is the best by the first goal, by its run's name.

        Over photos and, where any setting was trained from several, seeds.
        """
        if not self.ranked:
            return {}
        goal, samples = self.goals[0], _common_samples(self.ranked)
        about = self.ranked[0].best_scores.loc[samples]
        found = rank(
            np.column_stack([run.best_scores.loc[samples, goal] for run in self.ranked]),
            list(about["photo"]),
            ALL_METRICS[goal].higher_is_better,
            spread=self._seed_spread(goal, about),
            trainings=[run.trainings for run in self.ranked],
        )
        return dict(zip((run.name for run in self.ranked), found.probability, strict=True))

    @cached_property
    def results(self) -> pd.DataFrame:
        """A row a setting, each at its best epoch, in the order of ``runs``, by its run's name.

        Columns: ``label``, ``state``, ``seeds`` (how many it was trained from, over which scores
        are means), ``best_epoch`` and ``epochs`` (how many were scored) of the first; what was
        varied, by its dotted path; each metric's mean over the samples, and its standard deviation
        as ``…_spread``; ``checkpoint`` and ``reason``.
        """
        recorded = {*self.goals, *(metric for run in self.settings for metric in run.scores)}
        metrics = [metric for metric in ALL_METRICS if metric in recorded]
        lines: list[dict[str, object]] = []
        for run in self.settings:
            line: dict[str, object] = {
                "run": run.name,
                "label": run.label,
                "state": run.state,
                "seeds": run.trainings,
                "best_epoch": run.best,
                "epochs": run.last,
                **run.values,
            }
            for metric in metrics:
                line[metric], line[f"{metric}_spread"] = run.mean(metric), run.spread(metric)
            lines.append(line | {"checkpoint": run.checkpoint, "reason": run.reason})
        if not lines:
            fixed = ("run", "label", "state", "seeds", "best_epoch", "epochs")
            return pd.DataFrame(columns=[*fixed, *metrics, "checkpoint", "reason"]).set_index("run")
        return pd.DataFrame(lines).astype({"best_epoch": "Int64"}).set_index("run")

    @cached_property
    def costs(self) -> pd.DataFrame:
        """What completing one photo takes, as `lab.sweep` measured it: a row a run, by its name.

        Columns: `COST_COLUMNS`. No rows where there is no board yet, or one of an earlier version.

        Raises:
            ResultsError: the board is damaged.
        """
        path = self.folder / BOARD
        try:
            if not path.exists():
                return pd.DataFrame(columns=list(COST_COLUMNS))
            table = pd.read_csv(StringIO(read_text(path, LARGEST_BOARD)), low_memory=False)
            if {"run", *COST_COLUMNS} <= set(table):
                table = table.astype(dict.fromkeys(COST_COLUMNS, float))
                if table["run"].duplicated().any():
                    raise ValueError("it has two rows of one run")
                if np.isinf(table[list(COST_COLUMNS)].to_numpy()).any():
                    raise ValueError("a cost is infinite")
        except (OverflowError, ValueError) as error:
            raise ResultsError(f"{path} is damaged ({error}): remove it") from error
        if not {"run", *COST_COLUMNS} <= set(table):
            return pd.DataFrame(columns=list(COST_COLUMNS))
        return table.set_index("run")[list(COST_COLUMNS)]

    @cached_property
    def selection(self) -> dict[str, Any]:
        """``selection.json``, as `lab.select` wrote it; empty where it has not.

        Raises:
            ResultsError: it is damaged.
        """
        path = self.folder / SELECTION
        if not path.exists():
            return {}
        try:
            content = read_json(path)
            if not isinstance(content, dict):
                raise ValueError("it holds no choice")
            for name, kind in _SELECTION.items():
                if not all(isinstance(item, kind) for item in content.get(name, [])):
                    raise ValueError(f"its {name} are damaged")
            json.dumps(content, allow_nan=False)  # no page could hold it
        except (TypeError, ValueError) as error:
            raise ResultsError(f"{path} is damaged ({error}): remove it") from error
        return content

    @cached_property
    def scores(self) -> pd.DataFrame:
        """Every run's `Run.scores`: a row a (run, epoch, sample)."""
        return self._joined("scores")

    @cached_property
    def epochs(self) -> pd.DataFrame:
        """Every run's `Run.epochs`: a row a (run, epoch)."""
        return self._joined("epochs")

    @cached_property
    def losses(self) -> pd.DataFrame:
        """Every run's `Run.losses`: a row a (run, epoch)."""
        return self._joined("losses")

    @cached_property
    def options(self) -> pd.DataFrame:
        """Every run's `Run.options`: a row a run, a column a setting by its dotted path."""
        return pd.DataFrame([run.options for run in self.runs]).rename_axis("run")

    @cached_property
    def pictures(self) -> pd.DataFrame:
        """Every run's `Run.pictures`, with its name in ``run``."""
        tables = [run.pictures.assign(run=run.name) for run in self.runs]
        return pd.concat(tables, ignore_index=True) if tables else pd.DataFrame()

    def _joined(self, what: str) -> pd.DataFrame:
        tables = {run.name: table for run in self.runs if len(table := getattr(run, what))}
        return pd.concat(tables, names=["run"]) if tables else pd.DataFrame()


def _common_samples(runs: Sequence[Run]) -> pd.Index:
    samples = runs[0].best_scores.index
    for run in runs[1:]:
        samples = samples.intersection(run.best_scores.index, sort=False)
    return samples


def is_ranked(run: Run) -> bool:
    """Whether a run ended well and has scores."""
    return run.state in ("complete", "run") and run.best is not None
