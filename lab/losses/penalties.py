"""What a judge pays for being steep: penalties on its gradients at the images that it is shown.

Each is computed in float32 whatever the training's precision, since it is differentiated twice.
"""

from collections.abc import Callable

import torch
from torch import Tensor
from torch.nn.attention import SDPBackend, sdpa_kernel

from lab.contracts import DiscriminatorOutput

Judge = Callable[[Tensor], DiscriminatorOutput]
"""``image -> answer``; the mask is already bound."""


def gradient_penalty(judge: Judge, real: Tensor, fake: Tensor) -> Tensor:
    """Return the mean of ``(|gradient| - 1) ** 2`` between real images and fake ones.

    Gulrajani et al., "Improved Training of Wasserstein GANs" (NIPS 2017), equation 3: at one point
    drawn evenly on the line from each fake image to its real one, the norm over all its pixels.

    Args:
        judge: scores images.
        real: ``(B, C, H, W)``.
        fake: alike; no gradient reaches it.
    """
    share = torch.rand(len(real), 1, 1, 1, device=real.device)
    between = share * real.detach().float() + (1.0 - share) * fake.detach().float()
    return (_slopes(judge, between).norm(dim=1) - 1.0).square().mean()


def r1_penalty(judge: Judge, real: Tensor) -> Tensor:
    """Return the mean of ``|gradient| ** 2`` at real images.

    Mescheder et al., "Which Training Methods for GANs do actually Converge?" (ICML 2018), equation
    9 without its half: where a paper states gamma, the weight here is gamma / 2.

    Of a judge of patches it is the gradient of the sum of an image's logits, as in LaMa's published
    code (``make_r1_gp``): of their mean it would be less by the square of their number.

    Args:
        judge: scores images.
        real: ``(B, C, H, W)``.
    """
    slopes = _slopes(judge, real.detach().float(), torch.sum)
    return slopes.square().sum(dim=1).mean()


def _slopes(
    judge: Judge, images: Tensor, over_patches: Callable[..., Tensor] = torch.mean
) -> Tensor:
    """The gradients ``(B, C * H * W)`` of each image's score at its pixels.

    A score is the mean, or the sum, over a scale's patches, and the mean over the scales.
    """
    # PyTorch's fused attention has no second derivative; written out in products, it has one.
    with (
        torch.enable_grad(),
        torch.autocast(images.device.type, enabled=False),
        sdpa_kernel(SDPBackend.MATH),
    ):
        images = images.requires_grad_()
        logits = [over_patches(scale.flatten(1), dim=1) for scale in judge(images).logits]
        score = torch.stack(logits).mean(dim=0).sum()
        (gradients,) = torch.autograd.grad(score, images, create_graph=True)
    return gradients.flatten(1)
