"""What the review page of a study shows, as plain values: the page computes no statistics."""

import math
import shlex
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import optuna
import pandas as pd

from lab.formats.runs import SETTINGS
from lab.losses import JUDGES, judged_name
from lab.metrics import ALL_METRICS, REMOVAL_METRICS
from lab.reporting.comparisons import compare_all
from lab.reporting.pictures import Photo, shown_path
from lab.reporting.plots import SCALES, caveat, study_figures
from lab.reporting.sensitivity import sensitivity_figures
from lab.results import ResultsError, Run, Study, cautions, findings, verdict
from lab.selection.checkpoints import is_evaluation
from lab.selection.guards import ALIVE, adversarial_kind
from lab.selection.votes import Pair, completions_of, draw_pairs
from lab.studies.question import short_names
from lab.studies.result_table import SHOWN_METRICS
from lab.variants import VARIANTS

# Enough to tell a few checkpoints apart in a quarter of an hour.
_VOTES = 60
_VOTE_RUNS = 6

# Scores of single samples: of more, only the first of them stand in the page.
_MOST_SAMPLES = 2_000

_KINDS = {"baseline": "classical", "applied": "applied", "entrant": "entrant"}


def page_data(
    study: Study, photos: Sequence[Photo], stages: Sequence[str] | None, serial: int | None = None
) -> dict[str, Any]:
    """Everything that the page shows, as JSON values.

    Args:
        study: what to show.
        photos: its pictured photos (`lab.reporting.pictures.find_photos`).
        stages: the stages whose pictures come along; None for all.
        serial: the number of this version of a page that is written again and again.
    """
    paths = sorted({path for run in study.runs for path in run.values})
    measured = {metric for run in study.runs for metric in run.scores.columns}
    scored = max(study.runs, key=lambda run: len(run.best_scores), default=None)
    named = [*study.goals, *SHOWN_METRICS, *REMOVAL_METRICS]
    shown = [metric for metric in dict.fromkeys(named) if metric in measured]
    samples = _samples(study)
    optuna_study = study.optuna_study
    costs = study.costs.astype(object).where(study.costs.notna(), None).to_dict("index")
    return {
        "name": study.name,
        "folder": shown_path(study.folder),
        "id": _identity(study),
        "isStudy": study.is_study,
        "question": study.question,
        "verdict": verdict(study),
        "cautions": cautions(study),
        "findings": findings(study),
        "knee": None if study.knee is None else study.knee.name,
        "best": study.ranked[0].name if study.ranked else None,
        "comparison": compare_all(study),
        "written": datetime.now(UTC).isoformat(timespec="seconds"),
        "serial": serial,
        "goals": list(study.goals),
        "shown": shown,
        "metrics": {
            name: {
                "higher": metric.higher_is_better,
                "unit": metric.unit,
                "definition": metric.definition,
            }
            for name, metric in ALL_METRICS.items()
            if name in measured
        },
        "names": short_names(paths) if paths else {},
        # Every judge that there may be, and what its logits say by the loss that it trained by.
        "judges": [
            {
                "name": judge,
                "shown": shown,
                "loss": judged_name(judge, "discriminator"),
                "logits": [judged_name(judge, name) for name in ("real_logit", "fake_logit")],
            }
            for judge, shown in JUDGES.items()
        ],
        "kinds": {
            kind: {"logits": alive.logits, "undecided": alive.undecided}
            for kind, alive in ALIVE.items()
        },
        "restsOn": "" if scored is None else scored.rests_on,
        "photos": [
            {"name": photo.name, "tile": tile}
            for photo, tile in zip(photos, _tiles(photos), strict=True)
        ],
        "samples": {
            "names": list(samples.index),
            "photos": list(samples["photo"]),
            "ratios": _numbers(samples["hole_ratio"]),
            "all": 0 if scored is None else len(scored.best_scores),
        },
        "runs": [
            _run(run, photos, stages, samples.index, shown) | {"cost": costs.get(run.name)}
            for run in study.runs
        ],
        "figures": {} if optuna_study is None else _figures(study, optuna_study),
        "caveat": "" if optuna_study is None else caveat(optuna_study),
        "scales": SCALES,
        "selection": _selection(study),
        "deck": _deck(study, photos),
    }


def _figures(study: Study, optuna_study: optuna.Study) -> dict[str, Mapping[str, Any]]:
    curves = sensitivity_figures(study)
    plots = study_figures(optuna_study, study.goals)
    if curves:
        # Optuna sets choices side by side, as names are, and without intervals.
        plots = {title: plot for title, plot in plots.items() if not title.startswith("Slices")}
    return {**curves, **plots}


def _identity(study: Study) -> str:
    """What tells a study or run from one that was begun anew in the same folder; "" of an old one.

    By the first of its runs, which stays when others are added.
    """
    first = min(study.trials, key=lambda run: run.name, default=None)
    return "" if first is None else str(first.record.get("id", ""))


def _tiles(photos: Sequence[Photo]) -> list[int]:
    """By photo, the first that shows the same without its hole: they are shown as one."""
    known: dict[tuple[str, str], int] = {}
    return [
        known.setdefault((photo.name, photo.truth_digest), index)
        for index, photo in enumerate(photos)
    ]


def _samples(study: Study) -> pd.DataFrame:
    """The samples that any run scored, in the order of validation."""
    tables = [run.best_scores[["photo", "hole_ratio"]] for run in study.runs]
    tables = sorted(filter(len, tables), key=len, reverse=True)
    if not tables:
        return pd.DataFrame({"photo": [], "hole_ratio": []})
    joined = pd.concat(tables)
    return joined[~joined.index.duplicated()].head(_MOST_SAMPLES)


def _run(
    run: Run,
    photos: Sequence[Photo],
    stages: Sequence[str] | None,
    samples: pd.Index,
    shown: Sequence[str],
) -> dict[str, Any]:
    means = run.epochs
    spreads = run.scores[means.columns].groupby(level="epoch").std()
    best = run.scores_at(run.best).reindex(samples)
    variant = VARIANTS.get(run.variant or "")
    return {
        "name": run.name,
        "label": run.label,
        "title": "" if variant is None else f"{variant.number}: {variant.title}",
        "state": run.state,
        "kind": _KINDS.get(run.state, "trained"),
        "reason": run.reason,
        "untrained": run.is_untrained,
        "reference": run.is_reference,
        "values": dict(run.values),
        "best": run.best,
        # Of the setting; everything else of a run is its own.
        "seeds": run.trainings,
        "setting": run.setting,
        "mean": {metric: _number(run.mean(metric)) for metric in means},
        "spread": {metric: _number(run.spread(metric)) for metric in means},
        "epochs": [int(epoch) for epoch in means.index],
        "means": {metric: _numbers(means[metric]) for metric in means},
        "spreads": {metric: _numbers(spreads[metric]) for metric in spreads},
        "losses": {
            "epochs": [int(epoch) for epoch in run.losses.index],
            "values": {name: _numbers(run.losses[name]) for name in run.losses},
            "kind": _kind(run),
        },
        # By metric, a value a sample at the run's best epoch.
        "samples": {metric: _numbers(best[metric]) for metric in shown if metric in best},
        # By pictured photo, then by metric, a value an epoch.
        "scores": _photo_scores(run, [photo.name for photo in photos]),
        # By pictured photo, then by stage, the epochs that have a picture.
        "pictures": [
            {
                stage: sorted(epochs)
                for stage, epochs in photo.epochs.get(run.name, {}).items()
                if stages is None or stage in stages
            }
            for photo in photos
        ],
        **_reproduced(run),
    }


def _kind(run: Run) -> str | None:
    """What its judges were trained by; None where it had none, or cannot say."""
    if not any(judged_name(judge, "real_logit") in run.losses for judge in JUDGES):
        return None
    try:
        return adversarial_kind(run)
    except ResultsError:
        return None


def _reproduced(run: Run) -> dict[str, Any]:
    """The settings, and the commands that train the run again and use it."""
    checkpoint = run.checkpoint
    return {
        "config": run.settings_text,
        "train": None
        if run.is_untrained or run.only_scores or not run.settings_text
        else "python -m lab.train --config "
        + shlex.quote(shown_path(run.folder / SETTINGS))
        + " --name "
        + shlex.quote(f"{run.folder.name}-again"),
        "use": None
        if checkpoint is None
        else "python -m lab.inpaint PHOTO --mask MASK -o OUT --checkpoint "
        + shlex.quote(shown_path(checkpoint)),
    }


def _photo_scores(run: Run, names: Sequence[str]) -> list[dict[str, list[float | None]]]:
    metrics, epochs = run.epochs.columns, run.epochs.index
    scores = run.scores[run.scores.index.get_level_values("sample").isin(names)]
    by_sample = {
        sample: rows.droplevel("sample").reindex(epochs)[metrics]
        for sample, rows in scores.groupby(level="sample")
    }
    return [
        {metric: _numbers(values) for metric, values in by_sample[name].items()}
        if name in by_sample
        else {}
        for name in names
    ]


def _numbers(values: pd.Series) -> list[float | None]:
    """Five digits are more than is shown; a value that is missing is null."""
    return [_number(value) for value in values]


def _number(value: float) -> float | None:
    return float(f"{value:.5g}") if math.isfinite(value) else None


def _selection(study: Study) -> dict[str, Any] | None:
    """What `lab.select` said, without where its files lie."""
    said = study.selection
    if not said:
        return None
    names = ("metrics", "sentences", "notes", "checkpoints")
    return {name: said.get(name, []) for name in names}


def _deck(study: Study, photos: Sequence[Photo]) -> list[dict[str, Any]]:
    """Pairs for blind votes: the best runs, entrants and methods, or the epochs of the only run."""
    if study.is_study and not (study.folder / "trials").is_dir() and not is_evaluation(study):
        return []  # votes name checkpoints by trial
    completions = completions_of(study)
    chosen = None
    if study.is_study:
        shown = [*study.ranked[:_VOTE_RUNS], *study.entrants, *study.baselines]
        names = [f"{run.name}/epoch-{run.best:03d}" for run in shown if run.best is not None]
        chosen = list(dict.fromkeys(names))
    numbers = {photo.name: index for index, photo in reversed(list(enumerate(photos)))}
    pairs = draw_pairs(completions, count=_VOTES, seed=0, checkpoints=chosen)
    return [
        {
            "pair": pair.pair,
            "photo": pair.photo,
            "index": numbers[pair.photo],
            "left": pair.left,
            "right": pair.right,
        }
        for pair in pairs
        if pair.photo in numbers and _is_pictured(photos[numbers[pair.photo]], pair, study)
    ]


def _is_pictured(photo: Photo, pair: Pair, study: Study) -> bool:
    """Whether both sides saw this photo with this hole."""
    names = (name.rpartition("/")[0] or study.runs[0].name for name in (pair.left, pair.right))
    return all(name in photo.epochs for name in names)
