"""Known answers of the losses, schedules, orders and mixtures."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from featx.config import FinetuneConfig
from featx.finetuning.augmenting import _OPERATIONS, rand_augment
from featx.finetuning.averaging import Average
from featx.finetuning.batches import draw_mixture, order_rows
from featx.finetuning.losses import balanced_weights, soft_loss, soft_targets
from featx.finetuning.memory import keeping_memory
from featx.finetuning.optimisers import rate_factor

SCORES = torch.tensor([[2.0, -1.0, 0.5], [0.1, 0.2, 0.3]])
Y = torch.tensor([0, 2])


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_torchs_cross_entropy(smoothing: float) -> None:
    ours = soft_loss(SCORES, soft_targets(Y, 3, smoothing))
    theirs = F.cross_entropy(SCORES, Y, reduction="none", label_smoothing=smoothing)
    torch.testing.assert_close(ours, theirs)


def test_class_weights_and_focal_loss() -> None:
    weights = torch.tensor([1.0, 5.0, 0.5])
    ours = soft_loss(SCORES, soft_targets(Y, 3, 0.0), weights=weights)
    torch.testing.assert_close(ours, F.cross_entropy(SCORES, Y, weights, reduction="none"))
    p = SCORES.softmax(dim=1)[[0, 1], Y]
    focal = soft_loss(SCORES, soft_targets(Y, 3, 0.0), gamma=2.0)
    torch.testing.assert_close(focal, -((1 - p) ** 2) * p.log())


def test_balanced_weights_are_scikit_learns() -> None:
    from sklearn.utils.class_weight import compute_class_weight

    y = np.array([0, 0, 0, 1, 2, 2])
    expected = compute_class_weight("balanced", classes=np.arange(3), y=y)
    np.testing.assert_allclose(balanced_weights(torch.tensor(y), 3).numpy(), expected, rtol=1e-6)
    assert balanced_weights(torch.tensor([0, 2]), 3)[1] == 0


@given(
    st.sampled_from(["cosine", "one-cycle", "step", "plateau", "constant"]),
    st.integers(1, 500),
    st.floats(0, 0.99),
)
def test_rates_stay_within_0_and_1_and_reach_1(schedule: str, total: int, warmup: float) -> None:
    config = FinetuneConfig(schedule=schedule, warmup=warmup)
    factors = [rate_factor(config, step, total) for step in range(total)]
    assert all(0 <= f <= 1 for f in factors)
    if total >= 100 and warmup <= 0.5 and schedule != "step":
        assert max(factors) > 0.9


def test_known_rates() -> None:
    cosine = FinetuneConfig(schedule="cosine", warmup=0.0)
    assert rate_factor(cosine, 0, 100) == 1
    assert rate_factor(cosine, 50, 100) == pytest.approx(0.5)
    step = FinetuneConfig(schedule="step", warmup=0.0)
    assert [rate_factor(step, s, 9) for s in (0, 3, 6)] == pytest.approx([1, 0.1, 0.01])
    plateau = FinetuneConfig(schedule="plateau", warmup=0.0)
    for losses, factor in (([3, 2, 1], 1), ([1, 2, 2], 0.1), ([1, 2, 2, 0.5], 0.1)):
        assert rate_factor(plateau, 5, 9, losses) == pytest.approx(factor)


@given(st.lists(st.integers(0, 3), min_size=2, max_size=40), st.integers(0, 5))
def test_orders(labels: list[int], epoch: int) -> None:
    y = np.array(labels)
    plain = order_rows(y, epoch, 0, balanced=False)
    assert sorted(plain) == list(range(len(y)))
    balanced = order_rows(y, epoch, 0, balanced=True)
    assert len(balanced) == len(y)
    counts = np.bincount(y[balanced], minlength=4)[np.unique(y)]
    assert counts.max() - counts.min() <= 1
    np.testing.assert_array_equal(plain, order_rows(y, epoch, 0, balanced=False))


@pytest.mark.parametrize(("mixup", "cutmix"), [(0.4, 0.0), (0.0, 1.0)])
def test_mixtures_keep_the_sum_of_targets_and_match_their_pixels(
    mixup: float, cutmix: float
) -> None:
    config = FinetuneConfig(mixup=mixup, cutmix=cutmix)
    y = torch.arange(6) % 2
    targets = soft_targets(y, 2, 0.0)
    x = y.float().view(-1, 1, 1, 1).expand(6, 3, 16, 12).clone()
    for step in range(20):
        mixture = draw_mixture(6, (16, 12), config, step, seed=3)
        assert mixture is not None
        mixed, soft = mixture.images(x, x[mixture.partners]), mixture.targets(targets)
        torch.testing.assert_close(soft.sum(dim=1), torch.ones(6))
        # Pixels are the class's number, so their mean is the share of class 1.
        torch.testing.assert_close(mixed.mean(dim=(1, 2, 3)), soft[:, 1], atol=1e-5, rtol=0)


def test_without_mixing_nothing_is_touched() -> None:
    assert draw_mixture(2, (4, 4), FinetuneConfig(), 0, 0) is None


def test_randaugment_is_a_function_of_the_name_and_keeps_the_size() -> None:
    rng = np.random.default_rng(0)
    image = Image.fromarray(rng.integers(0, 256, (20, 30, 3), np.uint8))
    names = [bytes([i]) * 32 for i in range(40)]
    seen = [rand_augment(image, name) for name in names]
    assert {(view.size, view.mode) for view in seen} == {((30, 20), "RGB")}
    assert [v.tobytes() for v in seen] == [rand_augment(image, n).tobytes() for n in names]
    assert len({view.tobytes() for view in seen}) > 30


def test_operations_of_randaugment_do_nothing_at_magnitude_0() -> None:
    rng = np.random.default_rng(1)
    image = Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8))
    for operation in _OPERATIONS[:11]:  # the others have no magnitude, or begin at white
        np.testing.assert_array_equal(np.asarray(operation(image, 0.0)), np.asarray(image))
    right = _OPERATIONS[3](image, 331 / 150 / 4)  # a quarter of the width
    np.testing.assert_array_equal(np.asarray(right)[:, :12], np.asarray(image)[:, 4:])


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc is Linux's")
def test_freed_memory_is_kept_and_given_back_at_the_end() -> None:
    """Page faults of a block that is taken again and again; the kernel counts them."""
    import resource

    def faults() -> int:
        before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        for _ in range(5):
            torch.ones(16 * 2**20)
        return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

    plain = faults()
    with keeping_memory("cpu"):
        faults()
        kept = faults()
    with keeping_memory("cuda:0"):
        elsewhere = faults()
    assert kept < plain / 10
    assert elsewhere > plain / 10


def test_the_weights_of_the_last_steps_are_averaged_and_earlier_ones_as_they_are() -> None:
    layer: Any = torch.nn.Linear(1, 1, bias=False)
    average = Average(layer, 0.0, after=4)
    for step in range(1, 8):
        with torch.no_grad():
            layer.weight.fill_(float(step**2))
        average.update(step)
        with average.applied():
            expected = step**2 if step <= 4 else np.mean([k**2 for k in range(5, step + 1)])
            assert layer.weight.item() == pytest.approx(expected)
        assert layer.weight.item() == step**2


def test_nothing_is_averaged_where_neither_is_asked_for() -> None:
    assert not Average(torch.nn.Linear(1, 1), 0.0, after=None).values  # type: ignore[arg-type]
