"""Samples of photo and mask together: 8 bits a value on their way, floats for whoever computes."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor

# As PyTorch's documentation says to teach its loaders a type of one's own.
from torch.utils.data import default_collate
from torch.utils.data._utils.collate import default_collate_fn_map

from lab.contracts import Guides
from lab.imaging import as_image


@dataclass(eq=False)
class Batch:
    """Photos under masks, and by name each sample and its photo.

    ``image (B, 3, H, W)``, ``mask (B, 1, H, W)`` and ``guides``, by name ``(B, C, H, W)``, are
    float32 in the workbench's convention. They are made when they are first asked for, on the
    device where the batch then lies: what travels, from a loader process to the trainer and from
    there to a GPU, has 8 bits a value, a quarter of the bytes.

    Several samples may be crops of one photo; only photos are independent of each other. A single
    sample has no batch axis.

    Attributes:
        pixels: ``(B, 3, H, W)``: uint8, or float32 in [0, 1].
        holes: ``(B, 1, H, W)`` of 0 and 1, 1 = hole: uint8 or float32.
        sample: what each is called.
        photo: what its photo is called.
        planes: of the guides that were asked for; those of 0 and 1 alone may be uint8.
    """

    pixels: Tensor
    holes: Tensor
    sample: Sequence[str]
    photo: Sequence[str]
    planes: Guides = field(default_factory=dict)

    @cached_property
    def image(self) -> Tensor:
        """The photos, float32 in [0, 1]."""
        return as_image(self.pixels)

    @cached_property
    def mask(self) -> Tensor:
        """The holes, float32 of 0 and 1, 1 = hole."""
        return self.holes.float()

    @cached_property
    def guides(self) -> Guides:
        """What is drawn beside photo and mask, float32."""
        return {name: planes.float() for name, planes in self.planes.items()}

    def to(self, device: torch.device | str) -> "Batch":
        """The batch on a device. Lightning calls it, whoever brings the loader."""
        # As Lightning moves plain tensors.
        at_once = torch.device(device).type != "cuda"
        return self._with_tensors(
            [tensor.to(device, non_blocking=not at_once) for tensor in self._tensors()]
        )

    def pin_memory(self) -> "Batch":
        """The batch in memory that a GPU copies from by itself; a ``DataLoader`` calls it."""
        return self._with_tensors([tensor.pin_memory() for tensor in self._tensors()])

    def copied(self) -> "Batch":
        """The batch in memory of its own."""
        return self._with_tensors([tensor.clone() for tensor in self._tensors()])

    def select(self, chosen: slice) -> "Batch":
        """Some of its samples."""
        tensors = [tensor[chosen] for tensor in self._tensors()]
        return self._with_tensors(tensors, self.sample[chosen], self.photo[chosen])

    def _tensors(self) -> list[Tensor]:
        return [self.pixels, self.holes, *self.planes.values()]

    def _with_tensors(
        self,
        tensors: Sequence[Tensor],
        sample: Sequence[str] | None = None,
        photo: Sequence[str] | None = None,
    ) -> "Batch":
        pixels, holes, *planes = tensors
        return Batch(
            pixels,
            holes,
            self.sample if sample is None else sample,
            self.photo if photo is None else photo,
            dict(zip(self.planes, planes, strict=True)),
        )


def join_batches(parts: Sequence[Batch]) -> Batch:
    """The samples of several batches, in order, as one."""
    return Batch(
        torch.cat([part.pixels for part in parts]),
        torch.cat([part.holes for part in parts]),
        [name for part in parts for name in part.sample],
        [name for part in parts for name in part.photo],
        {name: torch.cat([part.planes[name] for part in parts]) for name in parts[0].planes},
    )


def _collate(samples: Sequence[Batch], *, collate_fn_map: object = None) -> Batch:
    """Put a batch axis before single samples, as a ``DataLoader`` does with tensors."""
    del collate_fn_map
    first = samples[0]
    return Batch(
        # In a loader process these are written to shared memory, and not copied there.
        default_collate([sample.pixels for sample in samples]),
        default_collate([sample.holes for sample in samples]),
        [str(sample.sample) for sample in samples],
        [str(sample.photo) for sample in samples],
        {name: default_collate([each.planes[name] for each in samples]) for name in first.planes},
    )


default_collate_fn_map[Batch] = _collate
