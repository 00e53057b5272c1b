"""The same validation photos, epoch after epoch, on disk and in W&B."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from torch import Tensor

from lab.files import sync_files
from lab.formats.runs import visual_path
from lab.imaging import show_hole, write_image
from lab.tracking.wandb_tracker import WandbTracker

STAGES_BY_EPOCH = ("coarse", "refined", "completed")


@dataclass(frozen=True)
class SampleVisual:
    """What one epoch shows of one sample: images ``(3, H, W)`` in [0, 1], mask ``(1, H, W)``.

    A method without a network has no stages. ``further`` are other answers to the same hole, from
    the second on, where several were asked for.
    """

    sample: str
    truth: Tensor
    mask: Tensor
    coarse: Tensor | None
    refined: Tensor | None
    completed: Tensor
    further: tuple[Tensor, ...] = ()

    def stages(self) -> dict[str, Tensor]:
        """What there is, by name, coarse to fine, as it can be shown; then ``completed-2`` on."""
        images = {name: getattr(self, name) for name in STAGES_BY_EPOCH}
        images |= {f"completed-{number}": image for number, image in enumerate(self.further, 2)}
        return {name: image.clamp(0.0, 1.0) for name, image in images.items() if image is not None}


def write_visuals(
    run: Path, epoch: int, visuals: Sequence[SampleVisual], tracker: WandbTracker | None
) -> None:
    """Write one epoch's pictures into the run's folder, and log them to W&B.

    Each sample has a key of its own in W&B, logged once an epoch, so that the step slider of its
    panel walks through the epochs.
    """
    panels: dict[str, list[tuple[str, Path]]] = {}
    written: list[Path] = []
    for visual in visuals:
        hole, truth = (visual_path(run, visual.sample, what) for what in ("hole", "truth"))
        if not hole.exists():
            write_image(hole, show_hole(visual.truth, visual.mask))
        if not truth.exists():
            write_image(truth, visual.truth)
        stages = {
            what: (visual_path(run, visual.sample, what, epoch), image)
            for what, image in visual.stages().items()
        }
        for path, image in stages.values():
            write_image(path, image, durable=False)
            written.append(path)
        panels[visual.sample] = [
            ("photo with its hole", hole),
            *((what, path) for what, (path, _) in stages.items()),
            ("truth", truth),
        ]
    sync_files(written)
    if tracker is not None:
        tracker.log_images(epoch, panels)
