"""The process that a command runs in, before it starts: its streams, its encoding, its threads."""

from __future__ import annotations

import contextlib
import io
import os
import sys

from featx.machine import cpu_cores, usable_cores


def prepare_process() -> None:
    """Make the process fit for any command, in whatever surroundings it was started."""
    _fill_closed_descriptors()
    _speak_utf8()
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")
    if cpu_cores() < usable_cores():
        # Libraries start a thread for each core they see, and see no quota.
        os.environ.setdefault("OMP_NUM_THREADS", str(cpu_cores()))
    # Libraries that write on stderr themselves, past Python's warnings and logging.
    os.environ.setdefault("HF_HUB_VERBOSITY", "error")
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")


def _fill_closed_descriptors() -> None:
    """Open something harmless where a standard stream is closed.

    The next file opened would get its number, and what a library prints would end in that file.
    """
    for number in range(3):
        with contextlib.suppress(OSError):
            os.fstat(number)
            continue
        os.open(os.devnull, os.O_RDWR)


def _speak_utf8() -> None:
    """Start again in Python's UTF-8 mode where the locale has another encoding.

    Names are bytes, and must mean the same characters on every machine; the terminal's encoding
    stays what it was.
    """
    if os.name != "posix" or sys.flags.utf8_mode:
        return
    if sys.getfilesystemencoding().lower().replace("-", "") == "utf8":
        return
    if sys.stdout is not None:
        os.environ.setdefault("PYTHONIOENCODING", sys.stdout.encoding)
    os.environ["PYTHONUTF8"] = "1"
    os.execv(sys.executable, [sys.executable, "-X", "utf8", *sys.orig_argv[1:]])
