"""Memory that training takes and gives back in every step stays with the process meanwhile."""

from __future__ import annotations

import ctypes
import sys
from collections.abc import Iterator
from contextlib import contextmanager

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3  # glibc's malloc.h
_DEFAULT = 128 * 1024  # of both
_LARGEST = 1 << 30  # bytes that still come from the heap


@contextmanager
def keeping_memory(device: str) -> Iterator[None]:
    """Have the C library keep freed memory, while the block runs on the CPU.

    Activations and gradients are blocks of megabytes. glibc asks the kernel for each and gives each
    back, and the kernel fills each with zeros, which takes a good part of a step's time on a small
    network. Where there is no glibc nothing is changed.

    References
    ----------
    ``man 3 mallopt``.
    """
    mallopt = _mallopt() if device == "cpu" else None
    if mallopt is None:
        yield
        return
    mallopt(_MMAP_THRESHOLD, _LARGEST)
    mallopt(_TRIM_THRESHOLD, -1)
    try:
        yield
    finally:
        mallopt(_MMAP_THRESHOLD, _DEFAULT)
        mallopt(_TRIM_THRESHOLD, _DEFAULT)
        ctypes.CDLL(None).malloc_trim(0)


def _mallopt() -> ctypes._NamedFuncPointer | None:
    """The function of that name, where glibc has it."""
    if not sys.platform.startswith("linux"):
        return None
    try:
        library = ctypes.CDLL(None)
        library.gnu_get_libc_version  # noqa: B018  musl has a mallopt that does nothing
        return library.mallopt
    except (AttributeError, OSError):
        return None
