"""RFR is the published network; its attention is the paper's, without the paper's memory."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lab.networks import RFR, UnreadableCheckpointError, load_network, rfr
from lab.networks.rfr import KnowledgeConsistentAttention
from tests.parity import TOLERANCE, published, relative_error


@pytest.mark.parametrize("wrapper", [None, "generator"])
@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path, wrapper):
    tensors, state = published("rfr")
    # The original's files hold the iteration and the optimizer too.
    content = {wrapper: state, "n_iter": 400000} if wrapper else state
    torch.save(content, tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")
    assert isinstance(network, RFR)
    stages = network(tensors["in_image"], tensors["in_mask"])
    assert relative_error(stages.refined, tensors["out_image"]) <= TOLERANCE


def test_other_tensors_are_refused(tmp_path):
    state = {"RFRModule.att.att.ratio": torch.ones(1), "surplus.weight": torch.ones(1)}
    torch.save(state, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"surplus\.weight.*published RFR"):
        load_network(tmp_path / "published.pth")


def attend_as_published(layer, features, valid, scores, valid_before):
    """The published arithmetic, with all N * N scores: returns the answer and the new scores."""
    batch, channels, height, width = features.shape
    known = F.interpolate(valid, (height, width))
    answers, all_scores = [], []
    for one in range(batch):
        kernels = features[one].flatten(1).T.reshape(-1, channels, 1, 1) + 1e-7
        kernels = kernels / kernels.square().sum((1, 2, 3), keepdim=True).sqrt()
        products = F.conv2d(features[one : one + 1], kernels)
        score = F.softmax(F.avg_pool2d(products, 3, 1, padding=1) * 9, dim=1)
        if scores is not None:
            ratio, before = layer.ratio.abs() + 1e-7, valid_before[one : one + 1]
            score = (scores[one : one + 1] * before + score * ratio) / (before + ratio)
        all_scores.append(score)
        answers.append(F.conv_transpose2d(score, kernels))
    combined = layer.combiner(torch.cat([torch.cat(answers), features], dim=1))
    return combined, torch.cat(all_scores), known


@pytest.mark.parametrize("most", [0, 2**22], ids=["anew", "held"])
def test_attention_over_rounds_equals_the_published_arithmetic(monkeypatch, most):
    monkeypatch.setattr(rfr, "_MOST_TRAINED_SCORES", most)
    torch.manual_seed(0)
    layer = KnowledgeConsistentAttention(6).double()
    nn.init.constant_(layer.ratio, -0.6)
    rounds = [torch.randn(2, 6, 5, 7, dtype=torch.float64, requires_grad=True) for _ in range(4)]
    ours, theirs, past, scores, before = [], [], [], None, None
    for number, features in enumerate(rounds):
        valid = torch.zeros(2, 1, 20, 28, dtype=torch.float64)
        valid[..., : 8 + 6 * number] = 1  # the hole shrinks
        ours.append(layer(features, valid, past))
        answer, scores, before = attend_as_published(layer, features, valid, scores, before)
        theirs.append(answer)
    everything = [*rounds, *layer.parameters()]
    gradients = [
        torch.autograd.grad(sum(a.square().sum() for a in answers), everything)
        for answers in (ours, theirs)
    ]
    for one, other in zip([*ours, *gradients[0]], [*theirs, *gradients[1]], strict=True):
        torch.testing.assert_close(one, other)


@torch.no_grad()
def test_in_half_precision_held_scores_are_those_of_single(monkeypatch):
    torch.manual_seed(0)
    network = RFR(width=8, recurrences=3).eval()
    image, mask = samples()
    expected = network(image, mask).refined
    with torch.autocast("cpu", torch.bfloat16):
        held = network(image, mask).refined
        monkeypatch.setattr(rfr, "_MOST_SCORES", 0)
        anew = network(image, mask).refined
    assert 0 < relative_error(held, expected) <= 1.1 * relative_error(anew, expected)


def test_attention_keeps_nothing_the_size_of_all_pairs():
    layer = KnowledgeConsistentAttention(8)
    largest = 0

    def note(tensor):
        nonlocal largest
        largest = max(largest, tensor.numel())
        return tensor

    past = []
    with torch.autograd.graph.saved_tensors_hooks(note, lambda tensor: tensor):
        for _ in range(3):
            layer(torch.randn(1, 8, 48, 48, requires_grad=True), torch.ones(1, 1, 48, 48), past)
    assert 0 < largest <= 4 * 8 * 48**2  # the pairs would be 48**4, seventy times that


def samples(height=32, width=48, count=2):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(count, 3, height, width, generator=generator)
    mask = torch.zeros(count, 1, height, width)
    mask[:, :, 8:24, 10:30] = 1
    return image, mask


@torch.no_grad()
def test_nothing_is_left_from_one_call_to_the_next():
    network = RFR(width=8, recurrences=2).eval()
    image, mask = samples()
    first = network(image, mask).refined
    network(*samples(48, 32))
    assert torch.equal(network(image, mask).refined, first)


@torch.no_grad()
def test_padding_inside_is_of_sizes_that_need_it_only():
    network = RFR(width=8, recurrences=2).eval()
    image, mask = samples(32, 40)
    padded = network(F.pad(image, (0, 8, 0, 0), mode="replicate"), F.pad(mask, (0, 8))).refined
    assert torch.equal(network(image, mask).refined, padded[..., :40])


@pytest.mark.parametrize("frozen", [False, True])
def test_normalization_can_be_frozen_for_fine_tuning(frozen):
    network = RFR(width=8, recurrences=2, freeze_normalization=frozen).train()
    before = {name: buffer.clone() for name, buffer in network.named_buffers()}
    network(*samples()).refined.mean().backward()
    moved = {name for name, buffer in network.named_buffers() if not buffer.equal(before[name])}
    assert moved == (set() if frozen else before.keys())
    assert network.training
    assert all(p.grad is not None for p in network.parameters())


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 12}, "multiple of 8, not 12"),
        ({"width": 0}, "multiple of 8, not 0"),
        ({"recurrences": 0}, "at least 1, not 0"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        RFR(**arguments)


def test_the_published_defaults_are_the_papers():
    network = RFR()
    assert (network.width, network.recurrences) == (64, 6)
    assert max(p.shape[0] for p in network.reasoning.encoder.parameters()) == 512
