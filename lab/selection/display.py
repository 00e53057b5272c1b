"""A selection on the terminal, 80 columns wide, and on disk for whoever reads on."""

import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pandas as pd
from rich import box
from rich.console import Console
from rich.table import Table

from lab.files import replacing
from lab.formats.runs import SELECTION
from lab.metrics import METRICS
from lab.selection.checkpoints import describe
from lab.selection.choosing import Selection, explain, percent
from lab.selection.voting import Counted
from lab.statistics import Agreement, Voted, rests_on

_ROWS = 10


def print_selection(selection: Selection, console: Console) -> None:
    """Print the ranking, the bins, the marks and what all of it says."""
    console.print(_ranking(selection))
    if len(selection.bins) > 1:
        console.print(_bins(selection))
    _print_marks(selection, console)
    for note in selection.notes:
        console.print(f"Note: {note}", highlight=False)
    for sentence in explain(selection):
        console.print(sentence, highlight=False)
    if len(selection.metrics) > 1:
        names = [describe(selection.checkpoints[index].name) for index in selection.pareto]
        shown = "; ".join(names[:_ROWS]) + ("; …" if len(names) > _ROWS else "")
        console.print(
            f"Pareto set of {', '.join(selection.metrics)} (none is better in one of them without "
            f"being worse in another), {len(names)} of {len(selection.checkpoints)}: {shown}",
            highlight=False,
        )
    if selection.chosen is not None:
        path = selection.checkpoints[selection.chosen].path
        console.print(f"Chosen: {path}", highlight=False, soft_wrap=True)


def print_votes(counted: Counted, console: Console) -> None:
    """Print what blind votes say, and which metric agrees with them."""
    if not counted.ranked:
        console.print(
            "Nobody has voted yet: the page of python -m lab.report gives files of votes to put "
            "into votes/",
            highlight=False,
        )
        return
    table = _table(f"Blind votes of {', '.join(counted.voters)}")
    table.add_column("", overflow="fold")
    table.add_column("wins against average", justify="right")
    table.add_column("probability best", justify="right")
    table.add_column("seen", justify="right")
    for voted in counted.ranked[:_ROWS]:
        table.add_row(
            describe(voted.checkpoint),
            f"{voted.wins:.0%} [{voted.low:.0%}, {voted.high:.0%}]",
            percent(voted.probability),
            str(voted.votes),
        )
    console.print(table)
    _print_more(len(counted.ranked), console)
    if counted.agreements:
        _print_agreement(counted, console)
    for note in counted.notes:
        console.print(f"Note: {note}", highlight=False)


def _print_agreement(counted: Counted, console: Console) -> None:
    """How often each metric prefers the fill that was chosen, in all and by hole ratio."""
    table = _table("How often a metric prefers the fill that was chosen")
    table.add_column("metric")
    table.add_column("share with 95 % interval", justify="right")
    for heading in ("votes", "photos"):
        table.add_column(heading, justify="right")
    for item in counted.agreements:
        table.add_row(item.metric, _share(item), str(item.votes), str(item.photos))
    console.print(table)
    if counted.by_ratio:
        table = _table("The same by the hole's share of the photo, as far as there are votes")
        table.add_column("metric")
        for name, items in counted.by_ratio.items():
            table.add_column(f"{name} ({max(item.votes for item in items)})", justify="right")
        found = [{item.metric: item for item in items} for items in counted.by_ratio.values()]
        for item in counted.agreements:
            cells = (_share(each[item.metric]) if item.metric in each else "–" for each in found)
            table.add_row(item.metric, *cells)
        console.print(table)
    console.print(
        "50 % is chance. A metric that sees no difference counts half; a tie chooses no fill. The "
        "interval is over photos.",
        highlight=False,
    )


def _share(item: Agreement) -> str:
    return f"{100 * item.share:.0f} % [{100 * item.low:.0f}, {100 * item.high:.0f}]"


def write_selection(selection: Selection, counted: Counted, folder: Path) -> None:
    """Write ``selection.csv``, a line a checkpoint, and ``selection.json``, everything.

    Where there are votes, ``agreement.csv``, too (`write_agreement`).
    """
    write_agreement(counted, folder)
    by_votes = {item.checkpoint: item for item in counted.ranked}
    lines = [_line(selection, index, by_votes) for index in selection.ranking.order]
    with replacing(folder / "selection.csv") as temporary:
        pd.DataFrame(lines).to_csv(temporary, index=False, float_format="%.6g")
    names = [point.name for point in selection.checkpoints]
    content: dict[str, Any] = {
        "version": 1,
        "metrics": selection.metrics,
        "photos": selection.ranking.photos,
        "samples": len(selection.scores.samples),
        "chosen": None if selection.chosen is None else names[selection.chosen],
        "tied": [names[index] for index in selection.ranking.tied],
        "pareto": [names[index] for index in selection.pareto],
        "sentences": explain(selection),
        "notes": selection.notes,
        "checkpoints": [
            {
                **line,
                "behind": selection.ranking.behind[index].interval,
                "marks": [asdict(mark) for mark in selection.marks[index]],
            }
            for line, index in zip(lines, selection.ranking.order, strict=True)
        ],
        "bins": {
            name: {
                "photos": ranking.photos,
                "best": names[ranking.order[0]],
                "tied": [names[index] for index in ranking.tied],
                "probability_best": {
                    name: float(value)
                    for name, value in zip(names, ranking.probability, strict=True)
                },
            }
            for name, ranking in selection.bins.items()
        },
        "votes": [asdict(item) for item in counted.ranked],
        "agreement": [asdict(item) for item in counted.agreements],
        "agreement_by_ratio": {
            name: [asdict(item) for item in items] for name, items in counted.by_ratio.items()
        },
    }
    with replacing(folder / SELECTION) as temporary:
        temporary.write_text(
            json.dumps(_finite(content), indent=1, ensure_ascii=False, allow_nan=False) + "\n"
        )


def write_agreement(counted: Counted, folder: Path) -> None:
    """Write ``agreement.csv``, a line a bin of hole ratios and metric, the whole as ``all``.

    Nothing where no vote chose a fill that is scored.
    """
    if not counted.agreements:
        return
    told = {"all": counted.agreements, **counted.by_ratio}
    rows = [{"hole_ratio": name, **asdict(item)} for name in told for item in told[name]]
    with replacing(folder / "agreement.csv") as temporary:
        pd.DataFrame(rows).to_csv(temporary, index=False, float_format="%.6g")


def _line(selection: Selection, index: int, by_votes: dict[str, Voted]) -> dict[str, Any]:
    point, ranking = selection.checkpoints[index], selection.ranking
    behind = ranking.behind[index]
    voted = by_votes.get(point.name)
    return {
        "checkpoint": point.name,
        "epoch": point.epoch,
        "rank": ranking.order.index(index) + 1,
        "chosen": index == selection.chosen,
        "probability_best": float(ranking.probability[index]),
        "tied": index in ranking.tied,
        "behind_first": behind.mean,
        "behind_low": behind.low,
        "behind_high": behind.high,
        **{name: float(each.means[index]) for name, each in selection.rankings.items()},
        "pareto": index in selection.pareto,
        "marks": "; ".join(f"{mark.kind}: {mark.reason}" for mark in selection.marks[index]),
        "votes_won": None if voted is None else voted.wins,
        "file": str(point.path),
    }


def _finite(content: Any) -> Any:  # noqa: ANN401 (any JSON)
    """Intervals without end as null: JSON has no infinity."""
    if isinstance(content, dict):
        return {key: _finite(value) for key, value in content.items()}
    if isinstance(content, list):
        return [_finite(value) for value in content]
    return None if isinstance(content, float) and abs(content) == float("inf") else content


def _ranking(selection: Selection) -> Table:
    ranking, metric = selection.ranking, selection.metrics[0]
    basis = rests_on(len(selection.scores.samples), ranking.photos)
    table = _table(f"{len(selection.checkpoints)} checkpoints by {metric}, {basis}")
    table.add_column("", justify="right")
    table.add_column("checkpoint", no_wrap=True)
    table.add_column("prob. best", justify="right")
    table.add_column("behind the first, 95 %", justify="right", no_wrap=True)
    shown = selection.metrics[:3]
    for name in shown:
        arrow = "↑" if METRICS[name].higher_is_better else "↓"
        # Spaces, so that a narrow terminal may break the heading.
        table.add_column(f"{name.replace('_', ' ')} {arrow}", justify="right")
    rows = ranking.order[:_ROWS]
    if selection.chosen is not None and selection.chosen not in rows:
        rows = [*rows, selection.chosen]
    for index in rows:
        point = selection.checkpoints[index]
        sign = "=" if index in ranking.tied else ""
        sign += "".join(dict.fromkeys(mark.kind[0] for mark in selection.marks[index]))
        sign += "*" if index == selection.chosen else ""
        table.add_row(
            f"{sign} {ranking.order.index(index) + 1}",
            describe(point.name).replace("trial ", "t").replace(", epoch ", " e"),
            percent(ranking.probability[index]),
            "" if index == ranking.order[0] else ranking.behind[index].interval,
            *(_value(selection.rankings[name].means[index], name) for name in shown),
        )
    table.caption = (
        "* chosen  = can't be told from the best  marks: k known pixels, b blur,\nj judge, f file"
    )
    table.caption_justify = "left"
    return table


def _value(value: float, metric: str) -> str:
    return f"{value:.{2 if METRICS[metric].unit == 'dB' else 4}f}"


def _bins(selection: Selection) -> Table:
    table = _table(f"By the hole's share of the photo ({selection.metrics[0]})")
    table.add_column("hole ratio")
    table.add_column("photos", justify="right")
    table.add_column("best mean")
    table.add_column("prob. best", justify="right")
    table.add_column("can't be told apart", justify="right")
    for name, ranking in selection.bins.items():
        best = ranking.order[0]
        table.add_row(
            name,
            str(ranking.photos),
            describe(selection.checkpoints[best].name),
            percent(ranking.probability[best]),
            f"{len(ranking.tied)} of {len(ranking.order)}",
        )
    return table


def _print_marks(selection: Selection, console: Console) -> None:
    """Each kind of mark once, with how many it marks, and the best ranked of them."""
    kinds: dict[str, list[int]] = {}
    for index in selection.ranking.order:
        for kind in dict.fromkeys(mark.kind for mark in selection.marks[index]):
            kinds.setdefault(kind, []).append(index)
    for what, marked in kinds.items():
        example = next(mark.reason for mark in selection.marks[marked[0]] if mark.kind == what)
        console.print(
            f"! {what}: {len(marked)} of {len(selection.checkpoints)} are marked, such as "
            f"{describe(selection.checkpoints[marked[0]].name)}: {example}",
            highlight=False,
        )


def _print_more(count: int, console: Console) -> None:
    if count > _ROWS:
        console.print(f"… and {count - _ROWS} more in selection.json", highlight=False)


def _table(title: str) -> Table:
    return Table(title=title, title_justify="left", box=box.SIMPLE, padding=0, pad_edge=False)
