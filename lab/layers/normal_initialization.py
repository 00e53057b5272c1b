"""First weights as of DCGAN, which pix2pix and its relatives took over.

Alec Radford, Luke Metz, Soumith Chintala, "Unsupervised Representation Learning with Deep
Convolutional Generative Adversarial Networks" (ICLR 2016), section 4.
"""

from torch import nn


def draw_normal_weights(network: nn.Module, deviation: float = 0.02) -> None:
    """Draw weights about 0, scales of normalization about 1; offsets are 0.

    Args:
        network: what of it are convolutions and normalizations is drawn anew.
        deviation: the standard deviation; 0.02 as published.
    """
    for module in network.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d):
            nn.init.normal_(module.weight, 0.0, deviation)
        elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d) and module.affine:
            nn.init.normal_(module.weight, 1.0, deviation)
        else:
            continue
        if module.bias is not None:
            nn.init.zeros_(module.bias)
