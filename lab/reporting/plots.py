"""What was varied against the goal: Optuna's own plots of a study, as plotly figures in values."""

import json
from collections.abc import Callable, Mapping, Sequence
from math import ceil, floor, log10
from typing import Any

import optuna
import optuna.visualization as charts
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial, TrialState

from lab.studies.question import short_names
from lab.studies.results import asking_for_importance

SCALES: Mapping[str, Sequence[str]] = {
    "light": ("#5ec962", "#21a585", "#2a788e", "#414487", "#440154"),
    "dark": ("#35608d", "#21918c", "#35b779", "#aadc32", "#fde725"),
}
"""Worst to best, on a light page and on a dark one: viridis, whose lightness and hue are ordered
for every eye, without the end that a page of that colour swallows; the best stands out most."""

LAYOUT: Mapping[str, Any] = {
    "height": 340,
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
}
"""Of every plot on the page, which brings its colours and fonts."""

_FEWEST_TRIALS = 2

# Of an axis' height: a line of text.
_LEAST_APART = 0.06

# Letters that stand below an axis before the next one begins.
_LONGEST_NAME = 14

# That many numbers stand beside each other on an axis.
_MOST_NUMBERS = 3

# Fewer trials than this for each varied option, and chance draws patterns of its own.
_TRIALS_AN_OPTION = 10


def study_figures(study: optuna.Study, goals: Sequence[str]) -> dict[str, Mapping[str, Any]]:
    """Optuna's plots by their titles, as many as the study's finished trials allow.

    A study of several goals gets its Pareto front, and the other plots for each goal. Pruned
    trials stand in the parallel coordinates, dotted, with the goal at the epoch that ended them.
    A grid has no history, and variants alone have no plots but their front: what is compared there
    is not how one value leads to the next. Traces say in ``meta`` how good what they show is, from
    0 to 1, for a page that colours them by another of `SCALES`.
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
    varied = _varied(complete)
    if not varied or varied == ["variant"]:
        return figures
    searched = not _is_whole_grid(complete, varied)
    for index, goal in enumerate(goals):
        several = len(goals) > 1
        down = study.directions[index] is StudyDirection.MINIMIZE
        # Of a single goal, Optuna also draws what pruned trials reached.
        target = _value_of(index) if several else None
        suffix = f": {goal}" if several else ""
        options: dict[str, Any] = {"target": target, "target_name": goal}
        if len(varied) > 1:
            ended = _with_pruned_ended(shown)
            parallel = charts.plot_parallel_coordinate(ended, params=_names(ended), **options)
            # Optuna cuts names off after twenty letters; a second line holds the rest.
            parallel.update_xaxes(ticktext=[_in_two_lines(name) for name in (goal, *_names(ended))])
            add(f"Parallel coordinates{suffix}", parallel, down)
        # The importance of one option among one is always all of it; of trials that came out alike
        # Optuna shares it out evenly.
        differ = len({trial.values[index] for trial in complete}) > 1
        if differ and len(complete) >= max(4, len(varied) // 2) and len(varied) > 1:
            # With a target, Optuna asks what makes it small, whatever the direction.
            small = _value_of(index, 1.0 if down else -1.0) if several else None
            with asking_for_importance() as doubts:
                importance = charts.plot_param_importances(shown, target=small, target_name=goal)
            if not doubts:
                add(f"Importance{suffix}", importance)
        if searched:
            add(f"History{suffix}", charts.plot_optimization_history(shown, **options))
        add(f"Slices{suffix}", charts.plot_slice(shown, **options), down)
    return figures


def _names(study: optuna.Study) -> list[str]:
    """What was varied, in the order of Optuna's axes."""
    return sorted({name for trial in study.get_trials(deepcopy=False) for name in trial.params})


def _in_two_lines(name: str) -> str:
    """A long name with a line break at the word's end that is nearest to its middle."""
    ends = [index for index, letter in enumerate(name) if letter in "_." and index > 0]
    if len(name) <= _LONGEST_NAME or not ends:
        return name
    end = min(ends, key=lambda index: abs(index + 1 - len(name) / 2)) + 1
    return f"{name[:end]}<br>{name[end:]}"


def caveat(study: optuna.Study) -> str:
    """Say where the trials are too few for what their plots seem to show; else nothing."""
    complete = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE,))
    varied = _varied(complete)
    if not varied or len(complete) < _FEWEST_TRIALS:
        return ""
    enough = _TRIALS_AN_OPTION * len(varied)
    if len(complete) >= enough or _is_whole_grid(complete, varied):
        return ""
    options = "1 option" if len(varied) == 1 else f"{len(varied)} options"
    return (
        f"{len(complete)} finished trials over {options} are few: some pattern shows by chance "
        f"alone. Take what you see as a hint of what to try next, and importances as rough, "
        f"below about {enough} trials."
    )


def _varied(trials: Sequence[FrozenTrial]) -> list[str]:
    paths = sorted({path for trial in trials for path in trial.params})
    return [path for path in paths if len({str(t.params.get(path)) for t in trials}) > 1]


def _is_whole_grid(trials: Sequence[FrozenTrial], varied: Sequence[str]) -> bool:
    """Whether every combination of the choices was tried: then nothing was left to chance."""
    spaces = [trials[0].distributions[path] for path in varied if path in trials[0].distributions]
    choices = [len(s.choices) for s in spaces if hasattr(s, "choices")]
    combinations = 1
    for count in choices:
        combinations *= count
    tried = {tuple(str(trial.params.get(path)) for path in varied) for trial in trials}
    return len(choices) == len(varied) and len(tried) == combinations


def _value_of(index: int, sign: float = 1.0) -> Callable[[FrozenTrial], float]:
    return lambda trial: sign * float(trial.values[index])


def _with_short_names(study: optuna.Study) -> optuna.Study:
    """The study in memory, its options by their last words: plots cut long labels off."""
    trials = study.get_trials(deepcopy=False, states=(TrialState.COMPLETE, TrialState.PRUNED))
    paths = sorted({path for trial in trials for path in trial.params})
    names = short_names(paths) if paths else {}
    copy = optuna.create_study(directions=study.directions)
    for trial in trials:
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


def _with_pruned_ended(study: optuna.Study) -> optuna.Study:
    """The study as if pruned trials had ended with their last value, but broken a constraint.

    Optuna draws no pruned trial in parallel coordinates, and dots those that break constraints.
    """
    trials = study.get_trials(deepcopy=False)
    if not any(trial.state is TrialState.PRUNED for trial in trials):
        return study
    copy = optuna.create_study(directions=study.directions)
    for trial in trials:
        ended, last = trial.state is TrialState.COMPLETE, trial.last_step
        if not ended and last is None:
            continue
        copy.add_trial(
            optuna.trial.create_trial(
                values=trial.values if last is None or ended else [trial.intermediate_values[last]],
                params=trial.params,
                distributions=trial.distributions,
                constraints={"ended": -1.0 if ended else 1.0},
            )
        )
    return copy


_LEGEND = {"Feasible": "ran to its end", "Infeasible": "pruned, at its last epoch"}


def _plain(title: str, figure: Any, down: bool) -> Mapping[str, Any]:  # noqa: ANN401 (untyped)
    """The figure as JSON values, without its own colours and fonts: the page brings those.

    ``down`` says that small values of the goal are good.
    """
    is_parallel = title.startswith("Parallel")
    figure.update_layout(
        template="none",
        title=None,
        **LAYOUT,
        margin={"l": 60, "r": 24, "t": 36 if is_parallel else 12, "b": 48},
    )
    if title.startswith("Importance"):
        figure.update_layout(xaxis_title=None, yaxis_title=None)
    plain: dict[str, Any] = json.loads(figure.to_json())
    if is_parallel:
        plain["layout"]["legend"] |= {"x": 0, "xanchor": "left", "y": 1.04}
        plain["layout"]["annotations"] = _apart(plain["layout"]["annotations"])
    if title.startswith("Slices"):
        _colour_slices(plain["data"], down)
        mark_decades(plain)
        _unquote(plain)
    for trace in plain["data"]:
        style = trace.get("marker", {})
        if title.startswith("Pareto"):
            # Optuna's shades number the trials; here, they say which are on the front.
            is_best = style["colorbar"]["title"]["text"] == "Best Trial"
            trace["name"] = "on the front" if is_best else "beaten by another"
            trace["meta"] = float(is_best)
            symbol, size = ("diamond", 10) if is_best else ("circle-open", 8)
            trace["marker"] = {"color": _colour(float(is_best)), "symbol": symbol, "size": size}
        elif "colorscale" in style:
            style.update(colorscale=_colour_scale(down), reversescale=False)
        elif is_parallel and trace.get("name") in _LEGEND:
            trace["name"] = _LEGEND[trace["name"]]
            trace["line"]["color"] = "#808590"
        elif is_parallel:
            # A line a trial; where it starts, from 0 to 1, is the goal's value.
            start = float(trace["y"][0])
            trace["meta"] = 1.0 - start if down else start
            trace["line"] |= {"color": _colour(trace["meta"]), "width": 1.8}
            trace["opacity"] = 0.9
        elif title.startswith(("Importance", "History")):
            is_line = trace.get("mode") == "lines"
            trace["meta"] = 1.0 if is_line else 0.5
            trace["line" if is_line else "marker"] = {"color": _colour(trace["meta"])}
            if is_line:
                trace["name"] = "best so far"
    return plain


def _apart(notes: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """The axes' numbers without those that would stand on another; the ends always stay."""
    kept: list[dict[str, Any]] = []
    ends = [note for note in notes if note["y"] in (0.0, 1.0)]
    for note in [*ends, *notes]:
        near = (abs(note["y"] - other["y"]) for other in kept if other["x"] == note["x"])
        if all(distance >= _LEAST_APART for distance in near):
            kept.append(note)
    return kept


def _colour_slices(traces: Sequence[dict[str, Any]], down: bool) -> None:
    """Colour points by the goal, as everywhere; Optuna numbers the trials by shades."""
    values = [float(value) for trace in traces for value in trace["y"]]
    low, high = min(values), max(values)
    for trace in traces:
        trace["marker"] = {
            "color": [float(value) for value in trace["y"]],
            "cmin": low,
            "cmax": high,
            "colorscale": _colour_scale(down),
            "showscale": False,  # the height of a point says the same
            "size": 8,
            "line": {"width": 0},
        }


def _unquote(plain: dict[str, Any]) -> None:
    """Show choices without Python's quotes, unless those tell two of them apart."""
    for trace in plain["data"]:
        axis = plain["layout"].get(f"xaxis{trace.get('xaxis', 'x')[1:]}", {})
        choices = axis.get("categoryarray", [])
        if choices and len({choice.strip("'") for choice in choices}) == len(choices):
            axis["categoryarray"] = [choice.strip("'") for choice in choices]
            trace["x"] = [value.strip("'") for value in trace["x"]]


def mark_decades(plain: dict[str, Any]) -> None:
    """Number logarithmic axes by powers of ten, or 1, 2 and 5 where there are few: no 3 and 7."""
    for trace in plain["data"]:
        axis = plain["layout"].get(f"xaxis{trace.get('xaxis', 'x')[1:]}", {})
        values = [value for value in trace["x"] if isinstance(value, float | int) and value > 0]
        if axis.get("type") != "log" or not values:
            continue
        low, high = min(values), max(values)
        powers = range(floor(log10(low)), ceil(log10(high)) + 1)
        for digits in ((1,), (1, 2, 5)):
            ticks = [digit * 10.0**power for power in powers for digit in digits]
            within = [tick for tick in ticks if low <= tick * 1.001 and tick <= high * 1.001]
            if len(within) > 1:
                break
        else:
            within = sorted({low, high})
        within = within[:: ceil(len(within) / _MOST_NUMBERS)]
        axis.update(tickvals=within, ticktext=[f"{tick:.3g}" for tick in within])


def _colour_scale(down: bool) -> list[list[Any]]:
    shares = [number / 4 for number in range(5)]
    return [[share, _colour(1.0 - share if down else share)] for share in shares]


def _colour(share: float) -> str:
    """Between the worst (0) and the best (1), on a light page."""
    scale = SCALES["light"]
    place = min(max(share, 0.0), 1.0) * (len(scale) - 1)
    index = min(int(place), len(scale) - 2)
    one, other = (bytes.fromhex(colour[1:]) for colour in scale[index : index + 2])
    part = place - index
    mixed = (round(a + part * (b - a)) for a, b in zip(one, other, strict=True))
    return f"rgb({', '.join(map(str, mixed))})"
