"""A process that dies while saving leaves the old model or none, whatever it was doing."""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx.model.folder as model_folder
from featx.errors import ModelError
from featx.model import Model, load_model, save_model

OPERATIONS = ("mkdir", "open", "write", "fsync", "close", "rename", "replace", "unlink", "rmdir")


class Killed(BaseException):
    """The process is gone: no handler may do anything any more."""


class Machine:
    """Counts file operations and refuses all of them from the ``fatal``-th on.

    ``error`` None is a kill; else only the fatal operation fails, with that errno.
    """

    def __init__(self, monkeypatch: pytest.MonkeyPatch, fatal: int, error: int | None) -> None:
        self.count = 0
        self.fatal = fatal
        self.error = error
        for name in OPERATIONS:
            monkeypatch.setattr(os, name, self._counted(name, getattr(os, name)))
        exchange = model_folder._exchange
        monkeypatch.setattr(model_folder, "_exchange", self._counted("exchange", exchange))

    def _counted(self, name: str, operation: Callable[..., Any]) -> Callable[..., Any]:
        def counted(*arguments: Any, **options: Any) -> Any:
            if name == "open" and arguments[1] & os.O_ACCMODE == os.O_RDONLY:
                return operation(*arguments, **options)
            self.count += 1
            if self.error is None and self.count >= self.fatal:
                if name == "write" and self.count == self.fatal:
                    operation(arguments[0], arguments[1][: len(arguments[1]) // 2])
                raise Killed
            if self.error is not None and self.count == self.fatal and name != "close":
                raise OSError(self.error, os.strerror(self.error))
            return operation(*arguments, **options)

        return counted


def saves(
    model: Model, path: Path, monkeypatch: pytest.MonkeyPatch, error: int | None
) -> Iterator[bool]:
    """Save over and over, dying one operation later each time; yield whether it finished."""
    for fatal in range(1, 200):
        with monkeypatch.context() as patch:
            machine = Machine(patch, fatal, error)
            try:
                save_model(model, path, overwrite=True)
                finished = machine.count < fatal
            except (Killed, OSError):
                finished = False
        yield finished
        if finished:
            assert fatal > 5  # the shim did see the operations
            return
    raise AssertionError("saving takes more than 200 operations")


def found(path: Path, X: np.ndarray) -> Any:
    """What a reader finds: None, or the classes of a whole model."""
    if not path.exists():
        return None
    model = load_model(path)
    model.predict(X)
    return model.classes


@pytest.mark.parametrize("name", ["m", "m.featx"])
@pytest.mark.parametrize("error", [None, errno.ENOSPC])
def test_a_new_model_is_whole_or_absent(
    model: Model,
    X: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: int | None,
) -> None:
    for finished in saves(model, tmp_path / name, monkeypatch, error):
        classes = found(tmp_path / name, X)
        assert classes in ([model.classes] if finished else [None, model.classes])
        if classes is not None and not finished:  # it died after the rename; start afresh
            (tmp_path / name).rename(tmp_path / f"{name}.done")
            _remove(tmp_path / f"{name}.done")
        if error is not None:
            assert not [p for p in tmp_path.iterdir() if p.name != name]  # it cleaned up


@pytest.mark.parametrize("name", ["m", "m.featx"])
@pytest.mark.parametrize("error", [None, errno.ENOSPC])
def test_an_old_model_stays_until_the_new_one_is_whole(
    make_model: Callable[..., Model],
    X: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    error: int | None,
) -> None:
    old, new = make_model(), make_model(("a", "b"))
    save_model(old, tmp_path / name)
    seen = set()
    for _ in saves(new, tmp_path / name, monkeypatch, error):
        classes = found(tmp_path / name, X)
        assert classes in (old.classes, new.classes)
        seen.add(len(classes))
        save_model(old, tmp_path / name, overwrite=True)
    assert seen == {2, 3}


def test_without_an_atomic_exchange_the_old_model_is_never_lost(
    make_model: Callable[..., Model],
    X: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Between the two renames the name is free for a moment; the old model lies beside it."""
    monkeypatch.setattr(model_folder, "_exchange", lambda a, b: False)
    old, new = make_model(), make_model(("a", "b"))
    save_model(old, tmp_path / "m")
    for _ in saves(new, tmp_path / "m", monkeypatch, None):
        if not (tmp_path / "m").exists():
            [aside] = [p for p in tmp_path.iterdir() if p.name.endswith(".old")]
            aside.rename(tmp_path / "m")
        assert found(tmp_path / "m", X) in (old.classes, new.classes)
        for place in tmp_path.iterdir():
            _remove(place)
        save_model(old, tmp_path / "m")


@pytest.mark.parametrize("name", ["head.skops", "model.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove"])
def test_damage_is_never_silent(model: Model, tmp_path: Path, name: str, damage: str) -> None:
    save_model(model, tmp_path / "m")
    path = tmp_path / "m" / name
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
        with pytest.raises(ModelError, match=r"holds no model|head.skops cannot be read"):
            load_model(tmp_path / "m")
        return
    # model.json without its last byte, a line break, is whole
    for position in range(0, len(data) - 1, max(1, len(data) // 40)):
        flipped = bytearray(data)
        flipped[position] ^= 1
        changed = {"flip": flipped, "cut": data[:position], "grow": data + b" x"}[damage]
        path.write_bytes(changed)
        with pytest.raises(ModelError):
            load_model(tmp_path / "m")


def test_damage_to_an_archive_is_never_silent(model: Model, X: np.ndarray, tmp_path: Path) -> None:
    path = tmp_path / "m.featx"
    save_model(model, path)
    data = path.read_bytes()
    expected = model.predict_proba(X).tobytes()
    for position in range(0, len(data), len(data) // 150):
        flipped = bytearray(data)
        flipped[position] ^= 0x10
        path.write_bytes(flipped)
        with contextlib.suppress(ModelError):  # a few bytes of a zip (dates) mean nothing
            assert load_model(path).predict_proba(X).tobytes() == expected
        path.write_bytes(data[:position])
        with pytest.raises(ModelError):
            load_model(path)


def test_every_file_and_folder_is_synced_before_the_rename(
    model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    events: list[str] = []
    names: dict[int, str] = {}
    real_open, real_fsync, real_rename = os.open, os.fsync, os.rename

    def opened(path: Any, *arguments: Any, **options: Any) -> int:
        handle = real_open(path, *arguments, **options)
        names[handle] = Path(path).name
        return handle

    def synced(handle: int) -> None:
        events.append(f"sync {names[handle]}")
        real_fsync(handle)

    def renamed(a: Any, b: Any) -> None:
        events.append("rename")
        real_rename(a, b)

    monkeypatch.setattr(os, "open", opened)
    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "rename", renamed)
    save_model(model, tmp_path / "m")
    folder = events[2].removeprefix("sync ")
    assert folder.startswith(".m.")
    assert events == [
        "sync head.skops", "sync model.json", f"sync {folder}", "rename", f"sync {tmp_path.name}",
    ]  # fmt: skip


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
