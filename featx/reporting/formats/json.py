"""JSON: the document as it is, in ASCII so that any name survives any pipe."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any


def _write(document: Mapping[str, Any]) -> str:
    return json.dumps(document, indent=2, allow_nan=False) + "\n"


PLUGIN = _write
