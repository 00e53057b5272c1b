"""DeepFillv2's discriminator computes what the port's does, and takes its tensors."""

import pytest
import torch
import torch.nn.functional as F

from lab.networks import DeepFillv2Discriminator
from lab.networks.deepfill_v2_discriminator import rename_published_deepfill_v2_discriminator
from tests.parity import TOLERANCE, relative_error


def port_state(width=4):
    """Tensors as the port keeps them: weights divided already, and left singular vectors."""
    generator = torch.Generator().manual_seed(0)
    channels = (4, *(width * factor for factor in (1, 2, 4, 4, 4, 4)))
    state = {}
    for number in range(1, 7):
        inputs, outputs = channels[number - 1 : number + 1]
        weight = torch.randn(outputs, inputs, 5, 5, generator=generator)
        left, values, _ = torch.linalg.svd(weight.flatten(1), full_matrices=False)
        layer = f"conv{number}.conv_sn"
        state[f"{layer}.weight"] = weight / values[0]
        state[f"{layer}.weight_u"] = left[:, :1]
        state[f"{layer}.bias"] = 0.1 * torch.randn(outputs, generator=generator)
    return state


def photo(size=64):
    generator = torch.Generator().manual_seed(1)
    mask = torch.zeros(2, 1, size, size)
    mask[..., 10:40, 20:30] = 1
    return torch.rand(2, 3, size, size, generator=generator), mask


@torch.no_grad()
def test_it_computes_what_the_port_does():
    state = port_state()
    discriminator = DeepFillv2Discriminator(size=64, width=4).eval()
    renamed = rename_published_deepfill_v2_discriminator(state)
    discriminator.load_state_dict(renamed, strict=True)
    image, mask = photo()
    answer = discriminator(image, mask)
    x = torch.cat([2 * image - 1, mask], dim=1)
    for number, feature in enumerate(answer.features, 1):
        layer = f"conv{number}.conv_sn"
        x = F.conv2d(x, state[f"{layer}.weight"], state[f"{layer}.bias"], stride=2, padding=2)
        x = F.leaky_relu(x, 0.2)
        assert relative_error(feature, x) <= TOLERANCE
    (logits,) = answer.logits
    assert torch.equal(logits, answer.features[-1].flatten(1))
    assert logits.shape == (2, 16)


@torch.no_grad()
def test_a_sketch_is_seen_in_the_hole_only():
    torch.manual_seed(0)
    discriminator = DeepFillv2Discriminator(size=64, width=4, sketch=True).eval()
    image, mask = photo()
    (logits,) = discriminator(image, mask, {"sketch": mask}).logits
    outside = torch.where(mask > 0, mask, float("nan"))
    assert torch.equal(discriminator(image, mask, {"sketch": outside}).logits[0], logits)
    (plain,) = discriminator(image, mask, {"sketch": 0 * mask}).logits
    assert (plain - logits).abs().max() > 1e-4
    with pytest.raises(ValueError, match="reads the guide 'sketch'"):
        discriminator(image, mask)


def test_it_states_its_rule():
    with pytest.raises(ValueError, match="at least 1, not 256 and 0"):
        DeepFillv2Discriminator(width=0)
