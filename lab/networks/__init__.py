"""Networks, one architecture a file, and the files that their weights come from."""

from lab.networks.checkpoints import NETWORKS, describe_network, load_network
from lab.networks.inpaint_sanet import InpaintSANet
from lab.networks.patch_discriminator import PatchDiscriminator
from lab.networks.vgg import VGG_WEIGHTS, VGGArchitecture, VGGFeatures, vgg_layer_names
from lab.networks.weight_files import (
    MissingWeightsError,
    UnreadableCheckpointError,
    WeightFile,
    WrongHashError,
    cache_folder,
    locate_or_download,
    read_checkpoint,
)

__all__ = [
    "NETWORKS",
    "VGG_WEIGHTS",
    "InpaintSANet",
    "MissingWeightsError",
    "PatchDiscriminator",
    "UnreadableCheckpointError",
    "VGGArchitecture",
    "VGGFeatures",
    "WeightFile",
    "WrongHashError",
    "cache_folder",
    "describe_network",
    "load_network",
    "locate_or_download",
    "read_checkpoint",
    "vgg_layer_names",
]
