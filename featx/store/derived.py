"""``derived/``: what can be computed again from the index and the shards, kept to save time.

Any file in it may be deleted, old or damaged at any moment: each one says what it was made from
and is sealed by digests, and whatever does not fit is ignored and made again.
"""

from __future__ import annotations

import contextlib
import hashlib
from pathlib import Path
from typing import Any

from featx.files import make_directory, write_atomic
from featx.parsing import parse_json
from featx.types import canonical_json

DERIVED_NAME = "derived"
_VERSION = 1
_DIGEST_BYTES = 32


class DerivedError(Exception):
    """A derived file that cannot be used; never shown, because it is made again."""


def seal(kind: str, header: dict[str, Any], payload: bytes) -> bytes:
    """One line of JSON, the payload, and the SHA-256 of both."""
    head = canonical_json({"format": kind, "format_version": _VERSION, **header})
    body = head + b"\n" + payload
    return body + hashlib.sha256(body).digest()


def unseal(kind: str, data: bytes) -> tuple[dict[str, Any], bytes]:
    """The header and payload of what `seal` made.

    Raises
    ------
    DerivedError
        It is anything else, or of another version.
    """
    body, digest = data[:-_DIGEST_BYTES], data[-_DIGEST_BYTES:]
    if hashlib.sha256(body).digest() != digest:
        raise DerivedError("its seal is broken")
    head, _, payload = body.partition(b"\n")
    try:
        header = parse_json(head)
    except ValueError:
        raise DerivedError("its header is not JSON") from None
    if type(header) is not dict or (header.get("format"), header.get("format_version")) != (
        kind,
        _VERSION,
    ):
        raise DerivedError(f"it is not a file of kind {kind} and version {_VERSION}")
    return header, payload


def write_derived(path: Path, data: bytes) -> None:
    """Write a derived file if that is possible; nothing depends on it."""
    with contextlib.suppress(OSError):
        make_directory(path.parent)
        write_atomic(path, data)


def discard(path: Path) -> None:
    """Remove a derived file if that is possible."""
    with contextlib.suppress(OSError):
        path.unlink()
