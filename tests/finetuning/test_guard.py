"""The guard: what counts as ending below the frozen model."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from featx.finetuning import Trained
from featx.finetuning.guard import PairedChange, compare_models
from featx.finetuning.outcome import Outcome
from featx.stats.comparison import PairedTest

N = 300
Y = np.arange(N) % 3


def said(n_wrong: int, sure: float, first: int = 0) -> np.ndarray:
    """Probabilities that give ``sure`` to the class that is predicted; ``n_wrong`` are wrong."""
    predicted = Y.copy()
    predicted[first : first + n_wrong] = (Y[first : first + n_wrong] + 1) % 3
    probabilities = np.full((N, 3), (1 - sure) / 2)
    probabilities[np.arange(N), predicted] = sure
    return probabilities


def change(frozen: np.ndarray, tuned: np.ndarray, **options: int) -> PairedChange:
    return compare_models(
        "validation images",
        Y,
        options.pop("components", np.arange(N)),  # type: ignore[call-overload]
        frozen,
        tuned,
        scoring="balanced_accuracy",
        seed=0,
        **options,
    )


def test_a_fall_of_the_score_that_may_be_luck_does_not_veto() -> None:
    """Ten other images wrong, eight right again, all surer: the loss says it is better."""
    tuned = said(10, 0.6, first=100)
    found = change(said(8, 0.5), tuned)
    assert found.score[1] < found.score[0]
    assert found.loss[1] < found.loss[0]
    assert found.below("loss") is None
    remark = found.remark()
    assert remark is not None
    assert "which may be chance (95 %: [-0.0" in remark
    assert found.below("score") == ("the score of the validation images went from 0.9733 to 0.9667")


def test_a_fall_beyond_luck_vetoes_even_where_the_loss_falls() -> None:
    found = change(said(0, 0.4), said(30, 0.9))
    assert found.loss[1] < found.loss[0]
    reason = found.below("loss")
    assert reason is not None
    assert reason.startswith(
        "the score of the validation images fell from 1.0000 to 0.9000, more than chance explains"
    )


def test_a_loss_that_rises_vetoes_where_it_is_watched() -> None:
    found = change(said(20, 0.6), said(18, 0.99999))
    assert found.score[1] > found.score[0]
    assert found.loss[1] > found.loss[0]
    assert str(found.below("loss")).startswith("the loss of the validation images rose from 0.5")
    assert found.below("score") is None
    assert "the probabilities are less reliable" in str(found.remark())


def test_equal_models_are_no_reason_to_change() -> None:
    found = change(said(5, 0.6), said(5, 0.6))
    assert found.below("loss") is not None
    assert found.below("score") is not None
    assert found.document()["score"]["p"] == 1


def test_the_last_epoch_is_below_where_both_speak_against_it_or_luck_does_not_explain_it() -> None:
    better_score = change(said(20, 0.6), said(18, 0.99999))
    better_loss = change(said(8, 0.5), said(10, 0.6, first=100))
    neither = change(said(8, 0.6), said(10, 0.5, first=100))
    assert better_score.below("last") is None
    assert better_loss.below("last") is None
    assert str(neither.below("last")).startswith("the score of the validation images went from 0.9")
    assert ", and their loss from 0." in str(neither.below("last"))
    assert "more than chance" in str(change(said(0, 0.4), said(30, 0.9)).below("last"))


@pytest.mark.parametrize(
    ("pairs", "stopped", "improving"),
    [
        ([(0.9, 0.5), (0.7, 0.6), (0.6, 0.7)], "epochs", True),
        ([(0.9, 0.9), (0.7, 0.6), (0.6, 0.7)], "epochs", True),  # the frozen model is no epoch
        ([(0.9, 0.5), (0.7, 0.7), (0.6, 0.7)], "epochs", True),  # of equal scores the loss
        ([(0.9, 0.5), (0.6, 0.7), (0.7, 0.7)], "epochs", False),
        ([(0.9, 0.5), (0.7, 0.6), (0.6, 0.7)], "budget", False),
        ([(0.9, 0.5), (0.7, 0.6)], "epochs", False),
        ([(0.9, 0.5)], "the loss is not finite", False),
    ],
)
def test_whether_the_last_epoch_was_the_best(
    pairs: list[tuple[float, float]], stopped: str, improving: bool
) -> None:
    history = [{"validation_loss": loss, "validation_score": score} for loss, score in pairs]
    nothing: Any = None
    trained = Trained(nothing, history, len(pairs) - 1, [], stopped, 1.0)
    assert Outcome("all images", nothing, nothing, trained, nothing).still_improving == improving


def test_groups_and_folds_make_it_less_sure() -> None:
    pair = said(3, 0.5), said(16, 0.8, first=50)
    plain = change(*pair).score_test
    grouped = change(*pair, components=np.arange(N) // 30).score_test  # type: ignore[arg-type]
    folded = change(*pair, n_folds=5).score_test
    assert isinstance(plain, PairedTest)
    assert isinstance(grouped, PairedTest)
    assert isinstance(folded, PairedTest)
    assert grouped.high - grouped.low > plain.high - plain.low
    assert folded.high - folded.low == pytest.approx((plain.high - plain.low) * 1.5**0.5)


def test_a_single_unit_cannot_be_tested() -> None:
    found = change(said(0, 0.4), said(30, 0.9), components=np.zeros(N, int))  # type: ignore[arg-type]
    assert found.score_test is None
    assert found.below("loss") is None
    assert "low" not in found.document()["score"]
