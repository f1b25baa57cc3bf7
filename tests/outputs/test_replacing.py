"""A folder that is replaced: the old one or the new one, whatever happens at whatever moment."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
from outputs_lab import Written

import featx.replacing
from featx.files import fsync_directory
from featx.replacing import built_folder, exchange, recover
from tests.killing import Killed, Machine, steps

EXCHANGE = pytest.mark.parametrize("can", [True, False], ids=["exchange", "no exchange"])


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


@EXCHANGE
def test_a_kill_at_every_step_leaves_the_old_or_the_new(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written, can: bool
) -> None:
    out = tmp_path / "out"
    written.claim_and_write(out, "old")
    seen = set()
    act = lambda: written.claim_and_write(out, "new")  # noqa: E731
    for finished in steps(monkeypatch, act, exchange=can, at_least=15):
        recover(out)  # what reads it does so
        assert written.kind.fault(out) is None
        [text] = written.read(out)
        assert text in (("new",) if finished else ("old", "new"))
        seen.add(text)
        written.claim_and_write(out, "old")  # the next command tidies up
        assert names(tmp_path) == ["images", "out"]
        assert list(written.read(out)) == ["old"]
    assert seen == {"old", "new"}


def test_a_killed_new_one_leaves_nothing_for_good(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    """Also where its name is never used again: the next command beside it tidies up."""
    for fatal in (8, 12, 16):
        with monkeypatch.context() as patch:
            machine = Machine(patch, fatal, None, exchange=True)
            with pytest.raises(Killed):
                written.claim_and_write(tmp_path / f"out-{fatal}", "new")
        machine.bury()
    (tmp_path / ".mine.1.0123abcd.tmp").mkdir()  # looks alike, but no claim says so
    assert ".out-16.featx-claim" in names(tmp_path)
    written.claim_and_write(tmp_path / "other", "new")
    assert names(tmp_path) == [".mine.1.0123abcd.tmp", "images", "other"]


def test_the_old_one_is_there_until_the_new_one_is(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written
) -> None:
    """At every change of names but those of an old folder that is already replaced."""
    out = tmp_path / "out"
    written.claim_and_write(out, "old")
    there = []
    for name in ("rename", "replace", "unlink", "rmdir"):
        real = getattr(os, name)

        def watched(*arguments: Any, real: Any = real, **options: Any) -> Any:
            there.append(out.is_dir() and written.kind.fault(out) is None)
            return real(*arguments, **options)

        monkeypatch.setattr(os, name, watched)
    written.claim_and_write(out, "new")
    assert len(there) > 4
    assert all(there)


@EXCHANGE
@pytest.mark.parametrize("fails", ["fsync", "rename"])
def test_what_cannot_be_replaced_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written, can: bool, fails: str
) -> None:
    out = tmp_path / "out"
    written.claim_and_write(out, "old")

    def broken(*arguments: Any) -> None:
        raise OSError(5, "Input/output error")

    with monkeypatch.context() as patch:
        if fails == "fsync":
            patch.setattr(featx.replacing, "fsync_directory", broken)
        else:
            patch.setattr(os, "rename", broken)
            patch.setattr(featx.replacing, "exchange", lambda a, b: False)
        with pytest.raises(OSError, match="Input/output"):
            written.claim_and_write(out, "new")
    assert list(written.read(out)) == ["old"]
    assert names(tmp_path) == ["images", "out"]


def test_an_old_folder_of_an_earlier_version_is_put_back(
    tmp_path: Path, written: Written, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for aside in (".out.0123abcd.old", ".out.77.0123abcd.old"):
        written.claim_and_write(out, "old")
        out.rename(tmp_path / aside)
        recover(out)
        assert list(written.read(out)) == ["old"]
        assert "featx has restored the old one" in capsys.readouterr().err
        out.rename(tmp_path / aside)
        written.claim_and_write(out, "new")
        assert list(written.read(out)) == ["new"]
        assert names(tmp_path) == ["images", "out"]


def test_reading_without_a_right_to_write_is_no_error(tmp_path: Path) -> None:
    recover(tmp_path / "absent" / "run")
    recover(tmp_path / "run")
    (tmp_path / "file").touch()
    recover(tmp_path / "file" / "run")
    assert names(tmp_path) == ["file"]


def test_names_as_long_as_they_may_be(tmp_path: Path, written: Written) -> None:
    for name in ("x" * 255, "ü" * 127, "x" * 250):
        written.claim_and_write(tmp_path / name, "old")
        written.claim_and_write(tmp_path / name, "new")
        assert list(written.read(tmp_path / name)) == ["new"]
    assert len(names(tmp_path)) == 4


@pytest.mark.parametrize("number", [22, 95, 38])
def test_folders_that_cannot_be_synced_are_written_all_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, written: Written, number: int
) -> None:
    def only_files(handle: int) -> None:
        if os.path.isdir(f"/proc/self/fd/{handle}"):  # noqa: PTH112
            raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", only_files)
    written.claim_and_write(tmp_path / "out", "new")
    assert list(written.read(tmp_path / "out")) == ["new"]


def test_a_disk_that_fails_is_not_passed_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(handle: int) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(os, "fsync", broken)
    with pytest.raises(OSError, match="Input/output"):
        fsync_directory(tmp_path)


def test_an_exchange_is_refused_where_the_system_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kinds: dict[str, Written]
) -> None:
    assert not exchange(tmp_path / "absent", tmp_path)

    def none(*arguments: Any, **options: Any) -> Any:
        raise OSError("no C library")

    monkeypatch.setattr("ctypes.CDLL", none)
    assert not exchange(tmp_path / "images", tmp_path / "images")
    with built_folder(tmp_path / "m", kinds["model"].kind) as building:
        (building / "model.json").touch()
    assert names(tmp_path) == ["images", "m"]
