"""A small labelling, served."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

pytest.importorskip("uvicorn", reason="needs featx[app]")

from app_lab import HOSTILE, Served, draw, labelling, page_of, serving

from featx.labelling import LabellingSession

NAMES = [*(f"{i:02}.png" for i in range(29)), f"{HOSTILE}.png"]


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> LabellingSession:
    """Thirty images, of which one has a hostile name."""
    folder = tmp_path_factory.mktemp("labelling")
    return labelling(folder, NAMES, draw(folder / "images", NAMES))


@pytest.fixture(scope="module")
def served(session: LabellingSession, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """Its page."""
    with serving(page_of(session, tmp_path_factory.mktemp("thumbnails"))) as found:
        yield found
