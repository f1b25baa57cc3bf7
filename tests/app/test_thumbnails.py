"""Pictures are made once for each content, and made again where what is kept is no good."""

from __future__ import annotations

import io
import os
from pathlib import Path

import pytest
from app_lab import draw
from PIL import Image

from featx.app import thumbnails as module
from featx.app.thumbnails import LARGE_PX, SMALL_PX, Thumbnails
from featx.errors import DecodeError


@pytest.fixture
def made(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The sizes of the pictures that were made."""
    found: list[int] = []
    small = module._small

    def counted(data: bytes, size_px: int) -> bytes:
        found.append(size_px)
        return small(data, size_px)

    monkeypatch.setattr(module, "_small", counted)
    return found


def kept(folder: Path) -> list[Path]:
    return sorted(folder.rglob("*.webp"))


def test_each_content_is_made_once_whatever_it_is_called(tmp_path: Path, made: list[int]) -> None:
    one, two = draw(tmp_path, ["a.png", "b.png"])
    copy = tmp_path / "copy.png"
    copy.write_bytes(Path(one).read_bytes())
    folder = tmp_path / "kept"
    first = Thumbnails(folder).picture(one, SMALL_PX)
    assert Thumbnails(folder).picture(str(copy), SMALL_PX) == first  # also in another process
    assert made == [SMALL_PX]
    assert Thumbnails(folder).picture(two, SMALL_PX).digest != first.digest
    assert len(kept(folder)) == len(made) == 2
    assert Image.open(io.BytesIO(first.data)).size == (32, 24)


def test_a_file_that_changes_gets_another_picture(tmp_path: Path, made: list[int]) -> None:
    [path] = draw(tmp_path, ["a.png"])
    pictures = Thumbnails(tmp_path / "kept")
    before = pictures.picture(path, SMALL_PX)
    Image.new("RGB", (700, 300), "white").save(path)
    os.utime(path, ns=(1, 1))
    after = pictures.picture(path, SMALL_PX)
    assert after.digest != before.digest
    assert Image.open(io.BytesIO(after.data)).size == (SMALL_PX, round(SMALL_PX * 300 / 700))
    assert Image.open(io.BytesIO(pictures.picture(path, LARGE_PX).data)).size == (700, 300)


@pytest.mark.parametrize("damage", [b"", b"RIFF", lambda data: data[:-7]])
def test_a_picture_that_was_cut_is_made_again(
    tmp_path: Path, made: list[int], damage: object
) -> None:
    [path] = draw(tmp_path, ["a.png"])
    folder = tmp_path / "kept"
    whole = Thumbnails(folder).picture(path, SMALL_PX).data
    [place] = kept(folder)
    place.write_bytes(damage(whole) if callable(damage) else damage)  # type: ignore[arg-type]
    assert Thumbnails(folder).picture(path, SMALL_PX).data == whole
    assert place.read_bytes() == whole


def test_a_folder_that_cannot_be_written_costs_only_time(tmp_path: Path, made: list[int]) -> None:
    [path] = draw(tmp_path, ["a.png"])
    (tmp_path / "kept").write_text("a file")
    pictures = Thumbnails(tmp_path / "kept")
    assert pictures.picture(path, SMALL_PX) == pictures.picture(path, SMALL_PX)
    assert made == [SMALL_PX, SMALL_PX]


@pytest.mark.parametrize("content", [None, b"", b"\x89PNG nothing", b"<svg onload=alert(1)>"])
def test_what_is_no_image_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "a.png"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DecodeError):
        Thumbnails(tmp_path / "kept").picture(str(path), SMALL_PX)
    assert not kept(tmp_path / "kept")
