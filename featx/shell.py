"""Commands as text that a person can paste into a shell."""

from __future__ import annotations

import os
import shlex


def shell_line(*words: str | os.PathLike[str]) -> str:
    """The words as one line that a POSIX shell reads back to exactly these words.

    A word with control characters, undecodable bytes or characters that do not print is quoted as
    ``$'...'`` with each of them as an escape, so that nothing in a file's name acts on a terminal.
    """
    return " ".join(_quoted(os.fspath(word)) for word in words)


def as_argument(path: str | os.PathLike[str]) -> str:
    """``path`` as a command takes it where no flag is meant: ``-x`` becomes ``./-x``."""
    text = os.fspath(path)
    return f"./{text}" if text.startswith("-") else text


def _quoted(word: str) -> str:
    if word.isprintable():
        return shlex.quote(word)
    return "$'" + "".join(map(_escaped, word)) + "'"


def _escaped(character: str) -> str:
    if character in "'\\":
        return f"\\{character}"
    if character.isprintable():
        return character
    return "".join(f"\\x{byte:02x}" for byte in character.encode("utf-8", "surrogateescape"))
