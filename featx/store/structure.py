"""What an HDF5 file must look like inside to be a shard; everything else is refused.

Only metadata is read through HDF5, and only from memory: no link is followed, no filter runs,
and nothing is allocated because a file declares a shape.
"""

from __future__ import annotations

import io
from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.store.index import FORMAT_VERSION, HASH_BYTES, PIXELS_BYTES, PLAIN_VERSION

_DATASETS = {"sha256", "pixels", "embedding"}
_FLETCHER32 = 3  # HDF5's number of the filter


class StructureError(Exception):
    """A file that is not a shard; the text says in what."""


@dataclass(frozen=True)
class ShardLayout:
    """Where a shard's rows lie in its file.

    Parameters
    ----------
    rows : int
    hashes_offset, embedding_offset : int
        First byte of each dataset's one block.
    pixels_offset : int
        The same of the hashes of pixels; 0 in a shard of version 1, which has none.
    """

    rows: int
    hashes_offset: int
    embedding_offset: int
    pixels_offset: int = 0


def inspect_image(image: bytes | memoryview, n_features: int, fingerprint: str) -> ShardLayout:
    """Check a shard's whole structure.

    Parameters
    ----------
    image : bytes or memoryview
        The file's content.
    n_features : int
        Width that the embeddings must have.
    fingerprint : str
        Extractor that it must belong to.

    Raises
    ------
    StructureError
        It is no HDF5 file, or holds anything but hard-linked, non-virtual, non-external datasets
        of the declared names, types, shapes and filters.
    """
    import h5py

    try:
        with h5py.File(io.BytesIO(image), "r") as file:
            _require(file.userblock_size == 0, "it has a user block")
            version = _check_attributes(file, fingerprint)
            wanted = _DATASETS if version > PLAIN_VERSION else _DATASETS - {"pixels"}
            _require(set(file) == wanted, f"it holds {sorted(file)[:5]!r:.200}")
            rows, hashes_offset = _check_dataset(file, "sha256", HASH_BYTES, "|u1", len(image))
            others, offset = _check_dataset(file, "embedding", n_features, "<f4", len(image))
            _require(rows == others, f"it has {rows} hashes for {others} embeddings")
            pixels_offset = 0
            if "pixels" in wanted:
                others, pixels_offset = _check_dataset(
                    file, "pixels", PIXELS_BYTES, "|u1", len(image)
                )
                _require(rows == others, f"it has {rows} hashes for {others} of pixels")
            return ShardLayout(rows, hashes_offset, offset, pixels_offset)
    except StructureError:
        raise
    except Exception as error:  # h5py raises OSError, KeyError, RuntimeError, ... on bad files
        raise StructureError(f"it is not a readable HDF5 file ({error!s:.200})") from None


def _check_attributes(file: Any, fingerprint: str) -> int:
    """The format version."""
    wanted = {"format_version": np.dtype("<u4"), "fingerprint": np.dtype("S64")}
    _require(set(file.attrs) == set(wanted), f"its attributes are {sorted(file.attrs)[:5]!r:.200}")
    for name, dtype in wanted.items():
        attribute = file.attrs.get_id(name)
        _require(
            attribute.shape == () and attribute.dtype == dtype,
            f"attribute {name} has shape {attribute.shape} and type {attribute.dtype}",
        )
    version = int(file.attrs["format_version"])
    _require(PLAIN_VERSION <= version <= FORMAT_VERSION, f"its format version is {version}")
    owner = bytes(file.attrs["fingerprint"]).decode("ascii", "replace")
    _require(owner == fingerprint, f"it belongs to extractor {owner[:12]!r}")
    return version


def _check_dataset(
    file: Any, name: str, width: int, dtype: str, size_bytes: int
) -> tuple[int, int]:
    """Number of rows and offset of one dataset."""
    import h5py

    link = file.get(name, getlink=True)
    _require(type(link) is h5py.HardLink, f"{name} is a {type(link).__name__}, not a hard link")
    kind = file.get(name, getclass=True)
    _require(kind is h5py.Dataset, f"{name} is a {kind.__name__}, not a dataset")
    data = file[name]
    _require(not data.is_virtual, f"{name} is a virtual dataset")
    _require(not data.external, f"{name} keeps its data in an external file")
    _require(data.dtype.str == dtype, f"{name} has type {data.dtype}, not {np.dtype(dtype)}")
    shape = data.shape
    _require(
        shape is not None and len(shape) == 2 and shape[0] >= 1 and shape[1] == width,
        f"{name} has shape {shape}, not (rows, {width})",
    )
    _require(data.maxshape == shape, f"{name} may grow to {data.maxshape}")
    _require(data.chunks == shape, f"{name} is stored in chunks of {data.chunks}, not one")
    properties = data.id.get_create_plist()
    filters = [properties.get_filter(i)[0] for i in range(properties.get_nfilters())]
    _require(filters == [_FLETCHER32], f"{name} has filters {filters}, not fletcher32 alone")
    _require(not len(data.attrs), f"{name} has attributes")
    _require(data.id.get_num_chunks() == 1, f"{name} has no data")
    chunk = data.id.get_chunk_info(0)
    _require(
        chunk.filter_mask == 0
        and chunk.size == shape[0] * width * np.dtype(dtype).itemsize + 4  # and the checksum
        and chunk.byte_offset + chunk.size <= size_bytes,
        f"{name} is stored as {chunk}",
    )
    return int(shape[0]), int(chunk.byte_offset)


def _require(condition: bool, reason: str) -> None:
    if not condition:
        raise StructureError(reason)
