"""Hashes of pixels in the store: kept with new rows, unknown for old ones, never lost."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

from featx.errors import CorruptStoreError, StoreError
from featx.store import EmbeddingStore
from featx.store.index import FORMAT_VERSION
from featx.store.verification import verify
from tests.store.store_lab import SPEC, as_content, content, forge_index, make_rows, shard_files

GOLDEN = Path(__file__).parent / "golden-v1"
HASHES, EMBEDDINGS = make_rows(8)
PIXELS = np.random.default_rng(5).integers(1, 256, (8, 16), dtype=np.uint8)


def rows(*numbers: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    chosen = list(numbers)
    return HASHES[chosen], EMBEDDINGS[chosen], PIXELS[chosen]


def test_an_old_store_takes_new_rows_and_is_not_rewritten(tmp_path: Path) -> None:
    shutil.copytree(GOLDEN, tmp_path / "cache")
    (folder,) = (tmp_path / "cache").iterdir()
    store = EmbeddingStore.open_folder(folder)
    old = store.hashes
    before = {path: path.read_bytes() for path in folder.rglob("*.*")}
    assert not store.pixels(old).any()
    assert {path: path.read_bytes() for path in before} == before  # reading changes nothing
    store.add(old, np.ones((5, 3), np.float32), PIXELS[:5])  # they are there already
    assert {path: path.read_bytes() for path in before} == before
    store.add(HASHES, EMBEDDINGS[:, :3].copy(), PIXELS)
    assert all(before[path] == path.read_bytes() for path in before if path.suffix == ".h5")
    both = np.concatenate([HASHES[::-1], old, HASHES[:2]])
    expected = np.concatenate([PIXELS[::-1], np.zeros((5, 16), np.uint8), PIXELS[:2]])
    for _ in range(2):
        np.testing.assert_array_equal(EmbeddingStore.open_folder(folder).pixels(both), expected)
        store.compact()  # old and new rows in one shard
    assert len(shard_files(folder)) == 1
    assert not verify(tmp_path / "cache")[0].faults


@pytest.mark.parametrize("known", [False, True])
def test_only_what_holds_hashes_of_pixels_is_of_the_new_version(
    tmp_path: Path, known: bool
) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(HASHES, EMBEDDINGS, PIXELS if known else None)
    index = json.loads((store.folder / "index.json").read_bytes())
    assert index["format_version"] == (FORMAT_VERSION if known else 1)
    assert ("pixels_offset" in index["shards"][0]) == known


def test_workers_shards_keep_them(tmp_path: Path) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    names = [store.write_shard(*rows(i, i + 1)) for i in (0, 2, 4, 6)]
    store.adopt(names)
    assert content(EmbeddingStore.open(tmp_path, SPEC)) == as_content(HASHES, EMBEDDINGS, PIXELS)


def test_damage_to_them_is_noticed_and_repaired(tmp_path: Path) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(*rows(0, 1, 2))
    store.add(*rows(3, 4))
    first = store.shards[0]
    path = store.folder / "shards" / first.name
    data = bytearray(path.read_bytes())
    data[first.pixels_offset + 5] ^= 1
    path.write_bytes(data)
    with pytest.raises(CorruptStoreError, match="hashes of pixels do not match"):
        EmbeddingStore.open(tmp_path, SPEC).pixels(HASHES[:1])
    np.testing.assert_array_equal(store.pixels(HASHES[3:5]), PIXELS[3:5])
    (found,) = verify(tmp_path, repair=True)
    assert [fault.rows_lost for fault in found.faults] == [3]
    store = EmbeddingStore.open(tmp_path, SPEC)
    assert content(store) == as_content(*rows(3, 4))


@pytest.mark.parametrize(
    "changes",
    [
        {"pixels_offset": 0},
        {"pixels_offset": 2**40},
        {"pixels_offset": True},
        {"pixels_sha256": "x" * 64},
        {"pixels_sha256": None},
    ],
)
def test_a_forged_entry_is_refused(tmp_path: Path, changes: dict) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(*rows(0, 1))
    index = json.loads((store.folder / "index.json").read_bytes())
    forge_index(store.folder, shards=[{**index["shards"][0], **changes}])
    with pytest.raises(CorruptStoreError):
        EmbeddingStore.open(tmp_path, SPEC)


def test_an_entry_cannot_hide_them(tmp_path: Path) -> None:
    """A shard of version 2 under an entry of version 1 is not what was written."""
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(*rows(0, 1))
    entry = json.loads((store.folder / "index.json").read_bytes())["shards"][0]
    plain = {key: entry[key] for key in entry if not key.startswith("pixels")}
    forge_index(store.folder, shards=[plain])
    with pytest.raises(CorruptStoreError, match="with hashes at bytes"):
        EmbeddingStore.open(tmp_path, SPEC).gather(HASHES[:2])


@pytest.mark.parametrize("pixels", [PIXELS[:3], PIXELS[:2, :8], PIXELS[:2].astype(np.int16)])
def test_hashes_of_the_wrong_shape_are_refused(tmp_path: Path, pixels: np.ndarray) -> None:
    store = EmbeddingStore.open(tmp_path, SPEC)
    with pytest.raises(StoreError, match=r"16|hashes of pixels were given"):
        store.add(HASHES[:2], EMBEDDINGS[:2], pixels)
