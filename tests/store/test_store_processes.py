"""Real processes on one cache: writers that race, readers among them, kill -9 in the middle."""

from __future__ import annotations

import contextlib
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from store_lab import SPEC, as_content, content, make_rows, shard_files

import featx.store.lock
import featx.store.store
from featx.errors import StoreLockedError
from featx.store import EmbeddingStore
from featx.store.cleaning import gc
from featx.store.compaction import compact
from featx.store.verification import verify

N = 240
WRITER = """
import sys
sys.path.insert(0, sys.argv[2])
import featx.store.store
from store_lab import SPEC, make_rows
featx.store.store.AUTO_COMPACT_SHARDS = 6
hashes, embeddings = make_rows(int(sys.argv[5]))
store = featx.store.store.EmbeddingStore.open(sys.argv[1], SPEC)
for start in range(int(sys.argv[3]), len(hashes), int(sys.argv[4])):
    part = slice(start, start + 4)
    store.add(hashes[part], embeddings[part])
    print(start, flush=True)
"""


def start_writer(cache: Path, first: int, step: int) -> subprocess.Popen[str]:
    lab = str(Path(__file__).parent)
    command = [sys.executable, "-c", WRITER, str(cache), lab, str(first), str(step), str(N)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)


def test_two_writers_and_a_reader_lose_nothing(tmp_path: Path) -> None:
    """The writers' parts overlap, and both merge shards while the other and a reader work."""
    hashes, embeddings = make_rows(N)
    writers = [start_writer(tmp_path, first, 3) for first in (0, 1)]
    reader, reads = EmbeddingStore.open(tmp_path, SPEC), 0
    while any(writer.poll() is None for writer in writers):
        reader.refresh()
        known = reader.contains(hashes)
        np.testing.assert_array_equal(reader.gather(hashes[known]), embeddings[known])
        reads += 1
        time.sleep(0.005)
    for writer in writers:
        assert writer.communicate()[1] == ""
        assert writer.returncode == 0
    assert reads > 5
    store = EmbeddingStore.open(tmp_path, SPEC)
    assert content(store) == as_content(hashes, embeddings)
    assert not verify(tmp_path)[0].faults
    assert compact(tmp_path)[store.folder.name].shards_after == 1
    assert len(shard_files(store.folder)) == 1


def test_kill_minus_nine_loses_nothing_committed(tmp_path: Path) -> None:
    hashes, embeddings = make_rows(N)
    everything = as_content(hashes, embeddings)
    rng, committed = random.Random(0), set()
    for _ in range(4):
        writer = start_writer(tmp_path, 0, 4)
        assert writer.stdout is not None
        committed.add(int(writer.stdout.readline()))  # it has begun
        time.sleep(rng.uniform(0, 0.15))
        writer.send_signal(signal.SIGKILL)
        committed |= {int(line) for line in writer.communicate()[0].splitlines()}
        held = content(EmbeddingStore.open(tmp_path, SPEC))
        for start in committed:
            part = as_content(hashes[start : start + 4], embeddings[start : start + 4])
            assert part.items() <= held.items()
        assert held.items() <= everything.items()
    writer = start_writer(tmp_path, 0, 4)
    assert writer.wait(600) == 0
    writer.communicate()
    assert content(EmbeddingStore.open(tmp_path, SPEC)) == everything
    assert not verify(tmp_path)[0].faults
    gc(tmp_path, older_than_s=-1)
    store = EmbeddingStore.open(tmp_path, SPEC)
    assert [p.name for p in shard_files(store.folder)] == sorted(s.name for s in store.shards)


@pytest.mark.parametrize("locked", [True, False])
def test_only_the_lock_keeps_a_commit_from_being_overwritten(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locked: bool
) -> None:
    """A second writer comes exactly between another's reading of the index and its writing."""
    hashes, embeddings = make_rows(2)
    one, other = EmbeddingStore.open(tmp_path, SPEC), EmbeddingStore.open(tmp_path, SPEC)
    real, outcome = featx.store.store.current_index, []

    def interrupted(reader):  # type: ignore[no-untyped-def]
        index = real(reader)
        monkeypatch.setattr(featx.store.store, "current_index", real)
        try:
            other.add(hashes[1:], embeddings[1:])
        except StoreLockedError as error:
            outcome.append(error)
        return index

    monkeypatch.setattr(featx.store.lock, "LOCK_TIMEOUT_S", 0.05)
    if not locked:
        monkeypatch.setattr(
            featx.store.store, "committer_lock", lambda folder: contextlib.nullcontext()
        )
    monkeypatch.setattr(featx.store.store, "current_index", interrupted)
    one.add(hashes[:1], embeddings[:1])
    held = len(EmbeddingStore.open(tmp_path, SPEC))
    assert held + len(outcome) == (2 if locked else 1)  # without the lock a row is lost
