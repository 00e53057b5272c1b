"""Published upscalers become files of tensors that `Upscaled` takes."""

import pytest
import torch

from data_prep.upscalers import main
from lab.networks import load_upscaler
from tests.parity import shared

PUBLISHED = [f"{name}_x{scale}" for name in ("ESPCN", "FSRCNN") for scale in (2, 3, 4)]


@torch.no_grad()
def test_a_folder_of_graphs_is_converted(tmp_path, capsys):
    source = shared("data/superres")
    assert main([str(source), str(tmp_path / "made")]) == 0
    assert sorted(path.stem for path in (tmp_path / "made").iterdir()) == PUBLISHED
    assert capsys.readouterr().out.splitlines()[0] == str(tmp_path / "made" / "ESPCN_x2.pt")
    image = torch.rand(1, 3, 9, 11, generator=torch.Generator().manual_seed(0))
    for name in PUBLISHED:
        made = load_upscaler(tmp_path / "made" / f"{name}.pt")(image)
        assert torch.equal(made, load_upscaler(source / f"{name}.pb")(image))


def test_a_file_or_a_name_is_converted(tmp_path, monkeypatch):
    graph = shared("data/superres/FSRCNN_x3.pb")
    assert main([str(graph), str(tmp_path / "one")]) == 0
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(graph.parent.resolve()))
    assert main(["fsrcnn_x3", str(tmp_path / "two")]) == 0
    for folder in ("one", "two"):
        assert load_upscaler(tmp_path / folder / "FSRCNN_x3.pt").scale == 3


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("nothing.pb", "no file or folder nothing.pb, and the names are espcn_x2"),
        ("empty", "empty holds no .pb file"),
        ("odd.pb", "odd.pb cannot be loaded"),
    ],
)
def test_other_sources_are_refused_and_nothing_is_written(
    tmp_path, monkeypatch, capsys, source, message
):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "empty").mkdir()
    (tmp_path / "odd.pb").write_bytes(b"no graph")
    assert main([source, "dest"]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "dest").exists()
