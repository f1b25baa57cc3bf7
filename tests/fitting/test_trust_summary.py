"""Sentences about trust."""

from __future__ import annotations

from featx.reporting.summaries.trust import trust_sentences

SHARE = {"value": 0.912, "low": 0.9, "high": 0.92}
TRUST = {
    "calibration": {"asked": "none", "method": "none"},
    "decision": None,
    "prediction_sets": {
        "coverage": 0.9,
        "covered": SHARE,
        "abstained": {"value": 1.0, "low": None, "high": None},
        "accuracy_of_the_others": {"value": None, "low": None, "high": None},
    },
    "novelty": {"rate": 0.01, "false_alarms": SHARE},
}


def test_sets_and_alarms() -> None:
    assert list(trust_sentences(TRUST)) == [
        "Prediction sets meant for 90 % hold the true class of 91.2 % [90.0, 92.0] of the images; "
        "the model abstains on all of them",
        "Out-of-distribution score: 91.2 % [90.0, 92.0] of these images are flagged (1 % asked "
        "for)",
    ]


def test_calibration_and_decisions() -> None:
    calibration = {"asked": "auto", "method": "sigmoid"}
    cutoff = {"asked": "ill\n:recall=0.9", "recall": SHARE, "precision": SHARE}
    costs = {
        "asked": "costs",
        "mean_cost": {"value": 0.25, "low": 0.1, "high": 0.4},
        "mean_cost_of_the_likeliest": {"value": 1.0, "low": None, "high": None},
    }
    said = list(trust_sentences(TRUST | {"calibration": calibration, "decision": cutoff}))
    assert said[0] == "Calibration: sigmoid (asked for: auto)"
    assert said[1].startswith("Threshold in force: ill")
    assert said[1].endswith(
        "(recall=0.9): recall 91.2 % [90.0, 92.0], precision 91.2 % [90.0, 92.0]"
    )
    assert "\n" not in said[1]
    assert next(trust_sentences(TRUST | {"decision": costs})) == (
        "Decided by costs: 0.25 [0.1, 0.4] an image; by the likeliest class it would be 1"
    )
