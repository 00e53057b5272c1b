"""Contextual attention: what lies in the hole is put together from patches of what is known.

Jiahui Yu et al., "Generative Image Inpainting with Contextual Attention" (CVPR 2018), section 4,
in the form of DeepFillv2 (Jiahui Yu et al., ICCV 2019).
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

# Scores that are held at a time, 16 MB. What is made of them takes ten times that.
_MOST_SCORES = 1 << 22


class ContextualAttention(nn.Module):
    """Every patch becomes a mean of the known patches, weighted by how well they match it.

    Patches of 3x3 are matched on features that are thinned out to every ``rate``-th row and
    column, by the cosine against the known patch (the length of the other one stays); a match
    counts more where the patches beside match too (``fuse``). Patches of ``2 * rate`` pixels a
    side are then laid over each other, which cover every pixel four times.

    A patch is known if no pixel of it is in the hole. As published, all others take part in the
    softmax with a score of 0, and are left out after it: the weights of the known patches sum up
    to less than 1, and to 0 where nothing is known.

    Scores are between all pairs of patches. They are computed a few columns of the map at a time,
    and anew for the gradient where there are too many to hold: memory grows with the number of
    patches, not with its square.

    Args:
        rate: of the thinning, even.
        sharpness: what the scores are multiplied by before the softmax; 10 as published.
        fuse: whether a match is the sum of its own score and its neighbours', along rows and then
            along columns of both patches, as ``fusion (1, 1, 3, 3)`` weighs them. That is the
            identity, which nothing trains; published checkpoints carry it.
        align_corners: how the features are thinned out: ``False`` takes the upper left pixel of
            each square, ``True`` spreads the pixels evenly from the first to the last, as
            TensorFlow does.

    Raises:
        ValueError: a rate that is not even and at least 2.
    """

    fusion: Tensor

    def __init__(
        self,
        rate: int = 2,
        sharpness: float = 10.0,
        fuse: bool = True,
        align_corners: bool = False,
    ) -> None:
        super().__init__()
        if rate < 2 or rate % 2:
            raise ValueError(f"rate must be even and at least 2, not {rate} (2 as published)")
        self.rate = rate
        self.sharpness = sharpness
        self.fuse = fuse
        self.align_corners = align_corners
        if fuse:
            self.register_buffer("fusion", torch.eye(3)[None, None])

    def forward(self, features: Tensor, hole: Tensor) -> Tensor:
        """Put ``features (B, C, H, W)`` together from their known patches; the shape stays.

        Args:
            features: both sides multiples of ``rate``.
            hole: bool ``(B, 1, n * H, n * W)`` with a whole ``n``, of the features' own size or
                of the image's that they were made of; thinned out like them.

        Returns:
            Tensor: float32 ``(B, C, H, W)``.
        """
        # h, w = H / rate, W / rate; L = h * w patches, of which those of n are asked at a time.
        height, width = features.shape[-2] // self.rate, features.shape[-1] // self.rate
        # A softmax that is this sharp would be another one in half precision.
        with torch.autocast(features.device.type, enabled=False):
            features = features.float()
            thin = self._thinned(features, height, width)
            patches = F.unfold(thin, 3, padding=1)  # [B, 9 * C, L]
            keys = patches / patches.norm(dim=1, keepdim=True).clamp_min(1e-4)
            known = F.max_pool2d(self._thinned(hole.float(), height, width), 3, 1, 1) == 0
            known = known.flatten(2)  # [B, 1, L]
            pieces = F.unfold(features, 2 * self.rate, padding=self.rate // 2, stride=self.rate)
            pieces = pieces.transpose(1, 2)  # [B, L, 4 * rate² * C]
            queries = patches.transpose(1, 2)  # [B, L, 9 * C]
            laid = []
            chunks = self._chunks(features.shape[0], height, width)
            for first, last in chunks:
                arguments = (queries, keys, known, pieces, height, width, first, last)
                if len(chunks) > 1 and torch.is_grad_enabled():
                    laid.append(checkpoint(self._ask, *arguments, use_reentrant=False))
                else:
                    laid.append(self._ask(*arguments))
            # They come column by column, and are laid row by row.
            pasted = torch.cat(laid, dim=1).unflatten(1, (width, height)).transpose(1, 2)
            pasted = pasted.flatten(1, 2).transpose(1, 2)  # [B, 4 * rate² * C, L]
            size = (height * self.rate, width * self.rate)
            answer = F.fold(pasted, size, 2 * self.rate, padding=self.rate // 2, stride=self.rate)
            return answer / 4.0

    def _thinned(self, planes: Tensor, height: int, width: int) -> Tensor:
        """Take ``height`` rows and ``width`` columns of ``planes``."""
        if not self.align_corners:
            return planes[..., :: planes.shape[-2] // height, :: planes.shape[-1] // width]
        rows, columns = (
            _evenly_spread(side, count)
            for side, count in zip(planes.shape[-2:], (height, width), strict=True)
        )
        return planes[..., rows.to(planes.device), :][..., columns.to(planes.device)]

    @staticmethod
    def _chunks(count: int, height: int, width: int) -> list[tuple[int, int]]:
        """Cut the columns of the map into chunks with few enough scores: first and last but one."""
        if torch.compiler.is_exporting():
            # How many there are would depend on the size of the photo.
            return [(0, width)]
        columns = max(1, _MOST_SCORES // (count * height * height * width))
        return [(first, min(first + columns, width)) for first in range(0, width, columns)]

    def _ask(
        self,
        queries: Tensor,
        keys: Tensor,
        known: Tensor,
        pieces: Tensor,
        height: int,
        width: int,
        first: int,
        last: int,
    ) -> Tensor:
        """Return what the patches of some columns become, column by column: ``(B, n, ...)``."""
        # The patches' numbers row by row, asked column by column.
        numbers = torch.arange(height * width, device=queries.device).view(height, width)
        asked = numbers.T.flatten()
        start, stop = first * height, last * height
        if self.fuse:
            scores = self._fused(queries, keys, asked, start, stop, height, width)
        else:
            scores = queries[:, asked[start:stop]] @ keys  # [B, n, L]
        weights = torch.softmax(scores * known * self.sharpness, dim=-1) * known
        return weights @ pieces

    def _fused(
        self,
        queries: Tensor,
        keys: Tensor,
        asked: Tensor,
        start: int,
        stop: int,
        height: int,
        width: int,
    ) -> Tensor:
        """Return the fused scores ``(B, n, L)`` of the patches that are asked from start to stop.

        Published code lays all scores out as one image, patches that ask by patches that answer,
        and convolves it with ``fusion``: once with both numbered row by row, then with both
        numbered column by column. Neighbours are therefore the numbers before and after, over the
        ends of rows too; before the first and after the last there are zeros.
        """
        kernel = self.fusion[0].to(queries.dtype)  # [1, answering, asking]: as published
        kernel = kernel.transpose(1, 2)  # [1, asking, answering]
        total = height * width
        # The chunk, with the one before and the one after it where there are such.
        before, after = min(start, 1), min(total - stop, 1)
        own = asked[start - before : stop + after]
        beside = own[:, None] + torch.arange(-1, 2, device=own.device)  # [m, 3]
        if before or after:
            needed, places = torch.unique(beside, return_inverse=True)
        else:
            # All of them are asked: as above, without looking.
            needed, places = torch.arange(-1, total + 1, device=own.device), beside + 1
        rows = queries[:, needed.clamp(0, total - 1)]
        rows = rows * ((needed >= 0) & (needed < total))[:, None]
        scores = (rows @ keys)[:, places]  # [B, m, 3, L]
        scores = F.conv1d(scores.flatten(0, 1), kernel, padding=1)  # [B * m, 1, L]
        # The same along columns.
        scores = scores.view(-1, own.shape[0], height, width).transpose(2, 3).flatten(2)
        scores = F.pad(scores, (0, 0, 1 - before, 1 - after))  # [B, n + 2, L]
        scores = torch.stack([scores[:, :-2], scores[:, 1:-1], scores[:, 2:]], dim=2)
        scores = F.conv1d(scores.flatten(0, 1), kernel, padding=1)
        return scores.view(-1, stop - start, width, height).transpose(2, 3).flatten(2)


def _evenly_spread(side: int, count: int) -> Tensor:
    """``count`` of the places from 0 to ``side - 1``, the first and the last among them."""
    gaps = torch.sym_max(1, count - 1)
    steps = torch.arange(count, dtype=torch.float64) * ((side - 1) / gaps)
    return (steps + 0.5).long()
