"""docs/datasets.md says what the code does."""

from __future__ import annotations

from pathlib import Path

import pytest

from featx.data.columns import SYNONYMS
from featx.data.hashing import FILE_LIMIT_BYTES
from featx.data.imagetypes import FORMATS
from featx.data.manifest import SPLITS
from featx.data.pillow import PIXEL_LIMIT

DOCS = (Path(__file__).parents[2] / "docs" / "datasets.md").read_text("utf-8")


@pytest.mark.parametrize("extensions", FORMATS.values(), ids=FORMATS)
def test_extensions(extensions):
    assert f"| {' '.join(extensions)} |" in DOCS


@pytest.mark.parametrize("meaning", SYNONYMS)
def test_column_names(meaning):
    (line,) = [line for line in DOCS.splitlines() if line.startswith(f"| `{meaning}` |")]
    assert line.split("|")[3].strip() == ", ".join(SYNONYMS[meaning][1:])


def test_split_names_and_limits():
    assert all(f"`{name}`" in DOCS for name in SPLITS)
    assert f"{PIXEL_LIMIT:,} pixels" in DOCS
    assert FILE_LIMIT_BYTES == 2**30
    assert "larger than 1 GiB" in DOCS
