"""The table of networks, by ``lab.list_networks`` and as ``python -m lab.networks`` prints it."""

import os
import subprocess
import sys

import pytest
import torch
from torch import nn

import lab
from lab.checks import UserError
from lab.cost import count_multiply_adds
from lab.networks import NETWORKS, EdgePainter, InpaintSANet, PartialConvolutionUNet, ShiftNet
from lab.networks.__main__ import main
from tests.tiny import PROJECT


def convolutions_by_hand(network, *inputs):
    """A multiply-add for each weight and each position that it is put at."""
    counted = []

    def count(layer, _, answer):
        counted.append(layer.weight.numel() * answer[0, 0].numel())

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d):
            layer.register_forward_hook(count)
    with torch.no_grad():
        network.eval()(*inputs)
    return sum(counted)


def test_multiply_adds_are_the_convolutions():
    """Of a network of nothing else: every weight of a convolution at every position."""

    def build():
        return EdgePainter(width=8, blocks=2)

    network = build()
    image, mask = torch.rand(1, 3, 64, 64), torch.zeros(1, 1, 64, 64)
    mask[..., 20:40, 20:40] = 1
    transposed = []
    for layer in network.modules():
        if isinstance(layer, nn.ConvTranspose2d):
            # Here each position of the input meets every weight.
            layer.register_forward_hook(
                lambda layer, inputs, _: transposed.append(
                    layer.weight.numel() * inputs[0][0, 0].numel()
                )
            )
    expected = convolutions_by_hand(network, image, mask, {"edges": mask, "sketch": mask})
    expected += sum(transposed)
    assert transposed
    assert count_multiply_adds(build, 64) == pytest.approx(expected, rel=0.01)


def test_attention_is_counted_as_its_two_products():
    """Scores and answers each take positions x positions x channels."""
    small, large = (count_multiply_adds(lambda: InpaintSANet(width=8), size) for size in (64, 128))
    channels = InpaintSANet(width=8).refine_attention.query.in_channels
    positions = 16 * 16
    attention = 2 * positions**2 * channels
    # All else grows fourfold with the pixels, attention sixteenfold.
    assert large - 4 * small == pytest.approx(12 * attention, rel=0.01)


@pytest.mark.parametrize(
    "build",
    [lambda: PartialConvolutionUNet(width=8, depth=3), lambda: ShiftNet(width=4, depth=5)],
    ids=["by shapes", "really"],
)
def test_counting_leaves_the_generator_alone(build):
    torch.manual_seed(0)
    expected = torch.rand(3)
    torch.manual_seed(0)
    assert count_multiply_adds(build, 64) > 0
    assert torch.equal(torch.rand(3), expected)


def test_a_row_says_what_a_network_is_costs_and_loads():
    table = lab.list_networks("EdgePainter", "DeepFillv1")
    assert list(table.index) == ["EdgePainter", "DeepFillv1"]
    assert list(table.columns) == [
        *("paper", "code", "licence", "guides", "weights", "parameters", "multiply_adds")
    ]
    painter, deepfill = table.loc["EdgePainter"], table.loc["DeepFillv1"]
    assert painter.guides == ("edges", "sketch")
    assert painter.licence == NETWORKS["EdgePainter"].licence
    # The convolutions' weights as the paper's code states them, and their biases.
    assert painter.parameters == sum(p.numel() for p in EdgePainter().parameters())
    assert deepfill.guides == ()
    assert deepfill.weights == tuple(form.address for form in NETWORKS["DeepFillv1"].published)
    assert len(deepfill.weights) == 2
    assert deepfill.multiply_adds > 1e9


def test_an_unknown_network_is_told_the_nearest(capsys):
    with pytest.raises(UserError, match="Did you mean 'LaMa'"):
        lab.list_networks("Lama")
    assert main(["Lama"]) == 2
    assert "Did you mean 'LaMa'" in capsys.readouterr().err


def test_the_command_lists_what_it_is_asked_for(capsys):
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
        if line.startswith(("network", "PartialConvolutionUNet "))
    )
    assert heading == ["network", "parameters", "multiply-adds", "ms", "peak", "MB", "guides"]
    assert float(row[5]) > 0
    assert float(row[6]) > 0
