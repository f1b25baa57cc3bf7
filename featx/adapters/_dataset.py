"""`featx.EmbeddingDataset`: cached embeddings as a dataset of torch."""

from __future__ import annotations

import copy
import os
from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch.utils.data import Dataset

from featx.config import DatasetConfig, ExtractConfig
from featx.config.options import sections
from featx.data.opening import open_data
from featx.errors import DatasetError, UsageError
from featx.extraction import Extraction
from featx.extraction.embedding import extract_manifest


class EmbeddingDataset(Dataset[tuple[torch.Tensor, int]]):
    """Embeddings of labelled images with the index of each label, read from the cache.

    Embeddings that the cache lacks are computed first. Each item is read from the store when it is
    asked for, a batch at once, also in the workers of a ``DataLoader``.

    Parameters
    ----------
    source : path or Extraction
        A labelled data set, or what `featx.extract` returned for one.
    split : {"train", "val", "test"}, optional
        Only the images of this split. Default None takes all.
    **options
        Of `featx.extract`, for instance ``backbone="featx:mini-v1"`` and ``cache="cache"``.

    Attributes
    ----------
    classes : list of str
        Class names, sorted; the same for every split.
    targets : list of int
        Index into ``classes`` of each item, in order.
    ids, groups : ndarray of shape (n,)
        As of an `Extraction`, of the items.
    n_features : int

    Raises
    ------
    DatasetError
        There are no labelled images, or none in the split.
    UsageError
        The options give several embeddings.

    Examples
    --------
    >>> from torch.utils.data import DataLoader
    >>> data = EmbeddingDataset("photos/", backbone="featx:mini-v1")   # doctest: +SKIP
    >>> X, y = next(iter(DataLoader(data, batch_size=32, shuffle=True)))  # doctest: +SKIP
    """

    def __init__(
        self,
        source: str | os.PathLike[str] | Extraction,
        *,
        split: str | None = None,
        **options: Any,
    ) -> None:
        extraction = source if isinstance(source, Extraction) else _extracted(source, options)
        if isinstance(source, Extraction) and options:
            raise UsageError(f"An extraction takes no options; got {', '.join(options)}.")
        y = extraction.y
        kept = np.array([label is not None for label in y], bool)
        self.classes: list[str] = sorted({str(label) for label in y[kept]})
        if not self.classes:
            raise DatasetError(
                "The images have no labels.",
                hint="Put each image into a folder named after its class, or give a manifest.",
            )
        if split is not None:
            kept &= np.array([s == split for s in extraction.splits], bool)
        if not kept.any():
            raise DatasetError(f"No labelled image is in the split {split!r}.")
        position = {name: i for i, name in enumerate(self.classes)}
        self.targets = [position[str(label)] for label in y[kept]]
        self.ids, self.groups = extraction.ids[kept], extraction.groups[kept]
        self.n_features = extraction.spec.n_features
        self._hashes = extraction.hashes[extraction.ok][kept]
        self._store, self._process = extraction.store, os.getpid()

    def __len__(self) -> int:
        return len(self.targets)

    def __getitem__(self, index: int) -> tuple[torch.Tensor, int]:
        return self.__getitems__([index])[0]

    def __getitems__(self, indices: Sequence[int]) -> list[tuple[torch.Tensor, int]]:
        """A batch, which torch asks for at once."""
        if self._process != os.getpid():  # a worker of a DataLoader opens the store for itself
            self._store, self._process = copy.copy(self._store), os.getpid()
        rows = torch.from_numpy(self._store.gather(self._hashes[list(indices)]))
        return [(row, self.targets[i]) for row, i in zip(rows, indices, strict=True)]

    def __repr__(self) -> str:
        return (
            f"<EmbeddingDataset of {len(self):,} images, {len(self.classes)} classes, "
            f"{self.n_features} features>"
        )


def _extracted(source: str | os.PathLike[str], options: dict[str, Any]) -> Extraction:
    data, config = sections({"dataset": source, **options}, DatasetConfig, ExtractConfig)
    found = extract_manifest(open_data(data), config, allow_memory=True)
    if len(found) > 1:
        raise UsageError(
            f"{len(found)} embeddings were asked for; a dataset holds one.",
            hint="Make one EmbeddingDataset for each backbone.",
        )
    return found[0]
