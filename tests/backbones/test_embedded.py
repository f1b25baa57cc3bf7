"""The embedded backbone: built from its two files, which are checked."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import save

from featx.backbones import featx as embedded
from featx.backbones import list_backbones, load_backbone
from featx.errors import BackboneError, UnknownNameError
from featx.types import SMALL_BACKBONE, BackboneRequest

SIZES = [64, 32]
SPEC = json.loads((embedded.FOLDER / "mini-v1.json").read_text("utf-8"))


def install(folder: Path, *, sizes: list[int] = SIZES, damage: bool = False) -> None:
    """Put a specification and (untrained) weights where the real ones lie."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(11)
        module = embedded._construct(SPEC)
    state = {k: v.half() if v.is_floating_point() else v for k, v in module.state_dict().items()}
    weights = save(state)
    spec = SPEC | {
        "format": 1,
        "sizes_px": sizes,
        "preprocess": SPEC["preprocess"] | {"size_px": [sizes[0]] * 2},
        "weights": {"sha256": hashlib.sha256(weights).hexdigest()},
    }
    folder.mkdir(exist_ok=True)
    (folder / "mini-v1.json").write_text(json.dumps(spec))
    content = weights[:-1] + bytes([weights[-1] ^ 1]) if damage else weights
    (folder / "mini-v1.safetensors").write_bytes(content)


@pytest.fixture
def folder(tmp_path, monkeypatch) -> Path:
    """Where the embedded weights are looked for, empty."""
    monkeypatch.setattr(embedded, "FOLDER", tmp_path / "weights")
    return tmp_path / "weights"


def reference(body, x: torch.Tensor, sizes: list[int]) -> torch.Tensor:
    """The embedding, written down plainly."""
    parts = []
    for size in sizes:
        y = (
            x
            if size == x.shape[-1]
            else F.interpolate(x, (size, size), mode="bilinear", antialias=True)
        )
        y = body.act1(body.bn1(body.conv1(y)))
        for name in ("layer1", "layer2", "layer3", "layer4"):
            y = getattr(body, name)(y)
            if name != "layer1":
                parts.append(y.mean((2, 3)))
    return torch.cat(parts, 1)


def test_the_package_holds_it_whole():
    backbone = load_backbone(BackboneRequest(SMALL_BACKBONE), offline=True)
    assert backbone.pretrained
    assert backbone.preprocess.size_px == tuple(SPEC["preprocess"]["size_px"])
    assert backbone.outputs[0].n_features == SPEC["n_features"]
    n_parameters = sum(p.numel() for p in backbone.network.module.parameters())
    assert n_parameters == SPEC["n_parameters"] < 4_000_000
    weights = embedded.FOLDER / SPEC["weights"]["file"]
    assert weights.stat().st_size == SPEC["weights"]["size_bytes"] < 8 << 20
    assert (embedded.FOLDER / "mini-v1.md").is_file()


def test_without_pretrained_it_is_random_and_says_so(capsys):
    backbone = load_backbone(BackboneRequest(SMALL_BACKBONE, pretrained=False))
    assert not backbone.pretrained
    assert backbone.name == f"{SMALL_BACKBONE}/random"
    assert "random weights" in capsys.readouterr().err


def test_no_specification_no_backbone(folder):
    with pytest.raises(UnknownNameError, match="Unknown embedded backbone 'mini-v1'"):
        load_backbone(BackboneRequest(SMALL_BACKBONE))


def test_with_its_files_it_is_pretrained_and_silent(folder, capsys):
    install(folder)
    backbone = load_backbone(BackboneRequest(SMALL_BACKBONE), offline=True)
    assert capsys.readouterr().err == ""
    assert backbone.pretrained
    assert backbone.name == SMALL_BACKBONE
    assert backbone.outputs[0].n_features == 2 * (64 + 160 + 320)
    x = torch.randn(3, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        (vectors,) = backbone.network(x)
        torch.testing.assert_close(vectors, reference(backbone.network.module, x, SIZES))
    (row,) = list_backbones("featx:mini-v1")
    assert row.on_this_machine
    assert row.n_features == backbone.outputs[0].n_features


def test_sizes_are_part_of_the_architecture(folder):
    documents = []
    for sizes in ([64], [64, 32]):
        install(folder, sizes=sizes)
        documents.append(load_backbone(BackboneRequest(SMALL_BACKBONE)).outputs[0].document)
    assert documents[0]["architecture"] != documents[1]["architecture"]
    assert documents[0]["weights_sha256"] == documents[1]["weights_sha256"]


def test_a_layer_is_taken_at_the_largest_size(folder):
    install(folder)
    backbone = load_backbone(
        BackboneRequest(SMALL_BACKBONE, layers=("layer3",), poolings=("flatten",))
    )
    assert backbone.outputs[0].n_features == 160 * 8 * 8


def test_damaged_weights_are_refused(folder):
    install(folder, damage=True)
    with pytest.raises(BackboneError, match=r"mini-v1\.safetensors is damaged: its SHA-256"):
        load_backbone(BackboneRequest(SMALL_BACKBONE))


def test_missing_weights_are_refused(folder):
    install(folder)
    (folder / "mini-v1.safetensors").unlink()
    with pytest.raises(BackboneError, match="are not installed"):
        load_backbone(BackboneRequest(SMALL_BACKBONE))


def test_the_recipes_network_is_this_one(folder):
    """What the recipe trains and what the package runs give the same embedding."""
    import importlib.util

    path = Path(__file__).parents[2] / "recipes" / "embedded" / "network.py"
    spec = importlib.util.spec_from_file_location("recipe_network", path)
    recipe = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(recipe)
    folder.mkdir()
    weights = save(recipe.build_network().half().state_dict())
    (folder / "mini-v1.safetensors").write_bytes(weights)
    (folder / "mini-v1.json").write_text(json.dumps(recipe.specification(weights)))
    backbone = load_backbone(BackboneRequest(SMALL_BACKBONE))
    x = torch.randn(2, 3, *backbone.preprocess.size_px)
    with torch.inference_mode():
        expected = recipe.embed(backbone.network.module, x)
        torch.testing.assert_close(backbone.network(x)[0], expected)
    assert backbone.outputs[0].n_features == recipe.specification(weights)["n_features"]
