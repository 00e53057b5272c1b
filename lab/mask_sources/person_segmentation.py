"""The person as a segmentation network sees one: the masks of the background notes' V4."""

import torch
from torch import Tensor

from lab.mask_sources.mask_source import MaskSource, NoPersonError, check_photo
from lab.networks import Segmenter

# Below one half everywhere, the network itself answers "background" for every pixel.
_LEAST_PEAK = 0.5


class PersonSegmentation(MaskSource):
    """Marks what a segmenter holds for the person, from a threshold on.

    U²-Net (Qin et al. 2020) as the notes use it: the probabilities of a photo are stretched so that
    the least is 0 and the greatest 1, and a pixel is hole from 0.1 on. It finds *salient* objects:
    whoever, or whatever, a photo shows most plainly.

    Args:
        segmenter: gives probabilities as they are, ``load_u2net(..., stretch=False)``: once they
            are stretched, a photo without anybody shows somebody, too.
        threshold: of the stretched probability, in (0, 1); lower takes more away.

    Raises:
        ValueError: a threshold outside (0, 1).
    """

    def __init__(self, segmenter: Segmenter, threshold: float = 0.1) -> None:
        if not 0.0 < threshold < 1.0:
            raise ValueError(
                f"threshold is {threshold:g}, but must lie between 0 and 1 (0.1 in the notes)"
            )
        self.segmenter = segmenter
        self.threshold = threshold

    @torch.no_grad()
    def __call__(self, image: Tensor) -> Tensor:
        """Mark the person in ``image (1, 3, H, W)`` of any size.

        Raises:
            NoPersonError: the segmenter gives no pixel a probability of one half.
            TypeError, ValueError: not one photo that keeps the conventions.
        """
        check_photo(image)
        probability = self.segmenter(image)
        low, high = (float(value) for value in torch.aminmax(probability))
        if high < _LEAST_PEAK:
            raise NoPersonError(
                f"no person was found: the greatest probability is {high:.2g}, below "
                f"{_LEAST_PEAK:g}. Give a mask, or the person's box to grabcut"
            )
        # Where it is as sure everywhere, the person fills the photo.
        stretched = (probability - low) / (high - low) if high > low else probability
        return (stretched >= self.threshold).float()
