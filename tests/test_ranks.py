"""What processes make common equals what one computes from all samples, in double precision."""

import pytest
import torch
from torch import distributed, multiprocessing, nn
from torch.nn.functional import softplus

from lab.layers import share_batch_normalization
from lab.networks import InpaintSANet, MIGANDiscriminator
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


def join_group(rank, count, folder):
    torch.set_num_threads(1)
    address = f"file://{folder / 'meeting'}"
    distributed.init_process_group("gloo", init_method=address, rank=rank, world_size=count)
    assert ranks() == count


def as_one_of_two(rank, folder, shares):
    join_group(rank, 2, folder)
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


def painter_and_judge():
    """A layer that paints photos, and a judge that compares those of a batch with each other."""
    torch.manual_seed(0)
    return nn.ModuleList([nn.Conv2d(3, 3, 3, padding=1), MIGANDiscriminator(16, 8, 0)]).double()


def photos(count):
    generator = torch.Generator().manual_seed(2)
    real = torch.rand(count, 3, 16, 16, generator=generator, dtype=torch.float64)
    # Some are flatter than others, so that groups differ in their spread.
    return real * torch.linspace(0.2, 1.0, count, dtype=torch.float64)[:, None, None, None]


def gradients_of_judging(both, real):
    """Of what painter and judge descend together, with a penalty on the judge's slopes."""
    painter, judge = both
    mask = torch.zeros_like(real[:, :1])
    mask[..., 4:10, 4:10] = 1.0
    real = real.clone().requires_grad_()
    fake = torch.where(mask > 0, painter(real.detach()).sigmoid(), real.detach())
    truths = judge(real, mask).logits[0]
    (slopes,) = torch.autograd.grad(truths.sum(), real, create_graph=True)
    loss = softplus(-truths).mean() + softplus(judge(fake, mask).logits[0]).mean()
    (loss + slopes.square().sum((1, 2, 3)).mean()).backward()
    average_gradients(both.parameters())
    return torch.cat([parameter.grad.flatten() for parameter in both.parameters()])


def judge_as_one_of(rank, count, samples, folder):
    join_group(rank, count, folder)
    own = photos(samples).chunk(count)[rank]
    torch.save(gradients_of_judging(painter_and_judge(), own), folder / f"{rank}.pt")
    distributed.destroy_process_group()


@pytest.mark.slow
# One photo in each has no spread; six are of two groups, which both processes have photos of.
@pytest.mark.parametrize(("count", "samples"), [(2, 2), (2, 6), (3, 6)])
def test_a_judge_compares_the_photos_of_all_processes(tmp_path, count, samples):
    multiprocessing.spawn(judge_as_one_of, (count, samples, tmp_path), nprocs=count)
    expected = gradients_of_judging(painter_and_judge(), photos(samples))
    for rank in range(count):
        found = torch.load(tmp_path / f"{rank}.pt")
        assert (found - expected).norm() < 1e-6 * expected.norm()
    # The spread of the own photos alone is another training: the test would tell.
    apart = [gradients_of_judging(painter_and_judge(), own) for own in photos(samples).chunk(count)]
    assert (torch.stack(apart).mean(0) - expected).norm() > 0.1 * expected.norm()
