"""The board: every row of a study against its reference, paired by photo, with what it costs."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pandas as pd
import yaml
from rich.console import Console
from torch import nn

from lab.cost import Cost, measure_cost
from lab.files import replacing
from lab.formats.runs import BOARD
from lab.metrics import ratio_bin
from lab.networks import load_network
from lab.results import Run, Study, on_seeds, score_text
from lab.statistics import PairedDifference
from lab.strategies import METHODS
from lab.studies.question import Question, short_names
from lab.studies.result_table import SHOWN_METRICS, plain_table, short_value, write_sheet
from lab.studies.results import StudyResults
from lab.studies.worker import Sweep
from lab.variants import VARIANTS


@dataclass(frozen=True)
class BoardLine:
    """One run of a study against the reference; above 0 the run is better.

    Attributes:
        run: what is compared.
        differences: by metric, over all photos.
        by_bin: of the first goal, by bin of hole ratio; without those of which it has no sample.
        cost: of completing one photo of the study's size; None where another program did, or the
            network is not there any more.
    """

    run: Run
    differences: Mapping[str, PairedDifference]
    by_bin: Mapping[str, PairedDifference]
    cost: Cost | None


@dataclass(frozen=True)
class Board:
    """Every line of a study against its reference.

    Attributes:
        question: what was asked.
        on_seeds: what the intervals say of other trainings, in words.
        reference: the run that the others are compared with.
        cost: of the reference; None where its network is not there any more.
        lines: the other runs, in the study's order.
    """

    question: Question
    on_seeds: str
    reference: Run
    cost: Cost | None
    lines: list[BoardLine]

    @property
    def goal(self) -> str:
        """The first goal."""
        return self.question.goals[0]

    def name(self, run: Run) -> str:
        """What a run is called: a trial of a grid by its values, in the search's order."""
        if not (self._is_by_values and run.values):
            return run.label
        return " / ".join(short_value(run.values.get(path)) for path in self.question.varied)

    @property
    def heading(self) -> str:
        """What the parts of a name are."""
        if not self._is_by_values:
            return ""
        names = short_names(self.question.varied)
        return " / ".join(name.replace("_", " ") for name in names.values())

    @property
    def _is_by_values(self) -> bool:
        # Variants alone are called by their names.
        return self.question.sampler == "grid" and self.question.varied != ["variant"]

    @property
    def metrics(self) -> list[str]:
        """What is compared, the goals first."""
        return _compared(self.question.goals)

    @property
    def bins(self) -> list[str]:
        """The bins of hole ratio that the photos fall in."""
        return sorted({name for line in self.lines for name in line.by_bin})


def _compared(goals: Sequence[str]) -> list[str]:
    return list(dict.fromkeys([*goals, *SHOWN_METRICS]))


def make_board(sweep: Sweep, results: StudyResults) -> Board | None:
    """Compare every finished run with the reference; None where there is none."""
    study = results.study
    reference = study.reference
    if reference is None:
        return None
    goals = results.question.goals
    costs = _Costs(sweep)
    lines = []
    for run in (*study.ranked, *study.applied, *study.entrants, *study.baselines):
        if run is reference:
            continue
        lines.append(
            BoardLine(
                run,
                {metric: study.compare(run, reference, metric) for metric in _compared(goals)},
                _by_bin(study, run, reference, goals[0]),
                costs.of(run),
            )
        )
    return Board(results.question, _on_seeds(study), reference, costs.of(reference), lines)


def _by_bin(study: Study, run: Run, reference: Run, goal: str) -> dict[str, PairedDifference]:
    bins = reference.best_scores["hole_ratio"].map(ratio_bin)
    found = {}
    for name in sorted(set(bins)):
        samples = bins.index[bins == name]
        # An entrant may lack all of them.
        if len(samples.intersection(run.best_scores.index)):
            found[name] = study.compare(run, reference, goal, samples)
    return found


def _on_seeds(study: Study) -> str:
    can_be_more = not study.counts_seeds and not all("checkpoint" in r.record for r in study.ranked)
    hint = "\nBefore believing a small difference, give the command again with --seeds 3."
    return on_seeds(study) + (hint if can_be_more else "")


def write_board(board: Board, folder: Path) -> list[Path]:
    """Write ``board.csv``, ``board.md`` and ``board.png``; returns their paths."""
    table, text, sheet = (folder / name for name in (BOARD, "board.md", "board.png"))
    with replacing(table) as temporary:
        pd.DataFrame(_csv_lines(board)).to_csv(temporary, index=False, float_format="%.6g")
    with replacing(text) as temporary:
        temporary.write_text(markdown(board))
    shown = [board.reference, *(line.run for line in board.lines)]
    columns: dict[str, Run] = {}
    for run in shown:
        name = board.name(run).replace("_", " ")
        columns[run.name if name in columns else name] = run
    pictured = write_sheet(sheet, columns)
    return [table, text, *([] if pictured is None else [pictured])]


def print_board(board: Board, console: Console) -> None:
    """Print the comparison, and what each row costs, on a terminal of 80 columns."""
    reference = board.reference
    compared = plain_table(
        f"Against {board.name(reference)}, paired over {reference.rests_on}, 95 % intervals"
    )
    # Of a narrow terminal's lines, names break, and no interval does.
    compared.add_column(board.heading, overflow="fold")
    for heading in (board.goal, "won", "", board.metrics[1]):
        compared.add_column(heading, justify="right", no_wrap=True)
    for line in board.lines:
        first, second = (line.differences[metric] for metric in board.metrics[:2])
        compared.add_row(
            board.name(line.run),
            first.interval,
            f"{first.share_won:.0%}",
            first.verdict,
            f"{second.mean:+.2g}",
        )
    console.print(compared)
    console.print(board.on_seeds, soft_wrap=True)
    costs = plain_table("Cost of one photo")
    costs.add_column(board.heading)
    for heading in _COST_HEADINGS:
        costs.add_column(heading, justify="right")
    for run, cost in _costs(board):
        costs.add_row(board.name(run), *_cost_cells(cost))
    console.print(costs)


def markdown(board: Board) -> str:
    """The board as Markdown: all photos, by hole ratio, cost."""
    goal, metrics = board.goal, board.metrics
    reference = board.reference
    lines = [
        f"Reference: {_described(board, reference)}, {goal} "
        f"{score_text(goal, reference.mean(goal))} in the mean over {reference.rests_on}. "
        "Differences are paired by sample, with 95 % bootstrap intervals; above 0 is better.",
        "",
        board.on_seeds,
        "",
        f"| {board.heading} | {' | '.join(metrics)} | won by {goal} | |",
        "|---" * (len(metrics) + 3) + "|",
    ]
    for line in board.lines:
        cells = [line.differences[metric].interval for metric in metrics]
        first = line.differences[goal]
        lines.append(
            f"| {_described(board, line.run)} | {' | '.join(cells)} | {first.share_won:.0%} | "
            f"{first.verdict} |"
        )
    counts = reference.best_scores["hole_ratio"].map(ratio_bin).value_counts()
    headings = " | ".join(f"{name} ({counts[name]})" for name in board.bins)
    lines += ["", f"| {goal} by hole ratio | {headings} |", "|---" * (len(board.bins) + 1) + "|"]
    for line in board.lines:
        found = (line.by_bin.get(name) for name in board.bins)
        cells = ["–" if one is None else one.interval for one in found]
        lines.append(f"| {board.name(line.run)} | {' | '.join(cells)} |")
    lines += ["", f"| cost of one photo | {' | '.join(_COST_HEADINGS)} |", "|---" * 5 + "|"]
    lines += [
        f"| {board.name(run)} | {' | '.join(_cost_cells(cost))} |" for run, cost in _costs(board)
    ]
    return "\n".join(lines) + "\n"


class _Costs:
    """Measures each network and strategy once."""

    def __init__(self, sweep: Sweep) -> None:
        self._sweep = sweep
        self._size = sweep.data().size
        self._known: dict[str, Cost] = {}

    def of(self, run: Run) -> Cost | None:
        if run.state == "baseline":
            return measure_cost(METHODS[run.label].build(), nn.Identity(), self._size)
        if run.checkpoint is None or not run.checkpoint.exists():
            return None
        experiment = self._sweep.build(
            run.values, applied=run.label if run.state == "applied" else None
        )
        parts = experiment.plain["model"]["init_args"]
        key = yaml.safe_dump([parts["network"], parts["strategy"]])
        if key not in self._known:
            network = load_network(run.checkpoint)
            experiment.model.take_network(network)
            self._known[key] = measure_cost(experiment.model.strategy, network, self._size)
        return self._known[key]


_COST_HEADINGS = ("parameters", "multiply-adds", "ms", "peak MB")


def _cost_cells(cost: Cost | None) -> tuple[str, ...]:
    if cost is None:
        return ("–",) * len(_COST_HEADINGS)
    return (
        f"{cost.parameters / 1e6:.2f} M",
        f"{cost.multiply_adds / 1e9:.2f} G",
        f"{cost.milliseconds:.1f}",
        f"{cost.peak_bytes / 2**20:.1f}",
    )


def _costs(board: Board) -> list[tuple[Run, Cost | None]]:
    return [(board.reference, board.cost), *((line.run, line.cost) for line in board.lines)]


def _described(board: Board, run: Run) -> str:
    variant = VARIANTS.get(run.variant or "")
    if variant is None:
        return board.name(run)
    on_top = board.question.applied.get(run.label, {}) if run.state == "applied" else {}
    names = short_names(list(on_top)) if on_top else {}
    changed = "".join(f"; here {names[path]} {value}" for path, value in on_top.items())
    return f"{run.label} ({variant.number}: {variant.title}{changed})"


def _csv_lines(board: Board) -> list[dict[str, object]]:
    lines: list[dict[str, object]] = []
    compared = {line.run.name: line for line in board.lines}
    for run, cost in _costs(board):
        variant = VARIANTS.get(run.variant or "")
        line: dict[str, object] = {
            "run": run.name,
            "variant": board.name(run),
            "number": variant.number if variant else "",
            "title": variant.title if variant else "",
            "epoch": run.best,
            "seeds": run.trainings,
            "samples": len(run.best_scores),
            "photos": run.best_scores["photo"].nunique(),
        }
        against = compared.get(run.name)
        for metric in board.metrics:
            line[metric] = run.mean(metric)
            if against is not None:
                line.update(_numbers(metric, against.differences[metric]))
        if against is not None:
            for name, difference in against.by_bin.items():
                line.update(_numbers(f"{board.goal}_{name}", difference))
        if cost is not None:
            line.update(
                parameters=cost.parameters,
                multiply_adds=cost.multiply_adds,
                milliseconds=cost.milliseconds,
                peak_bytes=cost.peak_bytes,
            )
        line["checkpoint"] = run.checkpoint
        lines.append(line)
    return lines


def _numbers(name: str, difference: PairedDifference) -> dict[str, object]:
    return {
        f"{name}_difference": difference.mean,
        f"{name}_low": difference.low,
        f"{name}_high": difference.high,
        f"{name}_won": difference.share_won,
        f"{name}_verdict": difference.verdict,
    }
