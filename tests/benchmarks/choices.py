"""What a network that chooses among fills does: which it takes, where, and what it corrects.

    python -m tests.benchmarks.choices CHECKPOINT … --photos ../shared/data/photos --size 64

prints the mean share of each fill in the holes, how much it differs between the places of a hole
and between photos, and the correction in levels of 255. Then what each of the two is worth, paired
by photo: the answer against the mixture alone, and the mixture against the mean shares of all
photos put everywhere alike. Above 0, what the network did helped.
"""

import argparse
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pandas as pd
import torch
from torch import Tensor, nn

from lab.contracts import Stages
from lab.data import PhotoDataModule
from lab.evaluation import Evaluation, Task, Tasks
from lab.networks import FillSelector, load_network
from lab.statistics import compare_scores
from lab.strategies import Direct
from tests.benchmarks.fills import scores

METRICS = ("hole_ssim", "hole_psnr", "hole_texture")


class Mixture(nn.Module):
    """A network's mixture of fills without its correction, by its own shares or by given ones."""

    def __init__(self, network: FillSelector, shares: Tensor | None = None) -> None:
        super().__init__()
        self.network = network
        self.shares = shares

    def forward(self, image: Tensor, mask: Tensor) -> Stages:
        choice = self.network.choose(image, mask)
        if self.shares is not None:
            choice = replace(choice, shares=self.shares.view(1, -1, 1, 1))
        return Stages(images=((choice.mixture.clamp(-1.0, 1.0) + 1.0) / 2.0,))


def shares_by_photo(network: FillSelector, tasks: Sequence[Task]) -> pd.DataFrame:
    """A row a hole: mean share of each fill, its deviation between places, the correction."""
    rows = []
    samples = (
        (image, mask) for task in tasks for image, mask in zip(task.image, task.mask, strict=True)
    )
    for image, mask in samples:
        with torch.no_grad():
            choice = network.choose(image[None], mask[None])
        hole = mask[0] > 0.5
        shares = choice.shares[0][:, hole]
        mean, deviation = shares.mean(dim=1), shares.std(dim=1, correction=0)
        row = {("share", fill): float(mean[n]) for n, fill in enumerate(network.fills)}
        row |= {("places", fill): float(deviation[n]) for n, fill in enumerate(network.fills)}
        if choice.correction is not None:
            levels = 127.5 * choice.correction[0][:, hole].abs().mean()
            row["correction", "levels"] = float(levels)
        rows.append(row)
    table = pd.DataFrame(rows)
    table.columns = pd.MultiIndex.from_tuples(table.columns)
    return table


def main(arguments: Sequence[str] | None = None) -> None:
    """Print a table and the differences of each network."""
    options = argparse.ArgumentParser(description=__doc__)
    options.add_argument("checkpoints", type=Path, nargs="+")
    options.add_argument("--photos", type=Path)
    options.add_argument("--size", type=int, default=64)
    options.add_argument("--crops", type=int, default=1)
    given = options.parse_args(arguments)
    data = PhotoDataModule(given.photos, given.size, validation_crops=given.crops)
    tasks = list(Tasks(Evaluation(), data))
    for path in given.checkpoints:
        network = load_network(path)
        if not isinstance(network, FillSelector):
            options.error(f"{path} holds a {type(network).__name__}, not a FillSelector")
        table = shares_by_photo(network, tasks)
        print(path)
        for fill in network.fills:
            share, places = table["share", fill], table["places", fill]
            print(
                f"  {fill:<12} {share.mean():.3f}, between places ±{places.mean():.3f}, "
                f"between photos ±{share.std():.3f}"
            )
        mean = torch.tensor([table["share", fill].mean() for fill in network.fills])
        answer = mixture = scores(Direct(Mixture(network)), tasks)
        if network.corrects:
            print(f"  correction   {table['correction', 'levels'].mean():.1f} levels of 255")
            answer = scores(Direct(network), tasks)
        alike = scores(Direct(Mixture(network, mean)), tasks)
        for metric in METRICS:
            print(f"  {metric} {answer[metric].mean():.3f}")
            if network.corrects:
                print(f"    by its correction {compare_scores(answer, mixture, metric)}")
            print(f"    by its places     {compare_scores(mixture, alike, metric)}", flush=True)


if __name__ == "__main__":
    main()
