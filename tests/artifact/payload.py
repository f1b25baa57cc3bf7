"""What a hostile file would run."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

__all__ = ["Payload"]


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)
