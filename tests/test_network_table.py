"""The table of networks, by ``lab.list_networks`` and as ``python -m lab.networks`` prints it."""

import os
import re
import subprocess
import sys

import pytest
import torch

import lab
from lab.checks import UserError
from lab.network_table import list_presets
from lab.networks import NETWORKS, EdgePainter, Preset
from lab.networks.__main__ import main
from tests.tiny import PROJECT


def test_a_row_says_what_a_network_is_costs_and_loads():
    table = lab.list_networks("EdgePainter", "DeepFillv1")
    assert list(table.index) == ["EdgePainter", "DeepFillv1"]
    assert list(table.columns) == [
        *("paper", "code", "licence", "guides", "weights", "parameters", "multiply_adds")
    ]
    painter, deepfill = table.loc["EdgePainter"], table.loc["DeepFillv1"]
    assert painter.guides == ("edges", "sketch")
    assert painter.licence == NETWORKS["EdgePainter"].licence
    assert painter.parameters == sum(p.numel() for p in EdgePainter().parameters())
    assert deepfill.guides == ()
    assert deepfill.weights == tuple(form.address for form in NETWORKS["DeepFillv1"].published)
    assert len(deepfill.weights) == 2
    assert deepfill.multiply_adds > 1e9


def test_another_size_is_counted_and_said(capsys):
    # Every multiply-add of Global & Local is of a convolution, and grows with the pixels.
    found = [lab.list_networks("GlobalLocal", size=side).multiply_adds.item() for side in (64, 128)]
    assert found[1] == 4 * found[0]
    assert main(["GlobalLocal", "--size", "64"]) == 0
    assert "One photo of 64x64 pixels" in capsys.readouterr().out
    assert main(["GlobalLocal", "--size", "0"]) == 2
    assert "must be at least 32 pixels" in capsys.readouterr().err


def test_an_unknown_network_is_told_the_nearest(capsys):
    with pytest.raises(UserError, match="Did you mean 'LaMa'"):
        lab.list_networks("Lama")
    assert main(["Lama"]) == 2
    assert "Did you mean 'LaMa'" in capsys.readouterr().err


def test_the_command_lists_what_it_is_asked_for():
    done = subprocess.run(
        [sys.executable, "-m", "lab.networks", "PartialConvolutionUNet", "EdgePainter"],
        cwd=PROJECT,
        env={**os.environ, "COLUMNS": "100"},
        capture_output=True,
        text=True,
        check=True,
    )
    rows = [line.split() for line in done.stdout.splitlines()]
    assert "PartialConvolutionUNet 25.78 M 9.47 G -".split() in rows
    assert "EdgePainter 10.77 M 48.68 G edges, sketch".split() in rows
    assert f"licence: {NETWORKS['EdgePainter'].licence}".split() in rows
    for form in NETWORKS["PartialConvolutionUNet"].published:
        assert ["weights:", form.address] in rows
    assert "LaMa" not in done.stdout


def test_time_and_memory_are_measured_on_demand(capsys, monkeypatch):
    monkeypatch.setattr("lab.network_table.PHOTO_SIZE", 32)
    assert main(["PartialConvolutionUNet", "--measure"]) == 0
    heading, row = (
        line.split()
        for line in capsys.readouterr().out.splitlines()
        if line.startswith((" network", " PartialConvolutionUNet "))
    )
    assert heading == ["network", "parameters", "multiply-adds", "ms", "peak", "MB", "guides"]
    assert float(row[5]) > 0
    assert float(row[6]) > 0


def test_the_ladder_has_a_row_a_preset(capsys, monkeypatch):
    small = {
        name: Preset({**preset.arguments, "width": 8}, 32, preset.convolutions)
        for name, preset in NETWORKS["DeepFillv2"].presets.items()
    }
    monkeypatch.setitem(NETWORKS["DeepFillv2"].__dict__, "presets", small)
    monkeypatch.setenv("COLUMNS", "100")
    assert main(["DeepFillv2", "--ladder"]) == 0
    rows = [line.split() for line in capsys.readouterr().out.splitlines()]
    heading = next(row for row in rows if row[:1] == ["network"])
    words = "network preset photo parameters convolutions multiply-adds ms peak MB"
    assert heading == words.split()
    first = rows.index(next(row for row in rows if row[:1] == ["DeepFillv2"]))
    listed = [row[-11:] if at else row[1:] for at, row in enumerate(rows[first : first + 5])]
    assert [row[0] for row in listed] == list(small)
    for row in listed:
        assert row[1] == "32x32"
        assert float(row[-2]) > 0
    with pytest.raises(UserError, match="LaMa has no presets; DeepFillv2, InpaintSANet have"):
        list_presets("LaMa")


@pytest.mark.parametrize("name", NETWORKS)
def test_the_page_on_networks_shows_every_network_as_it_is(name):
    page = (PROJECT / "docs" / "networks.md").read_text()
    with torch.device("meta"):
        network = NETWORKS[name].build()
    millions = sum(parameter.numel() for parameter in network.parameters()) / 1e6
    assert re.search(rf"(?m)^ +{name} +{millions:.2f} M +[\d.]+ G ", page)
    assert page.count(f"`{name}`") >= 1
