"""What processes make common equals what one computes from all samples, in double precision."""

import pytest
import torch
from torch import distributed, multiprocessing

from lab.layers import share_batch_normalization
from lab.networks import InpaintSANet
from lab.ranks import average_gradients, copy_from_first, mean_over_ranks, ranks


def network(seed):
    torch.manual_seed(seed)
    return InpaintSANet(8).double()


def samples():
    generator = torch.Generator().manual_seed(1)
    image = torch.rand(4, 3, 32, 32, generator=generator, dtype=torch.float64)
    mask = torch.zeros(4, 1, 32, 32, dtype=torch.float64)
    for number in range(4):
        mask[number, :, 4 + number : 14, 6 : 18 + 3 * number] = 1.0
    return image, mask


def descend(module, image, mask):
    """A step's gradients, through the statistics of the batch and a mean over all samples."""
    coarse, refined = module(image, mask).images
    centre = mean_over_ranks(refined.mean())
    loss = (coarse - image).square().mean() + (refined - centre - image).square().mean()
    loss.backward()
    average_gradients(module.parameters())
    return torch.cat([parameter.grad.flatten() for parameter in module.parameters()])


def as_one_of_two(rank, folder, shares):
    torch.set_num_threads(1)
    address = f"file://{folder / 'meeting'}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=2)
    assert ranks() == 2
    module = network(seed=rank)
    if shares:
        share_batch_normalization(module)
    copy_from_first(module)
    gradients = descend(module, *(tensor[2 * rank : 2 * rank + 2] for tensor in samples()))
    kept = torch.cat([each.double().flatten() for each in module.buffers()])
    torch.save((gradients, kept), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
@pytest.mark.parametrize("shares", [True, False])
def test_a_step_of_two_processes_is_that_of_one(tmp_path, shares):
    multiprocessing.spawn(as_one_of_two, (tmp_path, shares), nprocs=2)
    alone = network(seed=0)
    expected = descend(alone, *samples())
    kept = torch.cat([each.double().flatten() for each in alone.buffers()])
    found = [torch.load(tmp_path / f"{rank}.pt") for rank in (0, 1)]
    assert torch.equal(found[0][0], found[1][0])
    away = float((found[0][0] - expected).norm() / expected.norm())
    if shares:
        assert away < 1e-6
        for _, statistics in found:
            torch.testing.assert_close(statistics, kept, rtol=1e-8, atol=1e-8)
    else:
        # Statistics of the own share alone are another training: the test would tell.
        assert away > 1e-2
