"""Tiny ImageNet from one HDF5 file or from the original folders, decoded once.

The HDF5 layout: groups ``train`` and ``val``, each with ``bytes`` (uint8: encoded images end to
end), ``offsets`` (n + 1) and ``labels`` (n); image i is ``bytes[offsets[i]:offsets[i + 1]]``.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import h5py
import numpy as np
from PIL import Image

SIZE_PX = 64
SPLITS = ("train", "val")


@dataclass(frozen=True)
class Split:
    """Images ``(n, 3, 64, 64)`` uint8, memory-mapped, with labels ``(n,)`` int64."""

    images: np.ndarray
    labels: np.ndarray


def decode(encoded: bytes) -> np.ndarray:
    """Decode one image file to uint8 ``(3, 64, 64)`` RGB; raise ValueError at another size."""
    with Image.open(io.BytesIO(encoded), formats=("JPEG", "PNG", "WEBP")) as image:
        pixels = np.asarray(image.convert("RGB"))
    if pixels.shape != (SIZE_PX, SIZE_PX, 3):
        raise ValueError(f"an image of {pixels.shape[1]}x{pixels.shape[0]} px; need {SIZE_PX}")
    return pixels.transpose(2, 0, 1)


def _list_hdf5(path: Path, split: str) -> tuple[Callable[[int], bytes], np.ndarray]:
    """Return a reader of encoded image i, and the labels, of one split of the HDF5 file."""
    with h5py.File(path, "r") as file:
        encoded, offsets = file[split]["bytes"][:], file[split]["offsets"][:]
        labels = file[split]["labels"][:].astype(np.int64)
    if len(offsets) != len(labels) + 1 or offsets[-1] != len(encoded):
        raise ValueError(f"{path}: offsets of {split} do not fit its bytes and labels")
    return lambda i: encoded[offsets[i] : offsets[i + 1]].tobytes(), labels


def _list_folder(path: Path, split: str) -> tuple[Callable[[int], bytes], np.ndarray]:
    """Return a reader of encoded image i, and the labels, of the original folders.

    ``train/<wnid>/images/*.JPEG``; ``val/images/*.JPEG`` with ``val/val_annotations.txt``.
    """
    wnids = sorted(entry.name for entry in (path / "train").iterdir() if entry.is_dir())
    index = {wnid: label for label, wnid in enumerate(wnids)}
    if split == "train":
        files = [f for wnid in wnids for f in sorted((path / "train" / wnid / "images").iterdir())]
        labels = [index[file.parent.parent.name] for file in files]
    else:
        lines = (path / "val" / "val_annotations.txt").read_text(encoding="utf-8").splitlines()
        pairs = sorted(tuple(line.split("\t")[:2]) for line in lines)
        files = [path / "val" / "images" / name for name, _ in pairs]
        labels = [index[wnid] for _, wnid in pairs]
    return lambda i: files[i].read_bytes(), np.asarray(labels, dtype=np.int64)


def _decode_to(target: Path, read: Callable[[int], bytes], n: int) -> None:
    """Decode ``n`` images into the ``.npy`` file ``target``; it appears complete or not at all."""
    temporary = target.with_name(target.name + ".part")
    array = np.lib.format.open_memmap(
        temporary, mode="w+", dtype=np.uint8, shape=(n, 3, SIZE_PX, SIZE_PX)
    )

    def fill(rows: Sequence[int]) -> None:
        for i in rows:
            array[i] = decode(read(i))

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(fill, [range(i, min(i + 500, n)) for i in range(0, n, 500)]))
    array.flush()
    temporary.replace(target)


def load(source: Path, split: str, cache: Path) -> Split:
    """Return one split of ``source``, decoded once into ``cache`` and memory-mapped from there.

    The map is shared by the processes of one run. ``cache`` belongs to one run's folder: it is
    not checked against the source again.
    """
    list_split = _list_folder if source.is_dir() else _list_hdf5
    read, labels = list_split(source, split)
    target = cache / f"{split}-{SIZE_PX}px.npy"
    if not target.exists():
        cache.mkdir(parents=True, exist_ok=True)
        _decode_to(target, read, len(labels))
    images = np.load(target, mmap_mode="r")
    if len(images) != len(labels):
        raise ValueError(f"{target} holds {len(images)} images, {source} {len(labels)}: delete it")
    return Split(images, labels)
