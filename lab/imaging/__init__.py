"""Photos and masks as tensors: reading, writing, drawing, morphology and similarity.

File formats, 8-bit pixels and BGR exist only here.
"""

from lab.imaging.conversion import as_image, from_uint8, to_uint8
from lab.imaging.crops import Crop, CropReader
from lab.imaging.drawing import contact_sheet, outline_hole, show_hole
from lab.imaging.folders import files_called_alike, image_files, plain_name
from lab.imaging.hole_crops import LocalSide, crop_round_hole, local_side_of
from lab.imaging.in_memory import Picture, photo_file
from lab.imaging.instance_reading import read_instances
from lab.imaging.mask_reading import MaskReading, read_mask
from lab.imaging.metadata import PhotoMetadata
from lab.imaging.morphology import dilate, distance_to_known, erode, rim
from lab.imaging.patch_distributions import draw_directions, laplacian_pyramid, patch_distance
from lab.imaging.reading import (
    PHOTO_SUFFIXES,
    PhotoBytes,
    PhotoFile,
    UnreadablePhotoError,
    decode_photo,
    read_image,
    read_source,
)
from lab.imaging.similarity import (
    ms_ssim,
    ms_ssim_of_pyramid,
    region_mean,
    similarity_pyramid,
    ssim_maps,
)
from lab.imaging.source_photo import SourcePhoto
from lab.imaging.stroke_reading import StrokeReading, read_strokes
from lab.imaging.writing import (
    WRITTEN_SUFFIXES,
    check_destination,
    paste_into_source,
    write_image,
    write_photo,
)

__all__ = [
    "PHOTO_SUFFIXES",
    "WRITTEN_SUFFIXES",
    "Crop",
    "CropReader",
    "LocalSide",
    "MaskReading",
    "PhotoBytes",
    "PhotoFile",
    "PhotoMetadata",
    "Picture",
    "SourcePhoto",
    "StrokeReading",
    "UnreadablePhotoError",
    "as_image",
    "check_destination",
    "contact_sheet",
    "crop_round_hole",
    "decode_photo",
    "dilate",
    "distance_to_known",
    "draw_directions",
    "erode",
    "files_called_alike",
    "from_uint8",
    "image_files",
    "laplacian_pyramid",
    "local_side_of",
    "ms_ssim",
    "ms_ssim_of_pyramid",
    "outline_hole",
    "paste_into_source",
    "patch_distance",
    "photo_file",
    "plain_name",
    "read_image",
    "read_instances",
    "read_mask",
    "read_source",
    "read_strokes",
    "region_mean",
    "rim",
    "show_hole",
    "similarity_pyramid",
    "ssim_maps",
    "to_uint8",
    "write_image",
    "write_photo",
]
