"""A data set as every command reads it, with warnings of what is odd or passed over."""

from __future__ import annotations

import os
from collections.abc import Sequence

from featx import console
from featx.config import DatasetConfig
from featx.data.corrections import corrections_sentences
from featx.data.kept_columns import Keep
from featx.data.lookup import hint_for, suggestion
from featx.data.manifest import Manifest
from featx.data.passed import passed_over
from featx.data.reader import read_manifest
from featx.data.remarks import remarks
from featx.errors import DatasetError
from featx.files import printable


def open_data(
    config: DatasetConfig,
    *,
    labelled: bool | None = None,
    grouped: bool = False,
    keep: Keep | Sequence[str] = (),
    quiet: bool = False,
) -> Manifest:
    """Read a data set and warn of what is odd; list what is left out when the command ends.

    Parameters
    ----------
    config, labelled, grouped, keep
        See `featx.data.reader.read_manifest`.
    quiet : bool
        Whether the caller prints all of this itself.

    Raises
    ------
    UsageError, DatasetError, MissingExtraError
        See `featx.data.reader.read_manifest`; also where a manifest file names no file that is
        there.
    """
    manifest = read_manifest(config, labelled=labelled, grouped=grouped, keep=keep)
    _require_a_file(manifest, config)
    if not quiet:
        for sentence in remarks(manifest):
            console.warn(sentence)
        tell_corrections(manifest)
        tell_passed(manifest)
    return manifest


def tell_corrections(manifest: Manifest) -> None:
    """Say what corrections have changed, and warn of those that were not applied."""
    if manifest.corrections is not None:
        done, *doubts = corrections_sentences(manifest.corrections)
        console.log(done)
        for sentence in doubts:
            console.warn(sentence)


def tell_passed(manifest: Manifest) -> None:
    """Say at the end of the command how many files of which kinds were passed over."""
    passed = passed_over(manifest)
    if passed:
        sentence = f"Passed over in '{printable(manifest.source)}': {passed}."
        console.at_end(sentence, warning=bool(manifest.unread))


def _require_a_file(manifest: Manifest, config: DatasetConfig) -> None:
    """A manifest file of which no path leads to a file is a mistake in its paths."""
    if os.path.isdir(manifest.source):  # noqa: PTH112
        return
    if any(os.path.lexists(row.path) for row in manifest.rows):
        return
    first, n = manifest.rows[0], len(manifest)
    named = f"'{printable(manifest.source)}' names"
    files = f"The only file that {named} does not exist:"
    if n > 1:
        files = f"None of the {n:,} files that {named} exists, the first"
    mend = suggestion(first.path, manifest.root) or "."
    raise DatasetError(
        f"{files} '{printable(first.id)}'{mend}",
        hint=hint_for(first.id, manifest.root, rooted=config.root is not None),
    )
