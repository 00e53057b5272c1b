"""The results of a study as tables on the terminal, CSV on disk, and a sheet of pictures."""

from collections.abc import Mapping
from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from lab.files import replacing
from lab.imaging import contact_sheet, read_image, write_image
from lab.metrics import METRICS
from lab.settings import options_from
from lab.studies.question import short_names
from lab.studies.results import Row, StudyResults
from lab.tracking import visual_path

SHOWN_METRICS = ("hole_psnr", "hole_ssim", "rim_ssim")
_SHOWN = 3
# Pictures smaller than this are enlarged on the contact sheet.
_CELL = 128


def print_results(results: StudyResults, folder: Path, console: Console) -> None:
    """Print the ranking, what each option did, what pruning saved, and what to keep."""
    console.print(_ranking(results))
    # A trial of variants alone is called by what it varied.
    if list(results.question.search) != ["variant"]:
        console.print(_values(results))
    for row in results.others:
        if row.state == "failed":
            console.print(f"{row.label} failed: {row.reason}", soft_wrap=True)
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
    if not results.ranked:
        console.print("No trial ran to its end; see the reasons above.")
        return
    _print_advice(results, folder, console)


def write_results(results: StudyResults, folder: Path) -> Path:
    """Write ``results.csv``: a line a trial and baseline, with every metric's mean and spread."""
    lines = []
    rows = [*results.ranked, *results.others, *results.applied, *results.baselines]
    for row in rows:
        line: dict[str, object] = {
            "label": row.label,
            "state": row.state,
            "best_epoch": row.epoch,
            "epochs": row.epochs,
            **row.values,
        }
        for metric in METRICS:
            line[metric] = row.mean(metric)
            line[f"{metric}_spread"] = row.spread(metric)
        line["checkpoint"] = row.checkpoint
        line["reason"] = row.reason
        lines.append(line)
    path = folder / "results.csv"
    with replacing(path) as temporary:
        pd.DataFrame(lines).to_csv(temporary, index=False, float_format="%.6g")
    return path


def write_contact_sheet(results: StudyResults, folder: Path) -> Path | None:
    """Write ``contact_sheet.png``, a row a photo: hole, Telea, worst and best trial, truth."""
    if not results.ranked:
        return None
    best, worst = results.ranked[0], results.worst
    columns = {
        results.baselines[0].label: results.baselines[0],
        f"worst: {worst.label}": worst,
        f"best: {best.label}": best,
    }
    return write_sheet(folder / "contact_sheet.png", columns)


def write_sheet(path: Path, columns: Mapping[str, Row]) -> Path:
    """Write a sheet of pictures: a row a photo, with its hole, what each column made, the truth."""
    first = next(iter(columns.values()))
    shown = [name for name in first.photos.index if (first.folder / "visuals" / name).is_dir()]
    rows = [
        [
            read_image(visual_path(first.folder / "visuals", photo, "hole")),
            *(
                read_image(visual_path(row.folder / "visuals", photo, "completed", row.epoch))
                for row in columns.values()
            ),
            read_image(visual_path(first.folder / "visuals", photo, "truth")),
        ]
        for photo in shown
    ]
    headings = ["hole", *columns, "truth"]
    side = max(rows[0][0].shape[-2:])
    write_image(path, contact_sheet(rows, headings, shown, cell_size=max(_CELL, side)))
    return path


def _ranking(results: StudyResults) -> Table:
    """The metrics of every trial and baseline; fits a terminal of 80 columns."""
    question = results.question
    metrics = list(dict.fromkeys([*question.goals, *SHOWN_METRICS]))[:_SHOWN]
    photos = max((len(row.photos) for row in results.baselines), default=0)
    table = _table(f"Mean ± standard deviation over {photos} validation photos")
    for metric in metrics:
        arrow = "↑" if METRICS[metric].higher_is_better else "↓"
        table.add_column(f"{metric} {arrow}", justify="right", no_wrap=True)
    table.add_column("epoch", justify="right", no_wrap=True)
    for rank, row in _numbered(results):
        table.add_row(
            rank,
            _label(row),
            *(score_text(metric, row.mean(metric), row.spread(metric)) for metric in metrics),
            f"{row.epoch} of {row.epochs}" if row.epoch else "–",
        )
    return table


def _values(results: StudyResults) -> Table:
    """What every trial varied."""
    names = short_names(list(results.question.search))
    table = _table("What was varied")
    for path in results.question.search:
        # Spaces, so that a narrow terminal may break the heading.
        table.add_column(names[path].replace("_", " "), justify="right")
    for rank, row in _numbered(results):
        if row.values:
            values = (short_value(row.values.get(path)) for path in results.question.search)
            table.add_row(rank, _label(row), *values)
    return table


def plain_table(title: str) -> Table:
    """An empty table in the style of all of them."""
    return Table(title=title, title_justify="left", box=box.SIMPLE, padding=0)


def _table(title: str) -> Table:
    table = plain_table(title)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    return table


def _numbered(results: StudyResults) -> list[tuple[str, Row]]:
    ranked = [(str(rank), row) for rank, row in enumerate(results.ranked, start=1)]
    others = [*results.others, *results.applied, *results.baselines]
    return [*ranked, *(("–", row) for row in others)]


def _label(row: Row) -> str:
    ordinary = row.state in ("complete", "applied", "baseline")
    return row.label if ordinary else f"{row.label} {row.state}"


def score_text(metric: str, mean: float, spread: float | None = None) -> str:
    """A mean, and its spread where there is one, with as many digits as the metric deserves."""
    digits = 2 if METRICS[metric].unit == "dB" else 3
    return f"{mean:.{digits}f}" + (f" ± {spread:.{digits}f}" if spread is not None else "")


def short_value(value: object) -> str:
    """A varied value in few characters."""
    if value is None:
        return "–"
    return f"{value:.3g}" if isinstance(value, float) else str(value)


def _print_advice(results: StudyResults, folder: Path, console: Console) -> None:
    goal = results.question.goals[0]
    best = results.ranked[0]
    others = [(row.label, row) for row in results.ranked[1:2]]
    others += [
        (f"{row.label}, which the question names", row)
        for row in results.ranked[2:]
        if row.is_reference
    ]
    worst = results.worst
    if worst is not best and all(worst is not row for _, row in others):
        others.append((f"the worst, {_label(worst)} after {worst.epochs} epochs", worst))
    others += [(row.label, row) for row in results.baselines]
    console.print(
        f"Best by {goal}: {best.label}. Against it, paired by photo with 95 % intervals "
        "(above 0: the best trial is better):",
        soft_wrap=True,
    )
    for label, row in others:
        difference = results.compare(best, row)
        console.print(
            f"  {label}: {difference}; better on {difference.share_won:.0%} of "
            f"{difference.photos} photos",
            highlight=False,
            soft_wrap=True,
        )
    for row in results.baselines:
        if results.compare(best, row).high < 0.0:
            console.print(
                f"{row.label}, which needs no training, is clearly better than every trial here: "
                "train longer, or on more photos, before using one",
                soft_wrap=True,
            )
    if not results.question.trains:
        options = " ".join(options_from(results.question.options_for(best.values)))
        console.print(
            f"Use it: python -m lab.evaluate --checkpoint {best.checkpoint} {options}\n"
            f"Everything is in {folder}",
            soft_wrap=True,
            highlight=False,
        )
        return
    console.print(
        f"Keep epoch {best.epoch} of {best.label}: {best.checkpoint}\n"
        f"Use it: python -m lab.inpaint PHOTO --mask MASK --checkpoint {best.checkpoint} -o OUT\n"
        f"Everything is in {folder}",
        soft_wrap=True,
        highlight=False,
    )
