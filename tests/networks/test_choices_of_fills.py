"""What `tests.benchmarks.choices` prints of networks whose choices are known."""

import re

import pytest
import torch

from lab.networks import DeepFillv2, FillSelector, describe_network, write_checkpoint
from tests.benchmarks.choices import main


def printed(network, tmp_path, capsys):
    """The table of a network, written and read again, on the starter photos at 32x32."""
    write_checkpoint(tmp_path / "network.pt", describe_network(network, 1, ""))
    main([str(tmp_path / "network.pt"), "--size", "32"])
    return capsys.readouterr().out


def shares(table):
    found = re.findall(r"^  (\S+) +([\d.]+), between places ±([\d.]+), between ph", table, re.M)
    return {fill: (float(mean), float(places)) for fill, mean, places in found}


def test_before_training_every_place_has_the_first_shares_and_nothing_is_corrected(
    tmp_path, capsys
):
    network = FillSelector(width=16)
    table = printed(network, tmp_path, capsys)
    found = shares(table)
    assert found["across"] == (0.9, 0.0)
    assert sum(mean for mean, _ in found.values()) == pytest.approx(1.0, abs=0.005)
    assert "correction   0.0 levels of 255" in table
    for what in ("correction", "places"):
        differences = re.findall(rf"by its {what} +(\S+) ", table)
        assert len(differences) == 3
        assert all(abs(float(each)) < 1e-6 for each in differences)


def test_what_a_network_prefers_and_where_it_does_is_what_is_printed(tmp_path, capsys):
    network = FillSelector(width=16, corrects=False)
    copied = list(network.fills).index("patch-match")
    with torch.no_grad():
        # The copy is taken alone, whatever the photo.
        network.choice.bias[copied] = 20.0
    assert shares(printed(network, tmp_path, capsys))["patch-match"] == (1.0, 0.0)
    with torch.no_grad():
        network.choice.bias[copied] = 0.0
        network.choice.weight[copied] = 1.0
    mean, places = shares(printed(network, tmp_path, capsys))["patch-match"]
    assert places > 0.01
    assert mean != 0.45


def test_another_network_is_refused(tmp_path, capsys):
    with pytest.raises(SystemExit):
        printed(DeepFillv2(width=8), tmp_path, capsys)
    assert "holds a DeepFillv2, not a FillSelector" in capsys.readouterr().err
