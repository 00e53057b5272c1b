"""Adversarial losses: what the generator and the discriminator each minimize, in matching pairs.

- ``hinge``: Lim and Ye, "Geometric GAN" (2017); Miyato et al., "Spectral Normalization for
  Generative Adversarial Networks" (ICLR 2018), equations 16 and 17. The choice of InpaintSANet.
- ``log``: the non-saturating form of Goodfellow et al., "Generative Adversarial Nets" (NIPS 2014),
  section 3.
- ``least_squares``: Mao et al., "Least Squares Generative Adversarial Networks" (ICCV 2017),
  equation 9: labels 0 and 1, with the halves.
- ``relativistic_average``: Jolicoeur-Martineau, "The Relativistic Discriminator" (ICLR 2019),
  the RaSGAN of section 4: is a real image more real than the average fake?
- ``wasserstein``: Arjovsky et al., "Wasserstein Generative Adversarial Networks" (ICML 2017),
  algorithm 1; it needs a gradient penalty (`lab.losses.penalties`) in place of clipped weights.

Large logits mean "real". Logits have any shape; expectations are means over all of them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor

from lab.checks import unknown_name_message
from lab.contracts import JudgedPair, LossInputs
from lab.ranks import mean_over_ranks

AdversarialKind = Literal["hinge", "log", "least_squares", "relativistic_average", "wasserstein"]


def generator_loss(
    kind: AdversarialKind, fake_logits: Tensor, real_logits: Tensor | None = None
) -> Tensor:
    """Return the scalar that the generator minimizes.

    Args:
        kind: the adversarial loss.
        fake_logits: the discriminator on generated images; gradient flows to them.
        real_logits: the discriminator on true images; looked at by ``relativistic_average`` alone,
            without gradient.

    Raises:
        ValueError: an unknown kind, or ``relativistic_average`` without ``real_logits``.
    """
    fake = fake_logits.float()
    if kind in ("hinge", "wasserstein"):
        return -fake.mean()
    if kind == "log":
        return F.softplus(-fake).mean()
    if kind == "least_squares":
        return 0.5 * (fake - 1.0).square().mean()
    if kind == "relativistic_average":
        if real_logits is None:
            raise ValueError("relativistic_average compares with real_logits, but they are None")
        # The discriminator's loss with the roles exchanged.
        return discriminator_loss(kind, fake, real_logits.detach())
    raise ValueError(unknown_name_message("adversarial loss", kind, get_args(AdversarialKind)))


def discriminator_loss(kind: AdversarialKind, real_logits: Tensor, fake_logits: Tensor) -> Tensor:
    """Return the scalar that the discriminator minimizes.

    Args:
        kind: the adversarial loss, the same as the generator's.
        real_logits: the discriminator on true images.
        fake_logits: the discriminator on generated images, which the caller has detached.

    Raises:
        ValueError: an unknown kind.
    """
    real, fake = real_logits.float(), fake_logits.float()
    if kind == "hinge":
        return F.relu(1.0 - real).mean() + F.relu(1.0 + fake).mean()
    if kind == "wasserstein":
        return fake.mean() - real.mean()
    # softplus(-x) is -log(sigmoid(x)) without the overflow.
    if kind == "log":
        return F.softplus(-real).mean() + F.softplus(fake).mean()
    if kind == "least_squares":
        return 0.5 * ((real - 1.0).square().mean() + fake.square().mean())
    if kind == "relativistic_average":
        # Of all images of the step, wherever they are computed.
        real_above_fake = real - mean_over_ranks(fake.mean())
        fake_above_real = fake - mean_over_ranks(real.mean())
        return F.softplus(-real_above_fake).mean() + F.softplus(fake_above_real).mean()
    raise ValueError(unknown_name_message("adversarial loss", kind, get_args(AdversarialKind)))


@dataclass(frozen=True)
class Adversarial:
    """What a judge says about what the network made.

    The lower, the more it passes for real. Hinge, relativistic and Wasserstein losses have no
    minimum that a perfect image reaches; log and least-squares tend to 0 as it passes for real.

    Args:
        kind: the adversarial loss.
        judge: the name of the judge.
    """

    kind: AdversarialKind = "hinge"
    judge: str = "whole"

    def __call__(self, inputs: LossInputs) -> Tensor:
        """Return the generator's loss, the mean over the judge's scales.

        Raises:
            ValueError: the inputs carry no such judge.
        """
        judged = judged_pair(inputs, self.judge, "adversarial")
        fakes = judged.judge(judged.fake).logits
        reals: Sequence[Tensor | None] = [None] * len(fakes)
        if self.kind == "relativistic_average":
            with torch.no_grad():
                reals = judged.judge(judged.real).logits
        losses = [
            generator_loss(self.kind, fake, real) for fake, real in zip(fakes, reals, strict=True)
        ]
        return torch.stack(losses).mean()


def judged_pair(inputs: LossInputs, judge: str, term: str) -> JudgedPair:
    """What a judge is asked about, which ``term`` cannot do without.

    Raises:
        ValueError: the inputs carry no such judge.
    """
    if judge not in inputs.judged:
        raise ValueError(
            f"the term {term} asks the judge {judge!r}, but inputs.judged has "
            f"{', '.join(inputs.judged) or 'none'}: see Objective.judges"
        )
    return inputs.judged[judge]
