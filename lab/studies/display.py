"""Shows a sweep as it runs: trials, epochs, steps, the best so far, and the time left."""

import time
from dataclasses import dataclass, field

from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from lab.metrics import METRICS
from lab.studies.question import Question, short_names
from lab.studies.worker import TrialEvent
from lab.terminal import Terminal

STARTING = "the processes start: each loads PyTorch, reads the photos and claims a trial"


@dataclass
class _Worker:
    event: TrialEvent
    last: str = ""
    begun: float | None = None  # the part of its trial that was done when it came here

    @property
    def part(self) -> float:
        """The part of its trial that is done."""
        progress = self.event.progress
        if progress is None:
            return 0.0
        return (progress.epoch - 1 + progress.step / max(1, progress.steps)) / progress.epochs

    @property
    def here(self) -> float:
        """The part of its trial that was done here."""
        return self.part - (self.begun or 0.0)


@dataclass
class SweepDisplay:
    """Takes the news of every process; a live panel on a terminal, a line an epoch elsewhere.

    Args:
        question: of the sweep.
        finished_trials: done before this call.
        console: where to write.
    """

    question: Question
    finished_trials: int = 0
    console: Console = field(default_factory=Terminal)
    _workers: dict[int, _Worker] = field(default_factory=dict)
    _best: float | None = None
    _best_trial: str = ""
    _trials_here: int = 0
    _done_here: float = 0.0
    _seeds_here: int = 0
    _waited_for: set[int] = field(default_factory=set)
    _began: float = field(default_factory=time.monotonic)

    def __post_init__(self) -> None:
        """Prepare the panel; it appears on entering."""
        self._live = Live(
            get_renderable=self._panel,
            console=self.console,
            refresh_per_second=4,
            transient=True,
        )
        self._names = short_names(self.question.varied)

    def __enter__(self) -> "SweepDisplay":
        if self.console.is_terminal:
            self._live.start()
        else:
            self.console.print(STARTING, soft_wrap=True)
        return self

    def __exit__(self, *_: object) -> None:
        if self.console.is_terminal:
            self._live.stop()

    def tell(self, event: TrialEvent) -> None:
        """Take one piece of news."""
        if event.kind == "waiting":
            self._note_waiting(event)
            return
        if event.kind in ("complete", "pruned", "failed", "invalid", "lost"):
            ended = self._workers.pop(event.worker, None)
            if event.kind not in ("invalid", "lost"):
                self._done_here += 1.0 - ((ended and ended.begun) or 0.0)
            if event.seed is not None:
                self._seeds_here += 1
            elif event.kind not in ("invalid", "lost"):
                self.finished_trials += 1
                self._trials_here += 1
            self._print_end(event)
            return
        worker = self._workers.setdefault(event.worker, _Worker(event))
        if event.score is not None:
            self._note_epoch(worker, event)
        if event.progress is not None or event.kind == "begun":
            worker.event = event
            if event.progress is not None and worker.begun is None:
                worker.begun = worker.part
        if event.kind == "begun" and event.reason:
            self._say(f"trial {event.trial} {event.reason}")
        if event.kind == "resumed":
            self._say(f"trial {event.trial}: {event.reason}")

    def note_value(self, trial: int, value: float, after: str = "") -> None:
        """Take what a trial has of the first goal, and remember the best.

        Args:
            trial: its number.
            value: of the goal.
            after: when, in words that follow its name.
        """
        higher = METRICS[self.question.goals[0]].higher_is_better
        if self._best is None or (value > self._best if higher else value < self._best):
            self._best, self._best_trial = value, f" (trial {trial}{after})"

    def _note_waiting(self, event: TrialEvent) -> None:
        if event.trial not in self._waited_for:
            self._waited_for.add(event.trial)
            self._say(
                f"waiting for a sign of life of trial {event.trial}, which another machine runs; "
                "if it gives none, it is taken up here"
            )

    def _say(self, sentence: str) -> None:
        self.console.print(sentence, soft_wrap=True, highlight=False)

    def _note_epoch(self, worker: _Worker, event: TrialEvent) -> None:
        assert event.score is not None
        goal = self.question.goals[0]
        value = event.score.means[goal]
        worker.last = f"{goal} {value:.4g}"
        epoch, after = "", ""
        # A question about a network that is there has no epochs of its own.
        if self.question.trains:
            epoch = f" epoch {event.score.epoch}/{self.question.epochs}"
            after = f", epoch {event.score.epoch}"
        self.note_value(event.trial, value, after)
        if not self.console.is_terminal:
            self.console.print(
                f"trial {event.trial}{epoch}: "
                f"{worker.last}, best {self._best:.4g}, {self._time_left()}",
                soft_wrap=True,
                highlight=False,
            )

    def _print_end(self, event: TrialEvent) -> None:
        values = ", ".join(
            f"{self._names[path]} {value:.3g}" if isinstance(value, float) else f"{value}"
            for path, value in (event.values or {}).items()
            if path in self._names
        )
        again = "" if event.seed is None else f", again from seed {event.seed}"
        reason = f": {event.reason}" if event.reason else ""
        self.console.print(
            f"trial {event.trial} {event.kind}{reason} ({values}{again})",
            soft_wrap=True,
            highlight=False,
        )

    def _panel(self) -> RenderableType:
        done = min(1.0, (self.finished_trials + self._part_running()) / self.question.trials)
        head = Table.grid(padding=(0, 2))
        best = "–" if self._best is None else f"{self._best:.4g}{self._best_trial}"
        head.add_row(
            f"trials {self.finished_trials}/{self.question.trials}"
            + (f" + {self._seeds_here} more seeds" if self._seeds_here else ""),
            ProgressBar(total=1.0, completed=done, width=30),
            f"best {self.question.goals[0]} {best}",
            self._time_left(),
        )
        rows = [Text("  ".join(self._worker_line(worker))) for worker in self._workers.values()]
        if not rows and not self._trials_here:
            rows = [Text(f"  {STARTING}")]
        return Group(head, *rows)

    def _worker_line(self, worker: _Worker) -> list[str]:
        progress = worker.event.progress
        if progress is None:
            return [f"  trial {worker.event.trial}", "starting"]
        return [
            f"  trial {worker.event.trial}",
            f"epoch {progress.epoch}/{progress.epochs}",
            f"step {progress.step}/{progress.steps}",
            worker.last,
        ]

    def _part_running(self) -> float:
        """How many trials' worth the running ones have done."""
        return sum(worker.part for worker in self._workers.values())

    def _time_left(self) -> str:
        done = self._done_here + sum(worker.here for worker in self._workers.values())
        left = self.question.trials - self.finished_trials - self._part_running()
        if done < 0.2 or left < 0:
            return "time left –"
        seconds = int((time.monotonic() - self._began) / done * left)
        # The first epochs are the slowest: photos are read, and PatchMatch's fills computed.
        at_most = "" if self._trials_here else "at most "
        return f"time left {at_most}{seconds // 60}:{seconds % 60:02d}"
