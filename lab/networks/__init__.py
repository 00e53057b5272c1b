"""Networks, one architecture a file, and the files that their weights come from."""

from lab.networks.checkpoints import (
    checkpoint_epoch,
    create,
    describe_network,
    load_network,
    load_with_settings,
)
from lab.networks.context_encoder import ContextEncoder
from lab.networks.context_encoder_discriminator import ContextEncoderDiscriminator
from lab.networks.deepfill_v1 import DeepFillv1
from lab.networks.deepfill_v1_critics import DeepFillv1Critics
from lab.networks.deepfill_v2 import DeepFillv2
from lab.networks.deepfill_v2_discriminator import DeepFillv2Discriminator
from lab.networks.edge_connect import EdgeConnect, EdgeGenerator, EdgePainter, load_edge_connect
from lab.networks.edge_connect_discriminator import EdgeConnectDiscriminator, EdgeDiscriminator
from lab.networks.fill_selector import FillSelector
from lab.networks.global_local import GlobalLocal
from lab.networks.global_local_discriminator import GlobalLocalDiscriminator
from lab.networks.inpaint_sanet import InpaintSANet
from lab.networks.lama import LaMa
from lab.networks.lama_discriminator import LaMaDiscriminator
from lab.networks.lbam import LBAM
from lab.networks.lbam_discriminator import LBAMDiscriminator
from lab.networks.local_discriminator import LocalDiscriminator
from lab.networks.migan import MIGAN
from lab.networks.migan_discriminator import MIGANDiscriminator
from lab.networks.multiscale_discriminator import MultiscaleDiscriminator
from lab.networks.partial_convolution_unet import PartialConvolutionUNet
from lab.networks.patch_discriminator import PatchDiscriminator
from lab.networks.registry import (
    NETWORKS,
    Preset,
    PublishedForm,
    RegisteredNetwork,
    register,
)
from lab.networks.rfr import RFR
from lab.networks.shift_net import ShiftNet
from lab.networks.super_resolution import (
    ESPCN,
    FSRCNN,
    UPSCALER_WEIGHTS,
    BicubicUpscaler,
    LumaUpscaler,
    Upscaler,
    convert_upscaler,
    load_upscaler,
)
from lab.networks.u2net import U2NET_WEIGHTS, Segmenter, U2Net, load_u2net
from lab.networks.vgg import VGG_WEIGHTS, VGGArchitecture, VGGFeatures, vgg_layer_names
from lab.networks.weight_files import (
    MissingWeightsError,
    UnreadableCheckpointError,
    WeightFile,
    WrongHashError,
    cache_folder,
    locate_or_download,
    read_checkpoint,
    tensors_sha256,
    write_checkpoint,
)

__all__ = [
    "ESPCN",
    "FSRCNN",
    "LBAM",
    "MIGAN",
    "NETWORKS",
    "RFR",
    "U2NET_WEIGHTS",
    "UPSCALER_WEIGHTS",
    "VGG_WEIGHTS",
    "BicubicUpscaler",
    "ContextEncoder",
    "ContextEncoderDiscriminator",
    "DeepFillv1",
    "DeepFillv1Critics",
    "DeepFillv2",
    "DeepFillv2Discriminator",
    "EdgeConnect",
    "EdgeConnectDiscriminator",
    "EdgeDiscriminator",
    "EdgeGenerator",
    "EdgePainter",
    "FillSelector",
    "GlobalLocal",
    "GlobalLocalDiscriminator",
    "InpaintSANet",
    "LBAMDiscriminator",
    "LaMa",
    "LaMaDiscriminator",
    "LocalDiscriminator",
    "LumaUpscaler",
    "MIGANDiscriminator",
    "MissingWeightsError",
    "MultiscaleDiscriminator",
    "PartialConvolutionUNet",
    "PatchDiscriminator",
    "Preset",
    "PublishedForm",
    "RegisteredNetwork",
    "Segmenter",
    "ShiftNet",
    "U2Net",
    "UnreadableCheckpointError",
    "Upscaler",
    "VGGArchitecture",
    "VGGFeatures",
    "WeightFile",
    "WrongHashError",
    "cache_folder",
    "checkpoint_epoch",
    "convert_upscaler",
    "create",
    "describe_network",
    "load_edge_connect",
    "load_network",
    "load_u2net",
    "load_upscaler",
    "load_with_settings",
    "locate_or_download",
    "read_checkpoint",
    "register",
    "tensors_sha256",
    "vgg_layer_names",
    "write_checkpoint",
]
