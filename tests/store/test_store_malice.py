"""Files made to harm: refused by name, and nothing in them is executed or followed."""

from __future__ import annotations

import io
import json
import os
import pickle
from collections.abc import Callable
from pathlib import Path
from typing import Any

import h5py
import numpy as np
import pytest
from store_lab import SPEC, WIDTH, as_content, content, forge_index, forge_shard, make_rows
from store_lab import shard_files as shard_paths

from featx.errors import CorruptStoreError, StoreError
from featx.store import EmbeddingStore
from featx.store.cleaning import gc
from featx.store.shard import build_shard
from featx.store.verification import verify

HASHES, EMBEDDINGS = make_rows(2)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An extractor's folder with one honest shard of two rows."""
    store = EmbeddingStore.open(tmp_path / "cache", SPEC)
    store.add(HASHES, EMBEDDINGS)
    return store.folder


def shard_image(change: Callable[[Any], None], **options: Any) -> bytes:
    """An honest shard of two rows, then changed."""
    buffer = io.BytesIO()
    with h5py.File(buffer, "w", libver=("v110", "v110"), **options) as file:
        file.attrs["format_version"] = np.uint32(1)
        file.attrs["fingerprint"] = np.bytes_(SPEC.fingerprint)
        file.create_dataset("sha256", data=HASHES, chunks=(2, 32), fletcher32=True)
        file.create_dataset("embedding", data=EMBEDDINGS, chunks=(2, WIDTH), fletcher32=True)
        change(file)
    return buffer.getvalue()


def instead(name: str, **options: Any) -> Callable[[Any], None]:
    """Replace one dataset by another."""

    def change(file: Any) -> None:
        del file[name]
        file.create_dataset(name, **options)

    return change


def link(target: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file.move("embedding", "elsewhere")
        file["embedding"] = target
        del file["elsewhere"]

    return change


def virtual(file: Any) -> None:
    layout = h5py.VirtualLayout((2, WIDTH), "<f4")
    layout[:] = h5py.VirtualSource("/etc/passwd", "x", (2, WIDTH))
    del file["embedding"]
    file.create_virtual_dataset("embedding", layout)


def external(file: Any) -> None:
    del file["embedding"]
    file.create_dataset(
        "embedding", (2, WIDTH), "<f4", external=[("/etc/passwd", 0, 2 * WIDTH * 4)]
    )


def unallocated(file: Any) -> None:
    properties = h5py.h5p.create(h5py.h5p.DATASET_CREATE)
    properties.set_chunk((2, WIDTH))
    properties.set_fletcher32()
    del file["embedding"]
    space = h5py.h5s.create_simple((2, WIDTH))
    h5py.h5d.create(file.id, b"embedding", h5py.h5t.IEEE_F32LE, space, properties)


def unfiltered(file: Any) -> None:
    """A chunk that says its checksum was skipped."""
    del file["embedding"]
    data = file.create_dataset("embedding", (2, WIDTH), "<f4", chunks=(2, WIDTH), fletcher32=True)
    data.id.write_direct_chunk((0, 0), EMBEDDINGS.tobytes(), filter_mask=1)


def text_fingerprint(file: Any) -> None:
    del file.attrs["fingerprint"]
    file.attrs["fingerprint"] = SPEC.fingerprint  # variable-length


def set_attribute(name: str, value: Any) -> Callable[[Any], None]:
    def change(file: Any) -> None:
        file.attrs[name] = value

    return change


VLEN = h5py.vlen_dtype(np.float32)
BOMB = 10**12
SHARDS: dict[str, tuple[Callable[[Any], None], str]] = {
    "external link": (link(h5py.ExternalLink("/etc/passwd", "/x")), "ExternalLink, not a hard"),
    "soft link": (link(h5py.SoftLink("/sha256")), "SoftLink, not a hard link"),
    "virtual": (virtual, "virtual dataset"),
    "external storage": (external, "external file"),
    "huge": (
        instead("embedding", shape=(BOMB, WIDTH), dtype="<f4", chunks=(2, WIDTH), fletcher32=True),
        "stored in chunks",
    ),
    "huge in one chunk": (
        instead("embedding", shape=(10**8, WIDTH), dtype="<f4", chunks=(10**8, WIDTH)),
        "filters",
    ),
    "huge in one chunk with a checksum": (
        instead(
            "embedding", shape=(10**8, WIDTH), dtype="<f4", chunks=(10**8, WIDTH), fletcher32=True
        ),
        "no data",
    ),
    "huge in both": (
        lambda file: [
            instead(n, shape=(BOMB, w), dtype=t, chunks=(2, w), fletcher32=True)(file)
            for n, w, t in (("sha256", 32, "u1"), ("embedding", WIDTH, "<f4"))
        ],
        "stored in chunks",
    ),
    "compression bomb": (
        instead(
            "embedding", data=EMBEDDINGS, chunks=(2, WIDTH), fletcher32=True, compression="gzip"
        ),
        "filters",
    ),
    "no checksum": (instead("embedding", data=EMBEDDINGS, chunks=(2, WIDTH)), "filters"),
    "contiguous": (instead("embedding", data=EMBEDDINGS), "chunks of None"),
    "growing": (
        instead(
            "embedding",
            data=EMBEDDINGS,
            chunks=(2, WIDTH),
            maxshape=(None, WIDTH),
            fletcher32=True,
        ),
        "may grow",
    ),
    "no data": (unallocated, "has no data"),
    "filter skipped": (unfiltered, "is stored as"),
    "float64": (
        instead("embedding", data=EMBEDDINGS.astype("f8"), chunks=(2, WIDTH), fletcher32=True),
        "type float64",
    ),
    "big-endian": (
        instead("embedding", data=EMBEDDINGS.astype(">f4"), chunks=(2, WIDTH), fletcher32=True),
        "type >f4",
    ),
    "variable-length": (instead("embedding", shape=(2, WIDTH), dtype=VLEN), "type object"),
    "text": (instead("sha256", data=["a" * 32, "b" * 32]), "type object"),
    "scalar": (instead("embedding", data=np.float32(1)), "shape"),
    "empty": (instead("embedding", data=h5py.Empty("<f4")), "shape"),
    "other width": (
        instead("embedding", data=EMBEDDINGS[:, :3], chunks=(2, 3), fletcher32=True),
        r"shape \(2, 3\)",
    ),
    "other rows": (
        instead("embedding", data=EMBEDDINGS[:1], chunks=(1, WIDTH), fletcher32=True),
        "2 hashes for 1 embeddings",
    ),
    "a group": (lambda file: (file.pop("embedding"), file.create_group("embedding")), "Group"),
    "surplus dataset": (lambda file: file.create_dataset("x", data=1), "it holds"),
    "missing dataset": (lambda file: file.pop("sha256"), "it holds"),
    "surplus attribute": (set_attribute("x", 1), "its attributes are"),
    "vlen attribute": (text_fingerprint, "attribute fingerprint has"),
    "other extractor": (set_attribute("fingerprint", np.bytes_("c" * 64)), "belongs to"),
    "other version": (set_attribute("format_version", np.uint32(3)), "format version is 3"),
}


@pytest.mark.parametrize("name", SHARDS)
def test_shards_with_matching_digests_are_still_refused(folder: Path, name: str) -> None:
    change, reason = SHARDS[name]
    shard = forge_shard(folder, shard_image(change))
    store = EmbeddingStore.open(folder.parent, SPEC)
    with pytest.raises(CorruptStoreError, match=f"(?s){shard}.*({reason})"):
        store.gather(store.hashes)
    (found,) = verify(folder.parent, repair=True)
    assert [fault.file for fault in found.faults] == [f"shards/{shard}"]
    assert len(EmbeddingStore.open(folder.parent, SPEC)) == 0


@pytest.mark.parametrize(
    "image",
    [
        b"no HDF5 at all".ljust(200),
        shard_image(lambda file: None)[:-20],
        b"\0" * 512 + shard_image(lambda file: None),
        shard_image(lambda file: None, userblock_size=512),
    ],
    ids=["text", "cut", "shifted", "user block"],
)
def test_what_is_no_shard_is_refused(folder: Path, image: bytes) -> None:
    shard = forge_shard(folder, image)
    store = EmbeddingStore.open(folder.parent, SPEC)
    with pytest.raises(CorruptStoreError, match=shard):
        store.gather(store.hashes)


def test_the_forged_shard_itself_is_good(folder: Path) -> None:
    """The attacks above fail for what they change, not for how they are forged."""
    image = shard_image(lambda file: None)
    shard = forge_shard(folder, image)
    honest = build_shard(HASHES, EMBEDDINGS, HASHES[:, :16] & 0, SPEC.fingerprint)[0]
    index = json.loads((folder / "index.json").read_bytes())
    entry = {**index["shards"][0], "hashes_offset": honest.hashes_offset}
    forge_index(folder, shards=[{**entry, "hashes_sha256": honest.hashes_sha256}])
    assert len(image) == honest.size_bytes
    assert content(EmbeddingStore.open(folder.parent, SPEC)) == as_content(HASHES, EMBEDDINGS)
    assert shard in {path.name for path in shard_paths(folder)}


def entry_with(**changes: Any) -> Callable[[dict[str, Any]], dict[str, Any]]:
    return lambda index: {"shards": [{**index["shards"][0], **changes}]}


INDEXES: dict[str, tuple[Callable[[dict[str, Any]], dict[str, Any]], str]] = {
    **{
        f"name {name!r}": (entry_with(name=name), "is not the name of a shard")
        for name in (
            "../../secret.h5",
            "../index.json",
            "/etc/passwd",
            "a/b.h5",
            "..",
            "",
            "0" * 32 + "-00000000.h5\n",
            "0" * 32 + "-00000000.h5\0",
            "C:\\x.h5",
        )
    },
    "name is a number": (entry_with(name=7), "name is 7"),
    "rows too many": (entry_with(rows=10**15), "cannot hold"),
    "rows beyond all integers": (entry_with(rows=10**400), "cannot hold"),
    "rows negative": (entry_with(rows=-2), "rows is -2"),
    "rows a truth value": (entry_with(rows=True), "rows is True"),
    "rows a fraction": (entry_with(rows=2.0), "rows is 2.0"),
    "size beyond the limit": (entry_with(size_bytes=2**31), "cannot hold"),
    "hashes beyond the end": (entry_with(hashes_offset=10**9), "cannot hold"),
    "digest a path": (entry_with(sha256="../x"), "is not a SHA-256"),
    "surplus key": (entry_with(command="rm -rf /"), "a shard reads"),
    "shards a mapping": (lambda index: {"shards": {}}, "shards is not a list"),
    "a shard a text": (lambda index: {"shards": ["x"]}, "a shard reads"),
    "listed twice": (lambda index: {"shards": index["shards"] * 2}, "listed twice"),
    "surplus document key": (lambda index: {"x": 1}, "its keys are"),
    "other width": (lambda index: {"n_features": WIDTH + 1}, "n_features is"),
    "other extractor": (lambda index: {"fingerprint": "0" * 64}, "another extractor"),
    "version a text": (lambda index: {"format_version": "1"}, "format_version is"),
    "other format": (lambda index: {"format": "zip"}, "not a file of kind featx-index"),
}


@pytest.mark.parametrize("name", INDEXES)
def test_doctored_indexes_with_a_matching_seal_are_refused(folder: Path, name: str) -> None:
    change, reason = INDEXES[name]
    secret = folder.parent.parent / "secret.h5"
    secret.write_bytes(b"mine")
    forge_index(folder, **change(json.loads((folder / "index.json").read_bytes())))
    with pytest.raises(CorruptStoreError, match=rf"(?s)index\.json.*{reason}"):
        EmbeddingStore.open(folder.parent, SPEC)
    gc(folder.parent, older_than_s=-1)
    assert len(shard_paths(folder)) == 1  # an unreadable index condemns no shard
    verify(folder.parent, repair=True)
    assert content(EmbeddingStore.open(folder.parent, SPEC)) == as_content(HASHES, EMBEDDINGS)
    assert secret.read_bytes() == b"mine"


@pytest.mark.parametrize(
    "data", [b"[" * 200_000, b'{"format": NaN}', b"null", b"\xff\xfe", b"1" * 10_000, b'"x"']
)
@pytest.mark.parametrize("name", ["index.json", "extractor.json"])
def test_json_that_is_none(folder: Path, name: str, data: bytes) -> None:
    (folder / name).write_bytes(data)
    with pytest.raises(CorruptStoreError, match=name):
        EmbeddingStore.open(folder.parent, SPEC)


@pytest.mark.parametrize("name", ["index.json", "extractor.json", "shard"])
@pytest.mark.parametrize("kind", ["link", "pipe", "huge", "folder"])
def test_only_plain_files_of_sane_size_are_read(folder: Path, name: str, kind: str) -> None:
    path = shard_paths(folder)[0] if name == "shard" else folder / name
    path.rename(folder.parent / "moved")
    if kind == "link":
        path.symlink_to(folder.parent / "moved")
    elif kind == "pipe":
        os.mkfifo(path)
    elif kind == "folder":
        path.mkdir()
    else:
        with path.open("wb") as file:
            file.truncate(2**40)  # sparse
    with pytest.raises(StoreError, match=path.name):
        EmbeddingStore.open(folder.parent, SPEC)


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, marker: Path) -> None:
        self.marker = marker

    def __reduce__(self) -> tuple[Any, ...]:
        return (os.mkdir, (str(self.marker),))


@pytest.mark.parametrize("name", ["index.json", "extractor.json", "shard", "forged shard"])
def test_pickles_are_not_unpickled(folder: Path, tmp_path: Path, name: str) -> None:
    marker = tmp_path / "executed"
    payload = pickle.dumps(Payload(marker)).ljust(300)
    if name == "forged shard":
        forge_shard(folder, payload)
    else:
        (shard_paths(folder)[0] if name == "shard" else folder / name).write_bytes(payload)
    with pytest.raises(CorruptStoreError):
        content(EmbeddingStore.open(folder.parent, SPEC))
    verify(folder.parent, repair=True)
    assert not marker.exists()


def test_a_shard_of_another_extractor_is_refused(folder: Path, tmp_path: Path) -> None:
    _, image = build_shard(HASHES, EMBEDDINGS, HASHES[:, :16] & 0, "e" * 64)
    shard = forge_shard(folder, image)
    store = EmbeddingStore.open(folder.parent, SPEC)
    with pytest.raises(CorruptStoreError, match=f"{shard}.*belongs to extractor 'eeee"):
        store.gather(store.hashes)
