"""A table as a pandas frame; pandas is imported when it is asked for."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from featx.errors import MissingExtraError


def to_frame(columns: Sequence[str], rows: Iterable[Sequence[Any]]) -> Any:
    """A ``pandas.DataFrame``.

    Raises
    ------
    MissingExtraError
        pandas is not installed.
    """
    try:
        import pandas
    except ImportError:
        raise MissingExtraError("A table as a pandas frame", "pandas") from None
    return pandas.DataFrame(list(rows), columns=list(columns))
