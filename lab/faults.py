"""What ends because of the machine, not of the code or of what was asked: it can be gone on with.

A full or read-only disk, a file that was taken away, memory, a database that does not answer.
"""

import builtins
import re
from collections.abc import Iterator
from errno import EACCES, EDQUOT, ENOSPC, EPERM, EROFS

import torch
from sqlalchemy import exc

from lab.checks import UserError
from lab.files import NO_LOCKS
from lab.formats.shards import DamagedShardError
from lab.imaging import UnreadablePhotoError
from lab.networks import UnreadableCheckpointError, WrongHashError

_FULL = (ENOSPC, EDQUOT)
_FORBIDDEN = (EROFS, EACCES, EPERM)
_FILES = (
    *(OSError, UnreadablePhotoError, DamagedShardError),
    *(UnreadableCheckpointError, WrongHashError),
)
# Of the database's errors, those that only a mistake in the code brings about.
_MISTAKES = (exc.DataError, exc.IntegrityError, exc.ProgrammingError)

_WITHOUT_LOCKS = (
    "the file system keeps no locks: mount it with them (Lustre: -o flock), or give a folder on "
    "another, such as a local disk"
)

# PyTorch says some things only in words.
_NO_MEMORY = re.compile(r"DefaultCPUAllocator|out of memory|shared memory|Cannot allocate memory")
_NO_GPU_MEMORY = re.compile(r"CUDA|HIP|MPS|XPU")
_LOADER_DIED = re.compile(r"DataLoader worker.*(is killed|exited unexpectedly)")
_IN_LOADER = re.compile(r"Caught (\w+) in DataLoader worker")
# The driver and the libraries below PyTorch have their own words; cuDNN finds no way to compute
# where none fits into what is left.
_NO_LIBRARYS_MEMORY = re.compile(
    r"(CUDA error: |Cuda failure \d+ ')out of memory"
    r"|CU(BLAS|DNN|FFT)_STATUS_ALLOC_FAILED|CUFFT_ALLOC_FAILED|Failed to CUDA calloc"
    r"|unable to find an engine to execute this computation"
)
_NOT_CONNECTED = re.compile(
    r"\bnccl(System|UnhandledCuda|Internal|InvalidUsage|InvalidArgument)Error"
)
_DEVICE_LOST = re.compile(r"CUDA error: (?!device-side assert|an illegal memory access)")


class EnvironmentFaultError(UserError):
    """The environment ended it; everything finished is kept, and the same command goes on."""


class OutOfMemoryFaultError(EnvironmentFaultError):
    """Memory ran out, in another process."""


def fault_of(error: BaseException) -> str | None:
    """Say in one line what of the environment ended something, and what to do about it.

    Returns:
        str | None: None where it was something else: a mistake in the settings or in the code.
    """
    if isinstance(error, EnvironmentFaultError):
        return str(error)
    for cause in _causes(error):
        said = _said(cause)
        if said is not None:
            # What a person named in the command is to be mended in the command.
            if isinstance(cause, UnreadableCheckpointError):
                return said
            return (
                f"{said.rstrip('.')}. Nothing that was finished is lost: the same command goes on"
            )
    return None


def in_one_line(error: Exception) -> str:
    """What a command says of an error that a person or the machine can mend.

    Raises:
        Exception: the error itself, where it is a mistake in the code.
    """
    said = str(error) if isinstance(error, UserError) else fault_of(error)
    if said is None:
        raise error
    return said


def ran_out_of_memory(error: BaseException) -> bool:
    """Whether the error says so."""
    return isinstance(error, OutOfMemoryFaultError) or any(
        _is_of_memory(cause) or _is_of_gpu_memory(cause) for cause in _causes(error)
    )


def _causes(error: BaseException) -> Iterator[BaseException]:
    cause: BaseException | None = error
    while cause is not None:
        yield cause
        cause = cause.__cause__


def _said(error: BaseException) -> str | None:
    if _is_of_gpu_memory(error):
        return (
            f"the GPU's memory ran out ({_without_advice(error)}): take a smaller "
            "data.batch_size, data.size or model.network.width, or fit.precision=bfloat16"
        )
    if _is_of_memory(error):
        return (
            f"memory ran out ({_last_line(error)}): end other programs, or take fewer --workers, a "
            "smaller data.batch_size or data.size"
        )
    if isinstance(error, _FILES):
        return _of_file(error)
    if isinstance(error, exc.TimeoutError) or (
        isinstance(error, exc.DBAPIError) and not isinstance(error, _MISTAKES)
    ):
        found = getattr(error, "orig", None) or error
        return f"the study's database failed ({' '.join(str(found).split())})"
    if isinstance(error, NotImplementedError) and "flock" in str(error):
        return f"{_WITHOUT_LOCKS} ({error})"
    if isinstance(error, RuntimeError):
        text = str(error)
        in_loader = _IN_LOADER.match(text)
        if in_loader and _is_of_file(in_loader[1]):
            return _last_line(error)
        if _LOADER_DIED.search(text):
            return "a loader process died, as where memory runs out: take fewer by data.workers"
        if _DEVICE_LOST.search(text):
            return f"the GPU failed ({text.partition(chr(10))[0]})"
        if _NOT_CONNECTED.search(text):
            said = " ".join(text.split())
            return f"the GPUs could not speak to each other ({said}); NCCL_DEBUG=WARN says more"
    return None


def _is_of_gpu_memory(error: BaseException) -> bool:
    # By its words: the class may be raised for other memory, too.
    if isinstance(error, torch.OutOfMemoryError):
        return _NO_GPU_MEMORY.search(str(error)) is not None
    return isinstance(error, RuntimeError) and _NO_LIBRARYS_MEMORY.search(str(error)) is not None


def _without_advice(error: BaseException) -> str:
    """What was asked for, before PyTorch's account of the GPU and its advice."""
    first = str(error).partition("\n")[0]
    return first.partition(" GPU ")[0].strip().rstrip(".")


def _is_of_memory(error: BaseException) -> bool:
    if isinstance(error, MemoryError | torch.OutOfMemoryError):
        return True
    return isinstance(error, RuntimeError) and _NO_MEMORY.search(str(error)) is not None


def _of_file(error: BaseException) -> str:
    if not isinstance(error, OSError) or error.strerror is None:
        return _last_line(error)
    where = str(error.filename or "")
    if error.errno in _FULL:
        return f"the disk is full{f': {where} could not be written' if where else ''}. Make room"
    if error.errno in NO_LOCKS and not where:
        return f"{_WITHOUT_LOCKS} ({error.strerror})"
    if error.errno in _FORBIDDEN:
        return f"{where} may not be written or read here ({error.strerror})"
    return f"{where}: {error.strerror}" if where else error.strerror


def _is_of_file(name: str) -> bool:
    """Whether a class of errors, by its name, is one of files."""
    known = getattr(builtins, name, None) or {kind.__name__: kind for kind in _FILES}.get(name)
    return isinstance(known, type) and issubclass(known, _FILES)


def _last_line(error: BaseException) -> str:
    """The error's own words, also where a loader process put its traceback before them."""
    text = str(error).strip()
    if not text:
        return type(error).__name__
    last = text.splitlines()[-1].strip()
    return last.partition(": ")[2] if _IN_LOADER.match(text) else last
