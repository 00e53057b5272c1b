"""Measures that are asked for: equal to torchmetrics' own code, refused where they say nothing.

The published weights are too large to fetch in a test, so files of the same names and shapes are
filled at random. Inception v3 answered the same as torch-fidelity's to the last bit (0.4.0, random
weights); the features and logits below are its own.
"""

import hashlib
import warnings

import numpy as np
import pytest
import torch
import torch.nn.functional as F
import torchmetrics.functional.image.dists as published_dists
import torchmetrics.functional.image.lpips as published_lpips
from scipy import linalg
from torch import nn

from data_prep import evaluation_sets
from lab import evaluate
from lab.data import read_evaluation_set
from lab.imaging import write_image
from lab.metrics.distributions import Distributions, refuse_few_photos
from lab.metrics.perceptual import DISTS, LPIPS
from lab.metrics.visual_similarity import vsi
from lab.networks.alexnet import AlexNetFeatures, load_alexnet
from lab.networks.inception import InceptionV3, load_inception
from lab.networks.vgg import VGGFeatures
from lab.networks.weight_files import WeightFile
from lab.results import open_study
from tests.data.shards import pack
from tests.metrics.visual_reference import vsi_of
from tests.networks.test_vgg import published_state

TOLD = ((0.040038273, 1.705333948), (0.433979630, -0.107314914, 2.631800175))


def photos(count=3, seed=0):
    draws = torch.Generator().manual_seed(seed)
    coarse = torch.rand(count, 3, 6, 8, generator=draws)
    truth = F.interpolate(coarse, (72, 96), mode="bilinear")
    noise = torch.randn(truth.shape, generator=draws)
    strengths = torch.linspace(0.02, 0.2, count).view(-1, 1, 1, 1)
    return (truth + strengths * noise).clamp(0, 1), truth


def filled(network, seed=0):
    """Random weights under which features neither vanish nor burst."""
    draws = torch.Generator().manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("num_batches_tracked"):
            continue
        if name.endswith("running_var"):
            tensor.copy_(0.5 + torch.rand(tensor.shape, generator=draws))
        elif tensor.ndim > 1:
            scale = (2 / tensor[0].numel()) ** 0.5
            tensor.copy_(scale * torch.randn(tensor.shape, generator=draws))
        else:
            tensor.copy_(1 + 0.1 * torch.randn(tensor.shape, generator=draws))
    return network.eval()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """A cache of weights, and what saves a state dict in it as a file that is known."""
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path / "cache"))
    (tmp_path / "cache").mkdir()

    def save(state, name="fake.pth"):
        path = tmp_path / "cache" / name
        torch.save(state, path)
        digest = hashlib.sha256(path.read_bytes()).hexdigest()
        return WeightFile(name, "https://127.0.0.1:9/fake.pth", digest)

    return save


def test_lpips_is_torchmetrics_own(cache, monkeypatch):
    ours = filled(AlexNetFeatures())
    state = {**ours.state_dict(), "classifier.1.weight": torch.zeros(2, 2)}
    loaded = load_alexnet(cache(state))
    plain = nn.Sequential(*loaded.features, nn.MaxPool2d(3, 2))
    monkeypatch.setattr(published_lpips, "_get_tv_model_features", lambda *given: plain)
    theirs = published_lpips._LPIPS(net="alex")
    completed, truth = photos()
    expected = theirs(completed, truth, normalize=True).flatten()
    found = LPIPS(loaded)(completed, truth)
    torch.testing.assert_close(found, expected, rtol=1e-4, atol=1e-6)
    assert (found.diff() > 0).all(), "more noise is farther"
    assert not LPIPS(loaded)(truth, truth).any()


def test_dists_is_torchmetrics_own(cache, monkeypatch):
    state = published_state("vgg16", 13)
    ours = DISTS(VGGFeatures("vgg16", ("relu5_3",), cache(state)))

    class Published(nn.Module):
        def __init__(self, **given):
            super().__init__()
            layers = VGGFeatures("vgg16", ("relu5_3",), cache(state)).features
            self.features = nn.Sequential(*layers, nn.MaxPool2d(2))

    weights = type("Weights", (), {"DEFAULT": None})
    monkeypatch.setattr(published_dists, "_TORCHVISION_AVAILABLE", True)
    monkeypatch.setattr(published_dists, "vgg16", lambda weights: Published(), raising=False)
    monkeypatch.setattr(published_dists, "VGG16_Weights", weights, raising=False)
    completed, truth = photos()
    expected = published_dists.DISTSNetwork()(completed, truth)
    torch.testing.assert_close(ours(completed, truth), expected, rtol=1e-4, atol=1e-5)
    assert ours(truth, truth).abs().max() < 1e-5


def test_inception_loads_what_is_published_and_measures_by_torchmetrics(cache):
    planned = filled(InceptionV3())
    uncounted = {
        name: tensor
        for name, tensor in planned.state_dict().items()
        if not name.endswith("num_batches_tracked")
    }
    network = load_inception(cache(uncounted))
    completed, truth = photos(6)
    features, logits = network(completed)
    assert features.shape == (6, 2048)
    torch.testing.assert_close(logits, features @ network.fc.weight.T)
    published = network(photos(1)[1])
    for answer, places, numbers in zip(
        published, ((1000, 2047), (0, 500, 1007)), TOLD, strict=True
    ):
        torch.testing.assert_close(
            answer[0, list(places)], torch.tensor(numbers), rtol=1e-3, atol=1e-4
        )
    gathered = Distributions(["kid"], 6, network)
    for first in (0, 3):
        gathered.add(completed[first : first + 3], truth[first : first + 3])
    (kid,) = gathered.scores()
    assert (kid.name, kid.photos) == ("kid", 6)
    assert gathered.scores()[0] == kid, "subsets are drawn from a seed"
    # By the formula: the unbiased estimate over pairs, cubic kernel; all of them in the mean.
    ours, true = features.double().numpy(), network(truth)[0].double().numpy()
    kernel = lambda a, b: (a @ b.T / 2048 + 1) ** 3  # noqa: E731
    within = sum(np.sum(k := kernel(x, x)) - np.trace(k) for x in (ours, true)) / (6 * 5)
    expected = within - 2 * kernel(ours, true).mean()
    assert kid.value == pytest.approx(expected, abs=4 * kid.spread / 10 + 1e-9)


def test_fid_and_inception_score_of_gathered_features(monkeypatch):
    """By few photos and features: as published, it takes minutes."""
    features = 255
    monkeypatch.setattr("lab.metrics.distributions._AsItIs.num_features", features)
    monkeypatch.setattr("lab.metrics.distributions.LEAST_PHOTOS", {"fid": 2, "inception_score": 2})

    class Network(nn.Module):
        def forward(self, image):
            means = image.mean((2, 3))
            return means.repeat(1, features // 3), 50 * means.repeat(1, 336)

    completed, truth = photos(40)
    gathered = Distributions(["fid", "inception_score"], 40, Network())
    gathered.add(completed, truth)
    fid, score = gathered.scores()
    ours, true = (Network()(image)[0].double().numpy() for image in (completed, truth))
    covariances = np.cov(ours, rowvar=False), np.cov(true, rowvar=False)
    root = linalg.sqrtm(covariances[0][:3, :3] @ covariances[1][:3, :3]).real
    expected = np.square(ours.mean(0) - true.mean(0)).sum()
    expected += (
        np.trace(covariances[0]) + np.trace(covariances[1]) - 2 * features / 3 * np.trace(root)
    )
    assert fid.value == pytest.approx(expected, rel=0.02, abs=1e-3)
    assert fid.spread is None
    assert 1 <= score.value <= 3, "three classes at most are told apart"


def test_vsi_is_what_the_paper_says():
    completed, truth = (image.double() for image in photos())
    found = vsi(completed, truth)
    expected = [vsi_of(*pair) for pair in zip(completed.numpy(), truth.numpy(), strict=True)]
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-9)
    assert (found.diff() < 0).all(), "more noise is less alike"
    torch.testing.assert_close(vsi(truth, truth), torch.ones(3, dtype=torch.float64))


@pytest.mark.parametrize(("name", "photos"), [("fid", 4095), ("inception_score", 2015)])
def test_too_few_photos_are_refused_with_the_reason_and_kid_is_offered(name, photos):
    with pytest.raises(ValueError, match=rf"{name} needs at least {photos + 1} .* Ask for kid"):
        refuse_few_photos([name], photos)
    refuse_few_photos([name], photos + 1)
    refuse_few_photos(["kid"], 4)


def test_the_command_measures_by_features_or_says_in_a_line_why_not(
    cache, tmp_path, capsys, monkeypatch
):
    shards = pack(tmp_path, "val_256", count=12)
    pairs = tmp_path / "set"
    options = ["--set", "valid", "--total", "6", "--size", "64"]
    assert evaluation_sets.main([str(shards), str(pairs), *options]) == 0
    words = ["--set", str(pairs), "--runs", str(tmp_path), "--baseline=telea", "--baseline=smooth"]
    capsys.readouterr()
    assert evaluate.main([*words, "--also", "fid"]) == 2
    assert "fid needs at least 4096 photos" in capsys.readouterr().err
    nowhere = cache(filled(AlexNetFeatures()).state_dict(), "other.pth")
    missing = WeightFile("missing.pth", nowhere.address, nowhere.sha256)
    monkeypatch.setattr("lab.networks.alexnet.load_alexnet.__defaults__", (missing,))
    assert evaluate.main([*words, "--also", "lpips"]) == 2
    said = capsys.readouterr().err
    assert "the weights missing.pth are not here and cannot be downloaded" in said
    assert said.count("\n") == 1
    monkeypatch.setattr("lab.networks.alexnet.load_alexnet.__defaults__", (nowhere,))
    inception = cache(filled(InceptionV3()).state_dict(), "inception.pth")
    monkeypatch.setattr("lab.networks.inception.load_inception.__defaults__", (inception, True))
    with warnings.catch_warnings():
        warnings.simplefilter("error", UserWarning)
        few = tmp_path / "few"
        for sample in [*read_evaluation_set(pairs)][:4]:
            write_image(few / f"{sample.name}.png", sample.image)
        asked = ["--also", "lpips", "vsi", "kid", "--entrant", f"few={few}"]
        assert evaluate.main([*words, *asked]) == 0
    printed = capsys.readouterr().out
    assert "few has no kid, which depend on how many photos there are: it lacks 2" in printed
    assert "whole_lpips against" in printed
    assert "kid ↓" in printed
    study = open_study(tmp_path / "evaluation")
    for run in study.baselines:
        assert run.best_scores["whole_lpips"].gt(0).all()
        assert run.best_scores["whole_vsi"].between(0.5, 1).all()
        assert run.distributions.loc["kid", "photos"] == 6
    assert evaluate.main(words) == 0
    assert not list((tmp_path / "evaluation").rglob("distributions.json")), "what is old goes"
