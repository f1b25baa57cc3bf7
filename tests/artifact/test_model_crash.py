"""A process that dies while saving leaves the old model or none, whatever it was doing."""

from __future__ import annotations

import contextlib
import errno
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from featx.artifact import Model, load_model, save_model
from featx.errors import ModelError
from featx.replacing import recover
from tests.killing import steps


@pytest.fixture(autouse=True)
def _warm(model: Model, tmp_path_factory: pytest.TempPathFactory) -> None:
    """Whatever is imported late is imported before the machine begins to die."""
    save_model(model, tmp_path_factory.mktemp("warm") / "m")


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
    path = tmp_path / name
    for finished in steps(
        monkeypatch, lambda: save_model(model, path, overwrite=True), error=error
    ):
        classes = found(path, X)
        assert classes in ([model.classes] if finished else [None, model.classes])
        if classes is not None and not finished:  # it died after the rename; start afresh
            _remove(path)
        if error is not None:  # it cleaned up, all but what could not be removed
            left = [p.name for p in tmp_path.iterdir() if p.name != name]
            assert left in ([], [f".{name}.featx-claim"])
    assert [p.name for p in tmp_path.iterdir()] == [name]  # also after those that were killed


@pytest.mark.parametrize(
    ("name", "exchange"), [("m", True), ("m", False), ("m.featx", True)], ids=str
)
@pytest.mark.parametrize("error", [None, errno.ENOSPC])
def test_an_old_model_stays_until_the_new_one_is_whole(
    make_model: Callable[..., Model],
    X: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    name: str,
    exchange: bool,
    error: int | None,
) -> None:
    """Where folders cannot be exchanged, loading puts back the one that was moved aside."""
    old, new = make_model(), make_model(("a", "b"))
    path = tmp_path / name
    save_model(old, path)
    seen = set()
    act = lambda: save_model(new, path, overwrite=True)  # noqa: E731
    for finished in steps(monkeypatch, act, error=error, exchange=exchange):
        recover(path)
        classes = found(path, X)
        assert classes in ([new.classes] if finished else [old.classes, new.classes])
        seen.add(len(classes))
        save_model(old, path, overwrite=True)
    assert seen == {2, 3}
    left = {p.name for p in tmp_path.iterdir()} - {name}
    assert not left if error is None else all(n.startswith(".") for n in left)


@pytest.mark.parametrize("name", ["head.safetensors", "model.json"])
@pytest.mark.parametrize("damage", ["flip", "cut", "grow", "remove"])
def test_damage_is_never_silent(model: Model, tmp_path: Path, name: str, damage: str) -> None:
    save_model(model, tmp_path / "m")
    path = tmp_path / "m" / name
    data = path.read_bytes()
    if damage == "remove":
        path.unlink()
        with pytest.raises(ModelError, match=r"holds no model|head.safetensors cannot be read"):
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


def _remove(path: Path) -> None:
    shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
