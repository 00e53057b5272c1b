"""DeepFillv1 is the published network in both of its forms, and its critics are the published."""

import pytest
import torch

from lab.networks import DeepFillv1, DeepFillv1Critics, UnreadableCheckpointError, load_network
from lab.networks.deepfill_v1_critics import rename_published_deepfill_v1_critics
from tests.parity import TOLERANCE, published, relative_error

FORMS = {"mmagic": "deepfill_v1_mmagic", "generative_inpainting": "deepfill_v1"}
CONSTANT = "stage2.contextual_attention_neck.contextual_attention.fuse_kernel"


@pytest.fixture(scope="module")
def stored():
    return {form: published(name) for form, name in FORMS.items()}


def wrapped(state, wrapper):
    """The state as a file may hold it: alone, with the constant, or with the whole model."""
    if wrapper == "alone":
        return state
    if wrapper == "parallel":
        return {f"module.{name}": tensor for name, tensor in state.items()}
    whole = {f"generator.{name}": tensor for name, tensor in state.items()}
    whole[f"generator.{CONSTANT}"] = torch.eye(3).view(1, 1, 3, 3)
    critic = {"disc.global_disc.conv1.conv.bias": torch.ones(64)}
    return {"meta": {"iter": 3500000}, "state_dict": {**whole, **critic}}


@pytest.mark.parametrize(
    ("form", "wrapper"),
    [
        ("mmagic", "alone"),
        ("mmagic", "whole model"),
        ("generative_inpainting", "alone"),
        ("generative_inpainting", "parallel"),
    ],
)
@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(stored, tmp_path, form, wrapper):
    tensors, state = stored[form]
    torch.save(wrapped(state, wrapper), tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")
    assert isinstance(network, DeepFillv1)
    assert network.form == form
    stages = network((tensors["in_image"] + 1) / 2, tensors["in_mask"])
    assert relative_error(2 * stages.coarse - 1, tensors["out_coarse"]) <= TOLERANCE
    assert relative_error(2 * stages.refined - 1, tensors["out_fine"]) <= TOLERANCE


MMAGIC = {
    "stage1.encoder.enc1.conv.weight": torch.ones(8, 5, 5, 5),
    "stage1.encoder.enc2.conv.weight": torch.ones(16, 8, 3, 3),
    "stage2.contextual_attention_neck.conv1.conv.weight": torch.ones(32, 32, 3, 3),
}


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({**MMAGIC, "surplus.weight": torch.ones(1)}, r"surplus\.weight.*published DeepFillv1"),
        ({**MMAGIC, CONSTANT: torch.ones(1, 1, 3, 3)}, r"fuse_kernel.*not the published constant"),
        (
            {**MMAGIC, "stage1.encoder.enc2.conv.weight": torch.ones(16, 4, 3, 3)},
            "no network of the workbench has such tensors",  # gated: another network
        ),
        (
            {"fine_generator.pmconv1.conv.bias": torch.ones(1), "surplus.weight": torch.ones(1)},
            r"surplus\.weight.*published DeepFillv1",
        ),
    ],
)
def test_other_tensors_are_refused(tmp_path, state, message):
    torch.save(state, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=message):
        load_network(tmp_path / "published.pth")


@torch.no_grad()
def test_the_published_critics_judge_as_published():
    sets = {"globalD": "deepfill_v1_global_critic", "localD": "deepfill_v1_local_critic"}
    tensors, states = {}, {}
    for critic, name in sets.items():
        tensors[critic], states[critic] = published(name)
    critics = DeepFillv1Critics().eval()
    critics.load_state_dict(rename_published_deepfill_v1_critics(states))
    for judge, expected in (
        (critics.global_critic, tensors["globalD"]),
        (critics.local_critic, tensors["localD"]),
    ):
        *features, score = judge(expected["in_image"])
        assert relative_error(score, expected["out_score"]) <= TOLERANCE
        assert relative_error(features[-1][:, ::16], expected["out_features"]) <= TOLERANCE
    # Joined, they look at the photo in [0, 1] and at its own crop.
    image = (tensors["globalD"]["in_image"] + 1) / 2
    mask = torch.zeros(2, 1, 256, 256)
    mask[..., 64:192, 64:192] = 1
    whole, close = critics(image, mask).logits
    assert relative_error(whole, tensors["globalD"]["out_score"]) <= TOLERANCE
    crop = tensors["globalD"]["in_image"][..., 64:192, 64:192]
    assert relative_error(close, critics.local_critic(crop)[-1]) <= TOLERANCE


@pytest.mark.parametrize(
    ("states", "message"),
    [
        ({"netD": {}}, "'netD' is none of the published critics"),
        ({"localD": {"linear.0.weight": torch.ones(1)}}, r"linear\.0\.weight"),
    ],
)
def test_other_tensors_of_critics_are_refused(states, message):
    with pytest.raises(KeyError, match=message):
        rename_published_deepfill_v1_critics(states)


def photo():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 4, 4, generator=generator)
    image = torch.nn.functional.interpolate(coarse, (32, 32), mode="bilinear")
    mask = torch.zeros(1, 1, 32, 32)
    mask[..., 8:20, 10:24] = 1
    return image, mask


@pytest.mark.parametrize("form", FORMS)
def test_sixty_steps_on_one_photo_halve_the_error_in_the_hole(form):
    image, mask = photo()
    torch.manual_seed(0)
    network = DeepFillv1(width=8, form=form).train()

    def losses():
        stages = network(image, mask).images
        return [((stage - image).abs() * mask).sum() / (3 * mask.sum()) for stage in stages]

    first = [loss.item() for loss in losses()]
    optimizer = torch.optim.Adam(network.parameters(), 1e-3)
    for _ in range(60):
        optimizer.zero_grad()
        sum(losses()).backward()
        optimizer.step()
    for loss, before in zip(losses(), first, strict=True):
        assert loss.item() < 0.5 * before


@torch.no_grad()
def test_the_forms_are_two_networks():
    image, mask = photo()
    answers = []
    for form in FORMS:
        torch.manual_seed(0)
        answers.append(DeepFillv1(width=4, form=form).eval()(image, mask))
    for one, other in zip(answers[0].images, answers[1].images, strict=True):
        assert (one - other).abs().max() > 1e-3


@pytest.mark.parametrize(("size", "local_side"), [(32, "half"), (40, 18), (33, 17)])
def test_the_critics_judge_at_any_size_they_are_built_for(size, local_side):
    critics = DeepFillv1Critics(size, width=4, local_side=local_side)
    image = torch.rand(2, 3, size, size, requires_grad=True)
    mask = torch.zeros(2, 1, size, size)
    mask[:, :, 4:12, 6:14] = 1
    answer = critics(image, mask)
    assert [tuple(logits.shape) for logits in answer.logits] == [(2, 1), (2, 1)]
    assert len(answer.features) == 8
    # A gradient penalty asks for the gradient of a gradient's length.
    scores = sum(logits.sum() for logits in answer.logits)
    (gradient,) = torch.autograd.grad(scores, image, create_graph=True)
    (gradient.flatten(1).norm(dim=1) - 1).square().mean().backward()
    for name, parameter in critics.named_parameters():
        if name.endswith("weight"):
            assert parameter.grad.abs().max() > 0, name


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: DeepFillv1(width=5), "even and at least 2, not 5"),
        (lambda: DeepFillv1(form="mmedit"), "no form of DeepFillv1 .* Did you mean 'mmagic'"),
        (lambda: DeepFillv1Critics(8), "at least 16, not 8"),
        (lambda: DeepFillv1Critics(32, width=0), "at least 1, not 0"),
        (lambda: DeepFillv1Critics(32, local_side=40), "from 8 to .* 32, not 40"),
        (
            lambda: DeepFillv1Critics(32)(torch.rand(1, 3, 48, 32), torch.ones(1, 1, 48, 32)),
            r"\(48, 32\), but .* 32 pixels a side",
        ),
    ],
)
def test_they_state_their_rules(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_published_defaults_are_the_papers():
    with torch.device("meta"):
        network, critics = DeepFillv1(), DeepFillv1Critics()
    assert (network.width, network.form) == (32, "generative_inpainting")
    assert max(p.shape[0] for p in network.parameters()) == 128
    assert (critics.global_critic.score.in_features, critics.local_side) == (65536, 128)
