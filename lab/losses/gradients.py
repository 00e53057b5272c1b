"""How hard a term pulls: the size of its gradient at parameters of a network."""

from collections.abc import Sequence

import torch
from torch import Tensor

from lab.ranks import mean_over_ranks


def gradient_norm(term: Tensor, parameters: Sequence[Tensor]) -> Tensor | None:
    """The norm of a term's gradient at these parameters; None where it does not reach them.

    Of the term's mean over the ranks, as it is descended. What the term was computed by stays, to
    be descended afterwards.

    Args:
        term: a scalar.
        parameters: at least one, each with gradient.
    """
    if not term.requires_grad:
        return None
    gradients = torch.autograd.grad(term, list(parameters), retain_graph=True, allow_unused=True)
    found = [gradient.flatten().float() for gradient in gradients if gradient is not None]
    return mean_over_ranks(torch.cat(found)).norm() if found else None
