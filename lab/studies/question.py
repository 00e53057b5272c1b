"""A sweep's YAML file: one question, what is varied for it, on which base, towards which goal."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any, Literal

import optuna

from lab.checks import unknown_name_message
from lab.metrics import METRICS
from lab.strategies import METHODS
from lab.variants import VARIANTS, Value


@dataclass(frozen=True)
class Search:
    """What one option may become in a trial: a range from ``low`` to ``high``, or ``choices``.

    Attributes:
        low: least value of a range.
        high: largest value of a range.
        log: draw the logarithm evenly; for a range that spans orders of magnitude, above 0.
        whole: whole numbers only.
        step: draw only ``low``, ``low + step``, … up to ``high``.
        choices: the values, in place of a range.
        also: further options that always get the same value.
        when: the option is only varied where options before it have one of these values; elsewhere
            it is left to the base.
    """

    low: float | None = None
    high: float | None = None
    log: bool = False
    whole: bool = False
    step: float | None = None
    choices: list[Value] | None = None
    also: list[str] = field(default_factory=list)
    when: dict[str, list[Value]] = field(default_factory=dict)

    def is_active(self, values: Mapping[str, Value]) -> bool:
        """Whether the option is varied in a trial in which the ones before it have ``values``."""
        return all(
            path in values and values[path] in accepted for path, accepted in self.when.items()
        )

    def __post_init__(self) -> None:
        """Refuse what cannot be drawn from.

        Raises:
            ValueError: neither or both of range and choices, or an empty range; steps that do not
                end at ``high``; ends of whole numbers that are none.
        """
        if self.choices is not None:
            if {self.low, self.high, self.step} != {None} or not self.choices:
                raise ValueError(f"give low and high, or a non-empty list of choices: {self}")
            return
        if self.low is None or self.high is None or not self.low < self.high:
            raise ValueError(f"a range needs low < high, not {self.low} and {self.high}")
        if self.log and self.low <= 0:
            raise ValueError(
                f"a logarithmic range must begin above 0, not at {self.low}: "
                "leave log out to let a weight be 0"
            )
        if self.whole and (self.low % 1 or self.high % 1):
            raise ValueError(
                f"whole numbers need whole low and high, not {self.low:g} and {self.high:g}"
            )
        if self.step is not None:
            self._check_step(self.low, self.high, self.step)

    def _check_step(self, low: float, high: float, step: float) -> None:
        if self.log:
            raise ValueError(f"a logarithmic range has no steps: leave out log, or step {step:g}")
        # Decimal, in which 0.3 is three times 0.1.
        first, last, width = (Decimal(str(number)) for number in (low, high, step))
        if width <= 0 or (last - first) % width:
            raise ValueError(
                f"steps of {step:g} from {low:g} do not end at {high:g}: give a step above 0 that "
                "divides the range"
            )
        if self.whole and width % 1:
            raise ValueError(f"whole numbers need a whole step, not {step:g}")

    def suggest(self, trial: optuna.trial.BaseTrial, name: str) -> Value:
        """Draw a value for the option ``name``."""
        if self.choices is not None:
            choice: Value = trial.suggest_categorical(name, self.choices)
            return choice
        assert self.low is not None
        assert self.high is not None
        if self.whole:
            low, high = round(self.low), round(self.high)
            return trial.suggest_int(name, low, high, step=int(self.step or 1), log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def why_not(self, value: Value) -> str | None:
        """Why a person cannot state a value for the option; None where it can be had.

        A number may lie beyond a range: a weight of 0 beside a logarithmic one is worth a trial.
        """
        if self.choices is not None:
            return None if value in self.choices else f"its choices are {self.choices}"
        if isinstance(value, bool) or not isinstance(value, int | float):
            return "it is a number"
        return "it is a whole number" if self.whole and value % 1 else None

    @property
    def is_varied(self) -> bool:
        """Whether there is more than one value to take."""
        return self.choices is None or len(self.choices) > 1

    @property
    def extremes(self) -> list[Value]:
        """What a run must be buildable with: every choice, or the ends of a range."""
        if self.choices is not None:
            return self.choices
        assert self.low is not None
        assert self.high is not None
        return [round(end) if self.whole else end for end in (self.low, self.high)]


@dataclass(frozen=True)
class Pruning:
    """When a trial that falls behind is ended early; those that the question names never are.

    With one goal, a trial is ended whose goal so far is worse than that of ``keep_share`` of the
    earlier trials at the same epoch (Optuna's percentile pruner). With several, one is ended that a
    finished trial keeps off the front for certain (`lab.statistics.dominated_by`).

    Attributes:
        enabled: False lets every trial run to its last epoch.
        keep_share: share of the trials, the best ones, that go on, in (0, 1); with one goal only.
        startup_trials: this many trials run to the end before any is pruned.
        warmup_epochs: no trial is pruned before it has run this many.
    """

    enabled: bool = True
    keep_share: float = 0.5
    startup_trials: int = 3
    warmup_epochs: int = 2

    def __post_init__(self) -> None:
        """Refuse values out of range.

        Raises:
            ValueError: naming the value and its rule.
        """
        if not 0.0 < self.keep_share < 1.0:
            raise ValueError(f"pruning.keep_share must lie in (0, 1), not {self.keep_share}")


@dataclass(frozen=True)
class Question:
    """One sweep.

    Attributes:
        question: in words; what a person wants to know.
        search: what is varied, by the option's dotted path as on `lab.train`'s command line.
        goal: the metric to improve, or several for a Pareto front; each knows its own direction.
        base: settings of every trial, as in a `lab.train` configuration.
        trials: how many; of a grid no more than there are combinations.
        epochs: of each trial.
        seeds: from how many a setting may be trained; after the first, only those whose place
            among the others another one could decide get it.
        first: trials to run before any is drawn; the first is what the others are compared with.
            Options of one choice need not be named.
        sampler: "tpe" learns from earlier trials, "random" does not, "grid" takes every
            combination of choices.
        pruning: when a trial is ended early.
        trains: False for a question about a network that is there: every trial scores it under
            other settings (``--checkpoint``).
        applied: variants that need no training, put on the first trial's best epoch at the end, by
            name with settings that go on top of the variant's.
        baselines: methods without a network to compare with; by default those of
            `lab.strategies.METHODS` that are quick at the study's size.
    """

    question: str
    search: dict[str, Search]
    goal: str | list[str]
    base: dict[str, Any] = field(default_factory=dict)
    trials: int = 12
    epochs: int = 8
    seeds: int = 1
    first: list[dict[str, Value]] = field(default_factory=list)
    sampler: Literal["tpe", "random", "grid"] = "tpe"
    pruning: Pruning = Pruning()
    trains: bool = True
    applied: dict[str, dict[str, Value]] = field(default_factory=dict)
    baselines: list[str] | None = None

    def __post_init__(self) -> None:
        """Refuse a question that cannot be asked.

        Raises:
            ValueError: an unknown metric, a first trial with an option that is not searched, …
        """
        for goal in self.goals:
            if goal not in METRICS:
                raise ValueError(unknown_name_message("metric", goal, METRICS))
        for method in self.baselines or []:
            if method not in METHODS:
                raise ValueError(unknown_name_message("method", method, METHODS))
        if not self.goals or not self.search:
            raise ValueError("a question needs a goal and something to search")
        if self.trials < 1 or self.epochs < 1:
            raise ValueError(f"trials ({self.trials}) and epochs ({self.epochs}) must be 1 or more")
        if self.seeds < 1:
            raise ValueError(f"seeds must be 1 or more, not {self.seeds}")
        if self.seeds > 1 and not self.trains:
            raise ValueError(
                f"seeds: {self.seeds} asks for {self.seeds} trainings of a setting, but this "
                "question trains nothing: leave seeds out"
            )
        self._check_conditions()
        for values in self.first:
            for path in values:
                if path not in self.search:
                    raise ValueError(unknown_name_message("searched option", path, self.search))
                if not self.search[path].is_active(values):
                    raise ValueError(
                        f"first gives {path} a value, but it is varied only when "
                        f"{_shown(self.search[path].when)}"
                    )
        for path, value in (item for values in self.first for item in values.items()):
            if (why := self.search[path].why_not(value)) is not None:
                raise ValueError(f"first gives {path} the value {value!r}, but {why}")
        object.__setattr__(self, "first", [self._completed(values) for values in self.first])
        for variant in self.applied:
            if variant not in VARIANTS:
                raise ValueError(unknown_name_message("variant", variant, VARIANTS))
            if VARIANTS[variant].is_trained:
                raise ValueError(
                    f"{variant} changes the training: make it a choice of the search, not one of "
                    "the applied variants"
                )
        if self.applied and not (self.first and self.trains):
            raise ValueError("applied variants need a trained trial under first to be put on")
        if self.sampler == "grid" and any(not space.choices for space in self.search.values()):
            raise ValueError("the grid sampler needs choices, not ranges, for every option")
        if self.sampler == "grid":
            self._check_whole_combinations()
            object.__setattr__(self, "trials", min(self.trials, len(self.combinations)))

    def _check_conditions(self) -> None:
        before: dict[str, Search] = {}
        for path, space in self.search.items():
            for other, accepted in space.when.items():
                if other not in before:
                    raise ValueError(
                        f"{path} is varied when {other} has certain values, but {other} is not "
                        "searched before it: name an option that stands above it"
                    )
                choices = before[other].choices
                unknown = [value for value in accepted if choices and value not in choices]
                if unknown or not accepted:
                    raise ValueError(
                        f"{path} is varied when {_shown(space.when)}, but {other} is one of "
                        f"{choices}"
                    )
            before[path] = space

    def _check_whole_combinations(self) -> None:
        for values in self.first:
            left_out = [
                path
                for path, space in self.search.items()
                if path not in values and space.is_active(values)
            ]
            if left_out:
                raise ValueError(
                    f"first leaves out {', '.join(left_out)}, of which a grid takes every choice: "
                    "name one, or a combination would be trained twice"
                )

    def with_settings(self, settings: Mapping[str, Value]) -> "Question":
        """The question with what a person sets on top of what it sets in every trial alike.

        Args:
            settings: by dotted path; those that it says nothing of change nothing.

        Raises:
            ValueError: one that it varies, or by which it tells what else to vary.
        """
        search = dict(self.search)
        for path, value in settings.items():
            conditions = [name for space in search.values() for name in space.when]
            for name, space in self.search.items():
                if path == name and not space.is_varied and name not in conditions:
                    search[name] = replace(space, choices=[value])
                elif path in (name, *space.also):
                    raise ValueError(
                        f"{path} is what this question varies: leave it out, or change it in the "
                        "question's file"
                    )
        changed = {path for path in settings if path in search}
        first = [
            {path: settings[path] if path in changed else value for path, value in values.items()}
            for values in self.first
        ]
        return replace(self, search=search, first=first)

    def _completed(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """With the options that have one value to take, as a grid's combinations have them."""
        completed: dict[str, Value] = {}
        for path, space in self.search.items():
            if path in values:
                completed[path] = values[path]
            elif not space.is_varied and space.choices and space.is_active(completed):
                completed[path] = space.choices[0]
        return completed

    @property
    def varied(self) -> list[str]:
        """The searched options that have more than one value: by these, trials are told apart."""
        several = [path for path, space in self.search.items() if space.is_varied]
        return several or list(self.search)

    def draw(self, trial: optuna.trial.BaseTrial) -> dict[str, Value]:
        """The values of a trial, of every option that is varied in it."""
        values: dict[str, Value] = {}
        for path, space in self.search.items():
            if space.is_active(values):
                values[path] = space.suggest(trial, path)
        return values

    @property
    def goals(self) -> list[str]:
        """The goals as a list."""
        return [self.goal] if isinstance(self.goal, str) else list(self.goal)

    @property
    def combinations(self) -> list[dict[str, Value]]:
        """Every combination of choices that a grid takes; none for another sampler."""
        if self.sampler != "grid":
            return []
        combinations: list[dict[str, Value]] = [{}]
        for path, space in self.search.items():
            combinations = [
                {**values, **tried}
                for values in combinations
                for tried in (
                    [{path: choice} for choice in space.choices or []]
                    if space.is_active(values)
                    else [{}]
                )
            ]
        return combinations

    @property
    def extremes(self) -> list[dict[str, Value]]:
        """Trials that must be buildable: every choice, and the ends of ranges, at least once."""
        count = max(len(space.extremes) for space in self.search.values())
        trials = []
        for number in range(count):
            values: dict[str, Value] = {}
            for path, space in self.search.items():
                if space.is_active(values):
                    values[path] = space.extremes[number % len(space.extremes)]
            trials.append(values)
        return trials

    @property
    def directions(self) -> list[Literal["minimize", "maximize"]]:
        """Optuna's direction of each goal."""
        return ["maximize" if METRICS[goal].higher_is_better else "minimize" for goal in self.goals]

    def options_for(self, values: Mapping[str, Value]) -> dict[str, Value]:
        """The options that ``values`` of a trial set, those that always go along included."""
        options: dict[str, Value] = {}
        for path, value in values.items():
            for option in (path, *self.search[path].also):
                options[option] = value
        return options


def short_names(paths: list[str]) -> dict[str, str]:
    """The shortest endings of dotted paths that still tell them apart, for tables."""
    for parts in range(1, max(path.count(".") for path in paths) + 2):
        names = {path: ".".join(path.split(".")[-parts:]) for path in paths}
        if len(set(names.values())) == len(paths):
            return names
    return {path: path for path in paths}


def _shown(when: Mapping[str, list[Value]]) -> str:
    """A condition in words."""
    return " and ".join(
        f"{path} is {' or '.join(map(str, accepted))}" for path, accepted in when.items()
    )
