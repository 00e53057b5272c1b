"""A training step of InpaintSANet and its judge, in the published form and in ours."""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import torch
from torch import Tensor, nn

from lab.contracts import JudgedPair, LossInputs
from lab.guides import ask_network
from lab.losses import Objective
from lab.networks import InpaintSANet, PatchDiscriminator
from lab.networks.inpaint_sanet import rename_published_inpaint_sanet
from tests.benchmarks.plain_inpaint_sanet import PlainInpaintSANet, PlainPatchDiscriminator

Ask = Callable[[nn.Module, Tensor, Tensor], Any]
"""Asks the network in training: `ask_network`, or what was compiled of it."""


class Steps:
    """One photo batch, and the two forms of a training step on it: the same losses, the same D.

    On the meta device nothing is computed, but all shapes are as elsewhere.
    """

    def __init__(self, size: int, batch: int, width: int, depth: int, device: str = "cpu") -> None:
        torch.manual_seed(0)
        self.device = torch.device(device)
        with self.device:
            self.image = torch.rand(batch, 3, size, size)
            self.mask = torch.zeros(batch, 1, size, size)
            self.mask[..., size // 4 : -size // 4, size // 3 : -size // 3] = 1.0
            self.plain = PlainInpaintSANet(width)
            self.plain_judge = PlainPatchDiscriminator(width=2 * width, depth=depth)
            layout = torch.channels_last
            self.fast = InpaintSANet(width).to(memory_format=layout)
            self.fast.load_state_dict(rename_published_inpaint_sanet(self.plain.state_dict()))
            self.judge = PatchDiscriminator(width=2 * width, depth=depth).to(memory_format=layout)
        self.objective = Objective()
        modules = (self.plain, self.plain_judge, self.fast, self.judge)
        self.adam = [torch.optim.Adam(module.parameters(), 1e-4) for module in modules]

    def plain_step(self, bfloat16: bool = False, ask: Ask = ask_network) -> None:
        image, mask = 2 * self.image - 1, self.mask
        with self._precision(bfloat16):
            coarse, refined = ask(self.plain, image, mask)
            completed = refined * mask + image * (1 - mask)
            self.adam[1].zero_grad()
            real, fake = self.plain_judge(image, mask), self.plain_judge(completed.detach(), mask)
            (torch.relu(1 - real).mean() + torch.relu(1 + fake).mean()).backward()
            self.adam[1].step()
            self.adam[0].zero_grad()
            loss = -0.005 * self.plain_judge(completed, mask).mean()
            for stage in (coarse, refined):
                for region in (mask, 1 - mask):
                    area = region.mean(dim=(1, 2, 3), keepdim=True)
                    loss = loss + 1.2 * ((stage - image).abs() * region / area).mean()
            loss.backward()
            self.adam[0].step()

    def fast_step(self, bfloat16: bool = False, ask: Ask = ask_network) -> None:
        """What `AdversarialCompletion.training_step` does, without the trainer."""
        image, mask = self.image, self.mask
        with self._precision(bfloat16):
            stages = ask(self.fast, image, mask)
            completed = torch.where(mask > 0.5, stages.refined, image)
            both = self.judge(torch.cat([image, completed.detach()]), torch.cat([mask, mask]))
            real, fake = both.logits[0].chunk(2)
            loss = self.objective.discriminator_loss([real], [fake])
            self.adam[3].zero_grad()
            loss.backward()
            self.adam[3].step()
            self.judge.requires_grad_(False)
            judged = JudgedPair(lambda picture: self.judge(picture, mask), completed, image)
            inputs = LossInputs(stages, image, mask, completed, {"whole": judged})
            value = self.objective(inputs)
            self.adam[2].zero_grad()
            value.total.backward()
            self.adam[2].step()
            self.judge.requires_grad_(True)

    @torch.no_grad()
    def plain_inference(self) -> None:
        self.plain.eval()
        self.plain(2 * self.image[:1] - 1, self.mask[:1])

    @torch.no_grad()
    def fast_inference(self, bfloat16: bool) -> None:
        self.fast.eval()
        with self._precision(bfloat16):
            self.fast(self.image[:1], self.mask[:1])

    def _precision(self, bfloat16: bool) -> AbstractContextManager[object]:
        # The meta device has no automatic mixed precision, not even one that is off.
        return torch.autocast(self.device.type, torch.bfloat16) if bfloat16 else nullcontext()
