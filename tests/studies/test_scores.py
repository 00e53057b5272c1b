"""The scores of an evaluation, as the terminal shows them."""

import re

import pytest
from rich.console import Console

from lab.results import open_study
from lab.studies import print_scores
from tests.reporting.studies import write_scores

PHOTOS = ("cat", "lake", "road")


@pytest.fixture
def study(tmp_path):
    for name, quality in (("entrants/service", 0.1), ("baselines/telea", 0.3)):
        (tmp_path / name).mkdir(parents=True)
        write_scores(tmp_path / name, PHOTOS, [0], quality)
    return open_study(tmp_path)


@pytest.mark.parametrize(("width", "tables"), [(100, 1), (40, 2), (25, 3)])
def test_no_metric_is_cut_off_where_the_terminal_is_narrow(study, capsys, width, tables):
    print_scores(study, Console(width=width))
    said = capsys.readouterr().out
    assert re.findall(r"(\w+) ↑", said) == ["hole_psnr", "hole_ssim", "rim_ssim"]
    assert said.count("\n service") == said.count("\n telea") == tables
    assert "…" not in said
