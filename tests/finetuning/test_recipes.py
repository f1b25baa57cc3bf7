"""Defaults: presets, rates by the kind of network, the head's start, and what is said before."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from finetune_lab import TRAINING, Lab
from PIL import Image

from featx.config import FinetuneConfig
from featx.config.presets import PRESETS
from featx.config.reading import parse_config
from featx.durations import say_seconds
from featx.errors import ConfigError, UsageError
from featx.finetuning import NetworkClassifier, describe_recipe, resolve_rates, time_images, train
from featx.finetuning.augmenting import AREA, RATIO, _box, augmenter
from featx.finetuning.devices import Place, suit_network
from featx.finetuning.guard import calibrated
from featx.finetuning.optimisers import patience_of
from featx.finetuning.recipes import KINDS, find_kind
from featx.finetuning.task import TrainingProgress
from featx.finetuning.timing import suits_bf16
from featx.types import Preprocess

PREPROCESS = Preprocess(size_px=(24, 32), mean=(0, 0, 0), std=(1, 1, 1), interpolation="bilinear",
                        crop=1.0, resize="shortest")  # fmt: skip


def network(name: str) -> torch.nn.Module:
    model: torch.nn.Module = timm.create_model(name, pretrained=False)
    return model


def test_a_preset_sets_what_is_not_given() -> None:
    assert FinetuneConfig() == FinetuneConfig(preset="balanced")
    for name, values in PRESETS.items():
        preset: Any = name
        asked = FinetuneConfig(preset=preset)
        assert {k: getattr(asked, k) for k in values} == values
        assert FinetuneConfig(preset=preset, epochs=3).epochs == 3
    lengths = [PRESETS[name]["epochs"] for name in ("quick", "balanced", "thorough")]
    assert lengths == sorted(set(lengths))


def test_an_unknown_preset_is_named() -> None:
    with pytest.raises(ConfigError, match=r"preset: .*'quick', 'balanced' or 'thorough'.*'fast'"):
        parse_config(FinetuneConfig, {"preset": "fast"}, source="command line")


def test_the_configuration_of_a_run_before_presets_means_what_it_said() -> None:
    old = {
        "head": "logreg", "unfreeze": "all", "epochs": 10, "learning_rate": 1e-4,
        "layer_decay": 0.75, "augment": "light", "monitor": "loss", "patience": 5, "warmup": 0.1,
        "label_smoothing": 0.0,
    }  # fmt: skip
    read = FinetuneConfig.model_validate(old)
    assert {k: getattr(read, k) for k in old} == old
    assert (read.preset, read.start, read.head_rate) == (None, "fitted", 1.0)
    assert read.average_last == 0
    assert FinetuneConfig.model_validate(read.model_dump()) == read
    new = FinetuneConfig(preset="quick")
    assert FinetuneConfig.model_validate(new.model_dump()) == new


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("test_resnet", "batch norm"),
        ("test_efficientnet", "batch norm"),
        ("test_vit", "layer norm"),
        ("test_vit4", "layer norm"),  # RMS norm
        ("test_convnext", "layer norm"),
        ("test_coatnet", "layer norm"),  # batch norm, and attention
        ("test_nfnet", "no norm"),
    ],
)
def test_rates_follow_the_kind_of_network(name: str, kind: str) -> None:
    model = network(name)
    assert find_kind(model) is KINDS[kind]
    resolved = resolve_rates(FinetuneConfig(), model)
    assert resolved.learning_rate == KINDS[kind].learning_rate
    assert resolved.layer_decay == KINDS[kind].layer_decay
    asked = resolve_rates(FinetuneConfig(learning_rate=0.3), model)
    assert (asked.learning_rate, asked.layer_decay) == (0.3, KINDS[kind].layer_decay)
    started = "fitted" if kind == "no norm" else "random"
    assert (resolved.start, resolved.head_rate) == (started, 1 if kind == "no norm" else 10)
    fitted = resolve_rates(FinetuneConfig(start="fitted"), model)
    assert (fitted.start, fitted.head_rate) == ("fitted", 1)
    assert resolve_rates(resolved, network("test_vit")) == resolved
    low = resolve_rates(FinetuneConfig(lora=4), model)
    assert low.learning_rate == KINDS["low rank"].learning_rate


def test_attention_of_channels_makes_no_transformer() -> None:
    assert find_kind(timm.create_model("resnest14d", pretrained=False)) is KINDS["batch norm"]


def test_precision_follows_the_network_where_none_is_asked_for() -> None:
    plain, each_alone = network("test_resnet"), network("test_efficientnet")
    assert suits_bf16(plain)
    assert not suits_bf16(each_alone)
    cpu, gpu = Place("cpu", "bf16"), Place("cuda:0", "bf16")
    assert suit_network(cpu, "auto", each_alone).precision == "fp32"
    assert suit_network(cpu, "bf16", each_alone).precision == "bf16"
    assert suit_network(cpu, "auto", plain).precision == "bf16"
    assert suit_network(gpu, "auto", each_alone).precision == "bf16"


def test_recipes_in_words() -> None:
    resolved = FinetuneConfig(learning_rate=5e-4)
    assert describe_recipe(resolved) == (
        "balanced preset, one recipe of 12 epochs at learning rate 0.0005"
    )
    searched = FinetuneConfig(preset="quick", trials=8)
    assert describe_recipe(searched) == (
        "quick preset, a search of up to 8 recipes of up to 5 epochs"
    )
    old = FinetuneConfig(preset=None, epochs=1, unfreeze="last-2")
    assert describe_recipe(old) == "one recipe of 1 epoch, last-2 unfrozen"


@pytest.mark.parametrize("schedule", ["cosine", "one-cycle", "step"])
def test_no_patience_ends_a_schedule_that_comes_down(schedule: Any) -> None:
    assert patience_of(FinetuneConfig(schedule=schedule, epochs=7)) > 7
    assert patience_of(FinetuneConfig(schedule=schedule, patience=2)) == 2
    assert patience_of(FinetuneConfig(schedule="constant", epochs=70)) == 5


def test_the_last_epoch_is_kept_or_the_best_by_score_and_then_by_loss() -> None:
    pairs = [(0.9, 0.5), (0.7, 0.8), (0.8, 0.8), (0.6, 0.7)]  # loss, score
    kept = {}
    for monitor in ("last", "score", "loss"):
        progress = TrainingProgress()
        for epoch, (loss, score) in enumerate(pairs):
            progress.history.append({"validation_loss": loss, "validation_score": score})
            if progress.last_is_best(monitor):
                progress.best_epoch = epoch
        kept[monitor] = progress.best_epoch
    assert kept == {"last": 3, "score": 1, "loss": 3}
    assert progress.since_best("score") == 2


@pytest.mark.parametrize("upright", [True, False])
def test_a_crop_is_a_part_of_the_image_and_a_function_of_its_name(upright: bool) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (40, 90, 3)).astype(np.uint8)
    image, view = Image.fromarray(pixels), augmenter("crop", upright=upright)
    views = [view(image, PREPROCESS, bytes([i]) * 32) for i in range(8)]
    assert {v.shape for v in views} == {(24, 32, 3)}
    assert len({v.tobytes() for v in views}) == 8
    np.testing.assert_array_equal(views[0], view(image, PREPROCESS, bytes(32)))
    flat = Image.new("RGB", (50, 50), (100, 100, 100))
    assert np.ptp(view(flat, PREPROCESS, bytes(32))) == 0  # nothing from beyond the border


@pytest.mark.parametrize("size", [(40, 90), (1, 1), (1, 400), (300, 300)])
def test_boxes_lie_within_the_image(size: tuple[int, int]) -> None:
    height, width = size
    rng = np.random.default_rng(0)
    for _ in range(200):
        left, top, right, bottom = _box(width, height, rng)
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        if min(size) > 30 and (right - left, bottom - top) != (width, height):
            share = (right - left) * (bottom - top) / (height * width)
            assert AREA[0] - 0.05 < share <= AREA[1]
            assert 1 / RATIO - 0.05 < (right - left) / (bottom - top) < RATIO + 0.05


def test_a_random_head_begins_anew_and_the_frozen_model_is_judged_before(
    lab: Lab, tmp_path: Path
) -> None:
    losses = {}
    for start in ("fitted", "random"):
        settings = FinetuneConfig(start=start, epochs=1, train_batch=8)  # type: ignore[arg-type]
        trained = train(lab.task(folder=tmp_path / start), settings)
        losses[start] = [row["validation_loss"] for row in trained.history]
    assert losses["fitted"][0] == losses["random"][0]
    assert losses["fitted"][1] != losses["random"][1]


def test_the_same_seed_gives_the_same_random_head(lab: Lab) -> None:
    task = lab.task()
    classifier = NetworkClassifier(task.backbone, task.head, task.bank.preprocess)
    heads = []
    for seed in (1, 1, 2):
        classifier.forget_head(seed)
        heads.append(classifier.head_weights().layers[0][0].copy())
    np.testing.assert_array_equal(heads[0], heads[1])
    assert np.abs(heads[0] - heads[2]).max() > 0
    assert np.abs(heads[0]).max() <= heads[0].shape[1] ** -0.5
    np.testing.assert_array_equal(classifier.head_weights().mean, task.head.mean.astype("f4"))


def test_a_temperature_divides_scores_and_keeps_classes(lab: Lab) -> None:
    task = lab.task()
    classifier = NetworkClassifier(task.backbone, task.head.cooled(4.0), task.bank.preprocess)
    warm = NetworkClassifier(task.backbone, task.head, task.bank.preprocess)
    z = torch.from_numpy(lab.embeddings()[TRAINING])
    torch.testing.assert_close(classifier.classify(z) * 4, warm.classify(z), rtol=1e-4, atol=1e-5)
    warm.cool(4.0)
    torch.testing.assert_close(classifier.classify(z), warm.classify(z))


def test_calibration_mends_a_model_that_is_too_sure_and_trusts_no_handful() -> None:
    rng = np.random.default_rng(0)
    margins = rng.normal(0, 2, (2000, 3))
    p = np.exp(margins) / np.exp(margins).sum(axis=1, keepdims=True)
    y = (p.cumsum(axis=1) < rng.random((2000, 1))).sum(axis=1)
    sure = p**3 / (p**3).sum(axis=1, keepdims=True)
    mended, temperature = calibrated(sure, y)
    assert temperature == pytest.approx(3, rel=0.1)
    np.testing.assert_allclose(mended, p, atol=0.05)
    few = calibrated(np.array([[0.8, 0.1, 0.1], [0.1, 0.8, 0.1]]), np.array([0, 1]))[1]
    assert 0.6 < few < 1  # both are right, which certain they would not be made by


def test_a_measured_step_changes_nothing(lab: Lab) -> None:
    before = {k: v.clone() for k, v in lab.backbone.network.state_dict().items()}
    torch.manual_seed(5)
    state = torch.get_rng_state()
    config = resolve_rates(FinetuneConfig(), lab.backbone.network)
    width = lab.embeddings().shape[1]
    seconds = time_images(
        lab.backbone.network, lab.backbone.preprocess, width, config, "cpu", "fp32"
    )
    assert min(seconds) > 0
    assert torch.equal(state, torch.get_rng_state())
    for name, value in lab.backbone.network.state_dict().items():
        assert torch.equal(value, before[name])
    deep = config.model_copy(update={"unfreeze": "last-9"})
    with pytest.raises(UsageError, match="the backbone has"):
        time_images(lab.backbone.network, lab.backbone.preprocess, width, deep, "cpu", "fp32")


@pytest.mark.parametrize(
    ("seconds", "said"),
    [(0.2, "1 s"), (7, "7 s"), (23, "20 s"), (58, "1 min"), (421, "7 min"), (9000, "2.5 h")],
)
def test_lengths_of_time_for_people(seconds: float, said: str) -> None:
    assert say_seconds(seconds) == said
