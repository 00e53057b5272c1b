"""Where a study is kept, and how its trials are shared out: none twice, none lost."""

import builtins
import errno
import multiprocessing
import os
import signal
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime

import numpy as np
import optuna
import pandas as pd
import pytest
from optuna.storages.journal import JournalFileSymlinkLock
from optuna.trial import TrialState

from lab.formats.runs import photo_table
from lab.parsing import SettingsError
from lab.results import (
    ResultsError,
    findings,
    note_storage,
    open_storage,
    open_study,
    trial_folder,
)
from lab.results import storage as results_storage
from lab.studies import Question, Search, storage
from lab.studies.storage import begin_study, claim_trial, retry_failed, set_aside

QUESTION = Question(
    question="Which?",
    search={"x": Search(low=0.0, high=1.0), "n": Search(low=1, high=1000, whole=True)},
    goal="hole_psnr",
    first=[{"x": 0.25, "n": 7}, {"x": 0.75, "n": 8}],
)
WITHOUT_FIRST = Question(question="Which?", search=QUESTION.search, goal="hole_psnr")
IDENTITY = {"data.size": "32", "photos": "5 + 3"}


class Office:
    """One process's view of a study in a folder."""

    def __init__(self, folder, question=QUESTION, address=None, identity=IDENTITY, name="tiny"):
        self.folder, self.question, self.address = folder / name, question, address
        self.study = begin_study("tiny", question, address, self.folder, identity)
        note_storage(self.folder, "tiny", address)

    def claim(self, limit=10, seed=0):
        return claim_trial(self.study, self.question, self.address, self.folder, limit, seed)

    def finish(self, claim, value=1.0):
        self.study.tell(claim.trial.number, value)
        claim.lock.release()

    def die(self, claim):
        """As `kill -9` leaves it: the trial counts as running, and its lock is free."""
        claim.lock.release()

    def states(self):
        return [trial.state for trial in self.study.get_trials() if trial.state.is_finished()]


@pytest.fixture(params=["sqlite", "journal", "url"])
def address(request, tmp_path):
    return {
        "sqlite": None,
        "journal": f"journal:{tmp_path / 'elsewhere' / 'study.log'}",
        "url": f"sqlite:///{tmp_path / 'other.db'}",
    }[request.param]


def test_a_study_is_gone_on_with_wherever_it_is_kept(tmp_path, address):
    one = Office(tmp_path, address=address)
    one.finish(one.claim(), 3.0)
    other = Office(tmp_path, address=address)
    assert [trial.value for trial in other.study.get_trials(states=(TrialState.COMPLETE,))] == [3.0]
    assert other.study.user_attrs["question"] == "Which?"
    assert other.claim().trial.number == 1
    where = {"sqlite": "tiny/study.db", "journal": "elsewhere/study.log", "url": "other.db"}
    kind = "sqlite" if address is None else address.split(":")[0]
    kind = "url" if address and kind == "sqlite" else kind
    assert (tmp_path / where[kind]).is_file()


@pytest.mark.parametrize(
    "address",
    [
        "nonsense",
        "nosuchdatabase://user@host/x",
        "postgresql://user@127.0.0.1:9/x",
        "sqlite:////no/such/folder/study.db",
        "journal:/proc/none/study.log",
    ],
)
def test_a_storage_that_cannot_be_opened_is_an_error_that_says_what_it_may_be(tmp_path, address):
    with pytest.raises(ResultsError, match=r"(?s)cannot be opened.*journal:FILE or an SQLAlch"):
        open_storage(address, tmp_path / "tiny")


@pytest.mark.parametrize("name", ["study.db", "study.log"])
def test_a_file_that_is_no_storage_is_an_error(tmp_path, name):
    (tmp_path / name).write_text("a shopping list\nbread\n")
    address = (
        f"journal:{tmp_path / name}" if name == "study.log" else f"sqlite:///{tmp_path / name}"
    )
    with pytest.raises(ResultsError, match="cannot be opened"):
        Office(tmp_path, address=address)


def test_the_first_trials_come_first_and_in_order(tmp_path):
    office = Office(tmp_path)
    claims = [office.claim() for _ in range(3)]
    assert [claim.values for claim in claims[:2]] == list(QUESTION.first)
    assert [claim.trial.number for claim in claims] == [0, 1, 2]
    assert [claim.trial.user_attrs.get("first", False) for claim in claims] == [True, True, False]
    assert claims[2].values not in QUESTION.first
    assert [claim.folder.name for claim in claims] == ["trial-000", "trial-001", "trial-002"]


def test_first_trials_are_queued_once_however_often_the_study_is_opened(tmp_path):
    for _ in range(3):
        office = Office(tmp_path)
    assert len(office.study.get_trials()) == 2


def test_no_more_trials_begin_than_were_asked_for(tmp_path):
    office = Office(tmp_path)
    claims = [office.claim(limit=3) for _ in range(3)]
    assert office.claim(limit=3) is None
    for claim in claims:
        office.finish(claim)
    assert office.claim(limit=3) is None
    assert office.claim(limit=4).trial.number == 3


@pytest.mark.parametrize("state", [TrialState.FAIL, TrialState.PRUNED])
def test_failed_and_pruned_trials_count_too(tmp_path, state):
    office = Office(tmp_path)
    claim = office.claim(limit=1)
    office.study.tell(claim.trial.number, state=state)
    claim.lock.release()
    assert office.claim(limit=1) is None


def test_a_trial_whose_process_died_is_taken_up_with_its_values(tmp_path, address):
    office = Office(tmp_path, address=address, question=WITHOUT_FIRST)
    died = office.claim()
    office.die(died)
    other = Office(tmp_path, address=address, question=WITHOUT_FIRST)
    taken = other.claim(limit=1)  # it counts as begun, so the limit does not stop it
    assert taken.trial.number == died.trial.number
    assert taken.values == died.values
    assert taken.folder == died.folder
    other.finish(taken)
    assert other.claim(limit=1) is None


def test_a_trial_that_somebody_runs_is_left_alone(tmp_path, address):
    one = Office(tmp_path, address=address)
    held = one.claim()
    other = Office(tmp_path, address=address)
    own = other.claim()
    assert (held.trial.number, own.trial.number) == (0, 1)
    assert other.claim(limit=2) is None
    assert one.claim(limit=2) is None


def test_a_trial_that_ends_while_another_worker_looks_is_not_taken_up(tmp_path, monkeypatch):
    one, other = Office(tmp_path), Office(tmp_path)
    running = one.claim()
    lock = storage.lock_run

    def end_and_lock(folder):
        if not running.lock.is_locked:
            return lock(folder)
        one.finish(running)
        return lock(folder)

    monkeypatch.setattr(storage, "lock_run", end_and_lock)
    assert other.claim().trial.number == 1


def test_the_first_of_several_dead_trials_is_taken_up_first(tmp_path):
    office = Office(tmp_path)
    claims = [office.claim() for _ in range(3)]
    for claim in claims:
        office.die(claim)
    taken = [office.claim(limit=3) for _ in range(3)]
    assert [claim.trial.number for claim in taken] == [0, 1, 2]
    assert office.claim(limit=3) is None


@pytest.fixture(params=["url", "journal"])
def shared(request, tmp_path):
    """The address of a database that several folders share."""
    return {
        "url": f"sqlite:///{tmp_path / 'shared.db'}",
        "journal": f"journal:{tmp_path / 'shared.log'}",
    }[request.param]


def test_trials_of_another_folder_are_left_alone(tmp_path, shared):
    here, there = Office(tmp_path / "a", address=shared), Office(tmp_path / "b", address=shared)
    here.die(here.claim())
    there.die(there.claim())
    for office, number in ((there, 1), (here, 0)):
        taken = office.claim()
        assert taken.trial.number == number
        office.finish(taken)
    assert here.claim(limit=2) is None


def test_a_restarted_container_and_a_moved_folder_go_on_with_their_trials(
    tmp_path, address, monkeypatch
):
    one = Office(tmp_path, address=address)
    died = one.claim()
    (died.folder / "photos.csv").write_text("epoch")
    one.die(died)
    monkeypatch.setattr("socket.gethostname", lambda: "another-container")
    (tmp_path / "tiny").rename(tmp_path / "moved")

    taken = Office(tmp_path / "moved", address=address, name="").claim(limit=1)
    assert taken.trial.number == died.trial.number
    assert taken.values == died.values
    assert (taken.folder / "photos.csv").exists()


def test_a_trial_whose_process_died_before_it_left_a_mark_is_taken_up(tmp_path, address):
    office = Office(tmp_path, address=address, question=WITHOUT_FIRST)
    office.study.ask()  # and then it died
    claim = Office(tmp_path, address=address, question=WITHOUT_FIRST).claim(limit=1)
    assert claim.trial.number == 0
    assert set(claim.values) == {"x", "n"}


def test_folders_that_share_a_database_begin_no_more_trials_than_were_asked_for(tmp_path, shared):
    def begin(number):
        return Office(tmp_path / "ab"[number % 2], address=shared).claim(limit=3)

    with ThreadPoolExecutor(8) as pool:
        claims = list(pool.map(begin, range(8)))
    begun = [claim for claim in claims if claim is not None]
    assert sorted(claim.trial.number for claim in begun) == [0, 1, 2]
    assert len(Office(tmp_path / "a", address=shared).study.get_trials()) == 3


def test_the_same_seed_draws_the_same_values_also_after_a_death(tmp_path):
    def open_office(folder):
        address = f"journal:{tmp_path / folder / 'study.log'}"
        return Office(tmp_path / folder, question=WITHOUT_FIRST, address=address)

    def values(folder, seed, deaths=(), unmarked=()):
        office, drawn = open_office(folder), []
        for number in range(6):
            if number in unmarked:
                office.study.ask()
            claim = office.claim(seed=seed)
            if number in deaths:
                office.die(claim)
                office = open_office(folder)
                claim = office.claim(seed=seed)
            assert claim.trial.number == number
            drawn.append(claim.values)
            office.finish(claim, value=claim.values["x"])
        return drawn

    plain = values("a", seed=0)
    assert len({tuple(drawn.items()) for drawn in plain}) == 6
    assert values("b", seed=0) == plain
    assert values("c", seed=1) != plain
    assert values("d", seed=0, deaths=[1, 4]) == plain
    assert values("e", seed=0, unmarked=[2]) == plain


def test_the_grid_takes_every_combination_once(tmp_path):
    grid = Question(
        question="?",
        search={"a": Search(choices=[1, 2]), "b": Search(choices=["u", "v", "w"])},
        goal="hole_psnr",
        sampler="grid",
        first=[{"a": 1, "b": "v"}],
    )
    office, seen = Office(tmp_path, grid, f"journal:{tmp_path / 'study.log'}"), []
    for number in range(6):
        claim = office.claim()
        if number == 3:
            office.die(claim)
            claim = office.claim()
        seen.append((claim.values["a"], claim.values["b"]))
        office.finish(claim)
    assert seen[0] == (1, "v")
    assert sorted(seen) == [(a, b) for a in (1, 2) for b in ("u", "v", "w")]


def test_a_study_begun_with_other_settings_is_refused_and_says_which(tmp_path):
    Office(tmp_path)
    Office(tmp_path, identity=dict(reversed(IDENTITY.items())))  # the order is no difference
    with pytest.raises(SettingsError, match=r"data\.size: '32' then, '64' now") as error:
        Office(tmp_path, identity={**IDENTITY, "data.size": "64"})
    assert "photos" not in str(error.value)
    assert "--name" in str(error.value)
    assert "--fresh" in str(error.value)
    with pytest.raises(SettingsError, match="more: None then, '1' now"):
        Office(tmp_path, identity={**IDENTITY, "more": "1"})


def test_another_goal_is_refused(tmp_path):
    Office(tmp_path)
    with pytest.raises(SettingsError):
        Office(
            tmp_path,
            question=Question(question="?", search=QUESTION.search, goal=["hole_psnr", "hole_l1"]),
            identity={**IDENTITY, "goal": "both"},
        )


@pytest.mark.parametrize(
    ("there", "goals"),
    [
        (["maximize"], ["hole_psnr", "hole_l1"]),
        (["maximize", "minimize"], ["hole_psnr"]),
        (["minimize"], ["hole_psnr"]),
    ],
)
def test_a_study_that_no_sweep_began_is_refused_where_its_goals_are_others(tmp_path, there, goals):
    (tmp_path / "tiny").mkdir()
    storage = f"sqlite:///{tmp_path / 'tiny' / 'study.db'}"
    optuna.create_study(study_name="tiny", storage=storage, directions=there)
    question = Question(question="?", search=QUESTION.search, goal=goals)
    with pytest.raises(SettingsError, match=f"to {' and '.join(there)}, where") as error:
        Office(tmp_path, question=question)
    assert "study 'tiny' in study.db was not begun by lab.sweep" in str(error.value)
    assert "--name" in str(error.value)
    found = optuna.load_study(study_name="tiny", storage=storage)
    assert (found.user_attrs, found.trials) == ({}, []), "nothing was written into it"


def test_fresh_sets_the_study_aside_and_loses_nothing(tmp_path, address):
    office = Office(tmp_path, address=address)
    for value in (1.0, 2.0):
        claim = office.claim()
        (claim.folder / "photos.csv").write_text("epoch,photo,sample,hole_ratio\n")
        office.finish(claim, value)
    aside = set_aside("tiny", address, office.folder)
    assert not office.folder.exists()
    assert aside.parent == office.folder.parent
    assert aside.name.startswith("tiny.")
    assert (aside / "trials" / "trial-001" / "photos.csv").is_file()

    new = Office(tmp_path, address=address, identity={"other": "settings"})
    assert new.states() == []
    assert new.claim().trial.number == 0
    kept = open_study(aside).optuna_study
    assert [trial.value for trial in kept.get_trials(states=(TrialState.COMPLETE,))] == [1.0, 2.0]


def test_fresh_twice_in_one_moment_keeps_both(tmp_path, monkeypatch):
    class Stopped(datetime):
        @classmethod
        def now(cls, tz=None):
            return datetime(2030, 1, 2, 3, 4, 5)

    monkeypatch.setattr("lab.studies.storage.datetime", Stopped)
    kept = set()
    for _ in range(2):
        office = Office(tmp_path)
        kept.add(set_aside("tiny", None, office.folder))
    assert len(kept) == 2
    assert all((aside / "study.db").is_file() for aside in kept)
    assert not any((aside / "tiny").exists() for aside in kept)


def test_fresh_has_nothing_to_do_where_there_is_no_study(tmp_path):
    assert set_aside("tiny", None, tmp_path / "tiny") is None


def test_fresh_is_refused_while_a_trial_runs(tmp_path):
    office = Office(tmp_path)
    held = office.claim()
    with pytest.raises(SettingsError, match=r"trial-000 .* being run by another process"):
        set_aside("tiny", None, office.folder)
    assert trial_folder(office.folder, 0).is_dir()
    office.finish(held)
    assert set_aside("tiny", None, office.folder) is not None


SEEDS = 3


class Racetrack(Office):
    """Settings worth what their ``x`` says, on thirty photos; seeds differ by ``noise``."""

    def __init__(self, folder, *xs, noise=0.001, goal="hole_ssim", address=None, seeds=SEEDS, **kw):
        self.noise = noise
        question = Question(
            question="Which?",
            search={"x": Search(low=0.0, high=1.0)},
            goal=goal,
            first=[{"x": x} for x in xs],
            trials=len(xs),
            sampler="random",
            seeds=seeds,
        )
        super().__init__(folder, question, address, **kw)

    def claim(self, seed=7):
        return super().claim(self.question.trials, seed)

    def finish(self, claim):
        draws = np.random.default_rng([claim.seed or 0, claim.trial.number])
        worth = claim.values["x"] + self.noise * draws.normal()
        values = worth + 1e-4 * draws.normal(size=30)
        names = [f"photo{index}" for index in range(30)]
        rows = {"photo": names, "sample": names, "hole_ratio": 0.2, "hole_ssim": values}
        if len(self.question.goals) > 1:
            rows["hole_psnr"] = 30 - values
        photo_table(claim.folder).write_epoch(1, pd.DataFrame(rows))
        told = [float(np.mean(rows[goal])) for goal in self.question.goals]
        self.study.tell(claim.trial.number, told)
        claim.lock.release()

    def run(self):
        """Run the study to its end; returns what was claimed, in order: (x, seed)."""
        claimed = []
        while (claim := self.claim()) is not None:
            claimed.append((claim.values["x"], claim.seed))
            self.finish(claim)
        return claimed

    def read(self):
        return open_study(self.folder, self.address)


def test_further_seeds_go_to_those_whose_place_is_open(tmp_path, address):
    track = Racetrack(tmp_path, 0.1, 0.5, 0.5005, 0.2, 0.3, address=address)
    claimed = track.run()
    assert claimed[:5] == [(x, None) for x in (0.1, 0.5, 0.5005, 0.2, 0.3)]
    again = claimed[5:]
    assert len(again) < 5 * (SEEDS - 1)
    assert len(set(again)) == len(again)
    assert {seed for _, seed in again} <= {8, 9}  # the study's seed is 7
    assert {x for x, _ in again} >= {0.1, 0.5, 0.5005}  # the reference and the close ones
    assert 0.2 not in {x for x, _ in again}
    contenders, due = track.read().race(SEEDS)
    assert {run.values["x"] for run in contenders} == {0.5, 0.5005}
    assert due == []
    # A study that has ended stays ended, whoever asks.
    other = Racetrack(tmp_path, 0.1, 0.5, 0.5005, 0.2, 0.3, address=address)
    assert other.claim() is None


def test_settings_have_one_line_with_the_mean_over_their_seeds(tmp_path):
    track = Racetrack(tmp_path, 0.1, 0.5, 0.5005, 0.2)
    claimed = track.run()
    study = track.read()
    assert len(study.ranked) == len(study.results) == 4
    assert sum(run.trainings for run in study.ranked) == len(claimed) == len(study.trials)
    best = study.ranked[0]
    assert best.trainings > 1
    runs = [best, *best.repeats]
    assert best.mean("hole_ssim") == pytest.approx(
        np.mean([run.scores["hole_ssim"].mean() for run in runs])
    )
    assert len(best.best_scores) == 30
    assert [run.setting for run in runs] == ["", *[best.name] * (len(runs) - 1)]
    assert best.repeats[0].label == f"{best.label}, seed 8"
    assert study.results.loc[best.name, "seeds"] == len(runs)
    # Optuna's samplers, plots and importance see a setting once, with its mean.
    trials = study.optuna_study.get_trials()
    assert len(trials) == 4
    shown = next(trial for trial in trials if trial.params == best.values)
    assert shown.value == pytest.approx(best.mean("hole_ssim"), rel=1e-4)
    assert len(track.study.get_trials()) == len(claimed)
    assert (
        f"{len(claimed)} trainings of the 12 that 3 seeds of every setting take"
        in (findings(study)[-1])
    )


def test_several_goals_race_for_the_front(tmp_path):
    track = Racetrack(tmp_path, 0.1, 0.5, 0.9, goal=["hole_ssim", "hole_psnr"])
    track.run()
    contenders, due = track.read().race(SEEDS)
    assert len(contenders) == 3  # what is better by one is worse by the other
    assert due == []


def test_one_seed_trains_nothing_again(tmp_path):
    assert len(Racetrack(tmp_path, 0.5, 0.5, seeds=1).run()) == 2
    assert len(Racetrack(tmp_path, 0.5, 0.5, seeds=3).run()) > 0  # and more may be asked for later


def test_several_workers_run_no_seed_twice(tmp_path, shared):
    def work(number):
        track = Racetrack(tmp_path, 0.1, 0.5, 0.5005, 0.2, address=shared)
        return track.run()

    with ThreadPoolExecutor(4) as pool:
        claimed = [pair for part in pool.map(work, range(4)) for pair in part]
    assert len(set(claimed)) == len(claimed)
    assert len(claimed) > 4
    numbers = [trial.number for trial in Office(tmp_path, address=shared).study.get_trials()]
    assert numbers == list(range(len(claimed)))


def test_a_seed_whose_process_died_is_taken_up(tmp_path, address):
    def track():
        return Racetrack(tmp_path, 0.3, 0.5, 0.5005, address=address)

    office = track()
    for _ in range(3):
        office.finish(office.claim())
    died = office.claim()
    assert died.seed == 8
    office.die(died)
    taken = track().claim()
    assert (taken.trial.number, taken.values, taken.seed) == (3, died.values, 8)
    assert taken.folder == died.folder


def test_a_seed_that_was_queued_by_a_process_that_died_then_is_run(tmp_path, monkeypatch):
    office = Racetrack(tmp_path, 0.3, 0.5, 0.5005)
    for _ in range(3):
        office.finish(office.claim())
    monkeypatch.setattr("lab.studies.storage._waiting_repeat", lambda *_: None)
    assert office.claim() is None
    monkeypatch.undo()
    claim = office.claim()
    assert (claim.trial.number, claim.seed) == (3, 8)
    assert len(office.study.get_trials()) == 4


def test_a_failed_seed_is_not_given_again_but_may_be_retried(tmp_path):
    office = Racetrack(tmp_path, 0.3, 0.5, 0.5005)
    for _ in range(3):
        office.finish(office.claim())
    first = office.claim()
    office.study.tell(first.trial.number, state=TrialState.FAIL)
    first.lock.release()
    claimed = office.run()
    assert (first.values["x"], first.seed) not in claimed
    assert retry_failed(office.study, None, office.folder) == [first.trial.number]
    again = office.claim()
    assert (again.values, again.seed) == (first.values, first.seed)
    office.finish(again)
    assert retry_failed(office.study, None, office.folder) == []
    assert again.trial.number in [
        int(run.name.removeprefix("trial-"))
        for setting in office.read().ranked
        for run in setting.repeats
    ]


def test_more_settings_after_a_race_are_drawn_as_without_it(tmp_path):
    def drawn(folder, seeds):
        track = Racetrack(tmp_path / folder, 0.1, 0.5, 0.5005, seeds=seeds)
        track.run()
        track.question = replace(track.question, trials=5)
        return [x for x, seed in track.run() if seed is None]

    plain = drawn("a", 1)
    assert len(plain) == 2
    assert drawn("b", 3) == plain


def test_folders_that_share_a_database_race_what_they_trained(tmp_path, shared):
    here = Racetrack(tmp_path / "a", 0.5, 0.5005, 0.1, 0.2, address=shared)
    there = Racetrack(tmp_path / "b", 0.5, 0.5005, 0.1, 0.2, address=shared)
    for office in (here, here, there, there):
        office.finish(office.claim())
    assert {x for x, _ in here.run()} <= {0.5, 0.5005}
    assert {x for x, _ in there.run()} <= {0.1, 0.2}


class StopsAsItWrites:
    """A file whose process stops between what it read and what it writes."""

    def __init__(self, *given, **options):
        self._file = builtins.open(*given, **options)

    def __enter__(self):
        return self

    def __exit__(self, *given):
        self._file.close()

    def __getattr__(self, name):
        return getattr(self._file, name)

    def fileno(self):
        return self._file.fileno()

    def truncate(self, end):
        os.kill(os.getpid(), signal.SIGSTOP)
        return self._file.truncate(end)


def note_and_stop(address, folder):
    study = optuna.load_study(study_name="tiny", storage=open_storage(address, folder))
    results_storage.open = StopsAsItWrites
    study.set_user_attr("stopped", 1)


def test_a_process_that_stops_while_it_writes_a_journal_loses_nobodys_lines(tmp_path, monkeypatch):
    # Optuna's own lock, which others break, was broken after thirty seconds.
    monkeypatch.setattr(JournalFileSymlinkLock.__init__, "__defaults__", (1,))
    address, folder = f"journal:{tmp_path / 'study.log'}", tmp_path / "runs"
    study = optuna.create_study(study_name="tiny", storage=open_storage(address, folder))
    context = multiprocessing.get_context("fork")
    child = context.Process(target=note_and_stop, args=(address, folder))
    child.start()
    _, status = os.waitpid(child.pid, os.WUNTRACED)
    assert os.WIFSTOPPED(status)
    with ThreadPoolExecutor(1) as pool:
        noted = pool.submit(study.set_user_attr, "meanwhile", 1)
        time.sleep(2.5)
        assert not noted.done(), "who writes is waited for"
        os.kill(child.pid, signal.SIGCONT)
        noted.result(timeout=60)
    child.join(60)
    assert child.exitcode == 0
    study.set_user_attr("after", 1)
    again = optuna.load_study(study_name="tiny", storage=open_storage(address, folder))
    assert again.user_attrs == {"stopped": 1, "meanwhile": 1, "after": 1}


def test_a_file_system_without_locks_is_written_to_under_optunas(tmp_path, monkeypatch):
    def none(*given):
        raise OSError(errno.ENOLCK, "No locks available")

    monkeypatch.setattr("lab.files.fcntl.flock", none)
    address, folder = f"journal:{tmp_path / 'study.log'}", tmp_path / "runs"
    study = optuna.create_study(study_name="tiny", storage=open_storage(address, folder))
    study.set_user_attr("noted", 1)
    again = optuna.load_study(study_name="tiny", storage=open_storage(address, folder))
    assert again.user_attrs == {"noted": 1}
    assert [path.name for path in tmp_path.iterdir() if path.is_symlink()] == []
