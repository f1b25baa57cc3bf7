"""Streams that are closed, full or of another encoding, and libraries that talk."""

from __future__ import annotations

import io
import json
import logging
import os
import subprocess
import sys
import warnings
from pathlib import Path
from typing import Any

import pytest

from featx import console, progress
from featx.cli import _process
from featx.errors import OutputLostError
from tests.cli.conftest import Featx

COMMAND = [sys.executable, "-m", "featx"]


def stream(monkeypatch: pytest.MonkeyPatch, encoding: str) -> io.BytesIO:
    """What is printed lands here, as in a terminal of this encoding."""
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding=encoding))
    return raw


@pytest.mark.parametrize(
    ("encoding", "text", "expected"),
    [
        ("utf-8", "é日 ─\udcff", "é日 ─".encode() + b"\xff"),
        ("ascii", "é日 ─→\udcff", b"\\xe9\\u65e5 ->\xff"),
        ("latin-1", "é日 ─", "é\\u65e5 -".encode("latin-1")),
        ("cp1252", "é日 –─", "é\\u65e5 –-".encode("cp1252")),
    ],
)
def test_what_an_encoding_lacks_is_an_escape_and_bytes_stay_bytes(
    monkeypatch: pytest.MonkeyPatch, encoding: str, text: str, expected: bytes
) -> None:
    raw = stream(monkeypatch, encoding)
    console.out(text)
    assert raw.getvalue() == expected + b"\n"


def test_a_stdout_that_is_gone_is_an_error_of_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    with pytest.raises(OutputLostError, match="Standard output cannot be written: it is closed"):
        console.out("x")
    console.flush()  # nothing was to be printed
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "w") as pipe:
        monkeypatch.setattr(sys, "stdout", pipe)
        with pytest.raises(OutputLostError, match="its reader has exited"):
            console.out("x")
        os.dup2(os.open(os.devnull, os.O_WRONLY), pipe.fileno())


def test_messages_never_end_the_work_they_tell_of(monkeypatch: pytest.MonkeyPatch) -> None:
    class Full(io.StringIO):
        def write(self, text: str) -> int:
            raise OSError(28, "No space left on device")

    raw = stream(monkeypatch, "utf-8")
    for stderr in (None, Full()):
        monkeypatch.setattr(sys, "stderr", stderr)
        console.warn("x")
        console.log("x")
        with console.progress(1, "label") as bar:
            bar.advance()
    sys.stdout.flush()
    assert raw.getvalue() == b""  # print(file=None) would be stdout


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="there is no /dev/full")
@pytest.mark.parametrize(
    ("redirection", "code", "err"),
    [
        (">/dev/full", 1, "Standard output cannot be written: no space is left on the disk."),
        (">&-", 1, "Standard output cannot be written: it is closed."),
        ("2>&-", 0, ""),
        ("2>/dev/full", 0, ""),
        ("<&- 2>&-", 0, ""),
        ("<&- >&- 2>&-", 1, ""),
        ("--help >/dev/full", 1, "Standard output cannot be written: no space is left"),
    ],
)
def test_lost_streams_end_in_a_sentence_and_an_exit_code(
    redirection: str, code: int, err: str
) -> None:
    line = f"{' '.join(COMMAND)} completion bash {redirection}"
    done = subprocess.run(["sh", "-c", line], capture_output=True, text=True, check=False)
    assert done.returncode == code, done.stderr
    assert done.stderr.startswith(f"Error: {err}" if err else "")
    assert "Traceback" not in done.stderr
    assert "Exception ignored" not in done.stderr
    assert bool(done.stdout) == (code == 0)


def test_a_reader_that_has_gone_is_a_sentence() -> None:
    read, write = os.pipe()
    os.close(read)
    done = subprocess.run(
        [*COMMAND, "completion", "bash"], stdout=write, stderr=subprocess.PIPE, check=False
    )
    os.close(write)
    assert done.returncode == 1
    assert done.stderr.startswith(
        b"Error: Standard output cannot be written: its reader has exited"
    )
    assert done.stderr.count(b"\n") == 2


def test_the_run_is_whole_where_nothing_could_be_printed(
    featx: Featx, run_folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "stdout", None)
    result = featx("score", run_folder, "new", "-o", tmp_path / "s.csv")
    assert result.code == 1
    assert "What the command wrote to files is kept." in result.err
    assert len((tmp_path / "s.csv").read_text("utf-8").splitlines()) == 5


NO_UTF8 = {"LC_ALL": "C", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}


@pytest.mark.skipif(sys.platform != "linux", reason="file names are bytes on Linux")
def test_names_are_the_same_in_any_locale(tmp_path: Path) -> None:
    for name in ("日本/ä.png", "b/b.png"):
        path = tmp_path / "Größe" / name
        path.parent.mkdir(parents=True)
        path.write_bytes(b"no image, but a name")
    found = []
    for surroundings in ({}, NO_UTF8):
        done = subprocess.run(
            [*COMMAND, "inspect", str(tmp_path / "Größe"), "--json"],
            env={**os.environ, **surroundings},
            capture_output=True,
            check=False,
        )
        assert done.returncode == 1, "none of them can be read"
        found.append({**json.loads(done.stdout), "elapsed_s": 0})
    assert found[0] == found[1]
    assert "日本" in found[0]["classes"]


def test_python_starts_again_in_utf8_only_where_it_must(monkeypatch: pytest.MonkeyPatch) -> None:
    started: list[Any] = []
    monkeypatch.setattr(os, "execv", lambda *words: started.append(words))
    monkeypatch.setenv("PYTHONIOENCODING", "utf-8")
    monkeypatch.setenv("PYTHONUTF8", "0")
    _process._speak_utf8()
    assert not started
    monkeypatch.setattr(sys, "getfilesystemencoding", lambda: "iso8859-1")
    monkeypatch.setattr(sys, "orig_argv", ["python", "-m", "featx", "inspect", "é"])
    if os.name == "posix" and not sys.flags.utf8_mode:
        _process._speak_utf8()
        words = [sys.executable, "-X", "utf8", "-m", "featx", "inspect", "é"]
        assert started == [(sys.executable, words)]


def talkative(*arguments: object, **options: object) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("glyph 26085 missing", UserWarning, stacklevel=1)
    logging.getLogger("some.library").error("unauthenticated %s", "requests")
    raise ValueError("enough")


def test_libraries_talk_under_minus_v_only_and_never_show_their_source(
    featx: Featx, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("featx.data.opening.read_manifest", talkative)
    before = warnings.showwarning
    assert featx("extract", "photos").err.startswith("Error: ValueError: enough")
    told = featx("extract", "photos", "-v").err.splitlines()
    ours = [line for line in told if "glyph" in line or "requests" in line]
    assert ours[:2] == [
        "UserWarning: glyph 26085 missing",
        "some.library: unauthenticated requests",
    ]
    assert warnings.showwarning is before


def test_importing_featx_leaves_the_filters_of_warnings_alone() -> None:
    code = (
        "import logging, warnings; before = list(warnings.filters), warnings.showwarning; "
        "import featx.cli.main, featx.console; "
        "assert before == (list(warnings.filters), warnings.showwarning); "
        "assert not logging.getLogger().handlers"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


class Terminal(io.StringIO):
    """A stream that is a terminal, and what stands on it in the end."""

    def isatty(self) -> bool:
        """As a terminal's."""
        return True

    def lines(self) -> list[str]:
        """What a person sees: a carriage return and an erasure begin the last line anew."""
        return [line.split("\r\033[K")[-1] for line in self.getvalue().split("\n")]


class Clock:
    """The clock of all bars, which stands still unless it is moved; the thread draws nothing."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.at = 1000.0
        monkeypatch.setattr(progress, "_drawn_at", 0.0)
        monkeypatch.setattr(progress, "now", lambda: self.at)
        monkeypatch.setattr(progress, "TICK_S", 1e6)

    def pass_by(self, seconds: float) -> None:
        self.at += seconds


def stderr_on(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """A terminal that stderr is from now on."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setenv("COLUMNS", "60")
    monkeypatch.delenv("NO_COLOR", raising=False)
    return found


def test_a_bar_shows_counts_and_goes_and_messages_meanwhile_stay(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = stderr_on(monkeypatch)
    clock = Clock(monkeypatch)
    with console.progress(2000, "Hashing") as bar:
        bar.advance(0)
        assert terminal.getvalue() == "", "what may be over at once is not shown"
        clock.pass_by(5)
        bar.advance(0)
        assert terminal.lines()[-1].startswith("Hashing 0/2,000, 0:05 so far [")
        clock.pass_by(5)
        bar.advance(500)
        console.warn("one is odd")
        assert terminal.lines()[0] == "\033[33mWarning:\033[0m one is odd"
        assert terminal.lines()[1].startswith("Hashing 500/2,000, 50/s, 0:30 left [")
        with console.progress(3, "within") as inner:
            clock.pass_by(90)
            inner.advance()
            assert terminal.lines()[1] == "Hashing 500/2,000 · within 1/3, 90.0 s each, 3:00 left"
            with console.stage("something deeper"):
                clock.pass_by(3600)
                inner.advance()
                assert terminal.lines()[1] == "within 2/3 · something deeper, 1:00:00 so far"
        bar.advance(1500)
    assert terminal.lines() == ["\033[33mWarning:\033[0m one is odd", ""]
    drawn = terminal.getvalue().split("\r\033[K")
    assert all(len(part) < 60 for part in drawn if "Warning" not in part)


@pytest.mark.parametrize("quiet", ["not a terminal", "-q", "dumb"])
def test_there_is_no_bar_where_it_cannot_be_drawn_or_is_not_wanted(
    monkeypatch: pytest.MonkeyPatch, quiet: str
) -> None:
    terminal = stderr_on(monkeypatch)
    if quiet == "not a terminal":
        monkeypatch.setattr(terminal, "isatty", lambda: False)
    elif quiet == "dumb":
        monkeypatch.setenv("TERM", "dumb")
    else:
        console.set_verbosity(-1)
    clock = Clock(monkeypatch)
    with console.progress(10, "Hashing") as bar:
        clock.pass_by(9)
        bar.advance(10)
    console.set_verbosity(0)
    assert terminal.getvalue() == ""


def test_a_bar_that_fails_or_loses_its_terminal_ends_nothing(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = stderr_on(monkeypatch)
    clock = Clock(monkeypatch)

    def interrupted() -> None:
        with console.progress(10, "Hashing") as bar:
            clock.pass_by(9)
            bar.advance()
            assert "Hashing 1/10" in terminal.lines()[-1]
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    assert terminal.lines() == [""]
    with console.progress(0, "None") as bar:
        terminal.close()
        bar.advance(3)
