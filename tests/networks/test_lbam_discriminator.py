"""LBAM's discriminator computes what the published one does, up to its last sigmoid."""

import pytest
import torch
import torch.nn.functional as F

from lab.networks import LBAMDiscriminator
from lab.networks.lbam_discriminator import rename_published_lbam_discriminator

WIDTHS = (8, 16, 32, 64, 64, 64)


def published_state(generator):
    """Tensors of a narrow published discriminator, by its own names."""
    state = {}
    for column in ("globalConv", "localConv"):
        channels, number = 3, 0
        for width in WIDTHS:
            shape = (width, channels, 4, 4)
            drawn = torch.randn(shape, generator=generator) / (8 * channels) ** 0.5
            state[f"{column}.{number}.weight"] = drawn
            state[f"{column}.{number}.bias"] = 0.1 * torch.randn(width, generator=generator)
            if channels > 3:
                layer = f"{column}.{number + 1}"
                state[f"{layer}.weight"] = torch.rand(width, generator=generator) + 0.5
                state[f"{layer}.bias"] = 0.1 * torch.randn(width, generator=generator)
                state[f"{layer}.running_mean"] = 0.1 * torch.randn(width, generator=generator)
                state[f"{layer}.running_var"] = torch.rand(width, generator=generator) + 0.5
                state[f"{layer}.num_batches_tracked"] = torch.tensor(3)
            number += 3 if channels > 3 else 2
            channels = width
    state["fusionLayer.0.weight"] = 0.02 * torch.randn((1, 128, 4, 4), generator=generator)
    state["fusionLayer.0.bias"] = torch.tensor([0.1])
    return state


def answer_as_published(state, image, valid):
    """The published arithmetic; ``valid`` is 1 where a pixel is known."""
    columns = []
    for column, x in (("globalConv", image * valid), ("localConv", image * (1 - valid))):
        numbers = sorted(
            int(name.split(".")[1]) for name in state if name.startswith(column) and "bias" in name
        )
        for number in numbers:
            layer = f"{column}.{number}"
            if f"{layer}.running_mean" in state:
                parts = ("running_mean", "running_var", "weight", "bias")
                x = F.batch_norm(x, *(state[f"{layer}.{part}"] for part in parts))
            else:
                if number:
                    x = F.leaky_relu(x, 0.2)
                x = F.conv2d(x, state[f"{layer}.weight"], state[f"{layer}.bias"], 2, 1)
        columns.append(F.leaky_relu(x, 0.2))
    fused = F.conv2d(
        torch.cat(columns, 1), state["fusionLayer.0.weight"], state["fusionLayer.0.bias"]
    )
    return torch.sigmoid(fused).view(image.shape[0], -1)


def samples(side):
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(2, 3, side, side, generator=generator)
    mask = torch.zeros(2, 1, side, side)
    mask[:, :, side // 4 : side // 2, side // 3 :] = 1
    return image, mask


@pytest.mark.parametrize("prefix", ["", "module."])
@torch.no_grad()
def test_it_computes_what_the_published_one_does(prefix):
    state = published_state(torch.Generator().manual_seed(0))
    judge = LBAMDiscriminator(256, width=8).eval()
    renamed = rename_published_lbam_discriminator({f"{prefix}{n}": x for n, x in state.items()})
    judge.load_state_dict(renamed, strict=True)
    image, mask = samples(256)
    (logits,) = judge(image, mask).logits
    expected = answer_as_published(state, image, 1 - mask)
    assert logits.shape == (2, 1)
    assert expected.std() > 1e-3
    torch.testing.assert_close(torch.sigmoid(logits), expected, rtol=1e-4, atol=1e-6)


def test_both_columns_and_the_image_get_gradients():
    image, mask = samples(64)
    image.requires_grad_()
    judge = LBAMDiscriminator(64, width=8)
    output = judge(image, mask)
    assert output.logits[0].shape == (2, 1)
    assert len(output.features) == 8
    output.logits[0].sum().backward()
    assert all(parameter.grad is not None for parameter in judge.parameters())
    for part in (mask > 0, mask == 0):
        assert image.grad.masked_select(part).abs().max() > 0


@torch.no_grad()
def test_larger_images_are_judged_in_patches():
    assert LBAMDiscriminator(64, width=8).eval()(*samples(96)).logits[0].shape == (2, 9)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"size": 64, "depth": 5}, r"images are 64 pixels a side.*at least 128"),
        ({"size": 64, "depth": 0}, "depth must be 1 to 6, not 0"),
        ({"size": 64, "width": 4}, "at least 8, not 4"),
    ],
)
def test_it_states_its_rules(arguments, message):
    with pytest.raises(ValueError, match=message):
        LBAMDiscriminator(**arguments)


def test_an_image_too_small_is_refused():
    with pytest.raises(ValueError, match=r"images are 32 pixels a side.*at least 64"):
        LBAMDiscriminator(64, width=8)(*samples(32))
