"""The notes' changes to InpaintSANet (V3.1 to V3.5): every combination is a network that trains."""

import itertools

import pytest
import torch

from lab.layers import CoordinateAttention, GatedChannelTransformation
from lab.networks import InpaintSANet, describe_network, load_network

OPTIONS = {
    "gate": ["sigmoid", "gct", "both"],
    "gct_norm": ["l1", "l2"],
    "attention_scale": ["none", "sqrt_d", "as_documented"],
    "coordinate_attention": ["off", "output", "keys"],
}
COMBINATIONS = [dict(zip(OPTIONS, c, strict=True)) for c in itertools.product(*OPTIONS.values())]

# Softmax over the keys takes no notice of what is added to all of them.
WITHOUT_EFFECT = {"refine_attention.key.bias"}


def build(steps=30, **options):
    """A narrow network in which what begins at 0 is switched on, and the statistics fit."""
    torch.manual_seed(0)
    network = InpaintSANet(width=8, **options)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for _ in range(steps):
            network(*samples())
    return network


def samples(count=2, size=32):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(count, 3, size, size, generator=generator)
    mask = torch.zeros(count, 1, size, size)
    mask[:, :, 8:24, 10:20] = 1
    return image, mask


@pytest.mark.parametrize("options", COMBINATIONS, ids=lambda o: "-".join(o.values()))
def test_every_combination_trains_every_parameter(options):
    network = build(1, **options)
    image, mask = samples()
    sum((stage - image).square().mean() for stage in network(image, mask).images).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if name not in WITHOUT_EFFECT:
            assert parameter.grad.abs().max() > 0, name
    kinds = {type(module) for module in network.modules()}
    assert (GatedChannelTransformation in kinds) == (options["gate"] != "sigmoid")
    assert (CoordinateAttention in kinds) == (options["coordinate_attention"] != "off")


def test_the_defaults_are_the_published_network():
    network = InpaintSANet(width=8)
    plain = InpaintSANet(8, 5, "sigmoid", "l2", "none", "off")
    assert network.state_dict().keys() == plain.state_dict().keys()
    assert not any("gate" in name or "coordinate" in name for name in network.state_dict())


@torch.no_grad()
def test_the_documented_scale_makes_a_photos_answer_depend_on_its_batch():
    image, mask = samples(count=9)
    differences = {}
    for scale in OPTIONS["attention_scale"]:
        network = build(attention_scale=scale).eval()
        network.refine_attention.gamma.fill_(1.0)
        network.refine_attention.query.weight.mul_(20)
        together = network(image, mask).refined[:1]
        alone = network(image[:1], mask[:1]).refined
        differences[scale] = float((together - alone).abs().max())
    assert differences["as_documented"] > 1e-3
    assert max(differences["none"], differences["sqrt_d"]) < 1e-5


@torch.no_grad()
def test_a_warm_start_takes_all_but_what_the_options_add():
    trained = build().eval()
    image, mask = samples()
    network = InpaintSANet(8, gate="both", coordinate_attention="output").eval()
    started = network.refine_attention.coordinate_attention.row_weights.weight.clone()
    network.warm_start(trained.state_dict())
    for name, tensor in trained.state_dict().items():
        assert torch.equal(network.state_dict()[name], tensor)
    added = network.refine_attention.coordinate_attention.row_weights.weight
    assert torch.equal(added, started)

    gated = InpaintSANet(8, gate="both").eval()
    gated.warm_start(trained.state_dict())
    assert torch.equal(gated(image, mask).refined, trained(image, mask).refined)


def test_a_warm_start_is_strict_about_all_else():
    network = InpaintSANet(8, gate="both")
    state = build().state_dict()
    first = next(iter(state))
    with pytest.raises(RuntimeError, match=first):
        network.warm_start({name: tensor for name, tensor in state.items() if name != first})
    with pytest.raises(RuntimeError, match="surplus"):
        network.warm_start({**state, "surplus": torch.zeros(1)})
    with pytest.raises(RuntimeError, match="size mismatch"):
        network.warm_start(InpaintSANet(10).state_dict())


@torch.no_grad()
def test_a_checkpoint_keeps_the_options(tmp_path):
    options = {"gate": "both", "gct_norm": "l2", "coordinate_attention": "keys"}
    network = build(**options).eval()
    torch.save(describe_network(network, 1, ""), tmp_path / "network.pt")
    loaded = load_network(tmp_path / "network.pt")
    assert {name: getattr(loaded, name) for name in options} == options
    image, mask = samples()
    assert torch.equal(loaded(image, mask).refined, network(image, mask).refined)


@pytest.mark.parametrize("option", OPTIONS)
def test_an_option_that_there_is_not_is_refused_by_its_name(option):
    with pytest.raises(ValueError, match="called 'sqrtd'"):
        InpaintSANet(8, **{"gate": "gct", option: "sqrtd"})
