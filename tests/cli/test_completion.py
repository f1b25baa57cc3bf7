"""Completion, typed into real shells."""

from __future__ import annotations

import os
import pty
import re
import select
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

import featx

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there are no terminals to drive")

SHELLS = {
    "bash": (["bash", "--norc", "--noprofile", "-i"], 'eval "$(featx completion bash)"'),
    "zsh": (
        ["zsh", "-f", "-i"],
        'autoload -Uz compinit; compinit -u -D; eval "$(featx completion zsh)"',
    ),
}

#: What is typed before the tab, and how the line goes on.
TYPED = [
    ("featx insp", "featx inspect "),
    ("featx inspect twi", "featx inspect twins/"),
    ("featx inspect two", r"featx inspect two\ words/"),
    ("featx fit x --head svm-l", "featx fit x --head svm-linear "),
    ("featx fit x --sampler smote-t", "featx fit x --sampler smote-tomek "),
    ("featx fit x --backbone featx:min", "featx fit x --backbone featx:mini-v1 "),
    ("featx compare runs/fir", "featx compare runs/first"),
    ("featx score m x -o new.p", "featx score m x -o new.parquet "),
]


@pytest.fixture
def place(tmp_path: Path) -> Path:
    """A folder to type in, with ``featx`` on the path."""
    for name in ("twins", "two words", "runs/first", "bin"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "runs/first/results.json").write_text("{}")
    program = tmp_path / "bin/featx"
    program.write_text(f'#!/bin/sh\nexec "{sys.executable}" -m featx "$@"\n')
    program.chmod(0o755)
    return tmp_path


def surroundings(place: Path) -> dict[str, str]:
    root = str(Path(featx.__path__[0]).parent)
    path = f"{place / 'bin'}{os.pathsep}{os.environ['PATH']}"
    kept = {k: v for k, v in os.environ.items() if k not in {"PS1", "PROMPT", "COLUMNS"}}
    return {**kept, "PATH": path, "PYTHONPATH": root, "TERM": "dumb", "HOME": str(place)}


class Typist:
    """Someone at a shell."""

    def __init__(self, command: list[str], place: Path) -> None:
        self.pid, self.terminal = pty.fork()
        if self.pid == 0:
            os.chdir(place)
            os.execvpe(command[0], command, surroundings(place))
        self.seen = ""

    def type(self, keys: str) -> None:
        self.seen = ""
        os.write(self.terminal, keys.encode())

    def sees(self, text: str, patience_s: float = 30) -> bool:
        """Whether it appears, within an ample time."""
        until = time.monotonic() + patience_s
        while time.monotonic() < until:
            shown = re.sub(r"\x1b\[[\d;?]*[a-zA-Z]|\x1b[=>]", "", self.seen)
            if text in re.sub(r".\x08", "", shown):
                return True
            if select.select([self.terminal], [], [], 0.1)[0]:
                self.seen += os.read(self.terminal, 65536).decode(errors="replace")
        return False


@pytest.fixture(params=SHELLS)
def typist(request: pytest.FixtureRequest, place: Path) -> Iterator[Typist]:
    command, setup = SHELLS[request.param]
    if shutil.which(command[0]) is None:
        pytest.skip(f"{command[0]} is not here")
    someone = Typist(command, place)
    someone.type(f"{setup}; echo rea''dy\n")
    assert someone.sees("ready"), someone.seen
    yield someone
    os.close(someone.terminal)
    os.waitpid(someone.pid, 0)


def test_a_tab_completes_commands_files_plug_ins_runs_and_formats(typist: Typist) -> None:
    for typed, completed in TYPED:
        typist.type(f"{typed}\t")
        assert typist.sees(completed), (completed, typist.seen)
        typist.type("\x15")  # the line is emptied


def test_fish_is_offered_the_same(place: Path) -> None:
    if shutil.which("fish") is None:
        pytest.skip("fish is not here")
    script = "featx completion fish | source\n" + "".join(
        f"complete -C '{typed}'\n" for typed, _ in TYPED[:6]
    )
    done = subprocess.run(
        ["fish", "--no-config", "-c", script],
        cwd=place, env=surroundings(place), capture_output=True, text=True, check=True,
    )  # fmt: skip
    offered = [line.split("\t")[0] for line in done.stdout.splitlines()]
    expected = ["inspect", "twins/", "two words/", "svm-linear", "smote-tomek", "featx:mini-v1"]
    assert [name for name in expected if name not in offered] == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_the_script_offers_files_where_a_data_set_is_named(shell: str, place: Path) -> None:
    """Without the shell itself: what its script is answered."""
    line = "featx inspect tw"
    asked = {
        "bash": {"COMP_LINE": line, "COMP_BREAKS": ":="},
        "zsh": {"COMP_WORDS": line, "COMP_CWORD": "2"},
        "fish": {"COMP_WORDS": line, "COMP_CWORD": "tw"},
    }
    done = subprocess.run(
        [sys.executable, "-m", "featx"],
        cwd=place,
        env={**surroundings(place), **asked[shell], "_FEATX_COMPLETE": f"{shell}_complete"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.replace("\n", ",").startswith("file,tw")
