"""What goes into the store comes out of it: known answers, refusals, one view for all."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import h5py
import numpy as np
import pytest
from disk_shims import ReadOnlyDisk, intercept
from hypothesis import given, settings
from hypothesis import strategies as st
from store_lab import SPEC, WIDTH, as_content, content, make_rows, shard_files

import featx.store.lock
import featx.store.shard
import featx.store.store
from featx.errors import StoreError, StoreLockedError
from featx.store import EmbeddingStore, cache_folder
from featx.store.lock import committer_lock
from featx.store.lookup import Lookup
from featx.types import ExtractorSpec

GOLDEN = Path(__file__).parent / "golden-v1"


def test_rows_come_back_in_the_order_asked(tmp_path: Path) -> None:
    hashes, embeddings = make_rows(50)
    store = EmbeddingStore.open(tmp_path, SPEC)
    for start in range(0, 50, 7):
        store.add(hashes[start : start + 7], embeddings[start : start + 7])
    asked = np.array([49, 0, 0, 13, 48, 13, 7])
    for opened in (store, EmbeddingStore.open(tmp_path, SPEC, create=False)):
        assert len(opened) == 50
        for _ in range(2):  # verified when first read, read in parts after that
            gathered = opened.gather(hashes[asked])
            assert gathered.dtype == np.float32
            np.testing.assert_array_equal(gathered, embeddings[asked])
    strangers = make_rows(3, seed=9)[0]
    known = store.contains(np.concatenate([hashes[:2], strangers]))
    assert known.tolist() == [True, True, False, False, False]


def test_a_shard_is_an_hdf5_file_others_can_read(tmp_path: Path) -> None:
    hashes, embeddings = make_rows(3)
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(hashes, embeddings)
    (path,) = shard_files(store.folder)
    with h5py.File(path, "r") as file:
        np.testing.assert_array_equal(file["sha256"][()], hashes)
        np.testing.assert_array_equal(file["embedding"][()], embeddings)
        assert file["sha256"].fletcher32
        assert file["embedding"].fletcher32
        assert file.attrs["fingerprint"] == SPEC.fingerprint.encode()


def test_reads_what_format_version_1_wrote() -> None:
    """Written once by ``golden.py`` and never again: old caches must stay readable."""
    (folder,) = [path for path in GOLDEN.iterdir() if path.is_dir()]
    store = EmbeddingStore.open_folder(folder)
    hashes = np.arange(5 * 32, dtype=np.uint8).reshape(5, 32)
    expected = np.arange(15, dtype=np.float32).reshape(5, 3) / 4 - 1
    np.testing.assert_array_equal(store.gather(hashes), expected)
    assert store.spec.document == {"backbone": "golden:net", "n_features": 3}


def test_rows_already_there_are_ignored(tmp_path: Path) -> None:
    hashes, embeddings = make_rows(4)
    store = EmbeddingStore.open(tmp_path, SPEC)
    twice = np.array([0, 1, 0, 1])
    store.add(hashes[twice], embeddings[twice])
    assert len(store) == 2
    before = store.shards
    store.add(hashes[:2], embeddings[2:])  # the same images again: the first answer stays
    assert store.shards == before
    store.add(hashes, embeddings)
    assert content(store) == as_content(hashes, embeddings)
    store.add(hashes[:0], embeddings[:0])
    assert store.gather(hashes[:0]).shape == (0, WIDTH)


def test_racing_writers_may_commit_a_row_twice_and_it_counts_once(tmp_path: Path) -> None:
    hashes, embeddings = make_rows(3)
    one, other = EmbeddingStore.open(tmp_path, SPEC), EmbeddingStore.open(tmp_path, SPEC)
    one.add(hashes[:2], embeddings[:2])
    unknown = np.zeros((len(hashes) - 1, 16), np.uint8)
    other._commit(
        hashes[1:], embeddings[1:], unknown
    )  # as if it had looked before ``one`` committed
    other.refresh()
    assert sum(shard.rows for shard in other.shards) == 4
    assert len(other) == 3
    assert content(other) == as_content(hashes, embeddings)
    other.compact()
    assert [shard.rows for shard in other.shards] == [3]
    assert content(one) == as_content(hashes[:2], embeddings[:2])
    one.refresh()
    assert content(one) == as_content(hashes, embeddings)


ROWS = st.integers(0, 40)


@settings(deadline=None, max_examples=25)
@given(parts=st.lists(st.lists(ROWS, max_size=12), max_size=6), compacts=st.sets(st.integers(0, 5)))
def test_round_trip(
    tmp_path_factory: pytest.TempPathFactory, parts: list[list[int]], compacts: set[int]
) -> None:
    """Whatever is added, in whatever order, is what a fresh reader finds."""
    cache = tmp_path_factory.mktemp("cache")
    hashes, embeddings = make_rows(41)
    store = EmbeddingStore.open(cache, SPEC)
    for number, part in enumerate(parts):
        store.add(hashes[part], embeddings[part])
        if number in compacts:
            store.compact()
    added = sorted({row for part in parts for row in part})
    fresh = EmbeddingStore.open(cache, SPEC)
    assert content(fresh) == content(store) == as_content(hashes[added], embeddings[added])
    assert fresh.contains(hashes).nonzero()[0].tolist() == added
    shutil.rmtree(cache)


@settings(deadline=None)
@given(st.data())
def test_lookup_agrees_with_a_dictionary(data: st.DataObject) -> None:
    """Also where hashes share their first 8 bytes, as an attacker could arrange."""
    drawn = st.tuples(st.sampled_from([0, 1, 255]), st.sampled_from([0, 7, 255]))
    first = data.draw(st.lists(drawn, max_size=12))
    second = data.draw(st.lists(drawn, max_size=12))

    def as_hashes(pairs: list[tuple[int, int]]) -> np.ndarray:
        hashes = np.zeros((len(pairs), 32), np.uint8)
        hashes[:, [7, 31]] = np.array(pairs, np.uint8).reshape(-1, 2)
        return hashes

    rows = first + second
    lookup = Lookup(as_hashes(rows), Lookup(as_hashes(first)))
    wanted = [(a, b) for a in (0, 1, 2, 255) for b in (0, 7, 9, 255)]
    expected = [rows.index(pair) if pair in rows else -1 for pair in wanted]
    assert lookup.find(as_hashes(wanted)).tolist() == expected
    assert lookup.n_distinct == len(set(rows))


def test_large_additions_become_several_shards(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(featx.store.shard, "SHARD_BYTES", 10 * (48 + 4 * WIDTH))
    hashes, embeddings = make_rows(25)
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(hashes, embeddings)
    assert [shard.rows for shard in store.shards] == [10, 10, 5]
    store.add(*make_rows(2, seed=5))
    assert store.compact().shards_after == 3
    assert [shard.rows for shard in store.shards] == [10, 10, 7]
    np.testing.assert_array_equal(store.gather(hashes), embeddings)


@pytest.mark.parametrize(
    ("hashes", "embeddings", "message"),
    [
        (np.zeros((2, 32), np.uint8), np.zeros((2, 5), np.float32), r"shape \(2, 5\).*\(2, 4\)"),
        (np.zeros((2, 32), np.uint8), np.zeros((3, 4), np.float32), r"shape \(3, 4\).*\(2, 4\)"),
        (np.zeros((2, 32), np.uint8), np.zeros((2, 4)), "float32 array, got float64"),
        (np.zeros((2, 32), np.uint8), [[0.0] * 4] * 2, "float32 array, got list"),
        (np.zeros((2, 31), np.uint8), np.zeros((2, 4), np.float32), r"shape \(n, 32\)"),
        (np.zeros((2, 32), np.int8), np.zeros((2, 4), np.float32), "uint8.*got int8"),
        (
            np.zeros((2, 32), np.uint8),
            np.array([[0, 0, 0, 0], [0, np.nan, 0, 0]], np.float32),
            r"1 of 2 embeddings of lab:net are not finite \(first: row 1\)",
        ),
        (
            np.zeros((1, 32), np.uint8),
            np.array([[0, 0, 0, np.inf]], np.float32),
            "not finite",
        ),
    ],
)
def test_rows_that_are_none_are_refused(
    tmp_path: Path, hashes: np.ndarray, embeddings: np.ndarray, message: str
) -> None:
    store = EmbeddingStore.open(tmp_path / "cache", SPEC)
    with pytest.raises(StoreError, match=message):
        store.add(hashes, embeddings)
    assert not (tmp_path / "cache").exists()


def test_missing_rows_are_counted(tmp_path: Path) -> None:
    hashes, embeddings = make_rows(5)
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(hashes[:3], embeddings[:3])
    with pytest.raises(
        StoreError, match=r"2 of 5 images have no embedding.*\n.*Extract these images"
    ):
        store.gather(hashes)


def test_a_store_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(StoreError, match="No embeddings of lab:net"):
        EmbeddingStore.open(tmp_path, SPEC, create=False)
    with pytest.raises(StoreError, match=r"not an extractor's folder"):
        EmbeddingStore.open_folder(tmp_path)
    assert len(EmbeddingStore.open(tmp_path, SPEC)) == 0
    assert list(tmp_path.iterdir()) == []  # looking leaves nothing behind


@pytest.mark.parametrize("width", [0, -1, True, "4", None, 2**27])
def test_widths_no_store_can_have(tmp_path: Path, width: object) -> None:
    with pytest.raises(StoreError, match="n_features"):
        EmbeddingStore.open(tmp_path, ExtractorSpec({"backbone": "x", "n_features": width}))


def test_reading_changes_nothing_on_disk(tmp_path: Path) -> None:
    hashes, embeddings = make_rows(6)
    writer = EmbeddingStore.open(tmp_path, SPEC)
    writer.add(hashes, embeddings)
    (writer.folder / "lock").unlink()
    with intercept(tmp_path, ReadOnlyDisk()):
        store = EmbeddingStore.open(tmp_path, SPEC)
        assert content(store) == as_content(hashes, embeddings)
        store.refresh()
        with pytest.raises(StoreError, match=r"Read-only file system \(EROFS\).*\n.*--cache"):
            store.add(*make_rows(1, seed=3))
    assert not (writer.folder / "lock").exists()


def test_a_shard_is_verified_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    hashes, embeddings = make_rows(6)
    writer = EmbeddingStore.open(tmp_path, SPEC)
    writer.add(hashes[:3], embeddings[:3])
    writer.add(hashes[3:], embeddings[3:])
    inspected = []
    real = featx.store.shard.inspect_image
    monkeypatch.setattr(
        featx.store.shard, "inspect_image", lambda *a: inspected.append(a) or real(*a)
    )
    store = EmbeddingStore.open(tmp_path, SPEC)
    assert inspected == []  # opening reads hashes only
    for _ in range(3):
        store.gather(hashes[:2])
    assert len(inspected) == 1
    os.utime(store.folder / "shards" / store.shards[0].name, (0, 0))
    store.gather(hashes)
    assert len(inspected) == 3  # the touched one again, and the other for the first time


def test_readers_follow_a_compaction_elsewhere(tmp_path: Path) -> None:
    hashes, embeddings = make_rows(9)
    store = EmbeddingStore.open(tmp_path, SPEC)
    for row in range(9):
        store.add(hashes[row : row + 1], embeddings[row : row + 1])
    stale = EmbeddingStore.open(tmp_path, SPEC)
    stale.gather(hashes[:2])
    assert store.compact().shards_after == 1
    assert not set(shard_files(store.folder)) & {stale._reader.path(s) for s in stale.shards}
    np.testing.assert_array_equal(stale.gather(hashes[::-1]), embeddings[::-1])
    stale.add(*make_rows(1, seed=4))
    assert len(EmbeddingStore.open(tmp_path, SPEC)) == 10


def test_many_small_additions_are_merged_on_the_way(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(featx.store.store, "AUTO_COMPACT_SHARDS", 5)
    hashes, embeddings = make_rows(23)
    store = EmbeddingStore.open(tmp_path, SPEC)
    for row in range(23):
        store.add(hashes[row : row + 1], embeddings[row : row + 1])
        assert len(store.shards) <= 5
    assert content(EmbeddingStore.open(tmp_path, SPEC)) == as_content(hashes, embeddings)
    assert len(shard_files(store.folder)) == len(store.shards)


def test_other_weights_are_another_extractor(tmp_path: Path) -> None:
    other = ExtractorSpec({**SPEC.document, "weights": "cd" * 32})
    hashes, embeddings = make_rows(2)
    EmbeddingStore.open(tmp_path, SPEC).add(hashes, embeddings)
    assert not EmbeddingStore.open(tmp_path, other).contains(hashes).any()


def test_the_lock_says_who_holds_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(featx.store.lock, "LOCK_TIMEOUT_S", 0.05)
    store = EmbeddingStore.open(tmp_path, SPEC)
    store.add(*make_rows(1))
    with (
        committer_lock(store.folder),
        pytest.raises(StoreLockedError, match=rf"pid {os.getpid()} on {socket.gethostname()}"),
    ):
        store.add(*make_rows(1, seed=1))
    store.add(*make_rows(1, seed=1))
    assert len(store) == 2


def test_a_commit_survives_gc_taking_its_shard(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A process that slept between writing its shard and committing it."""
    hashes, embeddings = make_rows(2)
    store = EmbeddingStore.open(tmp_path, SPEC)
    real = featx.store.store.committer_lock

    def sleepy(folder: Path):  # type: ignore[no-untyped-def]
        for path in shard_files(folder):
            path.unlink()
        return real(folder)

    monkeypatch.setattr(featx.store.store, "committer_lock", sleepy)
    store.add(hashes, embeddings)
    assert content(EmbeddingStore.open(tmp_path, SPEC)) == as_content(hashes, embeddings)


def test_where_the_cache_is(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FEATX_CACHE", raising=False)
    assert cache_folder() == tmp_path / "cache"
    monkeypatch.setenv("FEATX_CACHE", str(tmp_path / "other"))
    assert cache_folder() == tmp_path / "other"
    assert cache_folder("mine") == tmp_path / "mine"
    assert cache_folder("~/x") == Path.home() / "x"


def test_importing_the_store_is_light() -> None:
    code = "import sys, featx.store; print({'h5py', 'torch', 'sklearn'} & set(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
