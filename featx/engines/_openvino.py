"""Importing OpenVINO without its telemetry."""

from __future__ import annotations

import sys
from typing import Any

from featx.errors import UsageError

__all__ = ["import_openvino"]


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
    return openvino
