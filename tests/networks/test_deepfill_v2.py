"""DeepFillv2 is the published network, in the port's form and in the authors'."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lab.networks import DeepFillv2, UnreadableCheckpointError, load_network
from tests.parity import TOLERANCE, published, relative_error


@pytest.mark.parametrize("wrapper", [None, "G"])
@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path, wrapper):
    tensors, state = published("deepfill_v2")
    # The port's files hold the discriminator and the optimizers too.
    content = {wrapper: state, "D": {"conv1.conv_sn.bias": torch.zeros(64)}, "n_iter": 3}
    torch.save(content if wrapper else state, tmp_path / "states.pth")
    network = load_network(tmp_path / "states.pth")
    assert isinstance(network, DeepFillv2)
    stages = network((tensors["in_image"] + 1) / 2, tensors["in_mask"])
    for ours, theirs in zip(stages.images, ("out_coarse", "out_fine"), strict=True):
        assert relative_error(2 * ours - 1, tensors[theirs]) <= TOLERANCE


def test_other_tensors_are_refused(tmp_path):
    state = {"stage2.ca_conv1.conv.weight": torch.ones(1), "surplus.weight": torch.ones(1)}
    torch.save({"G": state}, tmp_path / "states.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"surplus\.weight.*published DeepFillv2"):
        load_network(tmp_path / "states.pth")


# The authors' layers by the names that their converted weights have, in the order of running.
DOWN = "{0}conv1 {0}conv2_downsample {0}conv3 {0}conv4_downsample {0}conv5 {0}conv6"
DILATED = " {0}conv7_atrous {0}conv8_atrous {0}conv9_atrous {0}conv10_atrous"
UP = " {0}conv11 {0}conv12 {0}conv13_upsample.conv {0}conv14 {0}conv15_upsample.conv"
UP += " {0}conv16 {0}conv17"
AUTHORS = {
    "coarse_network": (DOWN + DILATED + UP).format("").split(),
    "refine_encoder": (DOWN + DILATED).format("x").split(),
    "attention_encoder": DOWN.format("pm").split(),
    "attention_decoder": ["pmconv9", "pmconv10"],
    "refine_decoder": UP.format("all").split(),
}


def run_as_authors(state, part, x):
    """Run a part by its tensors, with TensorFlow's "SAME" padding."""
    for name in AUTHORS[part]:
        weight, bias = state[f"{name}.conv.weight"], state[f"{name}.conv.bias"]
        number = int("".join(c for c in name.split("_")[0] if c.isdigit()))
        stride = 2 if "downsample" in name else 1
        dilation = 2 ** (number - 6) if "atrous" in name else 1
        if "upsample" in name:
            x = x.repeat_interleave(2, -1).repeat_interleave(2, -2)
        reach = dilation * (weight.shape[-1] - 1) + 1
        zeros = [max((-(-side // stride) - 1) * stride + reach - side, 0) for side in x.shape[2:]]
        (top, left), (below, right) = ([z // 2 for z in zeros], [z - z // 2 for z in zeros])
        x = F.conv2d(F.pad(x, (left, right, top, below)), weight, bias, stride, dilation=dilation)
        if number == 17:
            return x.tanh()
        feature, gate = x.chunk(2, dim=1)
        x = (feature.relu() if name == "pmconv6" else F.elu(feature)) * gate.sigmoid()
    return x


def authors_state(network):
    """The network's tensors by the authors' names."""
    state = {}
    for part, names in AUTHORS.items():
        layers = [m for m in getattr(network, part).modules() if isinstance(m, nn.Conv2d)]
        for name, layer in zip(names, layers, strict=True):
            layer.bias.data.normal_(0, 0.05)
            state |= {f"{name}.conv.weight": layer.weight, f"{name}.conv.bias": layer.bias}
    return {name: tensor.detach() for name, tensor in state.items()}


def photo(height=48, width=40, count=2):
    generator = torch.Generator().manual_seed(1)
    small = torch.rand(count, 3, 6, 5, generator=generator)
    image = F.interpolate(small, (height, width), mode="bilinear")
    mask = torch.zeros(count, 1, height, width)
    mask[:, :, 12:30, 10:26] = 1
    return image, mask


@torch.no_grad()
def test_the_authors_converted_weights_are_run_as_tensorflow_does(tmp_path):
    torch.manual_seed(0)
    small = DeepFillv2(width=8, convention="tensorflow", initialization="identity")
    state = authors_state(small)
    torch.save({"G": state, "D": {}}, tmp_path / "states_tf.pth")
    network = load_network(tmp_path / "states_tf.pth")
    assert (network.width, network.convention, network.sketch) == (8, "tensorflow", False)
    image, mask = photo()
    known = (2 * image - 1) * (1 - mask)
    seen = torch.cat([known, torch.ones_like(mask), mask], dim=1)
    coarse = run_as_authors(state, "coarse_network", seen)
    composite = coarse * mask + known
    attended = network.attention(run_as_authors(state, "attention_encoder", composite), mask > 0)
    branches = [
        run_as_authors(state, "refine_encoder", composite),
        run_as_authors(state, "attention_decoder", attended),
    ]
    refined = run_as_authors(state, "refine_decoder", torch.cat(branches, dim=1))
    for ours, theirs in zip(network(image, mask).images, (coarse, refined), strict=True):
        assert relative_error(2 * ours - 1, theirs) <= TOLERANCE
        assert theirs.std() > 0.01
    symmetric = DeepFillv2(width=8)
    symmetric.load_state_dict(network.state_dict())
    assert relative_error(symmetric(image, mask).refined, network(image, mask).refined) > 1e-3


@torch.no_grad()
def test_a_sketch_is_read_in_the_hole_only():
    torch.manual_seed(0)
    network = DeepFillv2(width=8, sketch=True, initialization="identity").eval()
    assert network.guides == ("sketch",)
    assert DeepFillv2(width=8).guides == ()
    image, mask = photo()
    strokes = torch.zeros_like(mask)
    strokes[..., 20, :] = 1
    answer = network(image, mask, {"sketch": strokes}).refined
    outside = torch.where(mask > 0, strokes, float("nan"))
    assert torch.equal(network(image, mask, {"sketch": outside}).refined, answer)
    assert (network(image, mask, {"sketch": 0 * strokes}).refined - answer).abs().max() > 1e-4
    with pytest.raises(ValueError, match="reads the guide 'sketch', but the guides given are: no"):
        network(image, mask)
    with pytest.raises(ValueError, match=r"shape \(2, 1, 4, 4\), but must have the mask's"):
        network(image, mask, {"sketch": strokes[..., :4, :4]})


@pytest.mark.parametrize("sketch", [False, True])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_a_published_file_may_have_a_sketch_channel_and_lack_the_fusion(tmp_path, sketch, prefix):
    small = DeepFillv2(width=8, sketch=sketch, convention="tensorflow")
    state = {f"{prefix}{name}": tensor for name, tensor in authors_state(small).items()}
    torch.save(state, tmp_path / "states_tf.pth")
    network = load_network(tmp_path / "states_tf.pth")
    assert network.sketch == sketch
    assert torch.equal(network.attention.fusion[0, 0], torch.eye(3))


def test_sixty_steps_halve_the_loss_in_the_hole():
    torch.manual_seed(0)
    network = DeepFillv2(width=16, initialization="identity").train()
    image, mask = photo(32, 32, count=1)

    def loss():
        return sum(
            ((stage - image).abs() * mask).sum() / (3 * mask.sum())
            for stage in network(image, mask).images
        )

    first = loss().item()
    optimizer = torch.optim.Adam(network.parameters(), 3e-3)
    for _ in range(60):
        optimizer.zero_grad()
        loss().backward()
        optimizer.step()
    assert loss().item() < 0.5 * first


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 10}, "multiple of 4, not 10"),
        ({"width": 0}, "multiple of 4, not 0"),
        ({"convention": "keras"}, "no convention is called 'keras'"),
        ({"initialization": "xavier"}, "no initialization is called 'xavier'"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        DeepFillv2(**arguments)


def test_the_published_defaults_are_the_papers():
    network = DeepFillv2()
    assert (network.width, network.fuse, network.convention) == (48, True, "pytorch")
    assert max(parameter.shape[0] for parameter in network.parameters()) == 192
