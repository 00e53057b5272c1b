"""Files of trials come together in an artifact store: all of them, whole, and nothing else."""

import io
import json
import socket
import time
import zipfile
from concurrent.futures import ThreadPoolExecutor

import optuna
import pandas as pd
import pytest
from optuna.artifacts import Boto3ArtifactStore, get_all_artifact_meta
from optuna.exceptions import UpdateFinishedTrialError
from optuna.trial import TrialState

from lab.faults import EnvironmentFaultError
from lab.files import lock_run
from lab.formats.runs import loss_table, photo_table, visual_path
from lab.results import (
    ARTIFACTS,
    FOLDER,
    ResultsError,
    artifacts,
    check_store,
    claim_store,
    fetch_runs,
    fetch_to_go_on,
    note_storage,
    open_store,
    store_run,
    store_unfinished,
    trial_folder,
)
from tests.studies.conftest import begin_tiny
from tests.studies.servers import BucketServer


class Machine:
    """A folder of a study whose trials leave files, as a run does."""

    def __init__(self, folder, database, store):
        self.folder, self.store = folder / "tiny", store
        self.study = optuna.create_study(
            study_name="tiny", storage=f"sqlite:///{database}", load_if_exists=True
        )
        self.study.set_user_attr(ARTIFACTS, store)

    def train(self, trial, *epochs):
        run = trial_folder(self.folder, trial.number)
        (run / "checkpoints").mkdir(parents=True, exist_ok=True)
        (run / "config.yaml").write_text("fit: {seed: 0}\n")
        (run / "run.json").write_text(json.dumps({"id": "of-here", "photos": "digest"}))
        for epoch in epochs:
            rows = {"photo": ["a", "b"], "sample": ["a-0", "b-0"], "hole_ratio": 0.2}
            photo_table(run).write_epoch(epoch, pd.DataFrame({**rows, "hole_ssim": 0.1 * epoch}))
            loss_table(run).write_epoch(epoch, pd.DataFrame([{"total": 1.0 / epoch}]))
            for sample in rows["sample"]:
                for what in ("truth", "hole"):
                    self._write(visual_path(run, sample, what), what)
                self._write(visual_path(run, sample, "completed", epoch), f"{sample} {epoch}")
            (run / "checkpoints" / f"epoch-{epoch:03d}.pt").write_bytes(b"network %d" % epoch)
            (run / "checkpoints" / "last.ckpt").write_bytes(b"last %d" % epoch)
        store_run(self.study, trial.number, run, self.store)
        return run

    def _write(self, path, content):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)


def files_below(run, but=()):
    files = (path for path in run.rglob("*") if path.is_file())
    return {
        path.relative_to(run).as_posix(): path.read_bytes()
        for path in files
        if path.name not in ("fetched.json", *but)
    }


@pytest.fixture
def in_folder(tmp_path):
    store = str(tmp_path / "store")
    return [Machine(tmp_path / name, tmp_path / "shared.db", store) for name in "ab"]


@pytest.fixture(params=["folder", "bucket"])
def two(request, tmp_path):
    """Two machines whose files meet in a folder, or in a bucket."""
    if request.param == "folder":
        return request.getfixturevalue("in_folder")
    store = f"s3://{request.getfixturevalue('bucket')}"
    return [Machine(tmp_path / name, tmp_path / "shared.db", store) for name in "ab"]


def test_what_one_machine_leaves_another_reads_epoch_by_epoch(two):
    one, other = two
    trial = one.study.ask()
    one.train(trial, 1)
    fetch_runs(other.study, other.folder)
    there = trial_folder(other.folder, 0)
    assert photo_table(there).read()["epoch"].tolist() == [1, 1]
    kept = visual_path(there, "a-0", "completed", 1)
    stamp = kept.stat().st_mtime_ns

    run = one.train(trial, 2, 3)
    fetch_runs(other.study, other.folder, networks=False)
    assert not (there / "checkpoints" / "epoch-003.pt").exists()
    fetch_runs(other.study, other.folder)
    # What only going on needs is not everybody's.
    assert files_below(there) == files_below(run, but=["last.ckpt"])
    assert kept.stat().st_mtime_ns == stamp, "it is fetched once"


def test_a_machine_does_not_fetch_its_own_files(two):
    one, _ = two
    run = one.train(one.study.ask(), 1)
    before = {path: path.stat().st_mtime_ns for path in run.rglob("*")}
    fetch_runs(one.study, one.folder)
    assert {path: path.stat().st_mtime_ns for path in run.rglob("*")} == before


def test_another_trial_goes_on_from_what_a_lost_one_left(two):
    one, other = two
    run = one.train(one.study.ask(), 1, 2)
    mine = trial_folder(other.folder, 1)
    assert fetch_to_go_on(other.study, 0, mine)
    assert files_below(mine, ["run.json"]) == files_below(run, ["run.json"])
    # In W&B it is a run of its own.
    assert json.loads((mine / "run.json").read_text()) == {"photos": "digest"}
    assert not fetch_to_go_on(other.study, one.study.ask().number, trial_folder(other.folder, 2))


def test_another_trial_goes_on_within_the_epoch_that_a_lost_one_was_in(two):
    one, other = two
    first = one.study.ask()
    run = trial_folder(one.folder, first.number)
    kept = run / "checkpoints" / "unfinished.ckpt"

    def keep(content):
        kept.parent.mkdir(parents=True, exist_ok=True)
        kept.write_bytes(content)
        store_unfinished(one.study, first.number, run, one.store)

    def fetched(number):
        mine = trial_folder(other.folder, number)
        assert fetch_to_go_on(other.study, 0, mine)
        return files_below(mine, ["run.json"])

    # In its first epoch there is no other checkpoint, and what it is a run of comes along.
    run.mkdir(parents=True)
    (run / "config.yaml").write_text("fit: {seed: 0}\n")
    (run / "run.json").write_text("{}")
    keep(b"epoch 1, step 7")
    keep(b"epoch 1, step 9")
    assert fetched(11) == files_below(run, ["run.json"])
    assert fetched(11)["checkpoints/unfinished.ckpt"] == b"epoch 1, step 9"
    # When an epoch ends, it takes no more room, and nobody goes on from it.
    kept.unlink()
    one.train(first, 1)
    assert fetched(12) == files_below(run, ["run.json"])
    assert "checkpoints/unfinished.ckpt" not in fetched(12)
    keep(b"epoch 2, step 3")
    assert fetched(13) == files_below(run, ["run.json"])
    assert {"checkpoints/unfinished.ckpt", "checkpoints/last.ckpt"} <= fetched(13).keys()
    # Readers of results have no use for it.
    fetch_runs(other.study, other.folder)
    assert not list(trial_folder(other.folder, 0).rglob("*.ckpt"))


def test_the_dashboard_finds_pictures_of_the_last_epoch(two):
    one, _ = two
    trial = one.study.ask()
    one.train(trial, 1)
    one.train(trial, 2)
    (frozen,) = one.study.get_trials()
    metas = get_all_artifact_meta(frozen, storage=one.study._storage)
    shown = [meta for meta in metas if meta.mimetype == "image/png"]
    store = open_store(one.store)
    seen = [store.open_reader(meta.artifact_id).read() for meta in shown]
    assert sorted(seen) == [b"a-0 2", b"b-0 2"], "one a sample, not one an epoch"


def test_a_trial_that_was_ended_takes_no_more_files(two):
    one, other = two
    trial = one.study.ask()
    one.train(trial, 1)
    other.study.tell(trial.number, state=TrialState.FAIL)
    with pytest.raises(UpdateFinishedTrialError):
        one.train(trial, 2)


def test_a_store_that_lacks_a_file_leaves_the_rest_readable(in_folder, tmp_path):
    one, other = in_folder
    one.train(one.study.ask(), 1)
    one.train(one.study.ask(), 1)
    metas = get_all_artifact_meta(one.study.get_trials()[0], storage=one.study._storage)
    for meta in metas:
        (tmp_path / "store" / meta.artifact_id).unlink()
    with pytest.warns(UserWarning, match="lacks files of trial 0"):
        fetch_runs(other.study, other.folder)
    assert len(photo_table(trial_folder(other.folder, 1)).read()) == 2


@pytest.mark.parametrize(
    "name",
    ["../config.yaml", "visuals/../epoch-001-completed.png", "/etc/x", "checkpoints/epoch-001.pt"],
)
def test_a_store_holds_nothing_but_what_a_run_writes(in_folder, tmp_path, name):
    one, other = in_folder
    one.train(one.study.ask(), 1)
    metas = get_all_artifact_meta(one.study.get_trials()[0], storage=one.study._storage)
    (key,) = (meta.artifact_id for meta in metas if meta.filename == "tables.zip")
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as file:
        file.writestr(name, "x")
    (tmp_path / "store" / key).write_bytes(archive.getvalue())
    with pytest.raises(ResultsError, match="which no run writes"):
        fetch_runs(other.study, other.folder)
    (tmp_path / "store" / key).write_bytes(b"PK no archive")
    with pytest.raises(ResultsError, match="is damaged"):
        fetch_runs(other.study, other.folder)


def test_two_who_fetch_at_once_do_not_disturb_each_other(in_folder):
    one, other = in_folder
    for _ in range(6):
        one.train(one.study.ask(), 1, 2)
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(fetch_runs, other.study, other.folder) for _ in range(8)]:
            done.result()
    runs = [trial_folder(other.folder, number) for number in range(6)]
    assert all(len(photo_table(run).read()) == 4 for run in runs)
    assert not list(other.folder.rglob("*.zip"))


def test_what_an_earlier_study_left_is_not_taken_for_this_ones(in_folder, tmp_path):
    one, other = in_folder
    one.train(one.study.ask(), 1)
    fetch_runs(other.study, other.folder)
    fetched = trial_folder(other.folder, 0)
    again = Machine(tmp_path / "c", tmp_path / "anew.db", one.store)
    run = again.train(again.study.ask(), 1, 2)
    with pytest.warns(UserWarning, match="was another study's"):
        fetch_runs(again.study, other.folder)
    assert files_below(fetched) == files_below(run, but=("last.ckpt",))
    # Nor what ran here, under a trial that by now runs elsewhere.
    (fetched / "fetched.json").unlink()
    trial = again.study.get_trials()[0]
    assert FOLDER not in trial.user_attrs
    fetch_runs(again.study, other.folder)
    elsewhere = again.study.ask()
    elsewhere.set_user_attr(FOLDER, "of-another-machine")
    run = again.train(elsewhere, 1)
    left = trial_folder(other.folder, 1)
    left.mkdir(exist_ok=True)
    (left / "config.yaml").write_text("of: another\n")
    fetch_runs(again.study, other.folder)
    assert (left / "config.yaml").exists(), "the folder does not know its own name"
    note_storage(other.folder, "tiny", f"sqlite:///{tmp_path / 'anew.db'}")
    writing = lock_run(left)
    fetch_runs(again.study, other.folder)
    assert (left / "config.yaml").exists(), "a process writes there"
    writing.release()
    with pytest.warns(UserWarning, match="was another study's"):
        fetch_runs(again.study, other.folder)
    assert files_below(left) == files_below(run, but=("last.ckpt",))


def test_a_store_that_is_not_mounted_here_is_not_taken_for_the_studys(in_folder, tmp_path):
    one, other = in_folder
    for machine in (one, one, other):
        claim_store(machine.study, one.store)
    with pytest.raises(ResultsError, match="is it mounted on this machine"):
        claim_store(other.study, str(tmp_path / "not-mounted"))
    assert not (tmp_path / "not-mounted").exists()


def test_what_a_buckets_client_is_told_wrongly_is_said_in_one_line(bucket, monkeypatch):
    for name, value in (("AWS_ENDPOINT_URL", "minio:9000"), ("AWS_PROFILE", "nobody's")):
        with monkeypatch.context() as told:
            told.setenv(name, value)
            with pytest.raises(ResultsError, match=r"s3://.* cannot be opened .*AWS_ENDPOINT_URL"):
                open_store(f"s3://{bucket}")


@pytest.mark.parametrize("address", ["s3://", "s3://bucket/folder", "s3://key@bucket"])
def test_an_address_that_names_no_bucket_is_refused(address):
    with pytest.raises(ResultsError, match="names no bucket"):
        open_store(address)


@pytest.fixture(scope="module")
def bucket_server():
    for needed in BucketServer.needs:
        pytest.importorskip(needed, reason="the [cluster] and [cluster-test] extras are not here")
    server = BucketServer()
    yield server
    server.end()


@pytest.fixture
def bucket(bucket_server, monkeypatch):
    """The name of an empty bucket."""
    import boto3

    for name, value in bucket_server.variables.items():
        monkeypatch.setenv(name, value)
    name = f"studies-{time.monotonic_ns()}"
    boto3.client("s3").create_bucket(Bucket=name)
    return name


def test_a_bucket_that_lacks_a_file_leaves_the_rest_readable(tmp_path, bucket):
    import boto3

    one, other = (Machine(tmp_path / n, tmp_path / "shared.db", f"s3://{bucket}") for n in "ab")
    one.train(one.study.ask(), 1)
    one.train(one.study.ask(), 1)
    client = boto3.client("s3")
    for meta in get_all_artifact_meta(one.study.get_trials()[0], storage=one.study._storage):
        client.delete_object(Bucket=bucket, Key=meta.artifact_id)
    with pytest.warns(UserWarning, match="lacks files of trial 0"):
        fetch_runs(other.study, other.folder)
    assert len(photo_table(trial_folder(other.folder, 1)).read()) == 2


def test_a_bucket_that_cannot_be_reached_is_said_in_one_line(tmp_path, bucket, monkeypatch):
    monkeypatch.setattr(artifacts, "_PATIENCE", 0.5)
    one = Machine(tmp_path / "a", tmp_path / "shared.db", f"s3://{bucket}")
    trial = one.study.ask()
    one.train(trial, 1)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"http://127.0.0.1:{nobody.getsockname()[1]}"
        monkeypatch.setenv("AWS_ENDPOINT_URL", address)
        with (
            pytest.warns(UserWarning, match="is tried again"),
            pytest.raises(EnvironmentFaultError, match=r"s3://studies.* cannot be reached") as said,
        ):
            one.train(trial, 2)
    assert "\n" not in str(said.value)


def test_a_bucket_that_cannot_be_reached_for_a_moment_costs_the_wait(tmp_path, bucket, monkeypatch):
    from botocore.exceptions import EndpointConnectionError

    monkeypatch.setattr(artifacts, "_BETWEEN_TRIES", 0.1)
    one, other = (Machine(tmp_path / n, tmp_path / "shared.db", f"s3://{bucket}") for n in "ab")
    trial = one.study.ask()
    write, read = Boto3ArtifactStore.write, Boto3ArtifactStore.open_reader
    failing = [0]

    def for_the_third_time(act):
        def asked(*given):
            failing[0] += 1
            if failing[0] % 3:
                raise EndpointConnectionError(endpoint_url="http://away")
            return act(*given)

        return asked

    with monkeypatch.context() as away:
        away.setattr(Boto3ArtifactStore, "write", for_the_third_time(write))
        away.setattr(Boto3ArtifactStore, "open_reader", for_the_third_time(read))
        with pytest.warns(UserWarning, match="tried again for 5 minutes"):
            run = one.train(trial, 1)
        with pytest.warns(UserWarning, match="tried again for 5 minutes"):
            fetch_runs(other.study, other.folder)
    fetched = trial_folder(other.folder, trial.number)
    assert files_below(fetched) == files_below(run, but=("last.ckpt",))
    # What is refused is not asked for again; a server that is not well is.
    assert artifacts._is_away(_answer(503))
    assert not artifacts._is_away(_answer(403))
    assert not artifacts._is_away(OSError())


def _answer(status):
    from botocore.exceptions import ClientError

    return ClientError({"ResponseMetadata": {"HTTPStatusCode": status}}, "PutObject")


def test_a_study_does_not_begin_on_a_bucket_that_it_may_not_write_to(tmp_path, bucket):
    check_store(f"s3://{bucket}")
    with pytest.raises(EnvironmentFaultError, match="s3://nobody-made-it cannot be reached"):
        begin_tiny(tmp_path, artifacts="s3://nobody-made-it")
    assert not (tmp_path / "runs").exists()


def test_a_bucket_that_nobody_made_is_said_in_one_line(tmp_path, bucket):
    one = Machine(tmp_path / "a", tmp_path / "shared.db", "s3://nobody-made-it")
    with pytest.raises(EnvironmentFaultError, match="s3://nobody-made-it") as said:
        one.train(one.study.ask(), 1)
    assert "\n" not in str(said.value)
