"""Whatever gets its name is on the disk before: a power cut never leaves an empty or half file."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from outputs_lab import Written

import featx.replacing
from featx.files import atomic_path, built_files, write_atomic
from featx.formats import FORMATS, write_rows


class Disk:
    """Knows of each file and folder what was on the platter when it was last synced.

    Parameters
    ----------
    monkeypatch : MonkeyPatch
    exchange : bool
        Whether folders can be swapped in one step.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, exchange: bool = True) -> None:
        self.synced: dict[int, str] = {}
        self.named: list[Path] = []
        self.loose: list[str] = []
        monkeypatch.setattr(os, "fsync", self._fsync)
        for name in ("rename", "replace"):
            monkeypatch.setattr(os, name, self._naming(getattr(os, name)))
        swap = featx.replacing.exchange if exchange else lambda a, b: False
        monkeypatch.setattr(featx.replacing, "exchange", self._naming(swap))

    def _fsync(self, handle: int) -> None:
        path = Path(f"/proc/self/fd/{handle}").readlink()
        self.synced[os.fstat(handle).st_ino] = state(path)

    def _naming(self, real: Callable[..., Any]) -> Callable[..., Any]:
        def named(source: Any, target: Any) -> Any:
            inside = [Path(source), *Path(source).rglob("*")] if Path(source).exists() else []
            loose = [str(path) for path in inside if not self._is_safe(path)]
            done = real(source, target)
            if done is not False and not Path(target).name.startswith("."):
                self.loose += loose
                self.named.append(Path(target))
            return done

        return named

    def _is_safe(self, path: Path) -> bool:
        return path.is_symlink() or self.synced.get(path.stat().st_ino) == state(path)

    def check(self, *targets: Path) -> None:
        """All targets got their names, all in them was synced before, and the names after."""
        assert set(targets) <= set(self.named)
        assert self.loose == []
        for folder in {target.parent for target in targets}:
            assert self._is_safe(folder), f"the names in {folder} are not synced"


def state(path: Path) -> str:
    """Of a file its bytes, of a folder its names; hidden ones come and go."""
    if path.is_dir():
        return repr(sorted(p.name for p in path.iterdir() if not p.name.startswith(".")))
    return hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.parametrize("ending", FORMATS.names())
def test_a_table_of_every_format(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, ending: str
) -> None:
    target = tmp_path / f"t.{ending}"
    for rows in ([["a", 1], ["b", 2]], [["c", 3]]):
        disk = Disk(monkeypatch)
        write_rows(target, ["x", "y"], rows, overwrite=True)
        disk.check(target)


def test_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    (tmp_path / "other").mkdir()
    write_atomic(tmp_path / "a", b"a")
    with atomic_path(tmp_path / "other" / "b") as temporary:
        temporary.write_bytes(b"b")
    disk.check(tmp_path / "a", tmp_path / "other" / "b")


def test_files_that_are_built_together(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk = Disk(monkeypatch)
    (tmp_path / "n.xml").write_text("old")
    with pytest.raises(FileNotFoundError), built_files(tmp_path, ["n.xml", "n.bin"]) as scratch:
        (scratch / "n.xml").write_text("without its weights")
    assert {p.name: p.read_text() for p in tmp_path.iterdir()} == {"n.xml": "old"}
    with built_files(tmp_path, ["n.bin", "n.xml"]) as scratch:
        for name in ("n.xml", "n.bin", "not asked for"):
            (scratch / name).write_text(f"new {name}")
    assert [path.name for path in disk.named] == ["n.bin", "n.xml"]
    assert not disk.loose
    found = {p.name: p.read_text() for p in tmp_path.iterdir()}
    assert found == {"n.xml": "new n.xml", "n.bin": "new n.bin"}


@pytest.mark.parametrize("suffix", ["h5", "npz", "parquet"])
def test_an_export(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str) -> None:
    import numpy as np

    from featx.store.export import export_arrays

    disk = Disk(monkeypatch)
    export_arrays(tmp_path / f"x.{suffix}", np.ones((2, 3), np.float32), None, ["a", "b"])
    disk.check(tmp_path / f"x.{suffix}")


@pytest.mark.parametrize("can", [True, False], ids=["exchange", "no exchange"])
def test_a_folder_and_all_in_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written, can: bool
) -> None:
    for text in ("old", "new"):
        with monkeypatch.context() as patch:
            disk = Disk(patch, exchange=can)
            written.claim_and_write(tmp_path / "out", text)
            disk.check(tmp_path / "out")
