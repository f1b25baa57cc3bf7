"""Embeddings of an earlier decoding policy: those of files that it read rightly are taken over.

A policy of another version is another extractor, with a folder of its own in the cache. But most
files have the same pixels under both. So where the earlier folder has a row, the file is decoded
strictly, and unless it is of the kinds that were misread, the row is copied instead of computed.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from featx.data.decode import DECODE_POLICY, EARLIER_POLICY
from featx.errors import StoreError
from featx.store import EmbeddingStore
from featx.types import ExtractorSpec, Float32Array


def up_to_date(spec: ExtractorSpec) -> ExtractorSpec:
    """The same extractor under today's policy; also others' specifications, as they are."""
    if spec.document.get("decode") != EARLIER_POLICY:
        return spec
    return ExtractorSpec({**spec.document, "decode": DECODE_POLICY})


class EarlierRows:
    """What the cache holds under the earlier policy for the outputs of one extractor.

    Parameters
    ----------
    cache : path
    specs : sequence of ExtractorSpec
        Today's, one for each output.
    """

    def __init__(self, cache: Path, specs: Sequence[ExtractorSpec]) -> None:
        before = [ExtractorSpec({**s.document, "decode": EARLIER_POLICY}).folder for s in specs]
        self._stores: list[EmbeddingStore] = []
        if any(spec.document.get("decode") != DECODE_POLICY for spec in specs):
            return
        with suppress(StoreError, OSError):  # a damaged one is as good as none
            if all((cache / folder).is_dir() for folder in before):
                self._stores = [EmbeddingStore.open_folder(cache / folder) for folder in before]

    def get(self, name: bytes) -> list[Float32Array] | None:
        """One row of each output, shape (1, n_features); None where some output has none."""
        digest = np.frombuffer(name, np.uint8).reshape(1, 32)
        with suppress(StoreError, OSError):
            if self._stores and all(store.contains(digest)[0] for store in self._stores):
                return [store.gather(digest) for store in self._stores]
        return None
