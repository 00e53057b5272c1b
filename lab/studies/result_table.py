"""The results of a study as tables on the terminal, CSV on disk, and a sheet of pictures."""

from pathlib import Path

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table
from torch import Tensor

from lab.data import PhotoDataModule
from lab.files import replacing
from lab.imaging import contact_sheet, read_image, show_hole, write_image
from lab.metrics import METRICS
from lab.studies.question import short_names
from lab.studies.results import BASELINES, Row, StudyResults
from lab.tracking import VISUAL_PHOTOS, visual_path

SHOWN_METRICS = ("hole_psnr", "hole_ssim", "rim_ssim")
_SHOWN = 3
# Pictures smaller than this are enlarged on the contact sheet.
_CELL = 128


def print_results(results: StudyResults, folder: Path, console: Console) -> None:
    """Print the ranking, what each option did, what pruning saved, and what to keep."""
    console.print(_ranking(results))
    console.print(_values(results))
    for row in results.others:
        if row.state == "failed":
            console.print(f"{row.label} failed: {row.reason}", soft_wrap=True)
    if results.importance:
        names = short_names(list(results.question.search))
        shares = ", ".join(
            f"{names.get(path, path)} {share:.0%}" for path, share in results.importance.items()
        )
        console.print(f"Importance for {results.question.goals[0]}: {shares}", soft_wrap=True)
    if results.planned_epochs:
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
    rows = [*results.ranked, *results.others, *results.baselines]
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


def write_contact_sheet(results: StudyResults, data: PhotoDataModule, folder: Path) -> Path | None:
    """Write ``contact_sheet.png``, a row a photo: hole, Telea, worst and best trial, truth."""
    if not results.ranked:
        return None
    best, worst = results.ranked[0], results.worst
    telea = next(iter(BASELINES))
    columns = ["hole", telea, f"worst: {worst.label}", f"best: {best.label}", "truth"]
    rows: list[list[Tensor]] = []
    names = []
    for index in range(min(VISUAL_PHOTOS, len(data.validation_samples))):
        sample = data.validation_samples[index]
        completed = BASELINES[telea](sample.image[None], sample.mask[None])[0]
        rows.append(
            [
                show_hole(sample.image, sample.mask),
                completed,
                _completed(worst, str(sample.name)),
                _completed(best, str(sample.name)),
                sample.image,
            ]
        )
        names.append(str(sample.name))
    path = folder / "contact_sheet.png"
    write_image(path, contact_sheet(rows, columns, names, cell_size=max(_CELL, data.size)))
    return path


def _completed(row: Row, photo: str) -> Tensor:
    assert row.checkpoint is not None
    visuals = row.checkpoint.parent.parent / "visuals"
    return read_image(visual_path(visuals, photo, "completed", row.epoch))


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
            *(_mean_and_spread(row, metric) for metric in metrics),
            "–" if row.epoch is None else f"{row.epoch} of {row.epochs}",
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
            values = (_short(row.values.get(path)) for path in results.question.search)
            table.add_row(rank, _label(row), *values)
    return table


def _table(title: str) -> Table:
    table = Table(title=title, title_justify="left", box=box.SIMPLE, padding=0)
    table.add_column("rank", justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    return table


def _numbered(results: StudyResults) -> list[tuple[str, Row]]:
    ranked = [(str(rank), row) for rank, row in enumerate(results.ranked, start=1)]
    return [*ranked, *(("–", row) for row in [*results.others, *results.baselines])]


def _label(row: Row) -> str:
    return row.label if row.state in ("complete", "baseline") else f"{row.label} {row.state}"


def _mean_and_spread(row: Row, metric: str) -> str:
    digits = 2 if METRICS[metric].unit == "dB" else 3
    return f"{row.mean(metric):.{digits}f} ± {row.spread(metric):.{digits}f}"


def _short(value: object) -> str:
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
    console.print(
        f"Keep epoch {best.epoch} of {best.label}: {best.checkpoint}\n"
        f"Use it: python -m lab.inpaint PHOTO --mask MASK --checkpoint {best.checkpoint} -o OUT\n"
        f"Everything is in {folder}",
        soft_wrap=True,
        highlight=False,
    )
