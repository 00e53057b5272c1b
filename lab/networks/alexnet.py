"""The convolution part of AlexNet, as LPIPS compares photos by it, frozen.

Alex Krizhevsky, "One weird trick for parallelizing convolutional neural networks" (2014), with the
ImageNet weights that torchvision publishes (BSD 3-Clause).
"""

from typing import Self

import torch
from torch import Tensor, nn

from lab.networks.building import build_with_weights
from lab.networks.weight_files import Excerpt, WeightFile, locate_or_download, read_checkpoint

# Stated in full by several independent projects; begins with the digits that the name carries.
ALEXNET_WEIGHTS = WeightFile(
    name="alexnet-owt-7be5be79.pth",
    address="https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
    sha256="7be5be791159472b1fbf3c69796f7cb30dca7ad8466c2df70058c37116cdee02",
    excerpt=Excerpt(
        "alexnet-features.pth", "c6a8cad98fb1bb74432813b74fe0f3900fc743af2083d2daae5edf9d2d349773"
    ),
)


class AlexNetFeatures(nn.Module):
    """Answers an image's features behind each of the five convolutions; in evaluation mode."""

    def __init__(self) -> None:
        super().__init__()
        # In the order of the published file: each convolution's number there is its place here.
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, kernel_size=11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(64, 192, kernel_size=5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(kernel_size=3, stride=2),
            nn.Conv2d(192, 384, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, kernel_size=3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, kernel_size=3, padding=1),
            nn.ReLU(),
        )

    def train(self, mode: bool = True) -> Self:
        """Stay in evaluation mode: what is frozen has no other."""
        return super().train(False)

    @torch.no_grad()
    def forward(self, image: Tensor) -> list[Tensor]:
        """Of ``image (B, 3, H, W)``, normalized as its caller needs: five ``(B, C, H', W')``."""
        answers, x = [], image
        for layer in self.features:
            x = layer(x)
            if isinstance(layer, nn.ReLU):
                answers.append(x)
        return answers


def load_alexnet(weights: WeightFile = ALEXNET_WEIGHTS) -> AlexNetFeatures:
    """Build the network with its published weights, frozen.

    Raises:
        MissingWeightsError: the weights are not here and cannot be downloaded.
        WrongHashError: the file of weights is not the published one.
        UnreadableCheckpointError: the file cannot be read, or holds another network.
    """
    path = locate_or_download(weights)
    state = {
        name: tensor
        for name, tensor in read_checkpoint(path).items()
        if not name.startswith("classifier.")
    }
    return build_with_weights(path, AlexNetFeatures, state).requires_grad_(False)
