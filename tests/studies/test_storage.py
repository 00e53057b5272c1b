"""Where a study is kept, and how its trials are shared out: none twice, none lost."""

from concurrent.futures import ThreadPoolExecutor
from datetime import datetime

import pytest
from optuna.trial import TrialState

from lab.results import ResultsError, note_storage, open_storage, open_study, trial_folder
from lab.settings import SettingsError
from lab.studies import Question, Search
from lab.studies.storage import begin_study, claim_trial, set_aside

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
