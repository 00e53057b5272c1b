"""Weights against goal: Optuna's own plots of a study, as plotly figures in plain values."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

import optuna
import optuna.visualization as charts
from optuna.study import StudyDirection
from optuna.trial import TrialState

from lab.studies.question import short_names

# Optuna's blues vanish on a dark page, or on a light one; these show on both, best last.
_COLOURS = ((133, 147, 168), (59, 130, 196), (232, 119, 12))
_FEWEST_TRIALS = 2


def study_figures(study: optuna.Study, goals: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Optuna's plots by their titles, as many as the study's finished trials allow.

    A study of several goals gets its Pareto front, and the other plots for each goal.
    """
    shown = _with_short_names(study)
    complete = shown.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    if len(complete) < _FEWEST_TRIALS:
        return {}
    figures: dict[str, Mapping[str, Any]] = {}

    def add(title: str, figure: Any, down: bool = False) -> None:  # noqa: ANN401 (plotly's)
        figures[title] = _plain(title, figure, down)

    if len(goals) in (2, 3):
        add("Pareto front", charts.plot_pareto_front(shown, target_names=list(goals)))
    varied = [path for path in complete[0].params if _takes_several_values(complete, path)]
    for index, goal in enumerate(goals):
        several = len(goals) > 1
        down = study.directions[index] is StudyDirection.MINIMIZE
        # Of a single goal, Optuna also draws what pruned trials reached.
        target = (lambda trial, index=index: trial.values[index]) if several else None
        suffix = f": {goal}" if several else ""
        options: dict[str, Any] = {"target": target, "target_name": goal}
        add(
            f"Parallel coordinates{suffix}", charts.plot_parallel_coordinate(shown, **options), down
        )
        # The importance of one option among one is always all of it.
        if len(complete) >= max(4, len(varied) // 2) and len(varied) > 1:
            add(f"Importance{suffix}", charts.plot_param_importances(shown, **options))
        add(f"History{suffix}", charts.plot_optimization_history(shown, **options))
        add(f"Slices{suffix}", charts.plot_slice(shown, **options), down)
    return figures


def _takes_several_values(trials: Sequence[optuna.trial.FrozenTrial], path: str) -> bool:
    return len({str(trial.params.get(path)) for trial in trials}) > 1


def _with_short_names(study: optuna.Study) -> optuna.Study:
    """The study in memory, its options by their last words: plots cut long labels off."""
    trials = study.get_trials(deepcopy=False)
    paths = sorted({path for trial in trials for path in trial.params})
    names = short_names(paths) if paths else {}
    copy = optuna.create_study(directions=study.directions)
    for trial in trials:
        if trial.state in (TrialState.COMPLETE, TrialState.PRUNED):
            copy.add_trial(
                optuna.trial.create_trial(
                    state=trial.state,
                    values=trial.values,
                    params={names[path]: value for path, value in trial.params.items()},
                    distributions={names[p]: space for p, space in trial.distributions.items()},
                    intermediate_values=trial.intermediate_values,
                )
            )
    return copy


def _plain(title: str, figure: Any, down: bool) -> Mapping[str, Any]:  # noqa: ANN401 (untyped)
    """The figure as JSON values, without its own colours and fonts: the page brings those.

    ``down`` says that small values of the goal are good.
    """
    figure.update_layout(
        template="none",
        title=None,
        height=340,
        paper_bgcolor="rgba(0,0,0,0)",
        plot_bgcolor="rgba(0,0,0,0)",
        margin={"l": 60, "r": 24, "t": 36 if title.startswith("Parallel") else 12, "b": 48},
    )
    if title.startswith("Importance"):
        figure.update_layout(xaxis_title=None, yaxis_title=None)
    plain: dict[str, Any] = json.loads(figure.to_json())
    shares = (0.0, 0.5, 1.0)
    scale = [[share, _colour(1.0 - share if down else share)] for share in shares]
    for trace in plain["data"]:
        style = trace.get("marker", {})
        if title.startswith("Pareto"):
            # Optuna's shades number the trials; here, they say which are on the front.
            trace["name"] = style["colorbar"]["title"]["text"]
            is_best = trace["name"] == "Best Trial"
            trace["marker"] = {"color": _colour(float(is_best)), "size": 9 if is_best else 7}
        elif "colorscale" in style:
            style.update(colorscale=scale, reversescale=False)
            if title.startswith("Slices"):
                style["showscale"] = False  # the height of a point says the same
        elif title.startswith("Parallel"):
            # A line a trial; where it starts, from 0 to 1, is the goal's value.
            start = float(trace["y"][0])
            trace["line"]["color"] = _colour(1.0 - start if down else start)
            trace["opacity"] = 0.8
    return plain


def _colour(share: float) -> str:
    """Between gray for the worst (0) and orange for the best (1)."""
    place = share * (len(_COLOURS) - 1)
    index = min(int(place), len(_COLOURS) - 2)
    one, other = _COLOURS[index], _COLOURS[index + 1]
    part = place - index
    mixed = (round(a + part * (b - a)) for a, b in zip(one, other, strict=True))
    return f"rgb({', '.join(map(str, mixed))})"
