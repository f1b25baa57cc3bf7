"""Sorting: safe names whatever a class is called, nothing lost, nothing outside the folder."""

from __future__ import annotations

import errno
import json
import os
import socket
import unicodedata
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.errors import FeatxError, UsageError
from featx.outputs import Output, Used, claimed
from featx.scoring import sorting
from featx.scoring.sorting import TREE, Placement, safe_names, sort_files


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
    counts = sort_files(tmp_path / "out", rows, root=images, mode=mode)  # type: ignore[arg-type]
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
    counts = sort_files(tmp_path / "deep" / "out", rows, root=images, mode="copy")
    assert sum(counts.values()) == len(classes)
    assert len(tree(tmp_path / "deep" / "out")) == len(classes)
    assert sorted(p.name for p in tmp_path.iterdir()) == ["deep", "images"]
    assert [p.name for p in (tmp_path / "deep").iterdir()] == ["out"]


def test_the_guard_does_not_depend_on_safe_names(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.scoring.sorting.safe_names", lambda classes: {c: c for c in classes})
    for label in ("../evil", "/tmp/featx-evil", "a/b"):
        with pytest.raises(FeatxError, match="would lie outside"):
            sort_files(tmp_path / "out", placed(images, ("x.jpg", label)), root=images, mode="copy")
    assert [p.name for p in tmp_path.iterdir()] == ["images"]


def test_links_are_absolute_so_that_the_tree_may_be_moved(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    sort_files("out", placed(images, ("x.jpg", "cat")), root=images, mode="link")
    Path("out").rename("elsewhere")
    assert Path("elsewhere/cat/x.jpg").read_text() == "x.jpg"


def test_a_file_that_vanished_is_told(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = placed(images, ("x.jpg", "cat"), ("gone.jpg", "cat"))
    assert sort_files(tmp_path / "out", rows, root=images, mode="copy") == {"cat": 1}
    assert "not sorted: gone.jpg: No such file" in capsys.readouterr().err


def test_one_bad_entry_never_stops_the_rest(
    images: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Pipes, sockets, loops, folders, what may not be read, what fails while it is read."""
    os.mkfifo(images / "pipe.jpg")
    monkeypatch.chdir(images)
    with socket.socket(socket.AF_UNIX) as server:
        server.bind("socket.jpg")
    (images / "loop.jpg").symlink_to("loop.jpg")
    (images / "folder.jpg").mkdir()
    (images / "worn.jpg").write_text("worn")
    (images / "locked.jpg").write_text("locked")
    real_open, real_read = os.open, sorting._read

    def no_right(path: Any, *arguments: Any, **options: Any) -> int:
        if str(path).endswith("locked.jpg"):
            raise PermissionError(errno.EACCES, "Permission denied", path)
        return real_open(path, *arguments, **options)

    def worn(old: Any, place: Path) -> bytes:
        if place.name == "worn.jpg":
            broken = SimpleNamespace(read=lambda size: (_ for _ in ()).throw(OSError(5, "I/O")))
            return real_read(broken, place)
        return real_read(old, place)

    monkeypatch.setattr(os, "open", no_right)
    monkeypatch.setattr(sorting, "_read", worn)
    bad = [f"{n}.jpg" for n in ("pipe", "socket", "loop", "folder", "worn", "locked", "gone")]
    rows = placed(images, *[(n, None) for n in bad], ("x.jpg", "cat"), ("y.jpg", "cat"))
    counts = sort_files(tmp_path / "out", rows, root=images, mode="copy")
    assert counts["cat"] == 2
    assert {name: path for name, path in tree(tmp_path / "out").items() if "cat" in name} == {
        "cat/x.jpg": "x.jpg", "cat/y.jpg": "y.jpg",
    }  # fmt: skip
    said = capsys.readouterr().err
    placed_there = {p.name for p in (tmp_path / "out" / "_unreadable").iterdir()}
    for name in bad:  # each is a warning by name, or there as the link that it is
        assert (f"not sorted: {name}: " in said) != (name in placed_there)
    assert counts["_unreadable"] == len(placed_there)
    assert not any(p.is_file() for p in (tmp_path / "out" / "_unreadable").iterdir())
    assert sort_files(tmp_path / "links", rows, root=images, mode="link")["cat"] == 2


def test_many_bad_entries_are_counted(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = placed(images, *[(f"gone{i}.jpg", None) for i in range(25)])
    sort_files(tmp_path / "out", rows, root=images, mode="copy")
    said = capsys.readouterr().err
    assert said.count("not sorted: ") == 10
    assert "... and 15 more files that are not sorted" in said


def test_a_link_that_leads_out_of_the_images_is_not_copied(
    images: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither what it leads to nor what a link to a folder leads to; those inside are copied."""
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "key.jpg").write_text("secret")
    (images / "out.jpg").symlink_to(tmp_path / "secret" / "key.jpg")
    (images / "deep").symlink_to(tmp_path / "secret")
    (images / "in.jpg").symlink_to("x.jpg")
    pairs = (("out.jpg", None), ("deep/key.jpg", "cat"), ("in.jpg", "cat"))
    sort_files(tmp_path / "out", placed(images, *pairs), root=images, mode="copy")
    for name in ("_unreadable/out.jpg", "cat/key.jpg"):
        assert (tmp_path / "out" / name).is_symlink()
    assert not (tmp_path / "out" / "cat" / "in.jpg").is_symlink()
    assert (tmp_path / "out" / "cat" / "in.jpg").read_text() == "x.jpg"
    assert "2 files are links that lead out of the images; they are linked" in (
        capsys.readouterr().err
    )
    claim(tmp_path / "out", overwrite=True)  # it is still known as featx's own


def test_work_on_a_sorted_tree_is_not_lost(images: Path, tmp_path: Path) -> None:
    """Corrected copies, moved files, originals put in the place of a link, and other files."""
    rows = placed(images, ("x.jpg", "cat"), ("y.jpg", "dog"))

    def correct(out: Path) -> None:
        (out / "cat" / "x.jpg").write_text("corrected by hand")

    def move(out: Path) -> None:
        (out / "cat" / "x.jpg").rename(out / "dog" / "x.jpg")

    def add(out: Path) -> None:
        (out / "cat" / "mine.jpg").write_text("mine")

    def swap(out: Path) -> None:
        (out / "cat" / "x.jpg").unlink()
        (out / "cat" / "x.jpg").write_text("the only one")

    for i, (mode, change) in enumerate(
        [("copy", correct), ("copy", move), ("copy", add), ("link", add), ("link", swap)]
    ):
        out = tmp_path / f"out{i}"
        sort_files(out, rows, root=images, mode=mode)  # type: ignore[arg-type]
        claim(out, overwrite=True)
        change(out)
        with pytest.raises(UsageError, match="which featx did not write"):
            claim(out, overwrite=True)


@pytest.mark.parametrize("mode", ["link", "copy"])
def test_a_tree_of_a_version_that_only_counted_is_known(
    images: Path, tmp_path: Path, mode: Any
) -> None:
    out = tmp_path / "out"
    sort_files(out, placed(images, ("x.jpg", "cat"), ("y.jpg", None)), root=images, mode=mode)
    note = json.loads((out / ".featx-sorted.json").read_text())
    del note["files"]
    (out / ".featx-sorted.json").write_text(json.dumps(note, indent=2))
    claim(out, overwrite=True)
    (out / "cat" / "mine.jpg").write_text("mine")
    with pytest.raises(UsageError, match="which featx did not write"):
        claim(out, overwrite=True)


def test_what_is_refused_before_any_work(images: Path, tmp_path: Path) -> None:
    for name in ("new", "empty"):
        (tmp_path / "empty").mkdir(exist_ok=True)
        with claimed([Output(tmp_path / name, "--sort-into", TREE)]):
            pass
    assert not (tmp_path / "new").exists()
    (tmp_path / "file").write_text("x")
    (tmp_path / "link").symlink_to(tmp_path / "empty")
    for folder, message in [
        (images / "sorted", "lies inside the images"),
        (images, "is the images"),
        (tmp_path, "holds the images"),
        (tmp_path / "file", "is a file"),
        (tmp_path / "link", "is a link"),
    ]:
        for overwrite in (False, True):
            output = Output(folder, "--sort-into", TREE, overwrite)
            with (
                pytest.raises(UsageError, match=message) as caught,
                claimed([output], [Used("the images", images)]),
            ):
                pass
            assert caught.value.exit_code == 2


def claim(folder: Path, *, overwrite: bool) -> None:
    with claimed([Output(folder, "--sort-into", TREE, overwrite)]):
        pass


def test_only_a_tree_of_its_own_is_replaced(images: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    rows = placed(images, ("x.jpg", "cat"), ("y.jpg", "cat"))
    sort_files(out, rows, root=images, mode="copy")
    with pytest.raises(UsageError, match="exists already"):
        claim(out, overwrite=False)
    claim(out, overwrite=True)
    sort_files(out, placed(images, ("x.jpg", "dog")), root=images, mode="copy")
    assert tree(out) == {"dog/x.jpg": "x.jpg"}
    (out / ".featx-sorted.json").unlink()
    with pytest.raises(UsageError, match="is not a sorted folder that featx wrote"):
        claim(out, overwrite=True)


def test_an_interrupted_sort_leaves_the_old_tree(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    out = tmp_path / "out"
    sort_files(out, placed(images, ("x.jpg", "cat")), root=images, mode="copy")

    def interrupted(*arguments: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("featx.scoring.sorting._copy", interrupted)
    with pytest.raises(KeyboardInterrupt):
        sort_files(out, placed(images, ("y.jpg", "dog")), root=images, mode="copy")
    assert tree(out) == {"cat/x.jpg": "x.jpg"}
    assert sorted(p.name for p in tmp_path.iterdir()) == ["images", "out"]


def test_a_full_disk_is_not_taken_for_a_lack_of_links(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: Path, target: str) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(Path, "symlink_to", full)
    with pytest.raises(OSError, match="No space left"):
        sort_files(tmp_path / "out", placed(images, ("x.jpg", "cat")), root=images, mode="link")
    assert not (tmp_path / "out").exists()


def test_where_links_cannot_be_made_copies_are_advised(
    images: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def forbidden(self: Path, target: str) -> None:
        raise OSError(1, "Operation not permitted")

    monkeypatch.setattr(Path, "symlink_to", forbidden)
    with pytest.raises(FeatxError, match=r"Operation not permitted.*\nUse --copy"):
        sort_files(tmp_path / "out", placed(images, ("x.jpg", "cat")), root=images, mode="link")
    assert not (tmp_path / "out").exists()
