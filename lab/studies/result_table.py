"""The results of a study as tables on the terminal, CSV on disk, and a sheet of pictures."""

import shlex
from collections.abc import Mapping, Sequence
from pathlib import Path

from optuna.trial import FrozenTrial
from rich import box
from rich.console import Console
from rich.table import Table

from lab.files import replacing
from lab.formats.runs import RESULTS, SETTINGS
from lab.imaging import contact_sheet, read_image, write_image
from lab.metrics import METRICS
from lab.results import LOST_AFTER_ATTRIBUTE, Run, Study, findings, score_text
from lab.studies.holders import where_begun
from lab.studies.question import short_names
from lab.studies.results import StudyResults

SHOWN_METRICS = ("hole_psnr", "hole_ssim", "rim_ssim")
_SHOWN = 3
# The methods without training that a sheet shows beside the runs.
_ON_SHEETS = ("telea", "shift-map", "patch-match")

# Characters of "18.37 ± 3.49" and "0.332 ± 0.123".
_METRIC_WIDTH = 13

_SHEET_ROWS = 12
# Pixels that a sheet's pictures fill side by side, and the side of a picture at least.
_SHEET_WIDTH = 2400
_CELL = 128


def print_results(results: StudyResults, console: Console) -> None:
    """Print the ranking, what each option did, what pruning saved, and what to keep."""
    study = results.study
    console.print(_ranking(results))
    # A trial of variants alone is called by what it varied.
    if results.question.varied != ["variant"]:
        console.print(_values(results))
    for run in study.others:
        if run.reason:
            console.print(f"{run.label} {run.state}: {run.reason}", soft_wrap=True)
    for sentence in _what_is_missing(results):
        console.print(sentence, soft_wrap=True, highlight=False)
    if len(results.importance) > 1:
        names = short_names(list(results.question.search))
        shares = ", ".join(
            f"{names.get(path, path)} {share:.0%}" for path, share in results.importance.items()
        )
        console.print(f"Importance for {results.question.goals[0]}: {shares}", soft_wrap=True)
    if results.planned_epochs and results.question.trains and results.question.pruning.enabled:
        console.print(
            f"Pruning saved {results.saved_share:.0%} of the epochs "
            f"({results.run_epochs} run of {results.planned_epochs} planned)"
        )
    if not study.ranked:
        if not results.elsewhere and not results.running:
            console.print("No trial ran to its end; see the reasons above.")
        return
    first, *others = findings(study)
    console.print(first, soft_wrap=True, highlight=False)
    for sentence in others:
        console.print(f"  {sentence}", soft_wrap=True, highlight=False)
    _print_use(results, console)


def _what_is_missing(results: StudyResults) -> list[str]:
    """What the tables do not show, because it failed, goes on, or lies elsewhere."""
    said = []
    if results.failed:
        said.append(f"{_are(results.failed)} tried again by --retry-failed, once mended.")
    if results.invalid:
        more = ", and no more are drawn: give choices, or a step" if results.gave_up_drawing else ""
        said.append(
            f"{_are(results.invalid)} not among the {results.question.trials}: no run can be built "
            f"with what was drawn{more}."
        )
    if results.running:
        said.append(f"{_are(results.running)} run by another process, which prints all results.")
    ended = [trial for trial in results.elsewhere if trial.state.is_finished()]
    if ended:
        said.append(f"{_are(ended)} not shown: run in another folder {where_begun(ended[0])}.")
    left = results.left_elsewhere
    if left:
        said.append(
            f"{_are(left)} run, or interrupted, in another folder {where_begun(left[0])}: there "
            f"the same command goes on, wherever that folder is moved to. {_where_lost(results)}"
        )
    return said


def _where_lost(results: StudyResults) -> str:
    study = results.study.optuna_study
    lost_after = None if study is None else study.user_attrs.get(LOST_AFTER_ATTRIBUTE)
    if lost_after is not None:
        return (
            f"Where its machine is lost, the same command here takes it up, {lost_after:g} seconds "
            "after its last sign of life."
        )
    return (
        "Where it is lost, end each by: optuna tell --storage WHERE --study-name "
        f"{results.study.name} --trial-number {results.left_elsewhere[0].number} --state fail"
    )


def _are(trials: Sequence[FrozenTrial]) -> str:
    numbers = [str(trial.number) for trial in trials]
    if len(numbers) == 1:
        return f"Trial {numbers[0]} is"
    return f"Trials {', '.join(numbers[:-1])} and {numbers[-1]} are"


def _print_use(results: StudyResults, console: Console) -> None:
    """Say how to use what was found: of several goals, the ends of the front and its knee.

    Of a setting with several seeds the best one: a network is what is kept, not a setting.
    """
    study = results.study
    seed = f", its best seed by {study.goals[0]}"
    kept = [study.knee, *(study.best_by(goal) for goal in study.goals if study.ranked)]
    for setting in {run.name: run for run in kept if run is not None}.values():
        run = setting.best_seed
        kept_epoch = f"Keep epoch {run.best} of {run.label}{seed if setting.repeats else ''}"
        if run.checkpoint is None:
            console.print(f"{kept_epoch}: its checkpoint is gone", soft_wrap=True, highlight=False)
            continue
        checkpoint = shlex.quote(str(run.checkpoint))
        if results.question.trains:
            console.print(f"{kept_epoch}: {run.checkpoint}", soft_wrap=True, highlight=False)
            use = f"python -m lab.inpaint PHOTO --mask MASK --checkpoint {checkpoint} -o OUT"
        else:
            settings = shlex.quote(str(run.folder / SETTINGS))
            use = f"python -m lab.evaluate --checkpoint {checkpoint} --config={settings}"
        console.print(f"Use it: {use}", soft_wrap=True, highlight=False)
    console.print(f"Everything is in {study.folder}", soft_wrap=True, highlight=False)


def write_results(results: StudyResults) -> Path:
    """Write ``results.csv``: `Study.results`, a line a run."""
    path = results.study.folder / RESULTS
    with replacing(path) as temporary:
        results.study.results.to_csv(temporary, float_format="%.6g")
    return path


def write_contact_sheet(results: StudyResults) -> Path | None:
    """Write ``contact_sheet.png``, a row a photo: hole, methods, runs worth seeing, truth."""
    study = results.study
    if not study.ranked or study.worst is None:
        return None
    columns = {run.label: run for run in study.baselines if run.label in _ON_SHEETS}
    worth: list[tuple[str, Run | None]] = [
        # By several goals, the worst by one is often the best by another.
        ("worst", study.worst if len(study.goals) == 1 else None),
        ("reference", study.reference),
        *((f"best {goal}", study.best_by(goal)) for goal in study.goals),
        ("knee", study.knee),
    ]
    shown = {run.name: run for _, run in worth if run is not None}
    for run in shown.values():
        reasons = ", ".join(reason for reason, found in worth if found is run)
        columns[f"{reasons}: {run.label}"] = run
    return write_sheet(study.folder / "contact_sheet.png", columns)


def write_sheet(path: Path, columns: Mapping[str, Run]) -> Path | None:
    """Write a sheet of pictures: hole, what each column made, truth; None where there are none.

    Columns without a picture are left out.

    A row a photo, at most twelve; only where photos are fewer, further crops of them. Pictures are
    enlarged by a whole number as far as the sheet is to be wide.
    """
    columns = {name: run for name, run in columns.items() if len(run.pictures)}
    if not columns:
        return None
    first = next(iter(columns.values()))
    found = {
        str(sample): [
            first.picture(str(sample), "hole"),
            *(run.picture(str(sample), "completed", run.best) for run in columns.values()),
            first.picture(str(sample), "truth"),
        ]
        for sample in first.best_scores.index
    }
    # `lab.report --pictured` may have pictured more of some runs than of others.
    pictured = {sample: list(filter(None, paths)) for sample, paths in found.items() if all(paths)}
    photos = first.best_scores.loc[list(pictured), "photo"]
    crops = photos.groupby(photos).cumcount().sort_values(kind="stable")
    shown = [str(sample) for sample in crops.index[:_SHEET_ROWS]]
    if not shown:
        return None
    rows = [[read_image(path) for path in pictured[sample]] for sample in shown]
    headings = ["hole", *columns, "truth"]
    side, room = max(rows[0][0].shape[-2:]), _SHEET_WIDTH // len(headings)
    cell = max(_CELL, side * (room // side) or room)
    write_image(path, contact_sheet(rows, headings, shown, cell_size=cell))
    return path


def _ranking(results: StudyResults) -> Table:
    """The metrics of every run; fits a terminal of 80 columns."""
    study = results.study
    metrics = list(dict.fromkeys([*study.goals, *SHOWN_METRICS]))[:_SHOWN]
    table = _table(f"Mean ± standard deviation over {_most_scored(study).rests_on}")
    for metric in metrics:
        arrow = "↑" if METRICS[metric].higher_is_better else "↓"
        heading = metric
        if len(metric) > _METRIC_WIDTH:  # in two lines, so that every number has room
            before, _, last = metric.rpartition("_")
            heading = f"{before}_\n{last}"
        table.add_column(
            f"{heading} {arrow}", justify="right", no_wrap=True, min_width=_METRIC_WIDTH
        )
    table.add_column("epoch", justify="right", no_wrap=True, min_width=6)
    if study.counts_seeds:
        table.add_column("seeds", justify="right", no_wrap=True, min_width=5)
    for rank, run in _numbered(results):
        table.add_row(
            rank,
            _label(run),
            *(score_text(metric, run.mean(metric), run.spread(metric)) for metric in metrics),
            f"{run.best} of {run.last}" if run.best else "–",
            *([str(run.trainings or "–")] if study.counts_seeds else []),
        )
    return table


def _most_scored(study: Study) -> Run:
    return max(study.runs, key=lambda run: len(run.best_scores))


def _values(results: StudyResults) -> Table:
    """What every trial varied."""
    names = short_names(results.question.varied)
    table = _table("What was varied")
    for path in results.question.varied:
        # Spaces, so that a narrow terminal may break the heading.
        table.add_column(names[path].replace("_", " "), justify="right")
    for rank, run in _numbered(results):
        if run.values:
            values = (short_value(run.values.get(path)) for path in results.question.varied)
            table.add_row(rank, _label(run), *values)
    return table


def plain_table(title: str) -> Table:
    """An empty table in the style of all of them."""
    return Table(title=title, title_justify="left", box=box.SIMPLE, padding=0)


def _table(title: str) -> Table:
    table = plain_table(title)
    table.add_column("rank", justify="right", no_wrap=True, min_width=5)
    table.add_column("", overflow="fold")
    return table


def _numbered(results: StudyResults) -> list[tuple[str, Run]]:
    """Every run with its rank; of several goals, with a mark where it is on the front."""
    study = results.study
    front = study.front if len(study.goals) > 1 else None
    ranks = [
        (str(number) if front is None else ("front" if run in front else "–"), run)
        for number, run in enumerate(study.ranked, start=1)
    ]
    others = [*study.others, *study.applied, *study.entrants, *study.baselines]
    return [*ranks, *(("–", run) for run in others)]


def _label(run: Run) -> str:
    ordinary = run.state in ("run", "complete", "applied", "entrant", "baseline")
    return run.label if ordinary else f"{run.label} {run.state}"


def short_value(value: object) -> str:
    """A varied value in few characters."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)
