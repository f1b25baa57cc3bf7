"""Lines of JSON that hold their own checksum: a line that was changed or torn is not believed."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from featx.parsing import parse_json

_DIGITS = 32
_OPEN, _BETWEEN, _CLOSE = b'["', b'", ', b"]"
_START = len(_OPEN) + _DIGITS + len(_BETWEEN)


def seal_line(document: Any, place: str) -> bytes:
    """``["checksum", document]`` on a line.

    Parameters
    ----------
    document : JSON
    place : str
        What the line belongs to. The checksum covers it: the line is not believed elsewhere.
    """
    body = json.dumps(document).encode()
    return _OPEN + _checksum(body, place) + _BETWEEN + body + _CLOSE + b"\n"


def unseal_line(line: bytes, place: str) -> Any:
    """The document of a line that `seal_line` made for the same place, with or without its end.

    Raises
    ------
    ValueError
        It was changed, torn, or never sealed.
    """
    line = line.removesuffix(b"\n")
    body = line[_START : -len(_CLOSE)]
    if line != _OPEN + _checksum(body, place) + _BETWEEN + body + _CLOSE:
        raise ValueError("its checksum is wrong")
    return parse_json(body)


def _checksum(body: bytes, place: str) -> bytes:
    digest = hashlib.sha256(place.encode() + b"\0" + body)
    return digest.hexdigest()[:_DIGITS].encode()
