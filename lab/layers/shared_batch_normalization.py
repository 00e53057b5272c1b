"""Batch normalization over the samples of all ranks that train together, on any device."""

import torch
from torch import Tensor, nn

from lab.ranks import at_least_float32, mean_over_ranks, ranks


class SharedBatchNorm2d(nn.BatchNorm2d):
    """Ioffe and Szegedy's batch normalization, with a step's statistics from every rank.

    Every rank has equally many samples. ``torch.nn.SyncBatchNorm`` normalizes alike, but on GPUs
    only; it cannot be differentiated twice, as judges' penalties are, nor followed by compilers.
    """

    def forward(self, x: Tensor) -> Tensor:
        """Normalize ``(B, C, H, W)``; without training, by the statistics that were kept."""
        if not self.training or ranks() == 1:
            return super().forward(x)
        seen = at_least_float32(x)
        mean = mean_over_ranks(seen.mean((0, 2, 3)))
        centred = seen - mean[:, None, None]
        variance = mean_over_ranks(centred.square().mean((0, 2, 3)))
        self._keep(mean.detach(), variance.detach(), ranks() * x.numel() // x.shape[1])
        scale = (variance + self.eps).rsqrt()
        if self.affine:
            scale = scale * self.weight
        normalized = centred * scale[:, None, None]
        if self.affine:
            normalized = normalized + self.bias[:, None, None]
        return normalized.to(x.dtype)

    def _keep(self, mean: Tensor, variance: Tensor, count: int) -> None:
        if self.running_mean is None or self.running_var is None:
            return
        assert self.num_batches_tracked is not None
        self.num_batches_tracked.add_(1)
        share = self.momentum
        if share is None:
            share = 1.0 / float(self.num_batches_tracked)
        with torch.no_grad():
            self.running_mean.lerp_(mean, share)
            self.running_var.lerp_(variance * count / max(1, count - 1), share)


def share_batch_normalization(module: nn.Module) -> None:
    """Put `SharedBatchNorm2d` in place of each batch normalization, with its parameters."""
    for name, child in list(module.named_children()):
        if type(child) is nn.BatchNorm2d:
            shared = SharedBatchNorm2d(
                child.num_features,
                child.eps,
                child.momentum,
                child.affine,
                child.track_running_stats,
            )
            # The same tensors, which optimizers may hold already.
            shared._parameters, shared._buffers = child._parameters, child._buffers
            shared.train(child.training)
            setattr(module, name, shared)
        else:
            share_batch_normalization(child)
