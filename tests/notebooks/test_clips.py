"""The cell that cuts people out of a clip, run by itself: no kernel, and no clip is decoded."""

import json
from pathlib import Path

import pytest

from data_prep.triplets import TripletSettings
from lab.files import file_sha256
from lab.formats.manifests import TRIPLETS, read_manifest
from tests.notebooks.running import read_notebook


@pytest.fixture
def cut(tmp_path):
    """Runs the cell on a clip; returns the folder of its triplets."""

    def write_triplets(path, folder, settings, on_progress):
        folder.mkdir(parents=True)
        manifest = {"kind": TRIPLETS, "clip": {"sha256": file_sha256(path)}}
        (folder / "manifest.json").write_text(json.dumps(manifest))
        return {"triplets": [], "left_out": {}}

    (cell,) = [c for c in read_notebook("06_real_removals").cells if "write_triplets(" in c.source]

    def run(clip):
        names = {"clip": str(clip), "output": str(tmp_path / "out"), "crop": 64, "every": 4.0}
        names |= {"Path": Path, "TripletSettings": TripletSettings, "TRIPLETS": TRIPLETS}
        names |= {"read_manifest": read_manifest, "file_sha256": file_sha256}
        names |= {"write_triplets": write_triplets}
        exec(cell.source, names)
        return names["triplets"]

    return run


def test_every_clip_has_triplets_of_its_own(tmp_path, cut, capsys):
    clips = [tmp_path / "campus.avi", tmp_path / "street.avi"]
    for clip in clips:
        clip.write_bytes(clip.name.encode())
    folders = [cut(clip) for clip in clips]
    assert [folder.name for folder in folders] == ["triplets-campus-64-4", "triplets-street-64-4"]
    capsys.readouterr()
    assert [cut(clip) for clip in clips] == folders
    assert capsys.readouterr().out == "", "what is there is not cut again"


def test_triplets_of_another_clip_of_the_same_name_are_refused(tmp_path, cut):
    clip = tmp_path / "campus.avi"
    clip.write_bytes(b"one")
    cut(clip)
    clip.write_bytes(b"another")
    with pytest.raises(ValueError, match=r"triplets-campus-64-4 is of another campus\.avi: remove"):
        cut(clip)
