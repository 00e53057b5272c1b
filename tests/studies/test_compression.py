"""The deployment notes' tables: every mean is that of the samples' own scores, bin by bin."""

import pandas as pd
import pytest

from data_prep import evaluation_sets
from lab import evaluate
from lab.cost import count_multiply_adds
from lab.networks import InpaintSANet
from tests.data.shards import pack
from tests.tiny import fit_tiny

BINS = [0.0, 0.3, 0.5, 0.7, 0.9]


@pytest.fixture(scope="module")
def sets(tmp_path_factory):
    folder = tmp_path_factory.mktemp("sets")
    shards = pack(folder, "val_256", count=12)
    for name in ("valid", "test2"):
        options = ["--set", name, "--total", "6", "--size", "64"]
        assert evaluation_sets.main([str(shards), str(folder / name), *options]) == 0
    return folder


def test_the_tables_of_two_networks_on_two_sets(sets, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("WANDB_MODE", "disabled")
    fit_tiny(tmp_path / "run", "--fit.epochs=1", "--data.validation_crops=1")
    wide = ("--model.network.width=16",)
    fit_tiny(tmp_path / "other", "--fit.epochs=1", "--data.validation_crops=1", *wide)
    networks = {"full": tmp_path / "other", "small": tmp_path / "run"}
    words = ["--table", "compression", "--runs", str(tmp_path / "runs")]
    for name, run in networks.items():
        words += ["--checkpoint", f"{name}={run / 'checkpoints' / 'epoch-001.pt'}"]
    words += ["--set", str(sets / "valid"), str(sets / "test2"), "--fit.device=cpu"]
    assert evaluate.main(words) == 0
    printed = capsys.readouterr().out
    folder = tmp_path / "runs" / "evaluation"
    table = pd.read_csv(folder / "compression.csv").set_index(["set", "metric", "network"])
    for name in ("valid", "test2"):
        assert f"{name}: mean by hole ratio over 6 photos" in printed
        assert "small against full: hole_ssim" in printed
        for network in networks:
            scores = pd.read_csv(folder / name / "networks" / network / "photos.csv")
            scores = scores.dropna(how="all")
            bins = pd.cut(scores["hole_ratio"], BINS, right=False)
            for metric in ("whole_ssim", "whole_psnr", "whole_rmse", "hole_psnr"):
                row = table.loc[name, metric, network]
                assert row["all"] == pytest.approx(scores[metric].mean(), rel=1e-4)
                for interval, mean in scores[metric].groupby(bins, observed=True).mean().items():
                    column = f"{interval.left:.1f}-{interval.right:.1f}"
                    assert row[column] == pytest.approx(mean, rel=1e-4)
    for network, width in (("full", 16), ("small", 8)):
        expected = count_multiply_adds(lambda width=width: InpaintSANet(width=width), 64)[0]
        found = table.loc["valid", "whole_psnr", network]["multiply_adds"]
        assert found == pytest.approx(expected, rel=1e-3)
    assert "One photo of 64x64 pixels" in printed
    assert not list(folder.rglob("baselines")), "no method was asked for"


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["--table", "compression", "--entrant", "a=b"], "give --checkpoint"),
        (["--set", "a/valid", "b/valid", "--checkpoint", "x.pt"], "two of --set have one name"),
        (["--checkpoint", "x.pt", "--checkpoint", "y.pt"], "each needs a name"),
    ],
)
def test_what_no_table_can_be_made_of_is_one_line(words, message, tmp_path, capsys):
    try:
        status = evaluate.main([*words, "--runs", str(tmp_path)])
    except SystemExit as stop:
        status = stop.code
    assert status == 2
    assert message in capsys.readouterr().err
