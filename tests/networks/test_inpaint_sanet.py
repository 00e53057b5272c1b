"""InpaintSANet is the published network, and its fast form is the plain one."""

import importlib.util
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from lab.networks import InpaintSANet, PatchDiscriminator, load_network
from lab.networks.inpaint_sanet import rename_published_inpaint_sanet
from lab.networks.patch_discriminator import rename_published_patch_discriminator
from tests.benchmarks.plain_inpaint_sanet import PlainInpaintSANet, PlainPatchDiscriminator

PARITY = Path(__file__).parents[2] / ".." / "shared" / "parity"
TOLERANCE = 1e-4


def published(name):
    """The stored vectors of a published network, and its weights under the published names."""
    vectors = PARITY / f"{name}.npz"
    if not vectors.exists():
        pytest.skip(f"{vectors} is not here: what the published network answers is not known")
    spec = importlib.util.spec_from_file_location("fill", PARITY / "fill.py")
    fill = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(fill)
    return np.load(vectors), fill.reference_state(vectors)


def image_and_mask(vectors):
    """The stored inputs in this project's convention: the image in [0, 1]."""
    image = (torch.from_numpy(vectors["in_image"]) + 1) / 2
    return image.clamp(0, 1), torch.from_numpy(vectors["in_mask"])


def relative_error(ours, theirs):
    return float((ours - theirs).norm() / theirs.norm())


@pytest.mark.parametrize(("name", "channels"), [("inpaint_sanet", 5), ("inpaint_sanet_bgnet", 4)])
@pytest.mark.parametrize("wrapper", [None, "netG_state_dict"])
@torch.no_grad()
def test_a_published_checkpoint_answers_as_published(tmp_path, name, channels, wrapper):
    vectors, state = published(name)
    # The original's files hold the trainer's state too, and "module." of nn.DataParallel.
    content = {wrapper: {f"module.{k}": v for k, v in state.items()}, "epoch": 3}
    torch.save(content if wrapper else state, tmp_path / "published.pth")
    network = load_network(tmp_path / "published.pth")

    stages = network(*image_and_mask(vectors))
    assert network.input_channels == channels
    for ours, theirs in zip(stages.images, ("out_coarse", "out_fine"), strict=True):
        assert relative_error(2 * ours - 1, torch.from_numpy(vectors[theirs])) <= TOLERANCE


@torch.no_grad()
def test_bfloat16_answers_nearly_as_published(tmp_path):
    vectors, state = published("inpaint_sanet_bgnet")
    torch.save(state, tmp_path / "published.pth")
    with torch.autocast("cpu", torch.bfloat16):
        stages = load_network(tmp_path / "published.pth")(*image_and_mask(vectors))
    for ours, theirs in zip(stages.images, ("out_coarse", "out_fine"), strict=True):
        assert ours.dtype == torch.float32
        assert relative_error(2 * ours - 1, torch.from_numpy(vectors[theirs])) <= 0.05


@torch.no_grad()
def test_the_published_discriminator_answers_as_published():
    vectors, state = published("inpaint_sanet_discriminator")
    discriminator = PatchDiscriminator().eval()
    discriminator.load_state_dict(rename_published_patch_discriminator(state), strict=True)

    (logits,) = discriminator(*image_and_mask(vectors)).logits
    assert relative_error(logits, torch.from_numpy(vectors["out_logits"])) <= TOLERANCE


def drawn(network, seed=0):
    """Give every tensor another value than its first, where attention and statistics do nothing."""
    torch.manual_seed(seed)
    for name, tensor in network.state_dict().items():
        if name.endswith("running_var"):
            tensor.uniform_(0.5, 1.5)
        elif tensor.is_floating_point() and tensor.ndim < 2:
            tensor.add_(0.1 * torch.randn_like(tensor))
    with torch.no_grad():
        for name, parameter in network.named_parameters():
            if name.endswith("gamma"):
                parameter.fill_(0.7)
    return network


def batch(height, width, count=2):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(count, 3, height, width, generator=generator)
    mask = torch.zeros(count, 1, height, width)
    mask[:, :, height // 4 : height // 2, width // 4 : -width // 4] = 1
    return image, mask


@pytest.mark.parametrize("width", [8, 32])
@pytest.mark.parametrize("channels", [4, 5])
# In training, drawn weights under normalization by the batch multiply a disturbance a thousandfold,
# also that of rounding: there, double precision tells another computation from another rounding.
@pytest.mark.parametrize(("training", "kind"), [(False, torch.float32), (True, torch.float64)])
@torch.no_grad()
def test_the_fast_form_equals_the_plain_one(width, channels, training, kind):
    plain = drawn(PlainInpaintSANet(width, channels)).to(kind)
    fast = InpaintSANet(width, channels).to(kind, memory_format=torch.channels_last)
    fast.load_state_dict(rename_published_inpaint_sanet(plain.state_dict()), strict=True)
    image, mask = (tensor.to(kind) for tensor in batch(64, 48))

    # Plain images lie in [-1, 1]; a step of the plain form changes its running statistics too.
    theirs = plain.train(training)(2 * image - 1, mask)
    ours = fast.train(training)(image, mask).images
    for one, other in zip(ours, theirs, strict=True):
        torch.testing.assert_close(2 * one.to(kind) - 1, other, rtol=0, atol=TOLERANCE)
        assert other.std() > 0.01  # a saturated image would agree with anything
    statistics = rename_published_inpaint_sanet(plain.state_dict())
    for name, tensor in fast.state_dict().items():
        torch.testing.assert_close(tensor, statistics[name], rtol=TOLERANCE, atol=TOLERANCE)


def test_the_fast_form_has_the_plain_ones_gradients():
    # In double precision for the same reason: single differs by up to a tenth.
    plain = drawn(PlainInpaintSANet(8, 5)).double()
    fast = InpaintSANet(8, 5).double()
    fast.load_state_dict(rename_published_inpaint_sanet(plain.state_dict()), strict=True)
    image, mask = (tensor.double() for tensor in batch(32, 32))
    target = 2 * image.flip(-1) - 1
    sum((stage - target).abs().mean() for stage in plain(2 * image - 1, mask)).backward()
    sum((2 * stage - 1 - target).abs().mean() for stage in fast(image, mask).images).backward()

    theirs = rename_published_inpaint_sanet({n: p.grad for n, p in plain.named_parameters()})
    everything = torch.cat([theirs[name].flatten() for name, _ in fast.named_parameters()])
    ours = torch.cat([parameter.grad.flatten() for parameter in fast.parameters()])
    assert relative_error(ours, everything) < 1e-5


@pytest.mark.parametrize("training", [False, True])
@torch.no_grad()
def test_the_discriminators_fast_form_equals_the_plain_one(training):
    plain = drawn(PlainPatchDiscriminator(width=8, depth=3))
    fast = PatchDiscriminator(width=8, depth=3).to(memory_format=torch.channels_last)
    fast.load_state_dict(rename_published_patch_discriminator(plain.state_dict()), strict=True)
    image, mask = batch(64, 48)

    theirs = plain.train(training)(2 * image - 1, mask)
    ours = fast.train(training)(image, mask)
    torch.testing.assert_close(*ours.logits, theirs, rtol=TOLERANCE, atol=TOLERANCE)
    assert len(ours.features) == 5  # three convolutions, the attention, one more
    assert theirs.std() > 1e-3


@torch.no_grad()
def test_both_stages_stay_within_0_and_1():
    network = drawn(InpaintSANet(width=8))
    for layer in (network.coarse_network[-1], network.refine_decoder[-1]):
        layer.normalization.weight.fill_(10.0)
    for stage in network(*batch(32, 32)).images:
        assert (float(stage.min()), float(stage.max())) == (0.0, 1.0)


@torch.no_grad()
def test_an_image_too_small_for_the_discriminator_is_refused():
    discriminator = PatchDiscriminator(width=8, depth=3)
    image, mask = batch(16, 16)
    assert discriminator(image, mask).logits[0].shape == (2, 32)
    with pytest.raises(ValueError, match=r"15 pixels a side.* depth 3 .*at least 16"):
        discriminator(image[..., :15, :], mask[..., :15, :])


@pytest.mark.parametrize(
    ("size", "depth"), [(32, 3), (64, 4), (96, 4), (128, 5), (256, 6), (512, 6)]
)
def test_the_discriminators_depth_follows_the_photos_size(size, depth):
    discriminator = PatchDiscriminator(size, width=8)
    assert len(discriminator.layers) - 2 == depth
    assert discriminator.smallest_side <= size


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda: InpaintSANet(width=6), "at least 8, not 6"),
        (lambda: InpaintSANet(width=9), "even .* not 9"),
        (lambda: InpaintSANet(input_channels=3), "4 .* or 5 .* not 3"),
        (lambda: PatchDiscriminator(depth=0), "1 to 6, not 0"),
        (lambda: PatchDiscriminator(depth=7), "1 to 6, not 7"),
        (lambda: PatchDiscriminator(width=4), "at least 8, not 4"),
        (lambda: PatchDiscriminator(64, depth=6), "64 pixels a side, .* of depth 6 needs at least"),
    ],
)
def test_a_network_states_its_rules(build, message):
    with pytest.raises(ValueError, match=message):
        build()


def test_the_published_defaults_are_the_papers():
    first = InpaintSANet().coarse_network[0].convolution
    assert (first.in_channels, first.out_channels) == (5, 2 * 32)  # features and gates
    convolutions = [m for m in PatchDiscriminator().modules() if isinstance(m, nn.Conv2d)]
    widths = [c.out_channels for c in convolutions if c.kernel_size == (4, 4)]
    assert widths == [64, 128, 256, 256, 256, 256, 256]
