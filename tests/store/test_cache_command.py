"""``featx cache`` as people use it: exact output and exit codes; what it exports."""

from __future__ import annotations

import hashlib
import json
import os
import time
from pathlib import Path

import h5py
import numpy as np
import pytest
from PIL import Image
from store_lab import SPEC, make_rows, shard_files

from featx.cli.main import main
from featx.errors import StoreError, UnknownNameError, UsageError
from featx.store import EmbeddingStore
from featx.store.cleaning import gc
from featx.store.export import export_arrays
from featx.store.listing import find_extractor
from featx.types import ExtractorSpec

HASHES, EMBEDDINGS = make_rows(6)
NAME = SPEC.folder


@pytest.fixture
def cache(tmp_path: Path) -> Path:
    """A cache with one extractor of two shards."""
    store = EmbeddingStore.open(tmp_path / "cache", SPEC)
    store.add(HASHES[:3], EMBEDDINGS[:3])
    store.add(HASHES[3:], EMBEDDINGS[3:])
    return tmp_path / "cache"


@pytest.fixture
def featx(capfd: pytest.CaptureFixture[str]):  # type: ignore[no-untyped-def]
    """Run the command line; gives exit code, stdout, stderr."""

    def run(*arguments: object) -> tuple[int, str, str]:
        with pytest.raises(SystemExit) as end:
            main([str(argument) for argument in arguments])
        said = capfd.readouterr()
        return int(end.value.code or 0), said.out, said.err

    return run


def lines(text: str) -> list[list[str]]:
    return [line.split() for line in text.splitlines()]


def test_ls(cache: Path, featx) -> None:  # type: ignore[no-untyped-def]
    code, out, err = featx("cache", "ls", "--cache", cache)
    assert (code, err) == (0, "")
    head, columns, _, row = lines(out)
    assert head == ["1", "extractors", "in", str(cache)]
    assert columns == ["extractor", "backbone", "features", "rows", "shards", "MiB"]
    assert row[:5] == [NAME, "lab:net", "4", "6", "2"]


def test_ls_json(cache: Path, featx) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = featx("cache", "ls", "--json", "--cache", cache)
    assert code == 0
    size = sum(path.stat().st_size for path in shard_files(cache / NAME))
    assert json.loads(out) == [
        {
            "name": NAME,
            "backbone": "lab:net",
            "fingerprint": SPEC.fingerprint,
            "n_features": 4,
            "rows": 6,
            "shards": 2,
            "size_bytes": size,
            "problem": None,
        }
    ]


def test_an_empty_cache(tmp_path: Path, featx) -> None:  # type: ignore[no-untyped-def]
    (tmp_path / "holiday").mkdir()
    for command in ("ls", "verify", "compact", "gc"):
        assert featx("cache", command, "--cache", tmp_path)[0] == 0
        assert featx("cache", command, "--cache", tmp_path / "absent")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["holiday"]


def test_verify_and_repair(cache: Path, featx) -> None:  # type: ignore[no-untyped-def]
    assert featx("cache", "verify", "--cache", cache)[0] == 0
    bad = shard_files(cache / NAME)[0]
    bad.write_bytes(bad.read_bytes()[:-1])
    code, _, err = featx("cache", "verify", "--cache", cache)
    assert code == 1
    assert f"Warning: {bad} is not what was written: " in err
    assert "3 rows are damaged. Drop them with: featx cache verify --repair" in err
    code, out, _ = featx("cache", "verify", "--json", "--cache", cache)
    assert code == 1
    (found,) = json.loads(out)
    assert (found["shards"], found["rows"], found["repaired"]) == (1, 3, False)
    assert found["faults"][0]["file"] == f"shards/{bad.name}"
    code, _, err = featx("cache", "verify", "--repair", "--cache", cache)
    assert code == 0
    assert "Dropped what is damaged; 3 rows will be computed again by extract." in err
    assert not bad.exists()
    code, out, err = featx("cache", "verify", "--cache", cache)
    assert (code, err, lines(out)[-1]) == (0, "", [NAME, "1", "3", "0"])


def test_compact(cache: Path, featx) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = featx("cache", "compact", "--json", "--cache", cache)
    assert (code, json.loads(out)) == (0, {NAME: {"shards_before": 2, "shards_after": 1}})
    EmbeddingStore.open(cache, SPEC).add(*make_rows(1, seed=7))
    code, out, err = featx("cache", "compact", "--cache", cache)
    assert (code, err, lines(out)[-1]) == (0, "", [NAME, "2", "1"])
    assert len(shard_files(cache / NAME)) == 1


def leave_behind(cache: Path) -> tuple[list[Path], list[Path]]:
    """What interrupted runs leave, and what is none of featx's business."""
    folder = cache / NAME
    ours = [
        folder / "shards" / ("0" * 32 + "-00000000.h5"),
        folder / "shards" / (".x.h5.123.0a1b2c3d.tmp"),
        folder / ".index.json.123.0a1b2c3d.tmp",
    ]
    others = [
        folder / "shards" / "mine.h5",
        folder / "notes.txt",
        folder / "shards" / ("0" * 32 + "-00000000.h5.bak"),
        folder / ".index.json.tmp",
        cache / "readme",
    ]
    for path in (*ours, *others):
        path.write_bytes(b"12345")
    linked = folder / "shards" / ("1" * 32 + "-00000000.h5")
    linked.symlink_to(others[0])
    return ours, [*others, linked]


def test_gc(cache: Path, featx) -> None:  # type: ignore[no-untyped-def]
    listed = shard_files(cache / NAME)
    ours, others = leave_behind(cache)
    code, out, err = featx("cache", "gc", "--cache", cache)
    assert (code, out, err) == (0, "", "Removed 0 files, 0.0 MiB.\n")  # too young
    code, out, _ = featx("cache", "gc", "--json", "--older-than", 0, "--dry-run", "--cache", cache)
    assert code == 0
    assert [removal["size_bytes"] for removal in json.loads(out)["removed"]] == [5, 5, 5]
    for path in ours:
        os.utime(path, (time.time() - 3 * 3600,) * 2)
    code, out, err = featx("cache", "gc", "--older-than", 4, "--cache", cache)
    assert (code, out) == (0, "")
    code, out, err = featx("cache", "gc", "--dry-run", "--cache", cache)
    assert (code, err) == (0, "Would remove 3 files, 0.0 MiB.\n")
    assert sorted(out.splitlines()) == sorted(map(str, ours))
    assert all(path.exists() for path in ours)
    code, again, err = featx("cache", "gc", "--cache", cache)
    assert (code, again, err) == (0, out, "Removed 3 files, 0.0 MiB.\n")
    assert not any(path.exists() for path in ours)
    assert all(path.is_symlink() or path.exists() for path in others)
    assert all(path.exists() for path in listed)


def test_gc_of_an_extractor(cache: Path, featx) -> None:  # type: ignore[no-untyped-def]
    code, out, _ = featx("cache", "gc", "--extractor", "lab:net", "--dry-run", "--cache", cache)
    assert (code, len(out.splitlines())) == (0, 4)
    assert len(EmbeddingStore.open(cache, SPEC)) == 6
    assert featx("cache", "gc", "--extractor", NAME, "--cache", cache)[0] == 0
    assert list(cache.iterdir()) == []


def test_gc_of_an_extractor_leaves_what_is_not_ours(
    cache: Path,
    featx,  # type: ignore[no-untyped-def]
) -> None:
    _, others = leave_behind(cache)
    code, _, err = featx("cache", "gc", "--extractor", NAME, "--cache", cache)
    assert code == 0
    assert f"Warning: {NAME}: left, because featx did not write it: " in err
    assert all(path.is_symlink() or path.exists() for path in others)
    assert not (cache / NAME / "index.json").exists()


def test_gc_deletes_nothing_without_a_readable_index(cache: Path) -> None:
    (cache / NAME / "index.json").write_bytes(b"{}")
    done = gc(cache, older_than_s=-1)
    assert done.removed == []
    assert "index.json" in done.skipped[NAME]
    assert len(shard_files(cache / NAME)) == 2


def test_naming_an_extractor(cache: Path, featx) -> None:  # type: ignore[no-untyped-def]
    other = ExtractorSpec({**SPEC.document, "weights": "cd" * 32})
    EmbeddingStore.open(cache, other).add(HASHES, EMBEDDINGS)
    for name in (NAME, NAME[:-2]):
        assert find_extractor(cache, name) == cache / NAME
    for name in ("lab:net", "lab-net", "", "nothing"):
        with pytest.raises(UnknownNameError, match=f"Choose from: .*{NAME}"):
            find_extractor(cache, name)
    code, _, err = featx("cache", "gc", "--extractor", "lab-nett", "--cache", cache)
    assert code == 2
    assert err.startswith("Error: Unknown extractor 'lab-nett'. Choose from: ")


# --- export -------------------------------------------------------------------------------------


def read_export(path: Path) -> dict[str, np.ndarray]:
    """Read one of the three formats with what other tools would use."""
    if path.suffix == ".npz":
        with np.load(path, allow_pickle=False) as file:
            return dict(file)
    if path.suffix == ".h5":
        with h5py.File(path, "r") as file:
            read = {k: v.asstr()[()] if v.dtype.kind == "S" else v[()] for k, v in file.items()}
            return {k: np.asarray(v) for k, v in read.items()}
    parquet = pytest.importorskip("pyarrow.parquet")
    table = parquet.read_table(path)
    read = {name: np.array(table[name].to_pylist()) for name in table.column_names}
    return {**read, "X": read["X"].astype(np.float32)}


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet"])
def test_export_of_a_whole_store(cache: Path, tmp_path: Path, featx, suffix: str) -> None:  # type: ignore[no-untyped-def]
    output = tmp_path / f"all{suffix}"
    arguments = ("cache", "export", "lab:net", "-o", output, "--cache", cache)
    code, out, err = featx(*arguments)
    assert (code, out, err) == (0, "", f"{output}: X is 6 × 4.\n")
    found = read_export(output)
    np.testing.assert_array_equal(found["X"], EMBEDDINGS)
    expected = [row.tobytes().hex() for row in HASHES]
    assert found["ids"].tolist() == found["sha256"].tolist() == expected
    assert "y" not in found
    code, _, err = featx(*arguments)
    assert code == 2
    exists = f"The output {str(output)!r} exists already"
    assert err == f"Error: {exists}.\nChoose another name, or --overwrite.\n"
    assert featx(*arguments, "--overwrite")[0] == 0
    output.write_bytes(b"mine")
    code, _, err = featx(*arguments, "--overwrite")
    assert (code, err.splitlines()[0]) == (
        2, f"Error: {exists} and is not embeddings that featx wrote; it is not replaced."
    )  # fmt: skip


@pytest.mark.parametrize("suffix", [".npz", ".h5", ".parquet"])
def test_export_along_a_data_set(cache: Path, tmp_path: Path, featx, suffix: str) -> None:  # type: ignore[no-untyped-def]
    """Rows in the order of the data set, copies included, images without a row left out."""
    store, expected = EmbeddingStore.open(cache, SPEC), {}
    for number, name in enumerate(["b/2.png", "a/1.png", "a/new.png", "b/copy of 1.png"]):
        path = tmp_path / "photos" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 4), (0 if "1" in name else number + 9, 0, 0)).save(path)
        if "new" not in name:
            digest = hashlib.sha256(path.read_bytes()).digest()
            first = name if "1" in name else None
            row = EMBEDDINGS[0] + (0 if first else number)
            store.add(np.frombuffer(digest, np.uint8)[None].copy(), row[None])
            expected[name] = store.gather(np.frombuffer(digest, np.uint8)[None])[0]
    output = tmp_path / f"aligned{suffix}"
    arguments = ("cache", "export", NAME, "-o", output, "--cache", cache)
    code, _, err = featx(*arguments, "--dataset", tmp_path / "photos")
    assert code == 0
    assert "1 image has no embedding and is left out." in err
    found = read_export(output)
    assert found["ids"].tolist() == ["a/1.png", "b/2.png", "b/copy of 1.png"]
    assert found["y"].tolist() == ["a", "b", "b"]
    np.testing.assert_array_equal(found["X"], [expected[name] for name in found["ids"]])


def test_export_refusals(cache: Path, tmp_path: Path, featx) -> None:  # type: ignore[no-untyped-def]
    def refused(output: str, *more: object) -> tuple[int, str]:
        code, _, err = featx("cache", "export", NAME, "-o", output, "--cache", cache, *more)
        return code, err

    code, err = refused(str(tmp_path / "x.csv"))
    assert code == 2
    assert "must end in one of .h5, .npz, .parquet" in err
    (tmp_path / "file").touch()
    code, err = refused(str(tmp_path / "file" / "x.npz"))
    assert code == 2
    assert f"cannot be written: '{tmp_path / 'file'}' is a file." in err
    code, err = refused(str(tmp_path / "x.npz"), "--label-column", "label")
    assert code == 2
    assert "dataset: this key is required" in err
    Image.new("RGB", (2, 2)).save(tmp_path / "stranger.png")
    code, err = refused(str(tmp_path / "x.npz"), "--dataset", tmp_path / "stranger.png")
    assert code == 1
    assert "None of the 1 images" in err
    assert "Extract them first" in err


def test_export_keeps_names_that_are_not_utf8(tmp_path: Path) -> None:
    ids = ["plain", os.fsdecode(b"caf\xe9.png"), "日本.png", ""]
    X = np.arange(8, dtype=np.float32).reshape(4, 2)
    export_arrays(tmp_path / "x.npz", X, None, ids)
    assert read_export(tmp_path / "x.npz")["ids"].tolist() == ids
    export_arrays(tmp_path / "x.h5", X, None, ids)
    with h5py.File(tmp_path / "x.h5", "r") as file:
        assert [os.fsdecode(name) for name in file["ids"][()]] == ids
    export_arrays(tmp_path / "x.parquet", X, None, ids)
    shown = ["plain", "caf\\xe9.png", "日本.png", ""]
    assert read_export(tmp_path / "x.parquet")["ids"].tolist() == shown


def test_export_of_misaligned_arrays(tmp_path: Path) -> None:
    X = np.zeros((2, 2), np.float32)
    with pytest.raises(StoreError, match="ids has 1 values for 2 rows"):
        export_arrays(tmp_path / "x.npz", X, None, ["a"])
    with pytest.raises(UsageError, match="must end in one of"):
        export_arrays(tmp_path / "x.mat", X, None, ["a", "b"])
    export_arrays(tmp_path / "none.h5", X[:0], [], [])
    assert read_export(tmp_path / "none.h5")["X"].shape == (0, 2)
