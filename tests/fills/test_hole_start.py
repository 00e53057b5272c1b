"""What networks start from in the hole, by one mechanism for all that have it."""

import inspect

import pytest
import torch

from lab.fills import across_fill
from lab.networks import NETWORKS
from tests.guided import with_guides

STARTING = [
    name for name, kind in NETWORKS.items() if "start" in inspect.signature(kind.build).parameters
]

# What makes a network small besides its width. As published, what drawn weights of DeepFillv2 see
# fades on the way, and a deep network of a small photo is mostly padding.
SMALL = {
    "ContextEncoder": {"view_size": 64, "bottleneck": 100},
    "DeepFillv2": {"initialization": "identity"},
    "EdgeConnect": {"blocks": 2},
    "EdgePainter": {"blocks": 2},
    "LBAM": {"depth": 3},
    "LaMa": {"blocks": 1},
    "MIGAN": {"resolution": 32},
    "PartialConvolutionUNet": {"depth": 3},
    "ShiftNet": {"depth": 5},
}


def build(name, start, width=8):
    torch.manual_seed(0)
    return with_guides(NETWORKS[name].build(width=width, start=start, **SMALL.get(name, {})))


def photo(seed=0):
    generator = torch.Generator().manual_seed(seed)
    image = torch.nn.functional.interpolate(
        torch.rand(2, 3, 6, 8, generator=generator), (33, 44), mode="bilinear"
    )
    mask = torch.zeros(2, 1, 33, 44)
    mask[0, :, 8:25, 10:20] = 1
    mask[1, :, 20:, 30:] = 1
    return image, mask


# A step too large overshoots: without normalization, or where a last kernel of 7x7 has many weights
# that Adam moves alike.
SLOWER = {"DeepFillv1", "EdgeConnect", "EdgePainter"}


def test_every_network_of_the_documents_has_a_start():
    assert {"InpaintSANet", "RFR"} <= set(STARTING)


@pytest.mark.parametrize("name", STARTING)
@pytest.mark.parametrize("start", ["published", "fill", "residual"])
def test_gradients_reach_what_is_known_of_the_image(name, start):
    """A network may be asked about another one's answer, and teach it so."""
    image, mask = photo()
    image.requires_grad_()
    build(name, start)(image, torch.zeros_like(mask)).refined.square().sum().backward()
    assert image.grad.abs().flatten(1).max(dim=1).values.min() > 0


@pytest.mark.parametrize("name", STARTING)
@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_a_residual_start_is_the_fill_itself(name, training):
    image, mask = photo()
    stages = build(name, "residual").train(training)(image, mask)
    expected = across_fill(image, mask > 0)
    for stage in stages.images:
        torch.testing.assert_close(stage, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("name", STARTING)
@torch.no_grad()
def test_a_residual_start_never_changes_known_pixels(name):
    image, mask = photo()
    network = build(name, "residual")
    for parameter in network.parameters():
        parameter.add_(0.1 * torch.randn_like(parameter))
    answer = network.eval()(image, mask).refined
    known = (mask == 0).expand_as(image)
    torch.testing.assert_close(answer[known], image[known], rtol=0, atol=1e-6)
    assert (answer - across_fill(image, mask > 0)).abs().max() > 1e-3


@pytest.mark.parametrize("name", STARTING)
@torch.no_grad()
def test_a_shown_fill_matters_to_the_answer(name):
    image, mask = photo()
    answers = []
    for start in ("published", "fill"):
        network = build(name, start).train()
        answers.append(network(image, mask).refined)
    assert (answers[0] - answers[1]).abs().max() > 1e-4


@pytest.mark.parametrize("name", [*STARTING, "FillSelector"])
def test_training_gets_on_from_the_fill(name):
    image, mask = photo()
    if name == "FillSelector":
        torch.manual_seed(0)
        network = NETWORKS[name].build(width=16).train()
    else:
        network = build(name, "residual", width=16).train()
    truth = image + 0.2 * torch.sin(torch.arange(44.0) * 1.5)

    def loss():
        difference = (network(truth, mask).refined - truth).abs() * mask
        return difference.sum() / (3 * mask.sum())

    first = loss().item()
    optimizer = torch.optim.Adam(network.parameters(), 1e-3 if name in SLOWER else 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.5 * first


@pytest.mark.parametrize("name", STARTING)
def test_another_start_is_refused(name):
    with pytest.raises(ValueError, match="no start is called 'white'"):
        NETWORKS[name].build(start="white")
