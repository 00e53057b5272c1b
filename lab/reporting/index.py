"""The page over all studies and runs of a folder: question, picture and verdict of each."""

import os
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from html import escape
from pathlib import Path
from time import perf_counter, time_ns
from urllib.parse import quote

from lab.checks import UserError
from lab.files import replacing_folder
from lab.reporting.document import index_document, refuse_foreign
from lab.reporting.page import write_report
from lab.reporting.pictures import MAIN_STAGE, link, shown_path, write_serial
from lab.reporting.watching import NOT_WRITTEN, is_done, is_stale
from lab.results import Run, Study, cautions, find_studies, open_study, verdict

REPORT = "report"
"""The folder of a study's or run's own page, inside its folder."""


@dataclass(frozen=True)
class Entry:
    """A study or run of the index.

    Attributes:
        folder: where it lies.
        study: None where it cannot be read.
        problem: why it, or its page, is missing.
    """

    folder: Path
    study: Study | None
    problem: str = ""

    @property
    def changed(self) -> float:
        """When its scores last changed, in seconds since 1970; its folder's time without any."""
        runs = self.study.runs if self.study else []
        times = [run.changed / 1e9 for run in runs if run.changed]
        return max(times, default=self.folder.stat().st_mtime)


@dataclass
class _Card:
    """What an entry shows, as text; the pictures by the names they get beside the page."""

    overline: str
    title: str
    facts: str
    verdict: str
    cautions: list[str] = field(default_factory=list)
    page: Path | None = None
    pictures: list[tuple[Path, str]] = field(default_factory=list)
    caption: str = ""


def write_index(
    folder: Path,
    output: Path,
    tell: Callable[[str], None],
    serial: int | None = None,
) -> list[Entry]:
    """Write the index, and the pages of its studies and runs that are missing or out of date.

    Args:
        folder: with studies and runs below it.
        output: a folder that gets ``index.html``; what was there before is replaced.
        tell: gets a line for each page that was written, with how long that took.
        serial: number of this version: the page then waits for another one, and shows it.

    Raises:
        SettingsError: something else lies at ``output``.
    """
    refuse_foreign(output)
    entries = [_entry(path, tell) for path in find_studies(folder)]
    entries.sort(key=lambda entry: entry.changed, reverse=True)
    with replacing_folder(output) as temporary:
        parts = []
        for number, entry in enumerate(entries):
            card = _card(entry, folder)
            names = []
            for source, what in card.pictures:
                names.append(f"pictures/{number}-{what}.png")
                link(source, temporary / names[-1])
            parts.append(_html(card, names, output))
        if serial is not None:
            write_serial(temporary, serial)
        title = f"Studies and runs in {shown_path(folder)}"
        (temporary / "index.html").write_text(
            index_document(title, _body(title, parts), serial), encoding="utf-8"
        )
    return entries


def all_done(entries: Sequence[Entry]) -> bool:
    """Whether nothing more comes of any entry that can be read."""
    return all(entry.study is None or is_done(entry.study) for entry in entries)


def _entry(folder: Path, tell: Callable[[str], None]) -> Entry:
    """Read a study, and bring its page up to date."""
    page, read = folder / REPORT / "index.html", time_ns()
    try:
        study = open_study(folder, networks=False)
    except UserError as error:
        return Entry(folder, None, f"It cannot be read: {error}")
    try:
        if is_stale(page, folder):
            start = perf_counter()
            write_report(study, folder / REPORT)
            # What changed while it was written is not in it.
            os.utime(page, ns=(read, read))
            tell(f"{page} written in {perf_counter() - start:.1f} s")
    except NOT_WRITTEN as error:
        return Entry(folder, study, f"Its page could not be written: {error}")
    return Entry(folder, study)


def _card(entry: Entry, root: Path) -> _Card:
    name = entry.folder.relative_to(root).as_posix()
    day = f"{datetime.fromtimestamp(entry.changed, UTC):%d %B %Y}".lstrip("0")
    if entry.study is None:
        return _Card(name, name, day, entry.problem)
    study = entry.study
    card = _Card(
        overline=f"{'study' if study.is_study else 'run'} {name}",
        title=study.question or name,
        facts=f"{day} · {_facts(study)}",
        verdict=verdict(study),
        cautions=[*cautions(study), *([entry.problem] if entry.problem else [])],
    )
    if not entry.problem:
        card.page = entry.folder / REPORT / "index.html"
    if study.ranked:
        card.pictures, card.caption = _pictures(study, study.ranked[0])
    return card


def _facts(study: Study) -> str:
    if not study.is_study:
        last = study.runs[0].last
        return f"{last} epoch{'' if last == 1 else 's'}"
    states = Counter(run.state for run in study.trials)
    number = len(study.trials)
    words = ", ".join(f"{count} {state}" for state, count in states.items())
    if not number and study.entrants:
        return f"{len(study.entrants)} of other programs"
    return f"{number} trial{'' if number == 1 else 's'}: {words}" if number else "no trial yet"


def _pictures(study: Study, run: Run) -> tuple[list[tuple[Path, str]], str]:
    """The hole, the completed photo and the truth of a sample that the run does middling well."""
    table = run.pictures
    at_best = table[(table["what"] == MAIN_STAGE) & (table["epoch"] == run.best)]
    scores = run.best_scores[study.goals[0]]
    pictured = [sample for sample in at_best["sample"] if sample in scores.index]
    if not pictured:
        return [], ""
    middle = float(scores.median())
    sample = min(pictured, key=lambda name: abs(float(scores[name]) - middle))
    of_sample = table[table["sample"] == sample]
    fixed = dict(zip(of_sample["what"], of_sample["path"], strict=True))
    completed = at_best.loc[at_best["sample"] == sample, "path"].iloc[0]
    if not {"hole", "truth"} <= fixed.keys():
        return [], ""
    caption = f"{sample}: with its hole, filled by {run.label}, and as it was"
    return [(fixed["hole"], "hole"), (completed, "completed"), (fixed["truth"], "truth")], caption


def _html(card: _Card, pictures: Sequence[str], output: Path) -> str:
    title = escape(card.title)
    if card.page is not None:
        target = quote(Path(os.path.relpath(card.page, output)).as_posix())
        title = f'<a href="{target}">{title}</a>'
    images = "".join(
        f'<img src="{name}" alt="{escape(what)}">'
        for name, what in zip(pictures, ("the hole", "filled", "the truth"), strict=False)
    )
    figure = f"<figure>{images}<figcaption>{escape(card.caption)}</figcaption></figure>"
    cautions = "".join(f'<p class="caution">{escape(text)}</p>' for text in card.cautions)
    return (
        f'<article><p class="overline">{escape(card.overline)}</p><h2>{title}</h2>'
        f'<p class="soft">{escape(card.facts)}</p>'
        f"<p>{escape(card.verdict)}</p>{cautions}{figure if images else ''}</article>"
    )


def _body(title: str, cards: Sequence[str]) -> str:
    now = f"{datetime.now(UTC):%Y-%m-%d %H:%M:%S} UTC"
    return (
        f'<header><p class="overline">index</p><h1>{escape(title)}</h1></header>'
        f'<main class="cards">{"".join(cards)}</main>'
        f"<footer>Written {now}. This page loads nothing and sends nothing.</footer>"
    )
