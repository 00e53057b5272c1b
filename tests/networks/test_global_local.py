"""Global & Local and its judge are the published ones."""

import pytest
import torch

from lab.networks import (
    GlobalLocal,
    GlobalLocalDiscriminator,
    UnreadableCheckpointError,
    load_network,
)
from lab.networks.global_local_discriminator import rename_published_global_local_discriminator
from tests.parity import TOLERANCE, published, relative_error


def wrapped(state, wrapper):
    """The state as a file may hold it: alone, or in a file of the whole model."""
    if wrapper == "alone":
        return state
    if wrapper == "parallel":
        return {f"module.{name}": tensor for name, tensor in state.items()}
    whole = {f"generator.{name}": tensor for name, tensor in state.items()}
    return {"meta": {"iter": 500000}, "state_dict": {**whole, "disc.fc.bias": torch.ones(1)}}


@pytest.fixture(scope="module")
def network_of_mmagic():
    return published("global_local")


@pytest.fixture(scope="module")
def discriminators_of_mmagic():
    return published("global_local_discriminators")


@pytest.mark.parametrize("wrapper", ["alone", "parallel", "whole model"])
@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(network_of_mmagic, tmp_path, wrapper):
    tensors, state = network_of_mmagic
    torch.save(wrapped(state, wrapper), tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")
    assert isinstance(network, GlobalLocal)
    answer = network((tensors["in_image"] + 1) / 2, tensors["in_mask"]).refined
    assert relative_error(2 * answer - 1, tensors["out_image"]) <= TOLERANCE


def test_other_tensors_are_refused(tmp_path):
    names = ("encoder.enc1.bn.weight", "dilation_neck.dilation_convs.0.bn.weight", "surplus.weight")
    torch.save({name: torch.ones(1) for name in names}, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"surplus\.weight.*published Global"):
        load_network(tmp_path / "published.pth")


@pytest.mark.parametrize("whole_model", [False, True])
@torch.no_grad()
def test_the_published_discriminators_judge_as_published(
    discriminators_of_mmagic, monkeypatch, whole_model
):
    tensors, state = discriminators_of_mmagic
    if whole_model:
        state = {f"disc.{name}": tensor for name, tensor in state.items()}
        state["generator.encoder.enc1.conv.weight"] = torch.ones(1)
    judge = GlobalLocalDiscriminator().eval()
    judge.load_state_dict(rename_published_global_local_discriminator(state))
    # The stored crop is not said where: it is given in place of ours.
    monkeypatch.setattr(
        "lab.networks.global_local_discriminator.crop_round_hole",
        lambda image, mask, side: tensors["in_local"],
    )
    answer = judge((tensors["in_global"] + 1) / 2, torch.zeros(2, 1, 256, 256))
    assert relative_error(answer.logits[0], tensors["out_logits"]) <= TOLERANCE
    assert relative_error(answer.features[6], tensors["out_global_features"]) <= TOLERANCE
    assert relative_error(answer.features[-1], tensors["out_local_features"]) <= TOLERANCE


def test_other_tensors_of_discriminators_are_refused():
    with pytest.raises(KeyError, match=r"global_disc\.conv1\.weight"):
        rename_published_global_local_discriminator({"global_disc.conv1.weight": torch.ones(1)})


def photo():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 4, 4, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear")
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, 10:24] = 1
    return image, mask


def test_sixty_steps_on_one_photo_halve_the_error_in_the_hole():
    image, mask = photo()
    torch.manual_seed(0)
    network = GlobalLocal(width=8).train()

    def loss():
        return ((network(image, mask).refined - image).abs() * mask).sum() / (3 * mask.sum())

    first = loss().item()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.5 * first


@pytest.mark.parametrize(("size", "local_side"), [(32, "half"), (48, 20), (33, 17)])
def test_the_discriminator_judges_at_any_size_it_is_built_for(size, local_side):
    judge = GlobalLocalDiscriminator(size, width=4, local_side=local_side)
    image = torch.rand(2, 3, size, size, requires_grad=True)
    mask = torch.zeros(2, 1, size, size)
    mask[:, :, 4:12, 6:14] = 1
    answer = judge(image, mask)
    assert [tuple(logits.shape) for logits in answer.logits] == [(2, 1)]
    answer.logits[0].sum().backward()
    assert image.grad.abs().amax((1, 2, 3)).min() > 0
    for name, parameter in judge.named_parameters():
        assert parameter.grad.abs().max() > 0, name


@torch.no_grad()
def test_the_discriminator_looks_twice_at_the_surroundings_of_the_hole():
    judge = GlobalLocalDiscriminator(32, width=4).eval()
    image, mask = photo()
    elsewhere = mask.roll((12, 8), (2, 3))
    judged, moved = judge(image, mask), judge(image, elsewhere)
    layers = len(judge.global_branch.layers) + 1
    for one, other in zip(judged.features[:layers], moved.features[:layers], strict=True):
        assert torch.equal(one, other)
    assert not torch.equal(judged.features[-1], moved.features[-1])
    assert not torch.equal(judged.logits[0], moved.logits[0])


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: GlobalLocal(width=7), "even and at least 2, not 7"),
        (lambda: GlobalLocalDiscriminator(8), "at least 16, not 8"),
        (lambda: GlobalLocalDiscriminator(32, width=0), "at least 1, not 0"),
        (lambda: GlobalLocalDiscriminator(32, local_side=33), "from 8 to .* 32, not 33"),
        (lambda: GlobalLocalDiscriminator(32, local_side=4), "from 8 to .* 32, not 4"),
        (
            lambda: GlobalLocalDiscriminator(32)(
                torch.rand(1, 3, 32, 48), torch.ones(1, 1, 32, 48)
            ),
            r"\(32, 48\), but .* 32 pixels a side",
        ),
    ],
)
def test_they_state_their_rules(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_published_defaults_are_mmagics():
    with torch.device("meta"):
        network, judge = GlobalLocal(), GlobalLocalDiscriminator()
    assert max(p.shape[0] for p in network.parameters()) == 256
    assert (len(judge.global_branch.layers), len(judge.local_branch.layers)) == (6, 5)
    assert judge.judge.in_features == 2048
