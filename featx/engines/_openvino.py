"""Importing OpenVINO without its telemetry, and ready for threads."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

from featx.errors import UsageError


def import_openvino() -> Any:
    """The module ``openvino``.

    Raises
    ------
    UsageError
        It is not installed.
    """
    # Importing OpenVINO sends an event over the network where its telemetry package is installed.
    # With the name barred it uses its own silent stand-in.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise UsageError(
            f"Engine 'openvino' needs the package openvino: {error}.",
            hint="pip install 'featx[openvino]'",
        ) from None
    # OpenVINO makes its tables of types at their first use. Two threads that are there at once
    # wait for each other for ever (one holds the interpreter's lock, one the tables'; seen in
    # 2026.4 in half of the starts tried), so this thread uses them before any other can.
    _ = openvino.Tensor(np.zeros(1, np.uint8)).data
    return openvino
