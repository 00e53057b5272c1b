"""Drawing the named guides of a sample, each from a generator of its own."""

from collections.abc import Sequence
from hashlib import sha256

import numpy as np
from torch import Tensor

from lab.contracts import Guides
from lab.guides.carrying import show
from lab.guides.guide import GuideInputs
from lab.guides.table import GUIDES, check_guide_names


def draw_guides(
    names: Sequence[str],
    truth: Tensor,
    mask: Tensor,
    key: Sequence[int],
    instance_ids: Tensor | None = None,
) -> dict[str, Tensor]:
    """Draw guides for one sample.

    Every guide has a generator of its own, seeded by the key and its name: asking for another one
    changes none.

    Args:
        names: of `GUIDES`.
        truth: ``(3, H, W)`` in [0, 1]: the photo, with what is right under the hole.
        mask: ``(1, H, W)`` of 0 and 1, 1 = hole.
        key: what the sample is for, with its seed.
        instance_ids: int32 ``(1, H, W)``, where ``instances`` is asked for.

    Returns:
        Float32 ``(C, H, W)`` each, 0 where it is not shown.

    Raises:
        UserError: an unknown guide; names the nearest.
        ValueError: ``instances`` without a map.
    """
    check_guide_names(names)
    hole = mask[None]
    drawn = {}
    for name in names:
        inputs = GuideInputs(
            truth[None],
            hole,
            np.random.default_rng([*key, _code(name)]),
            None if instance_ids is None else instance_ids[None],
        )
        drawn[name] = show(GUIDES[name], GUIDES[name].draw(inputs), hole)[0]
    return drawn


def select_sample(guides: Guides, index: int) -> dict[str, Tensor]:
    """The guides of one sample of a batch, as a batch of one."""
    return {name: planes[index : index + 1].clone() for name, planes in guides.items()}


def _code(name: str) -> int:
    return int.from_bytes(sha256(name.encode()).digest()[:8])
