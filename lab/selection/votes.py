"""Blind votes: which of two completions of one photo looks better, by people who see no names.

A vote is a line of JSON in ``votes/<voter>.jsonl`` in the folder of a run or a study. Files only
grow, each belongs to one person, and those of several people count together when they lie side by
side. A page may offer such a file for download. The keys of a line, all required:

- ``version``: 1.
- ``pair``: names the photo and the two checkpoints, opaque to the eye: `pair_id`.
- ``photo``: the name of the validation sample.
- ``left``, ``right``: the checkpoints shown on either side, ``epoch-009`` in a run,
  ``trial-003/epoch-009`` in a study; what was not trained has one epoch, 0 for a method:
  ``baselines/telea/epoch-000``.
- ``choice``: ``left``, ``right`` (that side is better) or ``tie``.
- ``voter``: the file's name without its ending: 1 to 40 of ``a-z A-Z 0-9 _ -``.
- ``time``: in UTC, ISO 8601, such as ``2026-11-21T04:20:31Z``.

Whoever votes again on a pair has changed their mind: the later line counts.
"""

import json
import os
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from hashlib import sha256
from itertools import combinations
from pathlib import Path
from typing import cast, get_args

import numpy as np

from lab.formats.plain import parse_json
from lab.results import ResultsError, Study
from lab.selection.checkpoints import completing_runs
from lab.statistics import Choice
from lab.untrusted import MEBIBYTE, printable, read_text

VERSION = 1

LARGEST_FILE = 16 * MEBIBYTE
"""Bytes of one person's votes; a vote has 300."""

_VOTER = re.compile(r"[A-Za-z0-9_-]{1,40}")


@dataclass(frozen=True)
class Pair:
    """What one vote is about: two checkpoints' completions of a photo, left and right."""

    pair: str
    photo: str
    left: str
    right: str


@dataclass(frozen=True)
class Vote(Pair):
    """What somebody chose."""

    choice: Choice
    voter: str
    time: str


def pair_id(photo: str, one: str, other: str) -> str:
    """The name of a pair: the same whichever side is which, and telling nobody what it shows."""
    text = "\0".join([photo, *sorted([one, other])])
    return sha256(text.encode()).hexdigest()[:16]


def completions_of(study: Study) -> dict[str, list[str]]:
    """The checkpoints whose completion of a sample lies on disk, by the sample.

    Raises:
        ResultsError: the folder is neither of a run nor of a study.
    """
    found: dict[str, list[str]] = {}
    for name, run in completing_runs(study).items():
        completed = run.pictures[run.pictures["what"] == "completed"]
        for sample, epoch in zip(completed["sample"], completed["epoch"], strict=True):
            checkpoint = f"epoch-{epoch:03d}"
            found.setdefault(sample, []).append(f"{name}/{checkpoint}" if name else checkpoint)
    return found


def draw_pairs(
    completions: Mapping[str, Sequence[str]],
    count: int,
    seed: int,
    checkpoints: Sequence[str] | None = None,
) -> list[Pair]:
    """Draw what to vote on: no pair twice, sides and order shuffled, checkpoints equally often.

    Args:
        completions: the checkpoints to be seen on each photo (`completions_of`).
        count: how many; fewer come where there are fewer pairs.
        seed: of pairs, sides and order.
        checkpoints: only these.
    """
    draws = np.random.default_rng(seed)
    shown: Counter[str] = Counter()
    chosen: dict[tuple[str, str, str], None] = {}

    def seldom_first(names: Iterable[str]) -> list[str]:
        return sorted(names, key=lambda name: (shown[name], draws.random()))

    def next_pair() -> tuple[str, str, str] | None:
        for photo in seldom_first(sorted(completions)):
            names = {name for name in completions[photo] if checkpoints is None or name in allowed}
            for one, other in combinations(seldom_first(sorted(names)), 2):
                pair = (photo, *sorted((one, other)))
                if pair not in chosen:
                    return cast(tuple[str, str, str], pair)
        return None

    allowed = set(checkpoints or ())
    while len(chosen) < count:
        pair = next_pair()
        if pair is None:
            break
        chosen[pair] = None
        shown.update(pair)
    order = list(chosen)
    drawn = []
    for index in draws.permutation(len(order)):
        photo, one, other = order[int(index)]
        left, right = (one, other) if draws.random() < 0.5 else (other, one)
        drawn.append(Pair(pair_id(photo, one, other), photo, left, right))
    return drawn


def vote(pair: Pair, choice: Choice, voter: str) -> Vote:
    """Make a vote of now."""
    time = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    return Vote(pair.pair, pair.photo, pair.left, pair.right, choice, voter, time)


def add_vote(folder: Path, given: Vote) -> None:
    """Append a vote to its voter's file in the folder of a run or a study.

    Raises:
        ResultsError: a vote that `read_votes` would refuse.
    """
    reason = _wrong(given)
    if reason:
        raise ResultsError(f"this vote cannot be kept: {reason}")
    path = folder / "votes" / f"{given.voter}.jsonl"
    path.parent.mkdir(exist_ok=True)
    line = json.dumps({"version": VERSION, **asdict(given)}, ensure_ascii=False) + "\n"
    # One write to the end of the file: whole lines, also where two windows vote at once.
    file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(file, line.encode())
    finally:
        os.close(file)


def read_votes(folder: Path) -> list[Vote]:
    """Read everybody's votes in a folder, of each person's votes on a pair the latest.

    Raises:
        ResultsError: a line that is no vote; names file and line.
    """
    latest: dict[tuple[str, str], Vote] = {}
    for path in sorted((folder / "votes").glob("*.jsonl")):
        for number, line in enumerate(_lines(path), start=1):
            if not line.strip():
                continue
            given = _parse(line, f"line {number} of {path}", path.stem)
            before = latest.get((given.voter, given.pair))
            if before is None or _moment(given) >= _moment(before):
                latest[given.voter, given.pair] = given
    return list(latest.values())


def _lines(path: Path) -> list[str]:
    try:
        # Not `splitlines`: JSON leaves other line breaks than this one as they are.
        return read_text(path, LARGEST_FILE).split("\n")
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise ResultsError(
            f"the votes in {printable(path)} cannot be read ({reason}): mend or delete that file"
        ) from error


def _parse(line: str, where: str, voter: str) -> Vote:
    try:
        values = parse_json(line, "it")
        if not isinstance(values, dict) or values.pop("version", None) != VERSION:
            raise ResultsError(f"its version is not {VERSION}")
        if not all(isinstance(value, str) for value in values.values()):
            raise ResultsError("its values must be texts")
        given = Vote(**cast(dict[str, str], values))  # type: ignore[arg-type]
        reason = _wrong(given) or ("" if given.voter == voter else f"its voter is {given.voter!r}")
        if reason:
            raise ResultsError(reason)
    except (TypeError, ValueError, ResultsError) as error:
        raise ResultsError(
            f"{printable(where)} is no vote ({error}): mend or delete that line; "
            "lab/selection/votes.py "
            "describes the format"
        ) from error
    return given


def _wrong(given: Vote) -> str:
    """What is wrong with a vote; empty if nothing."""
    if given.choice not in get_args(Choice):
        return f"its choice {given.choice!r} is none of {', '.join(get_args(Choice))}"
    if not _VOTER.fullmatch(given.voter):
        return f"the voter {given.voter!r} must be 1 to 40 letters, digits, _ or -"
    if given.left == given.right:
        return f"both sides are {given.left}"
    if given.pair != pair_id(given.photo, given.left, given.right):
        return f"its pair {given.pair!r} does not belong to its photo and checkpoints"
    try:
        if _moment(given).tzinfo is None:
            return f"its time {given.time!r} has no zone"
    except ValueError:
        return f"its time {given.time!r} is none"
    return ""


def _moment(given: Vote) -> datetime:
    return datetime.fromisoformat(given.time)
