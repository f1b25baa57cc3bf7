"""What the system refuses: one plain sentence with the path, what is kept and what to do."""

from __future__ import annotations

import errno
import os
import pickle
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest

from featx.errors import FeatxError
from featx.system_errors import explain, in_words, writing
from tests.cli.conftest import BACKBONE, Featx

CODES = """
    ENOSPC EROFS EACCES EPERM ENAMETOOLONG EMFILE EIO EDQUOT ENOTDIR EISDIR ENOENT ESTALE EBUSY
    ETXTBSY ELOOP EFBIG ENFILE EINVAL
"""


def raised(code: int, path: str | None = None) -> OSError:
    error = OSError(code, os.strerror(code)) if path is None else OSError(code, "?", path)
    with pytest.raises(OSError, match=r".") as caught, writing("the run", "my runs/a"):
        raise error
    assert caught.value is error
    return error


@pytest.mark.parametrize("name", CODES.split())
def test_every_refusal_has_a_sentence_and_an_advice(name: str) -> None:
    code = getattr(errno, name)
    text = explain(raised(code))
    assert text is not None
    first, second = text.splitlines()
    assert first.startswith("The run 'my runs/a' cannot be written: ")
    assert second.startswith("Files already written are kept. ")
    assert second.endswith(", then run the same command again.")
    assert "Errno" not in text
    assert name not in text
    bare = explain(OSError(code, "?", "some/file"))
    assert bare is not None
    assert bare.startswith("'some/file' cannot be read or written: ")


def test_another_file_than_the_target_is_named_too() -> None:
    text = explain(raised(errno.EACCES, "/elsewhere/photo.png"))
    assert text is not None
    assert text.startswith(
        "The run 'my runs/a' cannot be written: permission is denied ('/elsewhere/photo.png').\n"
    )


def test_temporary_names_are_not_shown() -> None:
    text = explain(OSError(errno.EACCES, "?", "out/.scores.csv.12.0123abcd.tmp"))
    assert text is not None
    assert text.startswith(f"'out{os.sep}scores.csv' cannot be")
    assert explain(OSError(errno.EACCES, "?", b"a\xffb\n")) is not None


def test_what_is_no_refusal_of_the_system_is_left_alone() -> None:
    assert explain(OSError("cannot identify image file")) is None
    assert in_words(OSError("odd")) == "OSError: odd"
    assert in_words(OSError(errno.ENOSPC, "?")) == "no space is left on the disk"


def test_the_note_survives_the_way_from_another_process() -> None:
    error = raised(errno.ENOSPC)
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes of this very process
    assert explain(back) == explain(error)


@pytest.fixture
def full(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder on a disk that turns out to be full when a file is to be made durable."""
    if not sys.platform.startswith("linux"):
        pytest.skip("descriptors have names on Linux only")
    folder = tmp_path / "full disk"
    folder.mkdir()
    honest = os.fsync

    def fsync(handle: int) -> None:
        if folder in Path(f"/proc/self/fd/{handle}").readlink().parents:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
        honest(handle)

    monkeypatch.setattr(os, "fsync", fsync)
    return folder


@pytest.mark.parametrize(
    ("arguments", "what"),
    [
        (["fit", "photos", *BACKBONE, "--cv", "2", "-j", "1", "--estimate", "cv", "--name", "x",
          "--runs"], "run"),
        (["score", "RUN", "new", "-o"], "table"),
        (["score", "RUN", "new", "-o", "SCORES", "--report"], "page"),
        (["score", "RUN", "new", "-o", "SCORES", "--copy", "--sort-into"], "sorted folder"),
        (["report", "RUN", "--no-heat-maps", "--output"], "page"),
        (["audit", "photos", *BACKBONE, "--folds", "2", "-o"], "audit"),
        (["compare", "RUN", "OTHER", "--html"], "comparison"),
        (["compare", "RUN", "OTHER", "--disagreements"], "table"),
        (["cache", "export", "EXTRACTOR", "--to", "tensorboard", "-o"], "export"),
    ],
    ids=lambda value: "-".join(value[:2]) + value[-1] if isinstance(value, list) else value,
)  # fmt: skip
def test_a_full_disk_is_one_sentence_with_the_path_and_leaves_nothing(
    featx: Featx, run_folder: Path, full: Path, tmp_path: Path, arguments: list[str], what: str
) -> None:
    other = shutil.copytree(run_folder, tmp_path / "other")
    stand_in = {"RUN": str(run_folder), "OTHER": str(other), "SCORES": str(tmp_path / "s.csv")}
    folders = (run_folder.parents[1] / "cache").iterdir()
    stand_in["EXTRACTOR"] = min((folder.name for folder in folders), key=len)
    target = full / ("it.csv" if what == "table" else "it")
    words = [stand_in.get(word, word) for word in arguments]
    result = featx(*words, target)
    shown = target / "x" if what == "run" else target
    assert result.code == 1, result.err
    assert f"Error: The {what} '{shown}' cannot be written: no space is left on the disk.\n" in (
        result.err
    )
    assert result.err.rstrip().endswith("Free some space, then run the same command again.")
    assert "Traceback" not in result.err
    left = [path for path in full.rglob("*") if path.is_file()]
    assert [path.name for path in left if "searches" not in str(path)] == []


def test_a_checkpoint_that_cannot_be_written_says_which(full: Path) -> None:
    import torch

    from featx.finetuning.checkpoints import write_snapshot

    path = full / "fold-1" / "last.safetensors"
    with pytest.raises(OSError, match="No space") as caught:
        write_snapshot(path, {"w": torch.zeros(2)}, {})
    text = explain(caught.value)
    assert text is not None
    assert text.startswith(f"The checkpoint '{path}' cannot be written: no space is left")
    assert "The one before is kept." in text


@pytest.mark.parametrize(
    ("error", "words"),
    [
        (MemoryError(), "Memory ran out."),
        (np.exceptions.DTypePromotionError("odd"), "Run again with -v for the traceback."),
        (RecursionError("maximum recursion depth exceeded"), "nested too deeply"),
        (PermissionError(errno.EACCES, "?", "my list.csv"), "'my list.csv' cannot be read or"),
        (OSError(errno.EMFILE, "?"), "too many files are open"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_whatever_ends_a_command_is_said_plainly(
    featx: Featx, monkeypatch: pytest.MonkeyPatch, error: Exception, words: str
) -> None:
    def broken(*arguments: object, **options: object) -> None:
        raise error

    monkeypatch.setattr("featx.data.opening.read_manifest", broken)
    result = featx("extract", "photos")
    assert result.code == 1
    assert words in result.err
    assert "Traceback" not in result.err
    assert "Errno" not in result.err
    assert "Traceback" in featx("extract", "photos", "-v").err


def test_errors_on_purpose_are_not_explained_anew(
    featx: Featx, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refused(*arguments: object, **options: object) -> None:
        raise FeatxError("No.", hint="Try another.")

    monkeypatch.setattr("featx.data.opening.read_manifest", refused)
    assert featx("extract", "photos").err == "Error: No.\nTry another.\n"
