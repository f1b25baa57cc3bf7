"""Full disks, flipped bits and truncations: always said, never silent, always repairable."""

from __future__ import annotations

import errno
import os
import random
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from disk_shims import FullDisk, intercept
from store_lab import SPEC, as_content, content, make_rows, shard_files

import featx.store.shard
import featx.store.store
from featx.errors import CorruptStoreError, StoreError
from featx.store import EmbeddingStore
from featx.store.export import export_arrays
from featx.store.listing import list_extractors
from featx.store.verification import verify

HASHES, EMBEDDINGS = make_rows(6)
PIXELS = np.ascontiguousarray(HASHES[:, ::2])


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An extractor's folder with two shards of three rows."""
    store = EmbeddingStore.open(tmp_path / "cache", SPEC)
    store.add(HASHES[:3], EMBEDDINGS[:3], PIXELS[:3])
    store.add(HASHES[3:], EMBEDDINGS[3:], PIXELS[3:])
    return store.folder


# --- full disk ----------------------------------------------------------------------------------


def test_full_disk_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A clean error each time; what was committed stays; with space again the same run ends."""
    monkeypatch.setattr(featx.store.store, "AUTO_COMPACT_SHARDS", 3)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    k, messages = 0, []
    while True:
        k += 1
        root = tmp_path / str(k)
        root.mkdir()
        disk, done = FullDisk(k), 0
        with intercept(root, disk):
            try:
                for row in range(6):
                    EmbeddingStore.open(root / "cache", SPEC).add(
                        HASHES[row : row + 1],
                        EMBEDDINGS[row : row + 1],
                        PIXELS[row : row + 1],
                    )
                    done = row + 1
            except StoreError as error:
                messages.append(str(error))
            disk.freed = True
            store = EmbeddingStore.open(root / "cache", SPEC)
            assert (
                content(store).items()
                >= as_content(HASHES[:done], EMBEDDINGS[:done], PIXELS[:done]).items()
            )
            assert not list(root.rglob("*.tmp"))
            listed = sorted(shard.name for shard in store.shards)
            assert [path.name for path in shard_files(store.folder)] == listed
            store.add(HASHES, EMBEDDINGS, PIXELS)
            assert content(store) == as_content(HASHES, EMBEDDINGS, PIXELS)
        shutil.rmtree(root)
        if not disk.hits:
            break
    assert len(messages) > 20
    said = re.compile(rf"{tmp_path}\S+: No space left on device \(ENOSPC\)\.\nFree some space")
    assert all(said.search(message) for message in messages)


FILL = """
import sys, numpy as np
from featx.errors import StoreError
from featx.store import EmbeddingStore
from featx.types import ExtractorSpec
store = EmbeddingStore.open(sys.argv[1], ExtractorSpec({"backbone": "full", "n_features": 512}))
rng = np.random.default_rng(0)
for n in range(1000):
    hashes = rng.integers(0, 256, (8, 32), dtype=np.uint8)
    try:
        store.add(hashes, np.full((8, 512), n, np.float32))
    except StoreError as error:
        print(n, "No space left" in str(error))
        break
"""


@pytest.fixture
def tiny_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system of 400 KiB."""
    mount = tmp_path / "tiny"
    mount.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=400k", "tmpfs", str(mount)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("mounting a small disk needs root")
    yield mount
    subprocess.run(["umount", str(mount)], check=True)


def test_a_real_full_disk(tiny_disk: Path) -> None:
    command = [sys.executable, "-c", FILL, str(tiny_disk)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert (done.returncode, done.stderr) == (0, "")  # no crash at exit
    n, said = done.stdout.split()
    assert int(n) > 5
    assert said == "True"
    (info,) = list_extractors(tiny_disk)
    assert (info.rows, info.problem) == (8 * int(n), None)
    assert not verify(tiny_disk)[0].faults
    assert not list(tiny_disk.rglob("*.tmp"))


@pytest.mark.parametrize("suffix", [".h5", ".npz", ".parquet"])
def test_exporting_to_a_full_disk(tiny_disk: Path, suffix: str) -> None:
    if suffix == ".parquet":
        pytest.importorskip("pyarrow")
    X = np.random.default_rng(0).normal(size=(500, 512)).astype(np.float32)
    with pytest.raises(StoreError, match=r"out\S+: No space left on device \(ENOSPC\)"):
        export_arrays(tiny_disk / f"out{suffix}", X, None, [str(i) for i in range(500)])
    assert list(tiny_disk.iterdir()) == []


# --- flipped bits and truncations ---------------------------------------------------------------


def silent_damage(folder: Path, path: Path, original: bytes, damaged: bytes) -> bool:
    """Whether a store with this damage gives other rows than were added without naming it."""
    path.write_bytes(damaged)
    try:
        return content(EmbeddingStore.open(folder.parent, SPEC)) != as_content(
            HASHES, EMBEDDINGS, PIXELS
        )
    except StoreError as error:
        helpful = path.name in error.message and "featx cache verify --repair" in str(error.hint)
        return isinstance(error, CorruptStoreError) and not helpful
    finally:
        path.write_bytes(original)


def damages(data: bytes, seed: int) -> Iterator[bytes]:
    """A flipped bit in every byte, many lengths, zeroed stretches, something appended."""
    rng = random.Random(seed)
    for position in range(len(data)):
        flipped = bytearray(data)
        flipped[position] ^= 1 << rng.randrange(8)
        yield bytes(flipped)
    for length in sorted({0, 1, 511, 512, *range(0, len(data), 37), len(data) - 1}):
        yield data[:length]
        yield data[:length].ljust(len(data), b"\0")
    yield data + b"\0"
    yield data + data


def target(folder: Path, kind: str) -> Path:
    return shard_files(folder)[0] if kind == "shard" else folder / kind


@pytest.mark.parametrize("kind", ["shard", "index.json", "extractor.json"])
def test_damage_is_never_silent(folder: Path, kind: str) -> None:
    path = target(folder, kind)
    original = path.read_bytes()
    tried = [damaged for damaged in damages(original, seed=1) if damaged != original]
    assert len(tried) > 300
    assert not [d for d in tried if silent_damage(folder, path, original, d)]


def test_without_its_digests_the_store_fails_the_bit_flips(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Agreeable(str):
        __hash__ = str.__hash__

        def __eq__(self, other: object) -> bool:
            return True

        def __ne__(self, other: object) -> bool:
            return False

    class Digest:
        def __init__(self, data: bytes) -> None:
            pass

        def hexdigest(self) -> str:
            return Agreeable("0" * 64)

    class Blind:
        sha256 = Digest

    path = target(folder, "shard")
    original = path.read_bytes()
    monkeypatch.setattr(featx.store.shard, "hashlib", Blind)
    tried = list(damages(original, seed=1))[::-1]  # the embeddings lie at the end
    assert any(silent_damage(folder, path, original, damaged) for damaged in tried)


@pytest.mark.parametrize("kind", ["shard", "index.json", "extractor.json"])
def test_what_is_missing_is_never_silent(folder: Path, kind: str) -> None:
    target(folder, kind).unlink()
    if kind == "shard":
        with pytest.raises(CorruptStoreError, match="it is gone, but the index names it"):
            EmbeddingStore.open(folder.parent, SPEC)
        return
    store = EmbeddingStore.open(folder.parent, SPEC)  # no index: nothing was ever committed
    assert len(store) == (6 if kind == "extractor.json" else 0)
    store.add(HASHES, EMBEDDINGS, PIXELS)
    assert (folder / kind).exists()  # written again
    assert content(EmbeddingStore.open_folder(folder)) == as_content(HASHES, EMBEDDINGS, PIXELS)


def test_a_shard_that_changes_after_it_was_verified(folder: Path) -> None:
    store = EmbeddingStore.open(folder.parent, SPEC)
    store.gather(HASHES)
    path = folder / "shards" / store.shards[0].name
    data = bytearray(path.read_bytes())
    data[-10] ^= 1
    path.write_bytes(bytes(data))
    os.utime(path, (1, 1))
    with pytest.raises(CorruptStoreError, match=path.name):
        store.gather(HASHES)


# --- repair -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["shard", "index.json", "extractor.json"])
@pytest.mark.parametrize("how", ["flip", "truncate", "garbage"])
def test_repair_keeps_every_row_that_is_whole(folder: Path, kind: str, how: str) -> None:
    path = target(folder, kind)
    data = path.read_bytes()
    middle = len(data) // 2
    path.write_bytes(
        {
            "flip": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :],
            "truncate": data[:middle],
            "garbage": b"\x80\x04pickled",
        }[how]
    )
    (found,) = verify(folder.parent)
    assert [Path(fault.file).name for fault in found.faults] == [path.name]
    assert not found.repaired
    (repaired,) = verify(folder.parent, repair=True)
    assert repaired.repaired
    assert sum(fault.rows_lost for fault in repaired.faults) == (3 if kind == "shard" else 0)
    store = EmbeddingStore.open(folder.parent, SPEC)
    assert len(store) == (3 if kind == "shard" else 6)
    assert content(store).items() <= as_content(HASHES, EMBEDDINGS, PIXELS).items()
    store.add(HASHES, EMBEDDINGS, PIXELS)
    assert content(EmbeddingStore.open(folder.parent, SPEC)) == as_content(
        HASHES, EMBEDDINGS, PIXELS
    )
    assert not any(one.faults for one in verify(folder.parent))


def test_repair_leaves_a_newer_format_alone(folder: Path) -> None:
    for name in ("index.json", "extractor.json"):
        path = folder / name
        path.write_text(path.read_text().replace('"format_version": ', '"format_version": 3'))
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    with pytest.raises(
        StoreError, match=r"format version 3[12]; this featx reads up to [12].*\n.*pip"
    ):
        EmbeddingStore.open(folder.parent, SPEC)
    (found,) = verify(folder.parent, repair=True)
    assert not found.repaired
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_damaged_extractor_is_listed_with_its_problem(folder: Path) -> None:
    shard_files(folder)[0].write_bytes(b"")
    (info,) = list_extractors(folder.parent)
    assert info.name == folder.name
    assert "0 bytes instead of" in str(info.problem)


@pytest.mark.parametrize("code", [errno.EMFILE, errno.EACCES, errno.ESTALE])
@pytest.mark.parametrize("index_too", [False, True])
def test_repair_drops_nothing_over_a_passing_trouble(
    folder: Path, monkeypatch: pytest.MonkeyPatch, code: int, index_too: bool
) -> None:
    """Too many open files or no permission say nothing about a shard."""
    real = os.open

    def troubled(path: str, *rest: int, **named: int) -> int:
        if str(path).endswith(".h5"):
            raise OSError(code, os.strerror(code), path)
        return real(path, *rest, **named)

    if index_too:
        (folder / "index.json").write_bytes(b"{}")
    monkeypatch.setattr(os, "open", troubled)
    if index_too:
        with pytest.raises(StoreError, match=errno.errorcode[code]):
            verify(folder.parent, repair=True)
    else:
        (found,) = verify(folder.parent, repair=True)
        assert len(found.faults) == 2
        assert not found.repaired
    monkeypatch.undo()
    verify(folder.parent, repair=True)
    assert content(EmbeddingStore.open(folder.parent, SPEC)) == as_content(
        HASHES, EMBEDDINGS, PIXELS
    )
