"""``--resize auto``: the weights' own way to a square and the whole image squashed compete."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

import featx as library
from featx.adapters._embedder import ImageEmbedder
from featx.artifact import load_model
from featx.config import ExtractConfig
from featx.errors import ConfigError
from featx.extraction.ways import _squashes
from featx.fitting.layers import chosen_embedding
from featx.types import Preprocess
from tests.lab import NETWORK, NUMERICS, Featx, flags, save_pixels

BOTH = [*flags({**NETWORK, **NUMERICS}), "--resize", "auto"]
OWN, SQUASHED = NETWORK["backbone"], f"{NETWORK['backbone']}@squash"


@pytest.fixture
def wide(workspace: Path) -> Path:
    """Images twice as wide as high, whose class is painted at the left edge."""
    folder = workspace / "wide"
    rng = np.random.default_rng(0)
    for name, level in (("dark", 20), ("light", 230)) if not folder.exists() else ():
        for i in range(12):
            pixels = rng.integers(90, 160, (40, 80, 3)).astype(np.uint8)
            pixels[:, :16] = level
            save_pixels(folder / name / f"{i:02}.png", pixels)
    return folder


def fitted(featx: Featx, folder: Path, name: str, *more: object) -> dict[str, Any]:
    result = featx("fit", folder, *BOTH, "--name", name, "--cv", "3", "--json", "-j", "1", *more)
    assert result.code == 0, result.err
    document: dict[str, Any] = json.loads(result.out)
    return document


def test_the_search_finds_the_way_that_shows_the_class(featx: Featx, wide: Path) -> None:
    """A class at the edge is cut off in the weights' own way; the model squashes new images."""
    found = fitted(featx, wide, "edge")
    assert [row["backbone"] for row in found["candidates"]] == [OWN, SQUASHED]
    assert set(found["extraction"]) == {OWN, SQUASHED}
    assert found["chosen"]["backbone"] == SQUASHED
    assert found["estimate"]["metrics"]["accuracy"]["value"] == 1.0
    (extractor,) = load_model("runs/edge").extractors
    assert extractor.backbone_request.resize == "squash"
    assert extractor.spec.document["preprocess"]["crop"] == 1.0
    scored = featx("score", "runs/edge", wide, "-o", "edge.csv", "--json")
    assert json.loads(scored.out)["scored"] == 24
    rows = Path("edge.csv").read_text("utf-8").splitlines()[1:]
    assert all(row.split(",").count(row.split("/")[0]) for row in rows), "each as its folder says"


def test_both_ways_side_by_side_are_one_model(featx: Featx, wide: Path) -> None:
    found = fitted(featx, wide, "joined", "--concat")
    names = [row["backbone"] for row in found["candidates"]]
    assert names == [OWN, SQUASHED, f"{OWN} + {SQUASHED}"]


def test_squashing_shares_the_store_of_its_own_flag(wide: Path, tmp_path: Path) -> None:
    options = {**NETWORK, **NUMERICS, "cache": str(tmp_path)}
    both = library.extract(wide, resize="auto", **options)
    assert isinstance(both, list)
    assert [e.name for e in both] == [OWN, SQUASHED]
    for extraction, resize in zip(both, (None, "squash"), strict=True):
        alone = library.extract(wide, resize=resize, **options)
        assert not isinstance(alone, list)
        assert alone.spec.fingerprint == extraction.spec.fingerprint
        assert alone.report.computed == 0
    assert not np.array_equal(both[0].X, both[1].X)


def test_what_squashes_anyway_has_one_way(workspace: Path, tmp_path: Path) -> None:
    one = library.extract(
        workspace / "photos", backbone="featx:mini-v1", resize="auto", cache=str(tmp_path)
    )
    assert not isinstance(one, list)
    assert one.name == "featx:mini-v1"


@pytest.mark.parametrize(
    ("sizes", "own", "same"),
    [
        ([(40, 40), (64, 64)], Preprocess(crop=1.0), True),
        ([(40, 40), (64, 48)], Preprocess(crop=1.0), False),
        ([(40, 40)], Preprocess(crop=0.9), False),
        ([(40, 40)], Preprocess(crop=1.0, size_px=(224, 192)), False),
        ([(64, 48)], Preprocess(crop=1.0, resize="squash"), True),
        ([(40, 40), None], Preprocess(crop=1.0), False),
        ([], Preprocess(crop=1.0), False),
    ],
)
def test_equal_pixels_are_known_before_anything_is_embedded(
    tmp_path: Path, sizes: list[tuple[int, int] | None], own: Preprocess, same: bool
) -> None:
    paths = [tmp_path / f"{i}.png" for i in range(len(sizes))]
    for path, size in zip(paths, sizes, strict=True):
        path.write_bytes(b"broken") if size is None else Image.new("RGB", size).save(path)
    assert _squashes(own, [str(path) for path in paths]) is same


def test_it_is_the_default_of_layer_auto_alone() -> None:
    def ways(**options: Any) -> list[str | None]:
        config = ExtractConfig.model_validate({"backbone": ["featx:lite0"], **options})
        return [request.resize for request in config.requests()]

    assert ways(layer=["auto"]) == [None, "squash"]
    assert ways(resize="auto") == [None, "squash"]
    assert ways(layer=["auto"], resize="shortest") == ["shortest"]
    assert ways(layer=["auto"], resize="squash") == ["squash"]
    assert ways(layer=["auto"], crop=0.9) == [None]
    assert ways(layer=["stages"]) == ways() == [None]
    with pytest.raises(ConfigError, match=r"--crop 0\.9 cannot be combined with --resize auto"):
        ways(resize="auto", crop=0.9)


@pytest.mark.parametrize(
    ("chosen", "options", "found"),
    [
        ("a", {"resize": "auto"}, {"resize": None}),
        ("a@squash", {"resize": "auto"}, {"resize": "squash"}),
        ("a + a@squash", {"resize": "auto"}, None),
        ("a/s1 + a/s2", {"layer": ["auto"]}, {"layer": ["s1", "s2"], "resize": None}),
        ("a@squash/s1", {"layer": ["auto"]}, {"layer": ["s1"], "resize": "squash"}),
        ("a/s1", {"layer": ["auto"], "resize": "squash"}, {"layer": ["s1"]}),
        ("b", {"layer": ["auto"], "backbone": ["a", "b"]}, {"layer": [], "resize": None}),
        ("b + a@squash/s1", {"layer": ["auto"], "backbone": ["a", "b"]}, None),
        ("b", {"backbone": ["a", "b"]}, {}),
        ("a + b", {"backbone": ["a", "b"]}, None),
    ],
)
def test_a_choice_becomes_flags(
    chosen: str, options: dict[str, Any], found: dict[str, Any] | None
) -> None:
    config = ExtractConfig.model_validate({"backbone": ["a"], **options})
    got = chosen_embedding(chosen, config)
    if found is None:
        assert got is None
        return
    assert got is not None
    assert got.pop("backbone") == [chosen[0]]
    assert {k: v for k, v in got.items() if k != "pooling"} == found
    assert len(config.model_copy(update={**got, "backbone": [chosen[0]]}).requests()) == 1


def test_what_takes_one_embedding_says_so(featx: Featx, workspace: Path) -> None:
    refused = featx("finetune", "photos", *BOTH)
    assert (refused.code, "--resize auto has a search choose" in refused.err) == (2, True)
    refused = featx("audit", "photos", *BOTH, "-o", "audited")
    assert (refused.code, "--resize auto" in refused.err) == (2, True)
    with pytest.raises(ConfigError, match="resize='auto' is chosen from labelled images"):
        ImageEmbedder(resize="auto").fit(["x.png"])
