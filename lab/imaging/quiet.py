"""Decoders that keep to themselves what they think of a damaged file.

OpenCV, libtiff and Pillow write it to standard error, between the lines of a command. What matters
of it is in the error that is raised, or in no pixel.
"""

import ctypes
import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Lock

import cv2
from PIL import Image

_STDERR = 2
_lock = Lock()


def quiet_decoders() -> None:
    """Have no decoder of this process write to standard error; FFmpeg is told by its environment.

    But for OpenCV's own libpng, see `quiet_libpng`; and for libtiff, where Pillow carries it within
    itself, out of reach.
    """
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    logging.getLogger("PIL").addHandler(logging.NullHandler())
    try:
        libtiff = ctypes.CDLL(Image.core.__file__)  # and what it is linked with
        for name in ("TIFFSetErrorHandler", "TIFFSetWarningHandler"):
            setter = getattr(libtiff, name)
            setter.argtypes, setter.restype = [ctypes.c_void_p], ctypes.c_void_p
            setter(None)
    except (AttributeError, OSError):
        pass


@contextmanager
def quiet_libpng() -> Iterator[None]:
    """Lead standard error to nowhere, for OpenCV's libpng, which nothing else keeps quiet.

    For the whole process: what another thread writes there meanwhile is lost.
    """
    with _lock:
        if sys.stderr is not None:
            sys.stderr.flush()
        try:
            kept = os.dup(_STDERR)
        except OSError:  # there is none
            yield
            return
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, _STDERR)
        os.close(nowhere)
        try:
            yield
        finally:
            os.dup2(kept, _STDERR)
            os.close(kept)
