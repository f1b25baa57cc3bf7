"""What the store's tests share: rows to keep, and the judge of what a store holds."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np

from featx.store import EmbeddingStore
from featx.types import ExtractorSpec, canonical_json

WIDTH = 4
SPEC = ExtractorSpec({"backbone": "lab:net", "n_features": WIDTH, "weights": "ab" * 32})


def make_rows(n: int, *, seed: int = 0, width: int = WIDTH) -> tuple[np.ndarray, np.ndarray]:
    """``n`` hashes and embeddings, the same ones for the same seed."""
    rng = np.random.default_rng(seed)
    hashes = rng.integers(0, 256, (n, 32), dtype=np.uint8)
    return hashes, rng.normal(size=(n, width)).astype(np.float32)


def content(store: EmbeddingStore) -> dict[bytes, bytes]:
    """Every row of a store, as bytes, read back through its public face."""
    hashes = store.hashes
    return as_content(hashes, store.gather(hashes), store.pixels(hashes))


def as_content(
    hashes: np.ndarray, embeddings: np.ndarray, pixels: np.ndarray | None = None
) -> dict[bytes, bytes]:
    """The rows that `content` should find; without ``pixels``, those of version 1."""
    pixels = hashes[:, :16] & 0 if pixels is None else pixels
    rows = zip(hashes, embeddings, pixels, strict=True)
    return {h.tobytes(): x.tobytes() + p.tobytes() for h, x, p in rows}


def shard_files(folder: Path) -> list[Path]:
    """The shards of an extractor's folder, by name."""
    return sorted((folder / "shards").glob("[!.]*.h5"))


def forge_index(folder: Path, **changes: Any) -> None:
    """Rewrite an index as an attacker could: any content, under a seal that matches."""
    document = json.loads((folder / "index.json").read_bytes())
    document |= changes
    body = {k: v for k, v in document.items() if k != "sha256"}
    document["sha256"] = hashlib.sha256(canonical_json(body)).hexdigest()
    (folder / "index.json").write_text(json.dumps(document))


def forge_shard(folder: Path, image: bytes, *, rows: int = 2) -> str:
    """Make ``image`` the only shard, with digests that match; returns its name."""
    digest = hashlib.sha256(image).hexdigest()
    name = f"{digest[:32]}-00000000.h5"
    for old in shard_files(folder):
        old.unlink()
    (folder / "shards" / name).write_bytes(image)
    entry = {
        "name": name,
        "rows": rows,
        "size_bytes": len(image),
        "sha256": digest,
        "hashes_offset": 1,
        "hashes_sha256": hashlib.sha256(image[1 : 1 + 32 * rows]).hexdigest(),
    }
    forge_index(folder, shards=[entry])
    return name
