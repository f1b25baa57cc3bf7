"""The console blocks and Python examples of a page: find them, run them, compare what they print.

A block of ```` ```console ```` holds commands (lines that begin with ``$ ``) and, below them, what
they print. Of ``...`` alone on a line any output is left out. Blocks of ```` ```python ```` share
one namespace. HTML comments, which no reader sees, steer the runner:

``<!-- not run: REASON -->``
    The next block is not run.
``<!-- before: COMMAND -->``
    Runs here, so that what the page takes for granted is there.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

BLOCK = re.compile(
    r"^<!-- before: (?P<before>.*?) -->$"
    r"|^(?:<!-- not run: (?P<reason>.*?) -->\n)?"
    r"^(?P<indent> *)```(?P<language>console|python)\n(?P<text>.*?)^ *```$",
    re.MULTILINE | re.DOTALL,
)


@dataclass
class Command:
    """A command line of a page, and the lines that the page shows below it."""

    line: str
    shown: list[str] = field(default_factory=list)


@dataclass(frozen=True)
class Block:
    """One block of a page.

    Parameters
    ----------
    language : {"console", "python", "before"}
    text : str
    reason : str or None
        Why it is not run.
    start, stop : int
        Where ``text`` lies in the page.
    """

    language: str
    text: str
    reason: str | None
    start: int
    stop: int

    @property
    def commands(self) -> list[Command]:
        """Of a console block; a line that ends in a backslash goes on in the next."""
        found: list[Command] = []
        for line in self.text.replace("\\\n", " ").splitlines():
            if line.startswith("$ "):
                found.append(Command(re.sub(r"\s+# .*$", "", line[2:])))
            elif found:
                found[-1].shown.append(line)
        return found


def blocks(page: str) -> Iterator[Block]:
    """All blocks of a page's text, in order."""
    for match in BLOCK.finditer(page):
        if match["before"]:
            yield Block("before", match["before"], None, match.start(), match.start())
        else:
            text = re.sub(rf"^{match['indent']}", "", match["text"], flags=re.MULTILINE)
            yield Block(match["language"], text, match["reason"], *match.span("text"))


Run = Callable[[list[str]], str]  # arguments of featx to all that it prints; raises where it fails


def run_page(path: Path, featx: Run, shell: Callable[[str], str]) -> Iterator[tuple[Command, str]]:
    """Run a page in the working directory; yields each command with what it printed."""
    names: dict[str, object] = {}
    for block in blocks(path.read_text("utf-8")):
        if block.reason is not None:
            continue
        if block.language == "python":
            exec(compile(block.text, f"{path.name} (example)", "exec"), names)
            continue
        commands = [Command(block.text)] if block.language == "before" else block.commands
        for command in commands:
            words = shlex.split(command.line)
            plain = words[0] == "featx" and not {"|", ">", "&&", ";"} & set(words)
            yield command, featx(words[1:]) if plain else shell(command.line)


def alike(line: str) -> str:
    """A line without what changes from machine to machine: numbers, and the space around them."""
    return re.sub(r"[\d.,:]*\d", "#", re.sub(r"[\s─]+", " ", line)).strip()


def missing(command: Command, printed: str) -> list[str]:
    """Lines that the page shows and the command did not print."""
    there = {alike(line) for line in printed.splitlines()}
    return [line for line in command.shown if line.strip() != "..." and alike(line) not in there]


def shortened(shown: list[str], printed: list[str]) -> list[str]:
    """What was printed, as much of it as the page shows now.

    Each stretch of lines between two ``...`` is found again by its first line.

    Raises
    ------
    ValueError
        Such a line is not there any more.
    """
    found: list[str] = []
    at = -1
    for i, line in enumerate(shown):
        if line.strip() == "...":
            found.append("...")
            continue
        if i == 0 or shown[i - 1].strip() == "...":
            at = position(line, printed, at + 1)
        else:
            at += 1
        found.append(printed[at])
    return found


def position(line: str, printed: list[str], start: int) -> int:
    """Where a line is printed, from ``start`` on.

    Of lines that differ in numbers alone it is the one that begins with the same word.
    """
    there = [k for k in range(start, len(printed)) if alike(printed[k]) == alike(line)]
    if not there:
        raise ValueError(f"not printed any more: {line}")
    same = [k for k in there if printed[k].split()[:1] == line.split()[:1]]
    return (same or there)[0]
