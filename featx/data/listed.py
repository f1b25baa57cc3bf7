"""Images that a list names, and which image of the data set each of them is."""

from __future__ import annotations

from collections.abc import Collection, Sequence

from featx.data.likeness import loose
from featx.data.manifest import Manifest
from featx.errors import DatasetError, nearest
from featx.files import printable


def known_ids(
    manifest: Manifest, ids: Collection[str], source: str, listed: Sequence[str]
) -> list[str]:
    """The id that each listed path is.

    Raises
    ------
    DatasetError
        One of them is no image of the data set.
    """
    found = [as_listed(path, ids) for path in listed]
    unknown = [path for path, id in zip(listed, found, strict=True) if id is None]
    if unknown:
        guess = _guess(unknown[0], ids)
        raise DatasetError(
            f"'{printable(source)}' names {len(unknown):,} of {len(listed):,} images that "
            f"'{printable(manifest.source)}' does not have, the first '{printable(unknown[0])}'.",
            hint="Images are named by their path below the data set's folder, or below the "
            "manifest's root." + (f" Did you mean '{printable(guess)}'?" if guess else ""),
        )
    return [id for id in found if id is not None]


def as_listed(text: str, known: Collection[str]) -> str | None:
    """The name meant; featx's own tables put an apostrophe before what looks like a formula."""
    if text.startswith("'") and text[1:] in known:
        return text[1:]
    return text if text in known else None


def _guess(path: str, ids: Collection[str]) -> str | None:
    """The image that is named nearly so; by what cannot be seen first."""
    alike = [id for id in ids if loose(id) == loose(path.replace("\\", "/"))]
    if alike:
        return min(alike)
    return nearest(path, ids) if len(ids) <= 10_000 else None
