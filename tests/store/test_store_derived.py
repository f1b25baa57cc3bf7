"""What is derived may be lost, old or damaged at any time: the answers are the same."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from disk_shims import (
    FullDisk,
    KillAt,
    PowerLossDisk,
    ReadOnlyDisk,
    SimulatedKill,
    intercept,
    lay_out,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from store_lab import SPEC, WIDTH, as_content, content, make_rows, shard_files

import featx.store.lock
import featx.store.lookup_build
import featx.store.lookup_file
import featx.store.partial
import featx.store.rows
import featx.store.shard
import featx.store.store
from featx.errors import CorruptStoreError
from featx.store import EmbeddingStore
from featx.store.cleaning import gc
from featx.store.in_order import find_in_order
from featx.store.lock import committer_lock
from featx.store.lookup_file import open_lookups, write_lookup
from featx.store.records import make_records
from featx.store.verification import verify
from featx.types import ExtractorSpec

GOLDEN = Path(__file__).parent / "golden-v1"
ROWS = 1500
HASHES, EMBEDDINGS = make_rows(ROWS)
UNKNOWN = HASHES[:, :16] & 0


@pytest.fixture(autouse=True)
def _derive_for_small_stores_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(featx.store.partial, "MIN_BYTES", 1)
    monkeypatch.setattr(featx.store.rows, "MIN_ROWS", 0)
    monkeypatch.setattr(featx.store.rows, "_MANY", 32)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An extractor's folder with three shards, a lookup of all of them, and sums of each."""
    store = EmbeddingStore.open(tmp_path / "cache", SPEC)
    for part in np.array_split(np.arange(ROWS), 3):
        store.add(HASHES[part], EMBEDDINGS[part])
    return store.folder


def derived(folder: Path, kind: str) -> Path:
    """The lookup, or the sums of the first shard's pages."""
    pages = featx.store.partial.pages_path(folder, shard_files(folder)[0].name)
    return lookup_files(folder)[0] if kind == "lookup" else pages


def lookup_files(folder: Path) -> list[Path]:
    """The largest first."""
    return sorted((folder / "derived").glob("*.lookup"), key=lambda path: -path.stat().st_size)


def expect_all(folder: Path, *, n_rows: int = ROWS) -> None:
    """A fresh reader finds every row, in any order, and nothing else."""
    hashes, embeddings = HASHES[:n_rows], EMBEDDINGS[:n_rows]
    store = EmbeddingStore.open_folder(folder)
    strangers = make_rows(5, seed=8)[0]
    assert not store.contains(strangers).any()
    assert store.contains(hashes).all()
    assert len(store) == n_rows
    rng = np.random.default_rng(0)
    for asked in (rng.permutation(n_rows), rng.integers(0, n_rows, 3), np.arange(n_rows)):
        np.testing.assert_array_equal(store.gather(hashes[asked]), embeddings[asked])
    assert content(store) == as_content(hashes, embeddings)


def test_the_lookup_covers_what_was_added(folder: Path) -> None:
    expect_all(folder)
    (lookup,) = open_lookups(folder, SPEC.fingerprint)
    assert sum(shard.rows for shard in lookup.shards) == lookup.n_distinct == ROWS
    assert len(list((folder / "derived").glob("*.pages"))) == 3


# --- lost, old, damaged -------------------------------------------------------------------------

DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "empty": lambda data: b"",
    "garbage": lambda data: b"\x80\x04pickled",
    "zeros": lambda data: bytes(len(data)),
    "truncated": lambda data: data[: len(data) // 2],
    "a byte short": lambda data: data[:-1],
    "a byte long": lambda data: data + b"\0",
    "twice": lambda data: data + data,
    "shifted": lambda data: data[1:] + data[:1],
}


@pytest.mark.parametrize("kind", ["lookup", "pages"])
@pytest.mark.parametrize("how", ["lost", "link", "folder", *DAMAGE])
def test_damage_changes_no_answer_and_is_mended(folder: Path, kind: str, how: str) -> None:
    path = derived(folder, kind)
    original = path.read_bytes()
    path.unlink()
    if how == "link":
        (folder / "elsewhere").write_bytes(original)
        path.symlink_to(folder / "elsewhere")
    elif how == "folder":
        path.mkdir()
    elif how != "lost":
        path.write_bytes(DAMAGE[how](original))
    expect_all(folder)
    if how != "folder":
        made = derived(folder, kind)
        assert made.is_file()
        assert not made.is_symlink()
        assert len(made.read_bytes()) == len(original)  # made anew
        assert len(lookup_files(folder)) == 1
    assert not any(one.faults for one in verify(folder.parent))


@pytest.mark.parametrize("kind", ["lookup", "pages"])
def test_no_flipped_bit_changes_an_answer(folder: Path, kind: str) -> None:
    path = derived(folder, kind)
    original = path.read_bytes()
    positions = {*range(0, len(original), 997 if kind == "lookup" else 3), *range(-60, 0)}
    one = np.array([3, 700, 1400])
    for position in positions:
        flipped = bytearray(original)
        flipped[position] ^= 1 << position % 8
        shutil.rmtree(folder / "derived")
        path.parent.mkdir()
        path.write_bytes(flipped)
        store = EmbeddingStore.open_folder(folder)
        np.testing.assert_array_equal(store.gather(HASHES[one]), EMBEDDINGS[one])
        assert store.contains(HASHES).all()
    expect_all(folder)


@pytest.mark.parametrize("n_missed", [1, 2, 3])
def test_an_old_lookup_is_right_about_what_it_covers(folder: Path, n_missed: int) -> None:
    """Put back after more was added, and after what it covers was merged."""
    lookup = derived(folder, "lookup")
    old = lookup.read_bytes()
    store = EmbeddingStore.open_folder(folder)
    more, embeddings = make_rows(40 * n_missed, seed=5)
    for start in range(0, len(more), 40):
        store.add(more[start : start + 40], embeddings[start : start + 40])
    everything = as_content(HASHES, EMBEDDINGS) | as_content(more, embeddings)
    for _ in range(2):
        shutil.rmtree(folder / "derived")
        lookup.parent.mkdir()
        lookup.write_bytes(old)
        opened = EmbeddingStore.open_folder(folder)
        assert len(opened) == ROWS + len(more)
        assert content(opened) == everything
        np.testing.assert_array_equal(opened.gather(more[::-1]), embeddings[::-1])
        store.compact()


def test_another_extractors_lookup_is_not_used(folder: Path) -> None:
    other = ExtractorSpec({**SPEC.document, "weights": "cd" * 32})
    store = EmbeddingStore.open(folder.parent, other)
    store.add(HASHES[::-1].copy(), EMBEDDINGS)
    shutil.copy(derived(store.folder, "lookup"), derived(folder, "lookup"))
    expect_all(folder)


def test_a_lookup_that_goes_bad_while_open(folder: Path) -> None:
    store = EmbeddingStore.open_folder(folder)
    with derived(folder, "lookup").open("r+b") as file:  # the same file, under the open reader
        file.write(bytes(4096 * 15))
    assert store.contains(HASHES).all()
    np.testing.assert_array_equal(store.gather(HASHES[7:9]), EMBEDDINGS[7:9])
    expect_all(folder)


def test_while_another_process_makes_the_lookup_memory_will_do(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(folder / "derived")
    (folder / "derived").mkdir()
    with committer_lock(folder / "derived"):
        expect_all(folder)
        assert not lookup_files(folder)
        monkeypatch.setattr(featx.store.rows, "_WAIT_ROWS", 0)  # now it would be worth waiting
        monkeypatch.setattr(featx.store.lock, "LOCK_TIMEOUT_S", 0.05)
        assert EmbeddingStore.open_folder(folder).contains(HASHES).all()
    expect_all(folder)
    assert len(lookup_files(folder)) == 1


def test_a_disk_that_garbles_every_lookup(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Made anew, bad again: memory will do."""
    derived(folder, "lookup").unlink()
    real = featx.store.lookup_file.page_sums
    garbled = []

    def page_sums(data: bytes) -> np.ndarray:
        garbled.append(len(data))
        return real(data) ^ 1

    monkeypatch.setattr(featx.store.lookup_file, "page_sums", page_sums)
    expect_all(folder)
    assert garbled


def test_stores_of_the_last_version_open(tmp_path: Path) -> None:
    (golden,) = [path for path in GOLDEN.iterdir() if path.is_dir()]
    folder = tmp_path / golden.name
    shutil.copytree(golden, folder)
    assert not (folder / "derived").exists()
    hashes = np.arange(5 * 32, dtype=np.uint8).reshape(5, 32)
    expected = np.arange(15, dtype=np.float32).reshape(5, 3) / 4 - 1
    for _ in range(2):  # without what is derived, and with it
        store = EmbeddingStore.open_folder(folder)
        np.testing.assert_array_equal(store.gather(hashes[[4, 0]]), expected[[4, 0]])
        assert len(lookup_files(folder)) == 1


def test_a_read_only_store_needs_nothing_derived(folder: Path) -> None:
    shutil.rmtree(folder / "derived")
    with intercept(folder, ReadOnlyDisk()):
        expect_all(folder)
    assert not (folder / "derived").exists()


def test_full_disk_at_every_write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is derived never stops what counts; nothing half-written stays."""
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    for k in range(1, 60):
        root = tmp_path / str(k)
        root.mkdir()
        disk = FullDisk(k)
        store = EmbeddingStore.open(root / "cache", SPEC)
        store.add(HASHES[:8], EMBEDDINGS[:8])
        shutil.rmtree(store.folder / "derived")
        with intercept(root / "cache", disk):
            expect_all(store.folder, n_rows=8)
            disk.freed = True
        assert not list(root.rglob("*.tmp"))
        if not disk.hits:
            break
    assert k > 5


# --- shards are still verified ------------------------------------------------------------------


def test_damage_to_a_page_that_is_read_is_an_error(folder: Path) -> None:
    shard = shard_files(folder)[0]
    original = shard.read_bytes()
    (number,) = [
        i for i, s in enumerate(EmbeddingStore.open_folder(folder).shards) if s.name == shard.name
    ]
    told = {3: 0, 500: 0}
    positions = range(0, len(original), 211)
    for position in positions:
        flipped = bytearray(original)
        flipped[position] ^= 4
        shard.write_bytes(flipped)
        for n in told:  # some of the shard's rows, and all of them
            rows = slice(500 * number, 500 * number + n)
            try:
                gathered = EmbeddingStore.open_folder(folder).gather(HASHES[rows])
            except CorruptStoreError:
                told[n] += 1
            else:
                np.testing.assert_array_equal(gathered, EMBEDDINGS[rows])
        assert verify(folder.parent)[0].faults  # this reads every byte
    assert 0 < told[3] < told[500] < len(positions)


def test_rows_of_a_shard_that_was_read_whole_are_not_verified_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = EmbeddingStore.open_folder(folder)
    checked = []
    real = featx.store.shard.read_rows

    def watching(handle, pages, *rest):  # type: ignore[no-untyped-def]
        checked.append(pages.sums is not None)
        real(handle, pages, *rest)

    monkeypatch.setattr(featx.store.shard, "read_rows", watching)
    for part in (HASHES[:100], HASHES[:500], HASHES[:100], HASHES[:500][::-1]):
        store.gather(part)
    assert checked == [True, True, False, False]
    path = folder / "shards" / store.shards[0].name
    os.utime(path, (1, 1))
    store.gather(HASHES[:1])
    assert checked[-1]


def test_a_covered_shard_that_is_gone_is_said_when_opening(folder: Path) -> None:
    shard_files(folder)[1].unlink()
    with pytest.raises(CorruptStoreError, match="it is gone, but the index names it"):
        EmbeddingStore.open_folder(folder)


def test_gathering_reads_only_what_it_needs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    width, n = 64, 4000  # 256 bytes a row: 16 to a page
    spec = ExtractorSpec({"backbone": "lab:wide", "n_features": width})
    monkeypatch.setattr(featx.store.shard, "SHARD_BYTES", 500 * (48 + 4 * width))
    hashes, embeddings = make_rows(n, width=width)
    EmbeddingStore.open(tmp_path, spec).add(hashes, embeddings)
    opened, n_bytes = [], 0
    real_open, real_pread, real_preadv = os.open, os.pread, os.preadv

    def counting_open(path, *rest, **named):  # type: ignore[no-untyped-def]
        opened.append(os.fspath(path))
        return real_open(path, *rest, **named)

    def counting_pread(*arguments):  # type: ignore[no-untyped-def]
        nonlocal n_bytes
        data = real_pread(*arguments)
        n_bytes += len(data)
        return data

    def counting_preadv(*arguments):  # type: ignore[no-untyped-def]
        nonlocal n_bytes
        n = real_preadv(*arguments)
        n_bytes += n
        return n

    monkeypatch.setattr(os, "open", counting_open)
    monkeypatch.setattr(os, "pread", counting_pread)
    monkeypatch.setattr(os, "preadv", counting_preadv)
    store = EmbeddingStore.open(tmp_path, spec)
    assert len(store.shards) == 8
    assert not [path for path in opened if path.endswith(".h5")]  # opening opens no shard
    assert n_bytes < 20_000
    opened.clear()
    n_bytes = 0
    asked = np.array([1700, 1501, 1702, 2600])  # three of the fourth shard, one of the sixth
    np.testing.assert_array_equal(store.gather(hashes[asked]), embeddings[asked])
    shards = [path for path in opened if path.endswith(".h5")]
    assert len(shards) == 2
    assert n_bytes <= len(asked) * 4 * 4096  # pages of the rows and of the lookup, and the sums


# --- finding ------------------------------------------------------------------------------------


@settings(max_examples=30)
@given(st.data())
def test_a_lookup_file_agrees_with_a_dictionary(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    """Also where hundreds of hashes share their first 8 bytes and where shards are gone."""
    folder = tmp_path_factory.mktemp("lookup")
    drawn = st.tuples(st.sampled_from([0, 1, 255]), st.integers(0, 255))
    pairs = data.draw(st.lists(drawn, max_size=400))
    cuts = sorted(data.draw(st.lists(st.integers(0, len(pairs)), max_size=3)))
    bounds = list(zip([0, *cuts], [*cuts, len(pairs)], strict=True))
    live = data.draw(st.lists(st.booleans(), min_size=len(bounds), max_size=len(bounds)))

    def as_hashes(pairs: list[tuple[int, int]]) -> np.ndarray:
        hashes = np.zeros((len(pairs), 32), np.uint8)
        hashes[:, [7, 31]] = np.array(pairs, np.uint8).reshape(-1, 2)
        return hashes

    shards = [featx.store.lookup_file.Covered(f"{a}-{b}", b - a) for a, b in bounds]
    records = make_records(as_hashes(pairs), 0)
    write_lookup(folder, "f" * 64, shards, iter([records]))
    (lookup,) = open_lookups(folder, "f" * 64)
    assert lookup.n_distinct == len(set(pairs))
    rows = [i for (a, b), alive in zip(bounds, live, strict=True) if alive for i in range(a, b)]
    first = {pairs[i]: i for i in reversed(rows)}
    wanted = [(a, b) for a in (0, 1, 2, 255) for b in range(256)]
    found = lookup.find(as_hashes(wanted), np.array(live))
    assert found.tolist() == [first.get(pair, -1) for pair in wanted]
    alive = np.concatenate([*lookup.distinct(np.array(live))])
    assert sorted(h.tobytes() for h in alive) == sorted(h.tobytes() for h in as_hashes([*first]))
    shutil.rmtree(folder)


PARTS = st.lists(st.lists(st.integers(0, 60), max_size=20), min_size=1, max_size=8)
ACTIONS = st.lists(st.sampled_from(["compact", "lose", "refresh", "none"]), max_size=8)


@settings(max_examples=40)
@given(parts=PARTS, actions=ACTIONS, run_rows=st.sampled_from([3, 2**22]), growth=st.integers(0, 4))
def test_whatever_happens_every_reader_finds_every_row(
    tmp_path_factory: pytest.TempPathFactory,
    parts: list[list[int]],
    actions: list[str],
    run_rows: int,
    growth: int,
) -> None:
    """Additions by two writers, compactions and losses; merged from one run or many."""
    cache = tmp_path_factory.mktemp("cache")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(featx.store.lookup_build, "RUN_ROWS", run_rows)
        patch.setattr(featx.store.lookup_build, "_RANGE_ROWS", 8)
        patch.setattr(featx.store.rows, "_GROWTH", growth)
        patch.setattr(featx.store.lookup_file, "_RANGE_RECORDS", 8)
        writers = [EmbeddingStore.open(cache, SPEC) for _ in range(2)]
        added: set[int] = set()
        for i, part in enumerate(parts):
            if part:  # without looking first, as racing writers may
                writers[i % 2]._commit(HASHES[part], EMBEDDINGS[part], UNKNOWN[part])
            added |= set(part)
            action = actions[i] if i < len(actions) else "none"
            if action == "compact":
                writers[i % 2].compact()
            elif action == "lose":
                shutil.rmtree(writers[0].folder / "derived", ignore_errors=True)
            elif action == "refresh":
                writers[0].refresh()
            rows = sorted(added)
            writers[1].refresh()
            for reader in (EmbeddingStore.open(cache, SPEC), writers[1]):
                assert len(reader) == len(rows)
                assert content(reader) == as_content(HASHES[rows], EMBEDDINGS[rows])
                assert reader.contains(HASHES[:61]).nonzero()[0].tolist() == rows
    shutil.rmtree(cache)


@settings(max_examples=60)
@given(
    runs=st.lists(st.tuples(st.integers(0, 190), st.integers(1, 60)), max_size=8),
    strangers=st.integers(0, 30),
)
def test_finding_in_order_is_finding(runs: list[tuple[int, int]], strangers: int) -> None:
    hashes = HASHES[:200]
    rows = {h.tobytes(): i for i, h in enumerate(hashes)}
    pieces = [HASHES[start : start + n] for start, n in runs] + [make_rows(strangers, seed=4)[0]]
    wanted = np.concatenate(pieces)
    expected = np.array([rows.get(h.tobytes(), -1) for h in wanted], np.int64)

    def find(some: np.ndarray) -> np.ndarray:
        return np.array([rows.get(h.tobytes(), -1) for h in some], np.int64)

    def block_at(row: int) -> np.ndarray:
        return hashes[row : (row // 50 + 1) * 50]  # as if a shard had 50 rows

    found = find_in_order(wanted, find, block_at)
    np.testing.assert_array_equal(found[found >= 0], expected[found >= 0])
    if len(runs) == 1 and strangers == 0 and runs[0][1] >= 16 and sum(runs[0]) <= 200:
        assert (found >= 0).sum() >= min(16, 50 - runs[0][0] % 50)


# --- crashes and cleaning -----------------------------------------------------------------------


def run_under_test(root: Path, committed: Callable[[int], None] = lambda rows: None) -> None:
    store = EmbeddingStore.open(root / "cache", SPEC)
    for stop in (2, 5, 9):
        store.add(HASHES[:stop], EMBEDDINGS[:stop])
        committed(stop)


def test_kill_at_every_change(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(featx.store.store, "AUTO_COMPACT_SHARDS", 3)
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    for k in range(1, 400):
        root = tmp_path / str(k)
        root.mkdir()
        done: list[int] = [0]
        try:
            with intercept(root, KillAt(k, torn=False)):
                run_under_test(root, done.append)
        except SimulatedKill:
            pass
        else:
            break
        folder = root / "cache" / SPEC.folder
        if folder.exists() and done[-1]:
            held = EmbeddingStore.open(root / "cache", SPEC).contains(HASHES[: done[-1]])
            assert held.all()
        run_under_test(root)
        expect_all(folder, n_rows=9)
        gc(root / "cache", older_than_s=-1)
        names = {path.name for path in (folder / "derived").iterdir()} - {"lock"}
        lookups = {path.name for path in lookup_files(folder)}
        assert 1 <= len(lookups) <= 2
        assert names == lookups | {f"{path.stem}.pages" for path in shard_files(folder)}
        shutil.rmtree(root)
    assert 80 < k < 399


def power_cuts(tmp_path: Path) -> Iterator[tuple[Path, int]]:
    root = tmp_path / "run"
    root.mkdir()
    disk = PowerLossDisk(root)
    disk.mark = 0
    with intercept(root, disk):
        run_under_test(root, lambda rows: setattr(disk, "mark", rows))
    for files, rows in disk.aftermaths():
        lay_out(files, tmp_path / "after")
        yield tmp_path / "after" / "cache" / SPEC.folder, rows
        shutil.rmtree(tmp_path / "after")


def test_power_cut_at_every_moment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "fsync", lambda handle: None)
    moments = 0
    for folder, rows in power_cuts(tmp_path):
        moments += 1
        store = EmbeddingStore.open(folder.parent, SPEC)
        assert store.contains(HASHES[:rows]).all()
        assert content(store).items() <= as_content(HASHES[:9], EMBEDDINGS[:9]).items()
    assert moments > 100


def test_gc_keeps_what_is_used(folder: Path) -> None:
    store = EmbeddingStore.open_folder(folder)
    before = {path.name for path in (folder / "derived").iterdir()}
    (folder / "derived" / f"{'0' * 32}-00000000.pages").write_bytes(b"of a shard that is gone")
    (folder / "derived" / ".0000000000000000.lookup.1.00000000.tmp").write_bytes(b"interrupted")
    (folder / "derived" / "mine").write_bytes(b"not ours")
    cleaning = gc(folder.parent, older_than_s=-1)
    assert len(cleaning.removed) == 2
    assert {path.name for path in (folder / "derived").iterdir()} == before | {"mine"}
    (folder / "derived" / "mine").unlink()
    store.compact()
    gc(folder.parent, older_than_s=-1)
    pages = {f"{path.stem}.pages" for path in shard_files(folder)}
    assert {path.name for path in (folder / "derived").glob("*.pages")} == pages
    gc(folder.parent, extractors=[folder.name])
    assert not folder.exists()


def test_repair_forgets_what_it_drops(folder: Path) -> None:
    shard = shard_files(folder)[0]
    shard.write_bytes(shard.read_bytes()[:-1] + b"?")
    verify(folder.parent, repair=True)
    assert not featx.store.partial.pages_path(folder, shard.name).exists()
    store = EmbeddingStore.open_folder(folder)
    assert len(store) == ROWS - 500
    held = store.contains(HASHES)
    assert held.sum() == ROWS - 500
    np.testing.assert_array_equal(store.gather(HASHES[held]), EMBEDDINGS[held])
    store.add(HASHES, EMBEDDINGS)
    expect_all(folder)


def test_width_of_the_lab() -> None:
    assert EMBEDDINGS.shape == (ROWS, WIDTH)
