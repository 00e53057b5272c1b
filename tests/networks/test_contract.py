"""What every network promises, over the table of them all; and what their checkpoints promise."""

import inspect
import os
from itertools import pairwise

import pytest
import torch
from torch import nn

from lab.networks import (
    NETWORKS,
    InpaintSANet,
    UnreadableCheckpointError,
    describe_network,
    load_network,
)
from tests.guided import with_guides
from tests.tiny import fit_tiny

# Small forms of every network, by the arguments that they take. A new network is a row here.
SMALL = {
    "ContextEncoder": [
        {"width": 8, "view_size": 32},
        {"width": 4, "view_size": 64, "bottleneck": 50},
        {"width": 8, "view_size": 32, "start": "fill"},
        {"width": 8, "view_size": 32, "start": "residual"},
    ],
    "DeepFillv1": [
        {"width": 8},
        {"width": 4, "form": "mmagic"},
        {"width": 4, "start": "fill"},
        {"width": 4, "form": "mmagic", "start": "residual"},
    ],
    "DeepFillv2": [
        {"width": 8, "initialization": "identity"},
        {"width": 8, "initialization": "identity", "sketch": True, "fuse": False, "start": "fill"},
        {
            "width": 12,
            "initialization": "identity",
            "convention": "tensorflow",
            "start": "residual",
        },
        {"width": 8, "initialization": "identity", "separable": True},
    ],
    "EdgeConnect": [
        {"width": 4, "blocks": 1},
        {"width": 4, "blocks": 2, "start": "fill"},
        {"width": 4, "blocks": 1, "start": "residual"},
    ],
    "EdgeGenerator": [{"width": 4, "blocks": 2}],
    "EdgePainter": [{"width": 4, "blocks": 2}, {"width": 4, "blocks": 1, "start": "residual"}],
    "FillSelector": [
        {"width": 16, "dilations": (1, 2)},
        {"width": 8, "shrink": 2, "patch_match": False},
        {"width": 8, "dilations": (1,), "corrects": False},
    ],
    "GlobalLocal": [
        {"width": 8},
        {"width": 4, "start": "fill"},
        {"width": 4, "start": "residual"},
    ],
    "InpaintSANet": [
        {"width": 8, "input_channels": 5},
        {"width": 10, "input_channels": 4},
        {"width": 8, "gate": "gct", "attention_scale": "sqrt_d", "coordinate_attention": "keys"},
        {"width": 8, "gate": "both", "gct_norm": "l2", "coordinate_attention": "output"},
        {"width": 8, "separable": True},
        {"width": 8, "start": "fill"},
        {"width": 8, "start": "residual"},
    ],
    "LBAM": [
        {"width": 8, "depth": 2},
        {"width": 8, "depth": 2, "start": "fill"},
        {"width": 8, "depth": 2, "start": "residual"},
    ],
    "PartialConvolutionUNet": [
        {"width": 8, "depth": 3},
        {"width": 8, "depth": 2, "form": "naoto0804"},
        {"width": 8, "depth": 3, "freeze_normalization": True},
        {"width": 8, "depth": 3, "start": "fill"},
        {"width": 8, "depth": 3, "start": "residual"},
    ],
    "LaMa": [
        {"width": 4, "blocks": 2},
        {"width": 4, "blocks": 1, "start": "fill"},
        {"width": 4, "blocks": 1, "start": "residual"},
    ],
    "MIGAN": [
        {"width": 8, "resolution": 32},
        {"width": 8, "resolution": 16, "branches": 3},
        {"width": 8, "resolution": 32, "start": "fill"},
        {"width": 8, "resolution": 32, "branches": 2, "start": "residual"},
    ],
    "RFR": [
        {"width": 8, "recurrences": 3},
        {"width": 8, "recurrences": 2, "start": "fill"},
        {"width": 8, "recurrences": 2, "start": "residual"},
    ],
    "ShiftNet": [
        {"width": 4, "depth": 5},
        {"width": 4, "depth": 5, "mask_reduction": "any"},
        {"width": 4, "depth": 5, "start": "fill"},
        {"width": 4, "depth": 5, "start": "residual"},
    ],
}

# Softmax over the keys takes no notice of what is added to all of them, and normalization by the
# batch or the instance takes a bias before it away again. First masks of LBAM lie below their
# gates' maximum, and what shapes the other side waits for them.
WITHOUT_EFFECT = {
    *(f"decoder.{level}.convolution.bias" for level in range(4)),  # Shift-Net's, as published
    *(f"encoder.{level}.convolution.bias" for level in range(1, 4)),
    "forward_attention.0.gate.sigma2",
    "forward_attention.1.gate.sigma2",
    "refine_attention.key.bias",
    "refine_attention.coordinate_attention.shared.0.bias",
    "doubling.0.0.bias",
    "doubling.1.0.bias",
    "doubling.2.0.bias",
    "reverse_attention.0.gate.sigma2",
}


def without_effect(network):
    """The names of parameters that are taken away again, those before instance norm included."""
    names = set(WITHOUT_EFFECT)
    for outer, module in network.named_modules():
        if isinstance(module, nn.Sequential):
            for (inner, _), (_, after) in pairwise(module.named_children()):
                if isinstance(after, nn.InstanceNorm2d):
                    names.add(f"{outer}.{inner}.bias")
    return names


# Their last layer has no bounds, as published: only training brings their answers to [0, 1].
UNBOUNDED = {"MIGAN", "PartialConvolutionUNet", "RFR"}

# Nor has what they add to a fill.
UNBOUNDED_CORRECTION = {"DeepFillv2", "EdgeConnect", "EdgePainter"}


def bounded(network):
    kind = type(network).__name__
    corrects = kind in UNBOUNDED_CORRECTION and network.start == "residual"
    return kind not in UNBOUNDED and not corrects


def test_every_network_is_in_this_suite():
    assert set(SMALL) == set(NETWORKS), "give the new network a row in SMALL"


ROWS = [(name, arguments) for name, rows in SMALL.items() for arguments in rows]


def build(name, arguments):
    """A network whose running statistics fit its weights, so that its answers say something."""
    torch.manual_seed(0)
    network = with_guides(NETWORKS[name].build(**arguments))
    normalizations = [module for module in network.modules() if isinstance(module, nn.BatchNorm2d)]
    with torch.no_grad():
        # What begins at 0 (attention's gamma) is switched on.
        for parameter in network.parameters():
            parameter.add_(0.05 * torch.randn_like(parameter))
        for module in normalizations:
            module.momentum = 1.0
        network(*samples(64, 64))
        for module in normalizations:
            module.momentum = 0.1
    return network


@pytest.fixture(params=ROWS, ids=lambda row: f"{row[0]}({row[1]})")
def network(request):
    return build(*request.param)


def samples(height, width):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(2, 3, height, width, generator=generator)
    mask = torch.zeros(2, 1, height, width)
    mask[0, :, height // 3 :, : width // 3] = 1  # reaches the border
    mask[1, :, height // 4 : height // 2, width // 4 : width // 2] = 1
    return image, mask


@pytest.mark.parametrize("size", [(32, 32), (33, 47), (64, 34), (9, 70)])
@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_any_size_comes_back_as_float32(network, size, training):
    image, mask = samples(*size)
    stages = network.train(training)(image, mask)
    assert stages.coarse is stages.images[0]
    assert stages.refined is stages.images[-1]
    for stage in stages.images:
        assert stage.shape == image.shape
        assert stage.dtype == torch.float32
        assert stage.isfinite().all()
        if bounded(network):
            assert stage.min() >= -0.5
            assert stage.max() <= 1.5
        assert stage.std() > 0


def test_a_gradient_reaches_every_parameter(network):
    image, mask = samples(33, 47)
    sum((stage - image).square().mean() for stage in network(image, mask).images).backward()
    for name, parameter in network.named_parameters():
        assert parameter.grad is not None, name
        assert parameter.grad.isfinite().all(), name
        if name not in without_effect(network):
            assert parameter.grad.abs().max() > 1e-9, name


def test_the_last_layer_runs_last(network):
    ran = []
    for module in network.modules():
        if list(module.parameters(recurse=False)):
            module.register_forward_hook(lambda module, inputs, answer: ran.append(module))
    image, mask = samples(33, 47)
    refined = network(image, mask).refined
    assert ran[-1] in set(network.last_layer.modules())
    parameters = list(network.last_layer.parameters())
    for gradient in torch.autograd.grad((refined - image).abs().mean(), parameters):
        assert gradient.abs().max() > 0


@pytest.mark.parametrize("under", [0.0, 1.0, 1e30, float("nan"), float("inf")])
@pytest.mark.parametrize("training", [False, True])
def test_pixels_under_the_hole_never_matter(network, under, training):
    image, mask = samples(33, 47)
    hidden = torch.where(mask > 0, under, image)
    with torch.no_grad():
        before = {name: tensor.clone() for name, tensor in network.state_dict().items()}
        expected = network.train(training)(image, mask)
        network.load_state_dict(before)
    found = network.train(training)(hidden, mask)
    for one, other in zip(found.images, expected.images, strict=True):
        assert torch.equal(one, other)
    found.refined.sum().backward()
    assert all(parameter.grad.isfinite().all() for parameter in network.parameters())


@torch.no_grad()
def test_known_pixels_and_the_mask_do_matter(network):
    image, mask = samples(33, 47)
    refined = network.eval()(image, mask).refined
    darker = torch.where(mask > 0, image, 0.5 * image)
    assert (network(darker, mask).refined - refined).abs().max() > 1e-3
    assert (network(image, torch.zeros_like(mask)).refined - refined).abs().max() > 1e-3


@torch.no_grad()
def test_photos_of_a_batch_do_not_mix(network):
    image, mask = samples(33, 47)
    both = network.eval()(image, mask).refined
    alone = network(image[1:], mask[1:]).refined
    torch.testing.assert_close(both[1:], alone, rtol=0, atol=1e-4)


@torch.no_grad()
def test_bfloat16_disturbs_no_more_than_noise_of_its_own_step(network):
    # A network of drawn weights multiplies what disturbs it, layer by layer; a fixed bound would
    # say more about the weights than about the arithmetic.
    image, mask = samples(32, 48)
    step = 2**-8
    noise = step * torch.randn(image.shape, generator=torch.Generator().manual_seed(2))
    expected = network.eval()(image, mask).images
    disturbed = network(image + noise, mask).images
    with torch.autocast("cpu", torch.bfloat16):
        found = network(image, mask).images
    for ours, noisy, exact in zip(found, disturbed, expected, strict=True):
        assert ours.dtype == torch.float32
        # Half a step is what rounding the answer itself may take.
        bound = max(1.5 * (noisy - exact).abs().mean(), step / 2)
        assert (ours - exact).abs().mean() < bound


@pytest.mark.parametrize(("name", "arguments"), ROWS)
def test_every_argument_is_kept_as_an_attribute(name, arguments):
    network = NETWORKS[name].build(**arguments)
    for parameter in inspect.signature(NETWORKS[name].build).parameters.values():
        expected = arguments.get(parameter.name, parameter.default)
        assert getattr(network, parameter.name) == expected


def save(whose, path, **changes):
    torch.save({**describe_network(whose, 7, "fit: {}"), **changes}, path)
    return path


@torch.no_grad()
def test_a_checkpoint_gives_the_same_network(network, tmp_path):
    image, mask = samples(33, 47)
    network.train()(image, mask)  # moves the running statistics
    loaded = with_guides(load_network(save(network, tmp_path / "epoch-007.pt")))
    assert type(loaded) is type(network)
    assert not loaded.training
    assert torch.equal(loaded(image, mask).refined, network.eval()(image, mask).refined)

    content = torch.load(tmp_path / "epoch-007.pt", weights_only=True)
    assert (content["epoch"], content["settings"]) == (7, "fit: {}")


@pytest.fixture(scope="module")
def small():
    torch.manual_seed(0)
    return InpaintSANet(width=8)


def test_a_file_that_is_not_there_is_said_so(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"absent\.pt"):
        load_network(tmp_path / "absent.pt")


class _RunsCode:
    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


def test_a_checkpoint_with_code_is_refused_and_does_not_run(small, tmp_path):
    path = save(small, tmp_path / "evil.pt", settings=_RunsCode(tmp_path / "traces"))
    with pytest.raises(UnreadableCheckpointError, match=r"evil\.pt.*tensors and plain values"):
        load_network(path)
    assert not (tmp_path / "traces").exists()


def test_a_pickled_network_is_refused(tmp_path):
    torch.save(nn.Linear(1, 1), tmp_path / "whole.pt")
    with pytest.raises(UnreadableCheckpointError, match=r"Linear.*state_dict"):
        load_network(tmp_path / "whole.pt")


@pytest.mark.parametrize("share", [0.0, 0.5, 0.99])
def test_a_truncated_checkpoint_is_refused(small, tmp_path, share):
    path = save(small, tmp_path / "cut.pt")
    whole = path.read_bytes()
    path.write_bytes(whole[: int(share * len(whole))])
    with pytest.raises(UnreadableCheckpointError, match=r"cut\.pt.*again"):
        load_network(path)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"network": "InpaintSANe"}, "Did you mean 'InpaintSANet'"),
        ({"network": "os.system"}, "no network is called 'os.system'"),
        ({"network": "lab.networks.InpaintSANet"}, "no network is called"),
        ({"network": None}, "do not fit"),
        ({"arguments": {"width": 16, "input_channels": 5}}, "has the shape"),
        ({"arguments": {"width": 8, "input_channels": 4}}, "has the shape"),
        ({"arguments": {"width": 7}}, "not 7"),
        ({"arguments": {"breadth": 8}}, "breadth"),
        ({"arguments": None}, "do not fit"),
        ({"state": {}}, "are missing"),
        ({"state": None}, "do not fit"),
        ({"format": "background-inpainting network 99"}, "no network of the workbench"),
    ],
)
def test_a_checkpoint_that_does_not_fit_is_refused_by_its_name(small, tmp_path, changes, message):
    path = save(small, tmp_path / "odd.pt", **changes)
    with pytest.raises(UnreadableCheckpointError, match=message) as error:
        load_network(path)
    assert "odd.pt" in str(error.value)


@pytest.mark.parametrize("change", ["missing", "extra"])
def test_a_checkpoint_with_other_tensors_is_refused(small, tmp_path, change):
    state = describe_network(small, 1, "")["state"]
    first = next(iter(state))
    changed = {
        "missing": {name: tensor for name, tensor in state.items() if name != first},
        "extra": {**state, "surplus.weight": torch.zeros(1)},
    }[change]
    path = save(small, tmp_path / "odd.pt", state=changed)
    expected = first if change == "missing" else "surplus.weight"
    with pytest.raises(UnreadableCheckpointError, match=expected):
        load_network(path)


@pytest.mark.parametrize(
    "state",
    [
        {"refine_conv_net.0.conv2d.weight": torch.zeros(32, 5, 5, 5)},
        {"refine_conv_net.0.conv2d.weight": torch.zeros(1), "elsewhere.weight": torch.zeros(1)},
        {"generator.weight": torch.zeros(2)},
        {"refine_conv_net.0.mask_conv2d.weight": torch.zeros(2)},
    ],
)
def test_published_tensors_that_do_not_fit_are_refused(tmp_path, state):
    torch.save({"state_dict": state}, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"published\.pth"):
        load_network(tmp_path / "published.pth")


@pytest.mark.parametrize("shape", [(), (14, 5, 5, 5), (64, 3, 5, 5), (64,)])
def test_a_published_first_layer_of_an_odd_shape_is_refused(tmp_path, shape):
    first = {
        f"coarse_net.0.{name}.weight": torch.zeros(shape) for name in ("conv2d", "mask_conv2d")
    }
    torch.save({**first, "refine_conv_net.0.x": torch.zeros(1)}, tmp_path / "published.pth")
    with pytest.raises(UnreadableCheckpointError, match=r"published\.pth"):
        load_network(tmp_path / "published.pth")


def test_the_file_that_resumes_training_is_refused_and_the_right_one_named(tmp_path):
    fit_tiny(tmp_path / "run", "--fit.epochs=1")
    with pytest.raises(UnreadableCheckpointError, match=r"epoch-NNN\.pt.*\.ckpt files only resume"):
        load_network(tmp_path / "run" / "checkpoints" / "last.ckpt")
    assert isinstance(load_network(tmp_path / "run" / "checkpoints" / "epoch-001.pt"), InpaintSANet)
