"""What a command is going to write is settled at its start, and held to its end."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featx.locks
from featx.errors import UsageError
from featx.locks import HeldError, take_lock
from featx.ours import FileKind, FolderKind
from featx.outputs import Output, Used, check_clear, check_writable, claimed
from featx.replacing import built_folder

TEXT = FileKind("a text", lambda path: path.read_text().startswith("featx"))
FOLDER = FolderKind(
    "a folder", lambda path: (path / "mark").is_file(), lambda path: {"mark", "a/file"}.__contains__
)
PLACE = FolderKind(
    "a place", lambda path: (path / "mark").is_file(), lambda path: {"mark"}.__contains__,
    in_place=True,
)  # fmt: skip
KINDS = pytest.mark.parametrize("kind", [TEXT, FOLDER, PLACE], ids=lambda kind: kind.what)


def claim(path: Any, kind: Any = TEXT, *, overwrite: bool = False, used: Any = ()) -> None:
    with claimed([Output(path, "-o", kind, overwrite)], used):
        pass


def refused(path: Any, words: str, kind: Any = TEXT, *, overwrite: bool = True, used: Any = ()):
    with pytest.raises(UsageError, match=words) as caught:
        claim(path, kind, overwrite=overwrite, used=used)
    assert caught.value.exit_code == 2
    return str(caught.value)


def names(folder: Path) -> list[str]:
    return sorted(path.relative_to(folder).as_posix() for path in folder.rglob("*"))


@KINDS
@pytest.mark.parametrize("locks", [True, False], ids=["flock", "no flock"])
def test_nothing_is_left_of_a_claim(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any, locks: bool
) -> None:
    if not locks:
        monkeypatch.setattr(featx.locks, "_flock", lambda fcntl, handle: False)
    output = Output(tmp_path / "new" / "deep" / "x", "-o", kind)
    with claimed([output]) as claims:
        assert output.target.parent.is_dir()
        assert claims.place(output.path) == output.path
        assert len(names(tmp_path)) > 2
    assert names(tmp_path) == []


@KINDS
def test_a_second_command_is_refused_at_once(tmp_path: Path, kind: Any) -> None:
    """Whatever it would write there, and by whatever name it calls the place."""
    (tmp_path / "real").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "real")
    kinds = [PLACE] if kind is PLACE else [TEXT, FOLDER]
    with claimed([Output(tmp_path / "real" / "x", "-o", kind)]):
        for other in kinds:
            said = refused(tmp_path / "link" / "x", "Another featx command", other)
            assert f"pid {os.getpid()} on " in said
        claim(tmp_path / "real" / "y", kind)
    claim(tmp_path / "link" / "x", kind)


HOLDER = """
import sys, time
from featx.outputs import Output, claimed
from featx.ours import FileKind
with claimed([Output(sys.argv[1], "-o", FileKind("a text", lambda path: False))]):
    print("held", flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("locks", [True, False], ids=["flock", "no flock"])
def test_a_killed_command_does_not_block(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, locks: bool
) -> None:
    code = HOLDER
    if not locks:
        monkeypatch.setattr(featx.locks, "_flock", lambda fcntl, handle: False)
        code = f"import featx.locks\nfeatx.locks._flock = lambda *a: False\n{HOLDER}"
    command = [sys.executable, "-c", code, str(tmp_path / "x")]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        assert f"pid {other.pid} on " in refused(tmp_path / "x", "Another featx command")
        other.send_signal(signal.SIGKILL)
    assert names(tmp_path)  # it could not clean up
    claim(tmp_path / "x")
    assert names(tmp_path) == []


@pytest.mark.parametrize("number", [errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP])
def test_a_file_stands_in_where_there_are_no_locks(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    import fcntl

    def no(*arguments: Any) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(fcntl, "flock", no)
    lock = take_lock(tmp_path / "lock")
    with pytest.raises(HeldError, match=f"pid {os.getpid()} on "):
        take_lock(tmp_path / "lock")
    lock.release(remove=True)
    assert names(tmp_path) == []
    (tmp_path / "lock.held").write_text("1 another-host")  # whose processes nobody here can see
    with pytest.raises(HeldError):
        take_lock(tmp_path / "lock")


@KINDS
@pytest.mark.parametrize("overwrite", [False, True])
def test_what_is_not_ours_is_never_replaced(tmp_path: Path, kind: Any, overwrite: bool) -> None:
    (tmp_path / "text").write_text("mine")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "photo.jpg").write_text("mine")
    (tmp_path / "link").symlink_to("text")
    (tmp_path / "lost").symlink_to("nowhere")
    os.mkfifo(tmp_path / "pipe")
    before = names(tmp_path)
    for name in before:
        refused(tmp_path / name, "exists already|is a folder", kind, overwrite=overwrite)
    assert names(tmp_path) == before
    assert (tmp_path / "text").read_text() == "mine"


def test_what_is_ours_is_replaced_on_request_only(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("featx wrote this")
    (tmp_path / "empty").touch()
    for kind, name in ((FOLDER, "folder"), (PLACE, "place")):
        (tmp_path / name).mkdir()
        claim(tmp_path / name, kind)  # nothing is in it
        (tmp_path / name / "mark").touch()
        refused(tmp_path / name, "exists already", kind, overwrite=False)
        claim(tmp_path / name, kind, overwrite=True)
        (tmp_path / name / "notes.txt").touch()
    refused(tmp_path / "folder", r"holds 'notes\.txt', which featx did not write", FOLDER)
    claim(tmp_path / "place", PLACE, overwrite=True)  # files are replaced one by one
    for name in ("text", "empty"):
        refused(tmp_path / name, "exists already", overwrite=False)
        claim(tmp_path / name, overwrite=True)


def test_a_link_in_a_folder_of_ours_is_somebody_elses(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mark").touch()
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "file").touch()
    (tmp_path / "out" / "a").symlink_to(tmp_path / "photos")
    refused(tmp_path / "out", "holds 'a'", FOLDER)
    assert (tmp_path / "photos" / "file").exists()


Disk = namedtuple("Disk", "total used free")


@KINDS
def test_what_cannot_be_written_is_one_plain_sentence(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: Any
) -> None:
    (tmp_path / "file").touch()
    for path, words in (
        (tmp_path / "file" / "x", "cannot be written: '.*file' is a file"),
        (tmp_path / "file" / "deep" / "x", "cannot be written: '.*file' is a file"),
        (tmp_path / ("x" * 300), "cannot be written: File name too long"),
        (tmp_path / ("x" * 300) / "x", "cannot be written: File name too long"),
    ):
        assert "Choose another place with -o" in refused(path, words, kind)
    claim(tmp_path / ("ü" * 127), kind)
    real = os.open

    def read_only(path: Any, flags: int, *rest: Any, **named: Any) -> int:
        if flags & os.O_ACCMODE != os.O_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS), path)
        return real(path, flags, *rest, **named)

    with monkeypatch.context() as patch:
        patch.setattr(os, "open", read_only)
        refused(tmp_path / "new" / "x", "cannot be written: Read-only file system", kind)
        with pytest.raises(UsageError, match=r"--mlflow .* cannot be written: Read-only"):
            check_writable(Output(tmp_path / "new" / "x", "--mlflow", kind))
    with monkeypatch.context() as patch:
        patch.setattr(shutil, "disk_usage", lambda path: Disk(10**9, 10**9 - 99, 99))
        refused(tmp_path / "x", r"its disk has 0\.0 MiB left", kind)
    assert names(tmp_path) == ["file"]


def test_two_outputs_of_one_command_keep_apart(tmp_path: Path) -> None:
    def both(a: Output, b: Output) -> None:
        with claimed([a, b]):
            pass

    def file(*path: str) -> Output:
        return Output(tmp_path.joinpath(*path), "-o", TEXT)

    def folder(*path: str) -> Output:
        return Output(tmp_path.joinpath(*path), "--into", FOLDER)

    for a, b, words in (
        (file("a"), file("a"), "is what -o writes"),
        (file("a", "b"), folder("a"), "holds what -o writes"),
        (folder("a"), file("a", "b"), "lies inside what --into writes"),
    ):
        with pytest.raises(UsageError, match=words):
            both(a, b)
    both(file("a"), file("b"))
    assert names(tmp_path) == []


PARTS = st.lists(st.sampled_from(["a", "b", "link", "up"]), min_size=1, max_size=4)


@settings(max_examples=150)
@given(target=PARTS, used=PARTS, made=st.booleans())
def test_no_link_hides_what_is_used(target: list[str], used: list[str], made: bool) -> None:
    """An output is refused exactly where its real path and that of what is used touch."""
    with tempfile.TemporaryDirectory() as name:
        root = Path(name)
        (root / "a" / "b").mkdir(parents=True)
        (root / "b" / "a").mkdir(parents=True)
        (root / "link").symlink_to(root / "a")
        (root / "a" / "link").symlink_to(root / "b")
        (root / "b" / "up").symlink_to("..")
        output, reads = root.joinpath(*target), root.joinpath(*used)
        if made and not os.path.lexists(reads):
            reads.mkdir(parents=True)
        real = Path(os.path.realpath(output.parent)) / output.name
        read = Path(os.path.realpath(reads))
        # a link at the end of an output is refused for itself; it stands for what it leads to
        places = {real, Path(os.path.realpath(output))}
        touch = any(p == read or p in read.parents or read in p.parents for p in places)
        try:
            check_clear(Output(output, "-o", FOLDER), [Used("the images", reads)])
        except UsageError:
            assert touch
        else:
            assert real != read
            assert real not in read.parents
            assert read not in real.parents


def test_hard_links_and_images_are_seen(tmp_path: Path) -> None:
    costs, photos = tmp_path / "costs.csv", tmp_path / "photos"
    costs.write_text("featx wrote this")
    os.link(costs, tmp_path / "same.csv")
    refused(tmp_path / "same.csv", "is the costs", used=[Used("the costs", costs)])
    photos.mkdir()
    (tmp_path / "out" / "a").mkdir(parents=True)
    (tmp_path / "out" / "mark").touch()
    (tmp_path / "out" / "a" / "file").touch()
    (photos / "x.png").symlink_to(tmp_path / "out" / "a" / "file")
    with (
        claimed([Output(tmp_path / "out", "-o", FOLDER, overwrite=True)]) as claims,
        pytest.raises(UsageError, match="holds some of the images"),
    ):
        claims.spare("the images", [str(photos / "x.png")])
    with (
        claimed([Output(costs, "-o", TEXT, overwrite=True)]) as claims,
        pytest.raises(UsageError, match="is one of the images"),
    ):
        claims.spare("the images", [str(tmp_path / "out" / ".." / "costs.csv")])


def test_a_mounted_disk_is_not_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As a container's output folder is: files in it may be written, it stays what it is."""
    (tmp_path / "out").mkdir()
    monkeypatch.setattr(os.path, "ismount", lambda path: Path(path) == tmp_path / "out")
    refused(tmp_path / "out", "is a mount point", FOLDER)
    claim(tmp_path / "out", PLACE)
    claim(tmp_path / "out" / "x", FOLDER)


def test_what_came_meanwhile_is_left_alone(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    outputs = [
        Output(tmp_path / "x.csv", "-o", TEXT, overwrite=True),
        Output(tmp_path / "run", "--runs", FOLDER),
    ]
    with claimed(outputs) as claims:
        (tmp_path / "x.csv").write_text("mine")
        (tmp_path / "run").mkdir()
        (tmp_path / "run" / "mark").touch()
        assert claims.place(tmp_path / "x.csv").name == "x-2.csv"
        assert claims.place(tmp_path / "run").name == "run-2"
    assert "was written by another program meanwhile" in capsys.readouterr().err


def test_what_is_put_into_an_old_folder_meanwhile_is_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    for content in ("old", "new"):
        with built_folder(out, FOLDER) as building:
            (building / "mark").write_text(content)
            if content == "new":
                (out / "notes.txt").write_text("mine")
    assert (out / "mark").read_text() == "new"
    assert names(tmp_path) == ["out", "out.kept", "out.kept/notes.txt", "out/mark"]
    assert "they are kept in" in capsys.readouterr().err
