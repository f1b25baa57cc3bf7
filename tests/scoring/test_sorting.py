"""Sorting: safe names whatever a class is called, nothing lost, nothing outside the folder."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.errors import FeatxError, UsageError
from featx.files import replace_folder
from featx.workflow.sorting import Placement, check_sort_folder, safe_names, sort_files


@pytest.fixture
def images(tmp_path: Path) -> Path:
    root = tmp_path / "images"
    for name in ("x.jpg", "a/x.jpg", "b/x.jpg", "b/X.JPG", "a__x.jpg", "y.jpg"):
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def placed(root: Path, *pairs: tuple[str, str | None]) -> list[Placement]:
    return [Placement(name, str(root / name), label) for name, label in pairs]


def tree(folder: Path) -> dict[str, str]:
    """Relative path -> content of each file."""
    files = (p for p in folder.rglob("*") if p.is_file() and p.name != ".featx-sorted.json")
    return {p.relative_to(folder).as_posix(): p.read_text() for p in sorted(files)}


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_same_names_do_not_overwrite_each_other(images: Path, tmp_path: Path, mode: str) -> None:
    rows = placed(
        images, ("x.jpg", "cat"), ("a/x.jpg", "cat"), ("b/x.jpg", "cat"), ("b/X.JPG", "cat"),
        ("a__x.jpg", "cat"), ("y.jpg", None),
    )  # fmt: skip
    counts = sort_files(tmp_path / "out", rows, mode=mode)  # type: ignore[arg-type]
    assert counts == {"_unreadable": 1, "cat": 5}
    assert tree(tmp_path / "out") == {
        "_unreadable/y.jpg": "y.jpg",
        "cat/a__x.jpg": "a/x.jpg",
        "cat/a__x_2.jpg": "a__x.jpg",
        "cat/b__X_2.JPG": "b/X.JPG",
        "cat/b__x.jpg": "b/x.jpg",
        "cat/x.jpg": "x.jpg",
    }
    assert (tmp_path / "out" / "cat" / "x.jpg").is_symlink() == (mode == "link")
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "out"]


HOSTILE = [
    "..", ".", "", "/", "/etc/passwd", "../../evil", "a/b", "a\\b", "C:\\x", "con", "NUL.txt",
    "LPT1", "a:b", "a\0b", "a\nb", "trailing.", "trailing ", ".hidden", "_unreadable",
    ".featx-sorted.json", "Cat", "cat", "e\u0301", "\u00e9", "a*?", "\ud800", "\udcff", "x" * 500,
    "猫" * 200, "a.b", "a_b",
]  # fmt: skip


def check_safe(names: dict[str, str]) -> None:
    keys = {unicodedata.normalize("NFC", name).casefold() for name in names.values()}
    assert len(keys) == len(names)
    assert not keys & {"_unreadable", ".featx-sorted.json"}
    for name in names.values():
        assert name == Path(name).name
        assert not set(name) & set('/\\:*?"<>|\0\n')
        assert not name.startswith(".")
        assert 0 < len(os.fsencode(name)) < 255
        assert name.split(".")[0].lower() not in {"con", "nul", "lpt1"}


def test_hostile_classes_have_safe_folders() -> None:
    names = safe_names(HOSTILE)
    check_safe(names)
    assert names["../../evil"] == "_._.._evil"
    assert names["_unreadable"] == "_unreadable_2"
    assert (names["Cat"], names["cat"]) == ("Cat", "cat_2")
    assert names["con"] == "_con"
    assert names["a.b"] == "a.b"


@settings(max_examples=200, deadline=None)
@given(st.lists(st.text(max_size=6) | st.sampled_from(HOSTILE), unique=True, max_size=12))
def test_any_classes_have_safe_folders(classes: list[str]) -> None:
    check_safe(safe_names(classes))


def test_hostile_classes_stay_inside(images: Path, tmp_path: Path) -> None:
    classes = [name for name in HOSTILE if name != "\udcff"]
    rows = [Placement(f"{i}/x.jpg", str(images / "x.jpg"), c) for i, c in enumerate(classes)]
    counts = sort_files(tmp_path / "deep" / "out", rows, mode="copy")
    assert sum(counts.values()) == len(classes)
    assert len(tree(tmp_path / "deep" / "out")) == len(classes)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "images"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


def test_the_guard_does_not_depend_on_safe_names(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(
        "featx.workflow.sorting.safe_names", lambda classes: {c: c for c in classes}
    )
    for label in ("../evil", "/tmp/featx-evil", "a/b"):
        with pytest.raises(FeatxError, match="would lie outside"):
            sort_files(tmp_path / "out", placed(images, ("x.jpg", label)), mode="copy")
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


def test_links_are_absolute_so_that_the_tree_may_be_moved(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sort_files("out", placed(images, ("x.jpg", "cat")), mode="link")
    Path("out").rename("elsewhere")
    assert Path("elsewhere/cat/x.jpg").read_text() == "x.jpg"


def test_a_file_that_vanished_is_told(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = placed(images, ("x.jpg", "cat"), ("gone.jpg", "cat"))
    assert sort_files(tmp_path / "out", rows, mode="copy") == {"cat": 1}
    assert "not copied: gone.jpg: No such file" in capsys.readouterr().err


def test_what_is_refused_before_any_work(images: Path, tmp_path: Path) -> None:
    root = str(images)
    check_sort_folder(tmp_path / "new", root, overwrite=False)
    (tmp_path / "empty").mkdir()
    check_sort_folder(tmp_path / "empty", root, overwrite=False)
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for folder, message in [
        (images / "sorted", "lies inside the images"),
        (images, "lies inside the images"),
        (tmp_path, "holds files that featx did not sort"),
        (tmp_path / "file", "is not a folder"),
        (tmp_path / "link", "is not a folder"),
    ]:
        for overwrite in (False, True):
            with pytest.raises(UsageError, match=message) as caught:
                check_sort_folder(folder, root, overwrite=overwrite)
            assert caught.value.exit_code == 2


def test_only_a_tree_of_its_own_is_replaced(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    sort_files(out, placed(images, ("x.jpg", "cat"), ("y.jpg", "cat")), mode="copy")
    with pytest.raises(UsageError, match="exists already"):
        check_sort_folder(out, str(images), overwrite=False)
    check_sort_folder(out, str(images), overwrite=True)
    sort_files(out, placed(images, ("x.jpg", "dog")), mode="copy")
    assert tree(out) == {"dog/x.jpg": "x.jpg"}
    (out / ".featx-sorted.json").unlink()
    with pytest.raises(UsageError, match="did not sort"):
        check_sort_folder(out, str(images), overwrite=True)


def test_an_interrupted_sort_leaves_the_old_tree(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    sort_files(out, placed(images, ("x.jpg", "cat")), mode="copy")

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("featx.workflow.sorting.shutil.copy2", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sort_files(out, placed(images, ("y.jpg", "dog")), mode="copy")
    assert tree(out) == {"cat/x.jpg": "x.jpg"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "out"]


def test_a_full_disk_is_not_taken_for_a_lack_of_links(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", full)
    with pytest.raises(OSError, match="No space left"):
        sort_files(tmp_path / "out", placed(images, ("x.jpg", "cat")), mode="link")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("fails", [1, 2])
def test_a_folder_that_cannot_be_replaced_is_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, fails: int
) -> None:
    for name in ("built.tmp", "there"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "file").write_text(name)
    rename, calls = Path.rename, []

    def renamed(self: Path, target: Path) -> Path:
        calls.append(target)
        if len(calls) == fails:
            raise OSError(errno.EIO, "Input/output error")
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", renamed)
        with pytest.raises(OSError, match="Input/output"):
            replace_folder(tmp_path / "built.tmp", tmp_path / "there")
    assert (tmp_path / "there" / "file").read_text() == "there"
    replace_folder(tmp_path / "built.tmp", tmp_path / "there")
    assert (tmp_path / "there" / "file").read_text() == "built.tmp"
    assert [p.name for p in tmp_path.iterdir()] == ["there"]


def test_where_links_cannot_be_made_copies_are_advised(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(self: Path, target: str) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", forbidden)
    with pytest.raises(FeatxError, match=r"Operation not permitted.*\nUse --copy"):
        sort_files(tmp_path / "out", placed(images, ("x.jpg", "cat")), mode="link")
    assert not (tmp_path / "out").exists()
