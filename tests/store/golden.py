"""How ``golden-v1`` was made: ``python tests/store/golden.py FOLDER``. Not part of the tests."""

from __future__ import annotations

import sys

import numpy as np

from featx.store import EmbeddingStore
from featx.types import ExtractorSpec

if __name__ == "__main__":
    spec = ExtractorSpec({"backbone": "golden:net", "n_features": 3})
    store = EmbeddingStore.open(sys.argv[1], spec)
    hashes = np.arange(5 * 32, dtype=np.uint8).reshape(5, 32)
    embeddings = np.arange(15, dtype=np.float32).reshape(5, 3) / 4 - 1
    store.add(hashes[:2], embeddings[:2])
    store.add(hashes[2:], embeddings[2:])
    (store.folder / "lock").unlink()
