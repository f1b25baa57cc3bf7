"""``index.json``: the one truth about which shards belong to an extractor."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np

from featx.errors import StoreError
from featx.files import OddFileError, read_bounded, write_atomic
from featx.parsing import parse_json
from featx.shell import shell_line
from featx.store.faults import corrupt, storage_errors
from featx.types import canonical_json

#: The newest there is. What holds no hash of pixels is written as version 1, as ever.
FORMAT_VERSION = 2
PLAIN_VERSION = 1
INDEX_NAME = "index.json"
SHARDS_NAME = "shards"
MAX_INDEX_BYTES = 64 * 2**20
MAX_SHARD_BYTES = 2**30
MAX_FEATURES = 2**26
HASH_BYTES = 32
PIXELS_BYTES = 16

# The first half of the file's SHA-256, so that a lost index can be rebuilt, and a random part,
# so that no two writers ever use one name.
SHARD_PATTERN = re.compile(r"[0-9a-f]{32}-[0-9a-f]{8}\.h5")
_DIGEST_PATTERN = re.compile(r"[0-9a-f]{64}")


@dataclass(frozen=True)
class ShardEntry:
    """The index's entry of one shard.

    Parameters
    ----------
    name : str
        Plain file name in ``shards/``.
    rows : int
        Number of rows, at least 1.
    size_bytes : int
        Length of the file.
    sha256 : str
        Digest of the whole file, 64 hexadecimal digits.
    hashes_offset : int
        Byte where the block of image hashes starts (``rows`` × 32 bytes), so that opening a
        store reads those and nothing else.
    hashes_sha256 : str
        Digest of that block.
    pixels_offset : int
        Byte where the block of the hashes of pixels starts (``rows`` × 16 bytes); 0 in a shard of
        version 1, which has none.
    pixels_sha256 : str
        Digest of that block; empty where there is none.
    """

    name: str
    rows: int
    size_bytes: int
    sha256: str
    hashes_offset: int
    hashes_sha256: str
    pixels_offset: int = 0
    pixels_sha256: str = ""

    def document(self) -> dict[str, Any]:
        """As JSON; without the keys that version 1 does not know where they say nothing."""
        document = asdict(self)
        return document if self.pixels_offset else {k: document[k] for k in _PLAIN_KEYS}


#: What an entry of each version says, with the types.
_KEYS = {f.name: int if f.type == "int" else str for f in fields(ShardEntry)}
_PLAIN_KEYS = tuple(name for name in _KEYS if not name.startswith("pixels"))


@dataclass(frozen=True)
class Index:
    """The content of one ``index.json``."""

    fingerprint: str
    n_features: int
    shards: tuple[ShardEntry, ...] = ()

    def dump(self) -> bytes:
        """The file's bytes: JSON for people, sealed by a digest of its own content."""
        document = {
            "format": "featx-index",
            "format_version": (
                FORMAT_VERSION if any(s.pixels_offset for s in self.shards) else PLAIN_VERSION
            ),
            "fingerprint": self.fingerprint,
            "n_features": self.n_features,
            "shards": [shard.document() for shard in self.shards],
        }
        document["sha256"] = _seal(document)
        return json.dumps(document, indent=1).encode() + b"\n"


def row_starts(rows: Iterable[int]) -> np.ndarray:
    """First row number of each shard, given how many rows each has, and the total; int64."""
    return np.cumsum([0, *rows], dtype=np.int64)


def read_index_bytes(folder: Path) -> bytes | None:
    """The bytes of a folder's index, or None where nothing was ever committed."""
    path = folder / INDEX_NAME
    with storage_errors("read", path):
        try:
            return read_bounded(path, MAX_INDEX_BYTES)
        except FileNotFoundError:
            return None
        except OddFileError as error:
            raise corrupt(path, folder, str(error.strerror)) from None


def write_index(folder: Path, index: Index) -> None:
    """Replace the index durably; call it only while holding the committer's lock."""
    path = folder / INDEX_NAME
    data = index.dump()
    if len(data) > MAX_INDEX_BYTES:
        raise StoreError(
            f"{path} would grow to {len(data)} bytes, more than {MAX_INDEX_BYTES}.",
            hint="Merge its small shards first: "
            + shell_line("featx", "cache", "compact", "--cache", folder.parent),
        )
    with storage_errors("write", path):
        write_atomic(path, data)


def parse_index(data: bytes, folder: Path, fingerprint: str, n_features: int) -> Index:
    """Read an index strictly.

    Raises
    ------
    CorruptStoreError
        Anything is missing, surplus, of the wrong type, out of range or not under its seal.
    StoreError
        It was written by a newer featx.
    """
    path = folder / INDEX_NAME

    def check(condition: bool, reason: str) -> None:
        if not condition:
            raise corrupt(path, folder, reason)

    document = load_json(data, path, folder, "featx-index")
    expected = {"format", "format_version", "fingerprint", "n_features", "shards", "sha256"}
    check(set(document) == expected, f"its keys are {sorted(document)}")
    check(document["fingerprint"] == fingerprint, "it belongs to another extractor")
    check(
        type(document["n_features"]) is int and document["n_features"] == n_features,
        f"n_features is {document['n_features']!r}, not {n_features}",
    )
    check(type(document["shards"]) is list, "shards is not a list")
    shards = tuple(_parse_entry(item, n_features, check) for item in document["shards"])
    check(len({s.name for s in shards}) == len(shards), "a shard is listed twice")
    # Last, so that a doctored entry is refused for what it is even under a matching seal.
    check(document["sha256"] == _seal(document), "its content does not match its own digest")
    return Index(fingerprint, n_features, shards)


def load_json(
    data: bytes, path: Path, folder: Path, kind: str, newest: int = FORMAT_VERSION
) -> dict[str, Any]:
    """Parse one of the store's JSON files and check that it is ``kind`` in a known version."""
    try:
        document = parse_json(data.decode("utf-8"), parse_constant=_refuse)
    except ValueError as error:
        raise corrupt(path, folder, f"it is not valid JSON ({error})") from None
    if type(document) is not dict or document.get("format") != kind:
        raise corrupt(path, folder, f"it is not a file of kind {kind}")
    version = document.get("format_version")
    if type(version) is not int or version < 1:
        raise corrupt(path, folder, f"format_version is {version!r}")
    if version > newest:
        raise StoreError(
            f"{path} has format version {version}; this featx reads up to {newest}.",
            hint="Upgrade with: pip install --upgrade featx, or use another --cache.",
        )
    return document


def _parse_entry(item: Any, n_features: int, check: Callable[[bool, str], None]) -> ShardEntry:
    known = type(item) is dict and set(item) in (set(_PLAIN_KEYS), set(_KEYS))
    check(known, f"a shard reads {item!r:.200}")
    for key in item:
        wanted, value = _KEYS[key], item[key]
        sound = type(value) is wanted and (not isinstance(value, int) or value >= 1)
        check(sound, f"a shard's {key} is {value!r:.80}")
    entry = ShardEntry(**item)
    check(
        SHARD_PATTERN.fullmatch(entry.name) is not None,
        f"{entry.name!r:.200} is not the name of a shard",
    )
    for key in item:
        digest = item[key] if key.endswith("sha256") else entry.sha256
        check(_DIGEST_PATTERN.fullmatch(digest) is not None, f"{digest!r:.80} is not a SHA-256")
    check(
        entry.size_bytes <= MAX_SHARD_BYTES
        and entry.rows * (HASH_BYTES + 4 * n_features) <= entry.size_bytes
        and entry.hashes_offset + HASH_BYTES * entry.rows <= entry.size_bytes
        and entry.pixels_offset + PIXELS_BYTES * entry.rows <= entry.size_bytes,
        f"{entry.name} cannot hold {entry.rows} rows in {entry.size_bytes} bytes",
    )
    return entry


def _seal(document: dict[str, Any]) -> str:
    body = {key: value for key, value in document.items() if key != "sha256"}
    return hashlib.sha256(canonical_json(body)).hexdigest()


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")
