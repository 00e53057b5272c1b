"""Measures of all photos together: Inception Score, FID and KID, by torchmetrics.

None of them says anything of a single photo. FID (Heusel et al., "GANs Trained by a Two
Time-Scale Update Rule", NeurIPS 2017) compares mean and covariance of 2048 features: from fewer
photos than features the covariance is singular, and FID far too large, by how much depends on how
many there are. The Inception Score (Salimans et al., NeurIPS 2016) estimates how 1008 classes are
spread. KID (Binkowski et al., "Demystifying MMD GANs", ICLR 2018) is unbiased with any number.
"""

import warnings
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torchmetrics.image.fid import FrechetInceptionDistance
from torchmetrics.image.inception import InceptionScore
from torchmetrics.image.kid import KernelInceptionDistance

from lab.networks.inception import CLASSES, FEATURES, InceptionV3, load_inception

LEAST_PHOTOS = {"fid": 2 * FEATURES, "inception_score": 2 * CLASSES, "kid": 4}
"""How many photos each measure needs: twice as many as what it estimates the spread of."""

DISTRIBUTIONS = tuple(LEAST_PHOTOS)

_SUBSETS = 100
_LARGEST_SUBSET = 1000


@dataclass(frozen=True)
class DistributionScore:
    """What a measure says of all photos of a run.

    ``spread`` is the standard deviation over subsets of the photos (KID) or over ten parts of them
    (Inception Score); None for FID, which has none.
    """

    name: str
    value: float
    spread: float | None
    photos: int


def refuse_few_photos(names: Sequence[str], photos: int) -> None:
    """Refuse measures that so few photos cannot give.

    Raises:
        ValueError: a measure needs more; says how many, why, and what to ask for in its place.
    """
    for name in names:
        least = LEAST_PHOTOS[name]
        if photos >= least:
            continue
        if name == "kid":
            raise ValueError(f"kid needs at least {least} photos, but there are {photos}")
        of = {"fid": f"{FEATURES} features", "inception_score": f"{CLASSES} classes"}[name]
        raise ValueError(
            f"{name} needs at least {least} photos, twice its {of}, but there are {photos}: with "
            "fewer it measures their number more than the fills. Ask for kid, which is unbiased "
            "with few"
        )


class _AsItIs(nn.Module):
    """Features are computed once for all measures, and handed to each as they are."""

    num_features = FEATURES

    def forward(self, features: Tensor) -> Tensor:
        return features


class Distributions:
    """Gathers the photos of a run, and measures them at its end.

    Args:
        names: of `DISTRIBUTIONS`.
        photos: how many there are; who has fewer of them is not measured.
        network: Inception v3; None loads the published one.

    Attributes:
        names: as above.

    Raises:
        ValueError: too few photos for a measure.
        MissingWeightsError: the weights are not here and cannot be downloaded.
        WrongHashError, UnreadableCheckpointError: the file of weights.
    """

    def __init__(
        self, names: Sequence[str], photos: int, network: InceptionV3 | None = None
    ) -> None:
        refuse_few_photos(names, photos)
        self.names = tuple(names)
        self._photos = photos
        self._size = max(2, min(_LARGEST_SUBSET, photos // 2))
        self._network = network or load_inception(logits="inception_score" in names)
        self.begin()

    def begin(self) -> None:
        """Forget what was gathered: another run begins."""
        self._count = 0
        features = _AsItIs()
        with warnings.catch_warnings():
            # That they keep the features of all photos, which is what they are for.
            warnings.simplefilter("ignore", UserWarning)
            self._fid = FrechetInceptionDistance(features) if "fid" in self.names else None
            self._kid = (
                KernelInceptionDistance(features, subsets=_SUBSETS, subset_size=self._size)
                if "kid" in self.names
                else None
            )
            self._score = InceptionScore(features) if "inception_score" in self.names else None

    def add(self, completed: Tensor, truth: Tensor) -> None:
        """Add photos ``(B, 3, H, W)`` in [0, 1], and what they should be."""
        network = self._network.to(completed.device)
        self._count += len(completed)
        features, logits = network(completed)
        features = features.cpu()
        if self._score is not None:
            self._score.update(logits.cpu())
        if self._fid is None and self._kid is None:
            return
        true = network(truth)[0].cpu()
        for measure in (self._fid, self._kid):
            if measure is not None:
                measure.update(true, real=True)
                measure.update(features, real=False)

    def scores(self) -> list[DistributionScore]:
        """What each measure says; subsets and parts are drawn from a fixed seed.

        Returns:
            Of each; none where photos are lacking, since what is measured depends on their number.
        """
        if self._count < self._photos:
            return []
        found: dict[str, tuple[float, float | None]] = {}
        with torch.random.fork_rng(devices=()):
            torch.manual_seed(0)
            if self._fid is not None:
                found["fid"] = (float(self._fid.compute()), None)
            if self._kid is not None:
                mean, spread = self._kid.compute()
                found["kid"] = float(mean), float(spread)
            if self._score is not None:
                mean, spread = self._score.compute()
                found["inception_score"] = float(mean), float(spread)
        return [DistributionScore(name, *found[name], self._count) for name in self.names]
