"""Kills and power cuts at every file operation: nothing committed is lost, nothing is wrong."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from disk_shims import KillAt, PowerLossDisk, SimulatedKill, intercept, lay_out
from store_lab import SPEC, as_content, content, make_rows, shard_files

import featx.files
import featx.store.compaction
import featx.store.store
from featx.errors import StoreError
from featx.store import EmbeddingStore
from featx.store.cleaning import gc
from featx.store.verification import verify

HASHES, EMBEDDINGS = make_rows(9)
PIXELS = np.ascontiguousarray(HASHES[:, ::2])
PARTS = [slice(0, 2), slice(2, 5), slice(5, 6), slice(4, 9)]  # the last repeats rows


@pytest.fixture(autouse=True)
def _compact_early(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the third small shard start a compaction, so that every run has one in the middle."""
    monkeypatch.setattr(featx.store.store, "AUTO_COMPACT_SHARDS", 3)


@pytest.fixture(autouse=True)
def _spare_the_real_disk(monkeypatch: pytest.MonkeyPatch) -> None:
    """The power cuts here are simulated: the machine's own disk need not be synced for them."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)


def add_everything(root: Path, committed: Callable[[int], None] = lambda rows: None) -> None:
    """The run under test: four additions with a compaction in between."""
    store = EmbeddingStore.open(root / "cache", SPEC)
    for part in PARTS:
        store.add(HASHES[part], EMBEDDINGS[part], PIXELS[part])
        committed(part.stop)


def damage_and_repair(root: Path, committed: Callable[[int], None] = lambda rows: None) -> None:
    """Another run under test: repair a damaged store, tidy it, and complete it again."""
    verify(root / "cache", repair=True)
    gc(root / "cache", older_than_s=-1)
    add_everything(root, committed)


def damaged(root: Path) -> None:
    """A store of three shards, the middle one damaged, with an orphan beside them."""
    store = EmbeddingStore.open(root / "cache", SPEC)
    for part in PARTS[:2]:
        store.add(HASHES[part], EMBEDDINGS[part], PIXELS[part])
    first = store.folder / "shards" / store.shards[0].name
    first.write_bytes(first.read_bytes()[:-1] + b"?")
    (store.folder / "shards" / ("0" * 32 + "-00000000.h5")).write_bytes(b"orphan")


def expect_intact(root: Path, rows: int) -> None:
    """The first ``rows`` rows are there, and every row there is bit for bit what was added."""
    held = content(EmbeddingStore.open(root / "cache", SPEC))
    everything = as_content(HASHES, EMBEDDINGS, PIXELS)
    missing = as_content(HASHES[:rows], EMBEDDINGS[:rows]).keys() - held.keys()
    assert not missing, f"{len(missing)} committed rows are lost"
    assert held.items() <= everything.items(), "a row is wrong"


RUNS: dict[str, tuple[Callable[[Path], None], Callable[..., None]]] = {
    "add": (lambda root: None, add_everything),
    "repair": (damaged, damage_and_repair),
}


@pytest.mark.parametrize("name", RUNS)
def test_kill_at_every_change(tmp_path: Path, name: str) -> None:
    """Before each change, and in the middle of each write."""
    prepare, run = RUNS[name]
    whole = tmp_path / "whole"
    whole.mkdir()
    prepare(whole)
    changes = KillAt(10**9)
    with intercept(whole, changes):
        run(whole)
    assert len(changes.names) > 40  # the shim does see the store at work
    for k, change in enumerate(changes.names, start=1):
        for torn in (False, True) if change == "write" else (False,):
            root = tmp_path / f"{k}-{torn}"
            root.mkdir()
            prepare(root)
            kill_and_resume(root, run, KillAt(k, torn=torn))
            shutil.rmtree(root)


def kill_and_resume(root: Path, run: Callable[..., None], kill: KillAt) -> None:
    done: list[int] = []
    with pytest.raises(SimulatedKill), intercept(root, kill):
        run(root, done.append)
    if done:
        expect_intact(root, max(done))
    run(root)  # the same command again
    store = EmbeddingStore.open(root / "cache", SPEC)
    assert content(store) == as_content(HASHES, EMBEDDINGS, PIXELS)  # bit for bit
    gc(root / "cache", older_than_s=-1)
    assert [p.name for p in shard_files(store.folder)] == sorted(s.name for s in store.shards)
    assert not any(one.faults for one in verify(root / "cache"))


def power_cuts(tmp_path: Path) -> Iterator[str]:
    """Run once, then judge all that a power cut at any moment could have left; yield the faults."""
    root = tmp_path / "run"
    root.mkdir()
    disk = PowerLossDisk(root)
    disk.mark = 0

    def committed(rows: int) -> None:
        disk.mark = rows

    with intercept(root, disk):
        add_everything(root, committed)
    assert len(disk.moments) > 40  # the shim does see the store at work
    after = tmp_path / "after"
    for files, rows in disk.aftermaths():
        lay_out(files, after)
        try:
            expect_intact(after, rows)
        except (AssertionError, StoreError) as error:
            yield str(error)
        shutil.rmtree(after)


def test_power_cut_at_every_moment(tmp_path: Path) -> None:
    assert list(power_cuts(tmp_path)) == []


def forget(*arguments: Any) -> None:
    """A guard that is not there."""


@pytest.mark.parametrize("guard", ["fsync of files", "fsync of folders"])
def test_without_its_fsync_the_store_fails_the_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, guard: str
) -> None:
    if guard == "fsync of folders":
        for module in (featx.files, featx.store.store, featx.store.compaction):
            monkeypatch.setattr(module, "fsync_directory", forget)
        monkeypatch.setattr(featx.store.extractor, "fsync_directory", forget)
    else:
        real = PowerLossDisk.__call__

        def without(self: PowerLossDisk, name: str, arguments: Any, call: Any) -> Any:
            is_file = name == "fsync" and Path(arguments[0]).suffix
            return None if is_file else real(self, name, arguments, call)

        monkeypatch.setattr(PowerLossDisk, "__call__", without)
    assert any(power_cuts(tmp_path))


def test_deleting_before_committing_fails_the_power_cut(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A compaction that removes the old shards before the new index is durable."""
    real = featx.store.compaction.write_index

    def hasty(folder: Path, index: Any) -> None:
        for path in shard_files(folder):
            if path.name not in {shard.name for shard in index.shards}:
                path.unlink()
        real(folder, index)

    monkeypatch.setattr(featx.store.compaction, "write_index", hasty)
    assert any(power_cuts(tmp_path))


def lost_after_taking_over(tmp_path: Path) -> Iterator[int]:
    """Kill one process at every change; let another finish its work; then cut the power.

    The second process finds rows there that the first never saw synced, and still promises them.
    Yields how many of the promised rows each aftermath lacks.
    """
    k = 0
    while True:
        k += 1
        root = tmp_path / str(k)
        root.mkdir()
        disk, kill = PowerLossDisk(root), KillAt(k)

        def both(name: str, arguments: Any, call: Any, disk: Any = disk, kill: Any = kill) -> Any:
            return kill(name, arguments, lambda: None) or disk(name, arguments, call)

        try:
            with intercept(root, both):
                add_everything(root)
        except SimulatedKill:
            pass
        else:
            return
        with intercept(root, disk):
            EmbeddingStore.open(root / "cache", SPEC).add(HASHES, EMBEDDINGS, PIXELS)
        disk.moments = disk.moments[-1:]
        for files, _ in disk.aftermaths():
            lay_out(files, tmp_path / "after")
            held = EmbeddingStore.open(tmp_path / "after" / "cache", SPEC)
            yield int((~held.contains(HASHES)).sum())
            shutil.rmtree(tmp_path / "after")


def test_rows_of_a_killed_process_are_not_promised_unsynced(tmp_path: Path) -> None:
    lost = list(lost_after_taking_over(tmp_path))
    assert len(lost) > 40
    assert set(lost) == {0}


def test_without_syncing_what_others_left_rows_are_lost(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(featx.store.store, "fsync_directory", forget)
    assert any(lost_after_taking_over(tmp_path))
