"""``--layer auto``: layers compete inside the search, and the choice is one plain embedding."""

from __future__ import annotations

import json
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

import featx as library
from featx.artifact import load_model
from featx.extraction import Extraction
from featx.fitting.layers import one_embedding, side_by_side
from tests.lab import NETWORK, NUMERICS, Featx, flags

BACKBONE = flags(NETWORK)
AUTO = [*BACKBONE, "--layer", "auto"]


@pytest.fixture
def run(featx: Featx, workspace: Path) -> Path:
    folder = workspace / "runs" / "auto"
    if not folder.exists():
        fitted = featx("fit", "photos", *AUTO, "--name", "auto", "--cv", "3", "-j", "1")
        assert fitted.code == 0, fitted.err
    return folder


def candidates(run: Path) -> list[str]:
    table = json.loads((run / "results.json").read_text("utf-8"))["candidates"]
    return [row["backbone"] for row in table]


def test_stages_pre_logits_and_their_unions_compete(run: Path) -> None:
    names = candidates(run)
    alone = [name for name in names if " + " not in name]
    own = [name for name in alone if "@squash" not in name]
    squashed = [name.replace("test_resnet/", "test_resnet@squash/") for name in own]
    assert alone == [*own, squashed[-1]], "both ways to the network's square compete"
    assert own[-1].endswith("/pre-logits")
    assert len(own) > 3
    beside = [name.split(" + ") for name in names if " + " in name]
    assert beside == [own[:-1], squashed[:-1], own, squashed]


def test_what_lies_side_by_side_lies_together() -> None:
    """Each union is a run of the model's columns: a voice of an ensemble reads one such run."""
    taps = [("s1", "avg"), ("s2", "avg"), ("s1", "max"), ("s2", "max"), ("pre-logits", "own")]
    found: list[Any] = [
        SimpleNamespace(
            name=f"{network}/{layer}:{pooling}",
            request={"name": network, "layers": ["auto"], "resize": None},
            spec=SimpleNamespace(document={"output": [{"layer": layer, "pooling": pooling}]}),
        )
        for network in ("a", "b")
        for layer, pooling in taps
    ]
    names = [e.name for e in found]
    unions = side_by_side(found)
    assert unions[-1] == tuple(names)
    assert len(unions) == 5, "all stages of each network by each pooling, and everything"
    for union in unions:
        first = names.index(union[0])
        assert names[first : first + len(union)] == list(union)


def test_new_images_go_through_one_network_once(featx: Featx, run: Path) -> None:
    """The model names the chosen layers, under the fingerprint that asking for them gives."""
    (extractor,) = load_model(run).extractors
    layers = extractor.backbone_request.layers
    assert "auto" not in layers
    asked = [word for layer in layers for word in ("--layer", layer)]
    extracted = featx("extract", "photos", *BACKBONE, *asked, "--json")
    (one,) = json.loads(extracted.out)
    assert one["fingerprint"] == extractor.spec.fingerprint
    assert one["report"]["computed"] == 0, "the fit kept the rows of what it chose"
    scored = featx("score", run, "new", "-o", "scores-of-auto.csv", "--json")
    assert json.loads(scored.out)["scored"] == 3


def test_a_page_and_a_finetune_start_from_the_choice(featx: Featx, run: Path) -> None:
    assert featx("report", run, "--no-heat-maps").code == 0
    refused = featx("finetune", "photos", *AUTO)
    assert refused.code == 2
    assert "Fine-tuning takes one embedding" in refused.err
    refused = featx("audit", "photos", *AUTO, "-o", "audited")
    assert (refused.code, "--layer auto" in refused.err) == (2, True)


def test_what_is_joined_is_what_naming_its_layers_gives(
    featx: Featx, workspace: Path, tmp_path: Path
) -> None:
    options = {**NETWORK, **NUMERICS, "cache": str(tmp_path / "first")}
    stages = library.extract(workspace / "photos", layer=["auto"], resize="squash", **options)
    assert isinstance(stages, list)
    (joined,) = one_embedding(stages[1:], options["cache"])
    options["cache"] = str(tmp_path / "second")
    layers = joined.request["layers"]
    named = library.extract(workspace / "photos", layer=layers, resize="squash", **options)
    assert isinstance(named, Extraction)
    assert joined.spec.fingerprint == named.spec.fingerprint
    np.testing.assert_array_equal(joined.X, named.X)
    np.testing.assert_array_equal(joined.copies, named.copies)
