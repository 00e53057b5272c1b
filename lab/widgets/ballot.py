"""Blind votes in a notebook: two completions of a photo, no names, three buttons or keys."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any, cast

import anywidget
import traitlets

from lab.results import ResultsError, open_study
from lab.selection.checkpoints import completing_runs
from lab.selection.votes import (
    Choice,
    add_vote,
    completions_of,
    draw_pairs,
    read_votes,
    vote,
)
from lab.widgets.pictures import ASSETS


class Ballot(anywidget.AnyWidget):
    """Shows pair after pair, and appends each vote to ``votes/<voter>.jsonl`` of the folder.

    Which checkpoints are shown stays hidden. Pairs that the voter voted on before are left out, so
    that a ballot can be put aside; "back" shows the last pair again, and the later vote counts.

    Args:
        folder: of a run or a study.
        voter: 1 to 40 letters, digits, ``_`` or ``-``.
        count: pairs to vote on, those of earlier ballots included.
        seed: of pairs, sides and order.
        checkpoints: only these, ``epoch-009``, ``trial-003/epoch-009`` or, of a method,
            ``baselines/telea/epoch-000``; None takes all.

    Raises:
        ResultsError: no run or study, fewer than two completions of every photo, or votes that
            cannot be read.
    """

    _esm = ASSETS / "ballot.js"
    _css = ASSETS / "widgets.css"
    left = traitlets.Bytes().tag(sync=True)
    right = traitlets.Bytes().tag(sync=True)
    status = traitlets.Unicode().tag(sync=True)

    def __init__(
        self,
        folder: Path,
        voter: str,
        count: int = 20,
        seed: int = 0,
        checkpoints: Sequence[str] | None = None,
    ) -> None:
        super().__init__()
        self._folder, self._voter = folder, voter
        study = open_study(folder, networks=False)
        self._runs = completing_runs(study)
        pairs = draw_pairs(completions_of(study), count, seed, checkpoints)
        if not pairs:
            raise ResultsError(
                f"there is nothing to vote on in {folder}: no photo has pictures of two checkpoints"
            )
        done = {given.pair for given in read_votes(folder) if given.voter == voter}
        self._pairs = [pair for pair in pairs if pair.pair not in done]
        self._at = 0
        self.on_msg(self._hear)
        self._show()

    def choose(self, choice: Choice) -> None:
        """Vote on the pair that is shown, and show the next.

        Raises:
            ResultsError: a voter's name that will not do, or no pair is left.
        """
        if self._at == len(self._pairs):
            raise ResultsError("every pair has its vote")
        add_vote(self._folder, vote(self._pairs[self._at], choice, self._voter))
        self._at += 1
        self._show()

    def back(self) -> None:
        """Show the last pair again."""
        self._at = max(0, self._at - 1)
        self._show()

    def _hear(self, _: object, content: dict[str, Any], buffers: object) -> None:
        try:
            if content["choice"] == "back":
                self.back()
            elif self._at < len(self._pairs):
                self.choose(cast(Choice, content["choice"]))
        except (ResultsError, OSError) as error:
            # An exception here would end in a log that nobody looks at.
            self.status = f"not kept: {error}"

    def _show(self) -> None:
        count = len(self._pairs)
        if self._at == count:
            self.left = self.right = b""
            self.status = f"{count} votes are in: thank you" if count else "you voted on all of it"
            return
        pair = self._pairs[self._at]
        self.left, self.right = (
            self._picture(pair.photo, side) for side in (pair.left, pair.right)
        )
        self.status = f"pair {self._at + 1} of {count}: which looks better?"

    def _picture(self, photo: str, checkpoint: str) -> bytes:
        run, _, epoch = checkpoint.rpartition("/")
        number = int(epoch.removeprefix("epoch-"))
        path = self._runs[run].picture(photo, "completed", number)
        if path is None:
            raise ResultsError(f"the picture of {photo} by {checkpoint} is gone")
        return path.read_bytes()
