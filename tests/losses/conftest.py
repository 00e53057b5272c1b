"""A small batch of awkward size, a tiny discriminator and tiny features for the losses' tests."""

import hashlib

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lab.contracts import DiscriminatorOutput, JudgedPair, Lesson, LossInputs, Stages
from lab.losses import JUDGES
from lab.networks import VGG_WEIGHTS, WeightFile, vgg_layer_names

HEIGHT, WIDTH = 33, 47


class TinyDiscriminator(nn.Module):
    """Gives the truth a logit of 1 and other images less; its features are two convolutions."""

    def __init__(self, truth: Tensor) -> None:
        super().__init__()
        self.truth = truth.detach()
        with torch.random.fork_rng():
            torch.manual_seed(0)
            self.first = nn.Conv2d(3, 4, 3, stride=2)
            self.second = nn.Conv2d(4, 4, 3, stride=2)
        self.requires_grad_(False)
        self.seen: list[Tensor] = []

    def forward(self, image: Tensor) -> DiscriminatorOutput:
        self.seen.append(image)
        difference = F.avg_pool2d((image - self.truth).abs(), 8).mean(dim=1)
        first = F.leaky_relu(self.first(image.float()), 0.2)
        second = F.leaky_relu(self.second(first), 0.2)
        return DiscriminatorOutput((1.0 - 8.0 * difference.flatten(1),), (first, second))


class TinyFeatures(nn.Module):
    """Two layers of fixed random features in the place of VGG."""

    def __init__(self) -> None:
        super().__init__()
        generator = torch.Generator().manual_seed(0)
        self.register_buffer("first", torch.randn(4, 3, 3, 3, generator=generator))
        self.register_buffer("second", torch.randn(5, 4, 3, 3, generator=generator))

    def forward(self, image: Tensor) -> dict[str, Tensor]:
        with torch.autocast(image.device.type, enabled=False):
            first = F.conv2d(image.float(), self.first).relu()
            return {"first": first, "second": F.conv2d(first, self.second, stride=2).relu()}


@pytest.fixture
def features() -> TinyFeatures:
    return TinyFeatures()


@pytest.fixture
def truth() -> Tensor:
    """Two smooth colour ramps, (2, 3, 33, 47), within [0.3, 0.7]."""
    rows = torch.linspace(0.3, 0.7, HEIGHT).view(1, 1, -1, 1)
    columns = torch.linspace(0.7, 0.3, WIDTH).view(1, 1, 1, -1)
    shares = torch.tensor([[0.0, 0.3, 0.6], [0.9, 0.5, 0.1]]).view(2, 3, 1, 1)
    return shares * rows + (1.0 - shares) * columns


@pytest.fixture
def mask() -> Tensor:
    """A box in the middle, and one that touches two borders."""
    mask = torch.zeros(2, 1, HEIGHT, WIDTH)
    mask[0, :, 10:25, 12:30] = 1.0
    mask[1, :, :20, 30:] = 1.0
    return mask


@pytest.fixture
def noise() -> Tensor:
    return torch.randn(2, 3, HEIGHT, WIDTH, generator=torch.Generator().manual_seed(1))


@pytest.fixture
def make_inputs():
    """Build the inputs from a refined stage, and a coarse one if there is another."""

    def make(
        refined: Tensor, truth: Tensor, mask: Tensor, coarse: Tensor | None = None
    ) -> LossInputs:
        known = truth.detach().to(refined.dtype)
        completed = torch.where(mask > 0, refined, known)
        pair = JudgedPair(TinyDiscriminator(truth), completed, truth)
        return LossInputs(
            # The pixels are the features that a network of this kind has, too.
            stages=Stages(
                (refined if coarse is None else coarse, refined),
                {"decoder_features": refined, "reduced_mask": mask, "attended": refined},
            ),
            truth=truth,
            mask=mask,
            completed=completed,
            judged=dict.fromkeys(JUDGES, pair),
            guidance_features=lambda truth, mask: truth,
            # A teacher that knows everything.
            lesson=Lesson(
                Stages((truth, truth), {"attended": truth}),
                torch.where(mask > 0, truth, known),
                TinyFeatures(),
                nn.Identity(),
            ),
        )

    return make


@pytest.fixture
def fake_vgg(tmp_path, monkeypatch):
    """Random weights, named as published, in the place of VGG16's file; three blocks of it."""
    generator = torch.Generator().manual_seed(0)
    state, channels = {}, 3
    for number, name in enumerate(vgg_layer_names("vgg16")):
        if name.startswith(("conv1", "conv2", "conv3")):
            width = {"1": 64, "2": 128, "3": 256}[name[4]]
            weight = torch.randn(width, channels, 3, 3, generator=generator)
            state[f"features.{number}.weight"] = weight * (2.0 / (9 * channels)) ** 0.5
            state[f"features.{number}.bias"] = torch.zeros(width)
            channels = width
    path = tmp_path / "vgg16.pth"
    torch.save(state, path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    monkeypatch.setenv("BACKGROUND_INPAINTING_CACHE", str(tmp_path))
    monkeypatch.setitem(VGG_WEIGHTS, "vgg16", WeightFile(path.name, "https://127.0.0.1:9/", digest))
