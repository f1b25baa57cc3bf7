"""A kind of folder that is replaced as a whole, as the tests here write and read it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from featx.ours import FolderKind
from featx.outputs import Output, claimed


@dataclass(frozen=True)
class Written:
    """One kind of folder: how it is written with some text in it, and how that is read."""

    kind: FolderKind
    write: Callable[[Path, str], None]
    read: Callable[[Path], Sequence[str]]
    claims: bool = False

    def claim_and_write(self, path: Path, text: str) -> None:
        """As a command does with ``--overwrite``."""
        if self.claims:  # by itself
            self.write(path, text)
            return
        with claimed([Output(path, "-o", self.kind, overwrite=True)]) as claims:
            self.write(claims.place(path), text)
