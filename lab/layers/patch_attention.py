"""Contextual attention by patches: fills each place with patches that look like it elsewhere.

Jiahui Yu et al., "Generative Image Inpainting with Contextual Attention" (CVPR 2018), section 4.1.
Every patch of 3x3 of the features at half their size is compared with all others; a comparison
counts more where the neighbours agree (attention propagation); and what is pasted are patches of
4x4 of the features themselves.
"""

from functools import partial
from typing import Literal, get_args

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from lab.checks import unknown_name_message

PatchAttentionForm = Literal["mmagic", "generative_inpainting"]

# Scores that are held at a time: 64 MB, of all pairs of a 512x512 photo. A few copies are needed.
_MOST_SCORES = 2**24


class PatchAttention(nn.Module):
    """Attention within one feature map; no parameters.

    The two published forms differ where the paper is silent. ``"mmagic"`` takes no patch that
    touches the hole, and divides what is pasted by how many patches overlap there.
    ``"generative_inpainting"`` (generative-inpainting-pytorch) gives such patches the score 0
    *before* the softmax and weight 0 after it, so that weight is lost where no known patch scores
    high; it divides by 4 at the border too, where fewer patches overlap, and softens the lengths
    of the patches by 1e-4 a value.

    Computed in float32 also under autocast: scores of hundreds pass a softmax. Memory does not grow
    with the square of the number of positions: all pairs are scored in parts of whole rows, which
    training computes again rather than keeps.

    Args:
        form: ``"mmagic"`` or ``"generative_inpainting"``.
        scale: of the scores before the softmax; 10 as published.

    Raises:
        ValueError: another form.
    """

    def __init__(self, form: PatchAttentionForm, scale: float = 10.0) -> None:
        super().__init__()
        if form not in get_args(PatchAttentionForm):
            known = get_args(PatchAttentionForm)
            raise ValueError(unknown_name_message("form of patch attention", form, known))
        self.form = form
        self.scale = scale

    def forward(self, features: Tensor, hole: Tensor) -> Tensor:
        """Rebuild ``features (B, C, H, W)`` of their known patches; the shape stays.

        Args:
            features: with even sides.
            hole: ``(B, 1, H / 2, W / 2)`` of 0 and 1, 1 = hole. Where no patch is known, the
                answer is 0.

        Returns:
            float32 ``(B, C, H, W)``.

        Raises:
            ValueError: odd sides, or a hole of another size.
        """
        height, width = features.shape[-2:]
        if height % 2 or width % 2 or hole.shape[-2:] != (height // 2, width // 2):
            raise ValueError(
                f"features are {(height, width)} and their hole {tuple(hole.shape[-2:])}, but "
                "features must have even sides and the hole half of each: pad the image"
            )
        with torch.autocast(features.device.type, enabled=False):
            photos = zip(features.float().split(1), hole.split(1), strict=True)
            return torch.cat([self._rebuild(*photo) for photo in photos])

    def _rebuild(self, features: Tensor, hole: Tensor) -> Tensor:
        # h, w = the halved size, N = h * w patches, d = values of a patch of 3x3, v = of 4x4
        size = features.shape[-2:]
        height, width = hole.shape[-2:]
        patches = F.unfold(features[..., ::2, ::2], 3, padding=1)[0].T  # [N, d]
        if self.form == "mmagic":
            keys = F.normalize(patches, dim=1, eps=1e-4)
        else:
            keys = patches / (patches.square() + 1e-4).sum(1, keepdim=True).sqrt()
        known = F.max_pool2d(hole, 3, stride=1, padding=1)[0, 0] == 0  # [h, w]
        values = F.unfold(features, 4, stride=2, padding=1)[0].T  # [N, v]
        attend = partial(
            self._attend,
            F.pad(patches, (0, 0, 1, 1)),
            keys,
            # Scores come with their keys column by column.
            values.unflatten(0, (height, width)).transpose(0, 1).flatten(0, 1),
            known.T.flatten(),
            height,
        )
        parts = [(0, height)]
        # How many there are depends on the photo's size, which an exported network does not know.
        if not torch.compiler.is_exporting():
            rows = max(1, _MOST_SCORES // (keys.shape[0] * width))
            parts = [(first, min(first + rows, height)) for first in range(0, height, rows)]
        if len(parts) > 1 and torch.is_grad_enabled():
            attend = partial(checkpoint, attend, use_reentrant=False, preserve_rng_state=False)
        pasted = torch.cat([attend(*part) for part in parts]).T[None]  # [1, v, N]
        paste = partial(F.fold, output_size=size, kernel_size=4, stride=2, padding=1)
        if self.form == "mmagic":
            return paste(pasted) / paste(pasted.new_ones(1, 16, keys.shape[0]))
        return paste(pasted) / 4.0

    def _attend(
        self,
        queries: Tensor,
        keys: Tensor,
        values: Tensor,
        known: Tensor,
        height: int,
        first: int,
        last: int,
    ) -> Tensor:
        """The mixed values of the queries of rows ``first`` to ``last``, ``[n, v]``."""
        scores = self.scale * _propagated_scores(queries, keys, height, first, last)
        if self.form == "mmagic":
            # Not -inf, which is NaN where nothing is known.
            scores = scores.masked_fill(~known, torch.finfo(scores.dtype).min)
        else:
            scores = scores * known
        return (scores.softmax(-1) * known) @ values


def _propagated_scores(queries: Tensor, keys: Tensor, height: int, first: int, last: int) -> Tensor:
    """Score all keys for the queries of some rows, each score with those of its neighbours.

    A pair's score takes up those of the pairs one place before and one place after, in reading
    order (so that a row's end neighbours the next row's begin, as published); then the same is
    done column by column.

    Args:
        queries: ``[N + 2, d]``, row by row, with a row of zeros before and after.
        keys: ``[N, d]``, row by row.
        height: number of rows.
        first: row to begin with.
        last: row to end before.

    Returns:
        ``[(last - first) * w, N]``, the queries row by row, the keys column by column.
    """
    width = keys.shape[0] // height

    def along_rows(begin: int, end: int) -> Tensor:
        scores = queries[begin * width : end * width + 2] @ keys.T
        return _with_neighbours(scores).unflatten(0, (-1, width))  # [rows, w, N]

    # Above the first row is the last one, a column further to the left: column order's neighbour.
    above = along_rows(first - 1, first) if first else _shifted(along_rows(height - 1, height), 1)
    below = along_rows(last, last + 1) if last < height else _shifted(along_rows(0, 1), -1)
    scores = torch.cat([above, along_rows(first, last), below])  # [rows + 2, w, N]
    by_column = scores.unflatten(-1, (height, width)).transpose(-1, -2).flatten(-2)
    return _with_neighbours(by_column).flatten(0, 1)


def _with_neighbours(scores: Tensor) -> Tensor:
    """Add to ``scores [n + 2, ..., N]`` those of the pairs before and after: ``[n, ..., N]``."""
    total = scores[1:-1].clone()
    total[..., 1:] += scores[:-2, ..., :-1]
    total[..., :-1] += scores[2:, ..., 1:]
    return total


def _shifted(row: Tensor, columns: int) -> Tensor:
    """Move the queries of ``row [1, w, N]`` by some columns, with nothing where none is left."""
    return F.pad(row, (0, 0, columns, -columns))
