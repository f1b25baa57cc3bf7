"""Low-rank corrections: what stays frozen, what is merged, what is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from finetune_lab import N_IMAGES, Lab, assert_same_weights, die_at
from safetensors.torch import load_file

from featx.config import FinetuneConfig
from featx.errors import UsageError
from featx.finetuning import predict, save_backbone, train
from featx.finetuning.checkpoints import read_snapshot
from featx.finetuning.lora import LowRank, adapt, merge
from featx.finetuning.training import LAST, TrainingLoop
from featx.finetuning.unfreezing import NetworkStage

ALL = np.arange(N_IMAGES)


@pytest.fixture(scope="module")
def vit(tmp_path_factory: pytest.TempPathFactory) -> Lab:
    return Lab(tmp_path_factory.mktemp("vit"), backbone="timm:test_vit")


def config(**options: Any) -> FinetuneConfig:
    options = {"epochs": 2, "train_batch": 8, "learning_rate": 1e-2, "lora": 2, **options}
    return FinetuneConfig(**options)


def test_weights_stay_and_corrections_move(vit: Lab, tmp_path: Path) -> None:
    task = vit.task(folder=tmp_path)
    before = {k: v.clone() for k, v in task.backbone.state_dict().items()}
    train(task, config())
    found = read_snapshot(tmp_path / LAST)
    assert found is not None
    prefix = "model.backbone."
    after = {k[len(prefix) :]: v for k, v in found[0].items() if k.startswith(prefix)}
    corrections = {k for k in after if k.endswith((".up", ".down"))}
    for name in after.keys() - corrections:
        plain = name.replace("parametrizations.weight.original", "weight")
        assert torch.equal(after[name], before[plain]), name
    assert corrections
    assert all(after[name].abs().max() > 0 for name in corrections if name.endswith(".up"))


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_merged_it_says_the_same(vit: Lab, tmp_path: Path, precision: str) -> None:
    training = TrainingLoop(vit.task(folder=tmp_path), config())
    bank, classifier = vit.bank(), training.classifier
    frozen = predict(classifier, bank, ALL, precision)
    lows = [m for m in classifier.modules() if isinstance(m, LowRank)]
    for low in lows:
        torch.nn.init.normal_(low.up, std=0.3)
    adapted = predict(classifier, bank, ALL, precision)
    merge(classifier.backbone)
    merged = predict(classifier, bank, ALL, precision)
    np.testing.assert_allclose(merged, adapted, atol=1e-6)
    assert np.abs(adapted - frozen).max() > 1e-3
    assert not any(isinstance(m, LowRank) for m in classifier.modules())


def test_the_saved_backbone_is_an_ordinary_one(vit: Lab, tmp_path: Path) -> None:
    task = vit.task(folder=tmp_path)
    shapes = {k: v.shape for k, v in task.backbone.get_submodule("module").state_dict().items()}
    trained = train(task, config(unfreeze="last-1", epochs=1))
    save_backbone(trained.classifier, tmp_path / "w.safetensors")
    assert {k: v.shape for k, v in load_file(tmp_path / "w.safetensors").items()} == shapes
    counts = {s["name"]: s["n_parameters"] for s in trained.stages}
    weights = sum(p.numel() for p in vit.backbone.network.parameters())
    assert 0 < sum(counts[name] for name in counts if name != "head") < weights / 10


def test_a_run_that_went_on_equals_one_that_was_not_interrupted(
    vit: Lab, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = config(ema=0.9, checkpoint_s=0.0)
    whole = train(vit.task(folder=tmp_path / "whole"), asked)
    die_at(monkeypatch, [4])
    with pytest.raises(KeyboardInterrupt):
        train(vit.task(folder=tmp_path / "parts"), asked)
    assert_same_weights(whole, train(vit.task(folder=tmp_path / "parts"), asked))


def test_a_backbone_without_attention_is_refused(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"--lora 2: the backbone has no attention.*layer4"):
        train(lab.task(folder=tmp_path), config())


def test_the_head_alone_is_refused(vit: Lab, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--unfreeze head trains none of it"):
        train(vit.task(folder=tmp_path), config(unfreeze="head"))


def test_torchs_own_attention_too() -> None:
    from torchvision.models import VisionTransformer

    network = VisionTransformer(32, 16, 2, 2, 16, 32, num_classes=3).eval()
    torch.nn.init.normal_(network.get_parameter("heads.head.weight"))  # zero otherwise
    stages = adapt([NetworkStage("all", (), (network,)), NetworkStage("head", ())], config(), 0)
    names = {name for name, _ in stages[0].parameters}
    assert len(names) == 2 * 2 * 2  # layers, weights of each, up and down
    for _, p in stages[0].parameters:
        torch.nn.init.normal_(p)
    x = torch.randn(2, 3, 32, 32)
    adapted = network(x)
    for _, p in stages[0].parameters:
        [grad] = torch.autograd.grad(network(x).square().sum(), [p])
        assert grad.abs().max() > 0
    merge(network)
    torch.testing.assert_close(network(x), adapted)
