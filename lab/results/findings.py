"""What a study's numbers say, in sentences: the same on the terminal, the page and in W&B."""

import math
from collections.abc import Sequence

from lab.metrics import ALL_METRICS
from lab.results.run import Run
from lab.results.study import Study


def score_text(metric: str, mean: float, spread: float | None = None) -> str:
    """A mean, and its spread where there is one, with as many digits as the metric deserves.

    A dash where there is no mean; of one sample there is no spread.
    """
    if math.isnan(mean):
        return "–"
    if spread is not None and math.isnan(spread):
        spread = None
    digits = 2 if ALL_METRICS[metric].unit == "dB" else 3
    return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")


# Of a longer front, a sentence names these and counts the others.
_NAMED = 4

_NOTHING_YET = "No run has ended with scores yet."


def findings(study: Study) -> list[str]:
    """What was found, with intervals, a sentence each."""
    if not study.ranked:
        return [_NOTHING_YET]
    if len(study.goals) > 1:
        return [*_front(study), *_race(study), *cautions(study)]
    goal, best = study.goals[0], study.ranked[0]
    said = [
        f"{_headline(study)} Against it, paired by sample, with 95 % intervals (above 0: "
        f"{best.label} is better):"
    ]
    others = [(run.label, run) for run in study.ranked[1:2]]
    others += [
        (f"{run.label}, which the question names", run)
        for run in study.ranked[1:]
        if run.is_reference
    ]
    others = list({run.name: (label, run) for label, run in others}.values())
    worst = study.worst
    if worst is not None and all(worst is not run for run in (best, *(run for _, run in others))):
        ended = "" if worst.state in ("complete", "run") else f" ({worst.state})"
        others.append((f"the worst, {worst.label}{ended} after {worst.last} epochs", worst))
    others += [(run.label, run) for run in (*study.applied, *study.entrants, *study.baselines)]
    said += [
        f"{label}: {_lead(study, best, run, goal)}" for label, run in others if run is not best
    ]
    return [*said, *_race(study), *cautions(study)]


def verdict(study: Study) -> str:
    """The finding in one or two sentences: what is best, and whether that is clear."""
    if not study.ranked:
        return _NOTHING_YET
    if len(study.goals) > 1:
        return f"{_front(study)[0]} {_on_front(study)}"
    best, reference = study.ranked[0], study.reference
    if reference is not None and reference is not best:
        other, words = reference, f"Against {reference.label}, which the question names"
    elif len(study.ranked) > 1:
        other = study.ranked[1]
        named = "It is what the question names; against" if best is reference else "Against"
        words = f"{named} the next, {other.label}"
    else:
        return _headline(study)
    return f"{_headline(study)} {words}: {_lead(study, best, other, study.goals[0])}."


def cautions(study: Study) -> list[str]:
    """Say plainly where what needs no training wins; `findings` end with these.

    And where something was scored on fewer samples than the rest.
    """
    if not study.ranked:
        return []
    best = study.front if len(study.goals) > 1 else study.ranked[:1]
    return [*_untrained_winners(study, best), *_on_fewer(study)]


def _on_fewer(study: Study) -> list[str]:
    """Which entrants lack samples: their means are not of the same photos as the others'."""
    most = max(len(run.best_scores) for run in study.ranked)
    return [
        f"{run.label} was given for {len(run.best_scores)} of {most} samples: its mean is over "
        "those alone, and differences are over what both have."
        for run in study.entrants
        if 0 < len(run.best_scores) < most
    ]


def _untrained_winners(study: Study, best: Sequence[Run]) -> list[str]:
    goals_won: dict[tuple[str, ...], list[str]] = {}
    for goal in study.goals:
        winners = tuple(run.label for run in study.baselines if _beats_all(study, run, best, goal))
        goals_won.setdefault(winners, []).append(goal)
    said = []
    for winners, goals in goals_won.items():
        if winners:
            one = len(winners) == 1
            by = f" by {_and(goals)}" if len(study.goals) > 1 else ""
            than = (
                f"every trial here{by}: train longer, or on more photos, before using one."
                if study.trials
                else f"every other program's pictures{by}."
            )
            said.append(
                f"{_and(winners)}, which need{'s' if one else ''} no training, "
                f"{'is' if one else 'are'} clearly better than {than}"
            )
    return said


def on_seeds(study: Study) -> str:
    """How far intervals can be trusted to hold for other trainings; empty where none was scored."""
    runs = [run for run in study.settings if run.best is not None and not run.is_untrained]
    if not runs:
        return ""
    if study.counts_seeds:
        most, least = (pick(run.trainings for run in runs) for pick in (max, min))
        each = str(most) if most == least else f"{least} to {most}"
        return (
            f"{each} seeds of each setting: the intervals are over photos and seeds, and a setting "
            "with one seed borrows the spread between those of the others."
        )
    if all("checkpoint" in run.record for run in runs):
        return (
            "Every run completes photos with a network that was there before: what another "
            "training of it would give, these intervals do not say."
        )
    seeds = sorted({run.seed for run in runs if run.seed is not None})
    named = [str(seed) for seed in seeds[:_NAMED]]
    named += [f"{len(seeds) - _NAMED} more"] if len(seeds) > _NAMED else []
    with_seeds = f" (seed{'s' if seeds[1:] else ''} {_and(named)})" if seeds else ""
    return (
        f"One training each{with_seeds}: the intervals are over photos, not over trainings, and "
        "another seed of the same settings may differ as much."
    )


def _race(study: Study) -> list[str]:
    """What the further seeds cost and decided; nothing where a setting has one."""
    if study.seeds < 2:
        return []
    contenders, due = study.race(study.seeds)
    if not contenders:
        return []
    settings = [run for run in study.trials if not run.setting]
    of_all = len(settings) * study.seeds
    what = "the best" if len(study.goals) == 1 else "on the front"
    chances = study.chances() if len(study.goals) == 1 else {}
    names = [
        f"{run.label} ({chances[run.name]:.0%})" if chances else run.label
        for run in contenders[:_NAMED]
    ]
    left = len(contenders) - len(names)
    names += [f"{left} more"] if left else []
    ends = ""
    if len(contenders) > 1:
        ends = (
            "; more seeds are due"
            if due
            else f"; up to {study.seeds} seeds of each are unlikely to tell them apart"
            if any(run.trainings < study.seeds for run in contenders)
            else "; all of them have all their seeds"
        )
    return [
        f"{len(study.trials)} trainings of the {of_all} that {study.seeds} seeds of every setting "
        f"take. By intervals over photos and seeds, shared out among all comparisons, "
        f"{_and(names)} can still be {what}{' (how probably)' if chances else ''}{ends}."
    ]


def _beats_all(study: Study, run: Run, others: Sequence[Run], goal: str) -> bool:
    leads = [study.compare(run, other, goal) for other in others if _share(run, other)]
    return bool(leads) and all(lead.verdict == "better" for lead in leads)


def _headline(study: Study) -> str:
    goal, best = study.goals[0], study.ranked[0]
    higher = ALL_METRICS[goal].higher_is_better
    # They are not ranked, but nobody should take what is behind them for the best there is.
    ahead = [
        run
        for run in study.baselines
        if (run.mean(goal) > best.mean(goal) if higher else run.mean(goal) < best.mean(goal))
    ]
    among = f" of what was {'trained' if study.trials else 'delivered'}" if ahead else ""
    said = (
        f"Best by {goal} ({'higher' if higher else 'lower'} is better){among}: {_at(best)}, "
        f"{_mean(best, goal)} in the mean over {best.rests_on}"
    )
    if ahead:
        methods = _and([f"{run.label} ({_mean(run, goal)})" for run in ahead])
        have = "has" if len(ahead) == 1 else "have"
        said += f"; {methods}, without training, {have} a better mean"
    return f"{said}."


def _front(study: Study) -> list[str]:
    front, goals = study.front, list(study.goals)
    said = [
        f"Pareto front of {_and(goals)}: {len(front)} of {len(study.ranked)} runs, than which none "
        f"is as good by every goal and better by one, in the mean over {front[0].rests_on}."
    ]
    reference = study.reference
    for run in front:
        scores = ", ".join(f"{goal} {_mean(run, goal)}" for goal in goals)
        named = ", which the question names" if run.is_reference else ""
        said.append(f"{_at(run)}{named}: {scores}.")
        if reference is not None and run is not reference:
            leads = "; ".join(f"{goal} {_lead(study, run, reference, goal)}" for goal in goals)
            said.append(f"{run.label} against {reference.label}, which the question names: {leads}")
    said += [sentence for sentence in (_not_on_front(study), _on_knee(study)) if sentence]
    return said


def _on_front(study: Study) -> str:
    names = [run.label for run in study.front[:_NAMED]]
    left = len(study.front) - len(names)
    names += [f"{left} more"] if left else []
    is_it = "It is" if len(names) == 1 else "They are"
    knee = f" {_on_knee(study)}" if study.knee is not None else ""
    return f"{is_it} {_and(names)}. {_not_on_front(study)}".strip() + knee


def _on_knee(study: Study) -> str:
    """Which run of the front a person would take, and why; nothing where there is none."""
    knee = study.knee
    if knee is None:
        return ""
    return (
        f"{knee.label} is the knee of the front, the nearest to the best of every goal at once: "
        "what one would take where none of them counts more than the others."
    )


def _not_on_front(study: Study) -> str:
    """Which runs keep the reference off the front; nothing where it is on it."""
    reference, front = study.reference, study.front
    if reference is None or any(run is reference for run in front):
        return ""
    beaten = [run.label for run in front if study._beats(run, reference)]
    return (
        f"{reference.label}, which the question names, is not on it: {_and(beaten)} "
        f"{'is' if len(beaten) == 1 else 'are'} at least as good by every goal."
    )


def _lead(study: Study, first: Run, second: Run, goal: str) -> str:
    if not _share(first, second):
        return "they share no sample, so nothing can be said"
    return study.compare(first, second, goal).sentence


def _share(first: Run, second: Run) -> bool:
    return bool(len(first.best_scores.index.intersection(second.best_scores.index)))


def _at(run: Run) -> str:
    if run.is_untrained:
        return run.label
    return f"{run.label}, {f'{run.trainings} seeds' if run.repeats else f'epoch {run.best}'}"


def _mean(run: Run, goal: str) -> str:
    unit = f" {ALL_METRICS[goal].unit}" if ALL_METRICS[goal].unit else ""
    return f"{score_text(goal, run.mean(goal))}{unit}"


def _and(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"{', '.join(words[:-1])} and {words[-1]}"
