"""A finished run in three to six sentences: found, how sure, hardest, doubtful, what next.

Every number in them is one of ``results.json``. The first sentence holds the one to read.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from featx.console import counted, first_few
from featx.files import printable
from featx.numbers import in_percent, interval, number
from featx.reporting.blocks import Strong, Text
from featx.reporting.by import by_sentences
from featx.reporting.evaluated import evaluation_doubts, evaluation_next, shipped_sentence
from featx.reporting.grouped import group_sentence
from featx.reporting.summaries.thresholds import cutoff_text
from featx.reporting.tables import headline_metric, in_force
from featx.reporting.tabular import tabular_sentences
from featx.stats.metrics import metric_name
from featx.types import SITES, Row

FEW = 20  # images of a class: little is known of it
FEW_TRAINED = 50
MOST_DOUBTS = 3
NEAR = 0.05  # share of near copies that is worth a sentence
WHERE = {
    "test": "of the test split, which played no part in choosing the model",
    "holdout": "held out, which played no part in choosing the model",
    "nested": "that played no part in choosing the model (nested cross-validation)",
    SITES: "predicted by models that saw nothing of their group (every group left out by itself)",
    "repeated": "that played no part in choosing the model (repeated nested cross-validation)",
    "cv": "that the predicting model was not fitted on (cross-validation)",
    "evaluated": "that the model was not fitted on",
    "copies": "that are copies of its training images, so it is too high for new images",
}


def plain(text: Text) -> str:
    """A sentence without emphasis."""
    return text if isinstance(text, str) else "".join(text)


def run_verdict(results: Row) -> list[Text]:
    """Three to six sentences, and those on groups, the next site and columns asked for.

    Parameters
    ----------
    results : mapping
        ``results.json``.
    """
    threshold = in_force(results)
    found = _found(results) if threshold is None else _found_at(results, threshold)
    sure = _sure(results) if threshold is None else _costs(threshold)
    sentences: list[Text | None] = [
        found, sure, _tuned(results), shipped_sentence(results),
        group_sentence(results, headline_metric(results), threshold),
        _hardest(results, threshold), *by_sentences(results), *tabular_sentences(results),
        _doubtful(results, threshold), _next(results),
    ]  # fmt: skip
    return [sentence for sentence in sentences if sentence]


def _found(results: Row) -> Text:
    """The number to read, and what it is measured on."""
    name = headline_metric(results)
    row = results["estimate"]["metrics"][name]
    return [
        "The number to read: ",
        Strong(f"{metric_name(name)} {interval(row)}"),
        f", on {_measured(results)}.",
    ]


def _measured(results: Row) -> str:
    estimate = results["estimate"]
    images = counted(estimate["n_images"], "image")
    if estimate.get("n_groups"):
        images += f" in {counted(estimate['n_groups'], 'group')}"
    of = f" of {results['dataset']['source']}" if results.get("evaluation") else ""
    return f"{images}{of} {WHERE.get(estimate['method'], WHERE['cv'])}"


def _found_at(results: Row, threshold: Row) -> Text:
    """With a threshold, the number to read is what it finds of its class."""
    name = printable(str(threshold["asked"]).rpartition(":")[0])
    row, cutoff = threshold["recall"], threshold.get("cutoff")
    head = "" if cutoff is None else f" from a probability of {cutoff_text(cutoff)} on"
    if row["value"] is None:
        return f"Recall of {name} is undefined: none of the evaluated images is of this class."
    return [
        "The number to read: ",
        Strong(f"recall of {name} {in_percent(row)}"),
        f", predicting it{head} ({printable(str(threshold['asked']))}), on {_measured(results)}.",
    ]


def _costs(threshold: Row) -> str:
    """What a threshold costs."""
    alarms, precision = threshold.get("false_alarms"), threshold["precision"]
    right = "its precision is undefined, since it is never predicted"
    if precision["value"] is not None:
        right = f"{in_percent(precision)} of those predicted are right"
    if alarms is None:
        return f"{right[0].upper()}{right[1:]}."
    at = threshold.get("prevalence")
    where = "" if at is None else f" at a prevalence of {100 * at:g} %"
    text = f"That costs {interval(alarms, 1)} false alarms per 1,000 images{where}; {right}."
    return text + _by_chance(threshold)


def _by_chance(threshold: Row) -> str:
    """Where images of other classes are predicted as often as those of the class."""
    found, passed = threshold["recall"], threshold["specificity"]["value"]
    low = found["value"] if found["low"] is None else found["low"]
    if low is None or passed is None or low > 1 - passed:
        return ""
    return (
        " That is no better than guessing: "
        f"{number(1 - passed, 1, scale=100)} % of other images are predicted so too."
    )


def guess(metric: str, support: Mapping[str, int]) -> float | None:
    """The best that guessing gives without a look at the images.

    That is to predict the commonest class always, or classes by their shares, or all as often; for
    rankings any order, for log loss the shares themselves.

    Parameters
    ----------
    metric : str
        A name of ``FitConfig.scoring``, without ``neg_``.
    support : mapping of str to int
        Evaluated images of each class.
    """
    counts = np.array([n for n in support.values() if n], float)
    if not len(counts):
        return None
    shares = counts / counts.sum()
    commonest = float(shares.max())
    alone = np.zeros_like(shares)  # of equally common classes the first
    alone[int(shares.argmax())] = 1.0
    f1 = [
        2 * shares * often / (shares + often)
        for often in (shares, np.full_like(shares, 1 / len(shares)), alone)
    ]
    values = {
        "balanced_accuracy": 1 / len(counts),
        "accuracy": commonest,
        "f1_macro": max(float(each.mean()) for each in f1),
        "f1_weighted": max(float((shares * each).sum()) for each in f1),
        "roc_auc_ovr": 0.5,
        "log_loss": -float((shares * np.log(shares)).sum()),
    }
    return values.get(metric)


def better_than_guessing(results: Row) -> bool | None:
    """Whether the interval of the number to read excludes guessing; None where none is known."""
    name = headline_metric(results)
    row, chance = results["estimate"]["metrics"][name], _guessed(results)
    if chance is None or row["value"] is None:
        return None
    end = row["high" if name == "log_loss" else "low"]
    end = row["value"] if end is None else end
    return bool(end < chance if name == "log_loss" else end > chance)


def _guessed(results: Row) -> float | None:
    """What guessing gives of the number to read."""
    per_class = results["estimate"]["per_class"]
    return guess(headline_metric(results), {k: v["support"] for k, v in per_class.items()})


def _sure(results: Row) -> str:
    """The interval in words, beside guessing."""
    row, chance = results["estimate"]["metrics"][headline_metric(results)], _guessed(results)
    if row["value"] is None:
        return "How sure that is cannot be told: the metric is not defined on these images."
    text = "How sure that is cannot be told: these images give it no interval"
    if row["low"] is not None and row["high"] is not None:
        ends = f"{number(row['low'])} and {number(row['high'])}"
        text = f"The true value lies between {ends} with 95 % confidence"
    if chance is None:
        return f"{text}."
    if better_than_guessing(results):
        return f"{text}; guessing would give {number(chance)}."
    return f"{text}. That is no better than guessing, which gives {number(chance)}."


def _tuned(results: Row) -> str | None:
    """Whether fine-tuning was kept, and what the other model reaches."""
    tuning = results.get("finetuning")
    if tuning is None:
        return None
    kept = tuning["answer"] == "finetuned"
    text = "Fine-tuning is kept" if kept else "Fine-tuning is not kept"
    if not kept and tuning.get("not_kept"):
        text += f": {printable(tuning['not_kept'])}"
    other = results["estimates"].get("frozen" if kept else "finetuned")
    name = headline_metric(results)
    row = None if other is None else other["metrics"].get(name)
    if row is None or row["value"] is None:
        return f"{text}."
    called = "frozen" if kept else "fine-tuned"
    return f"{text}; the {called} model has {metric_name(name)} {interval(row)}."


def _hardest(results: Row, threshold: Row | None) -> str | None:
    """The hardest class, unless it is the one whose recall is the number to read."""
    found = hardest(results)
    name = "" if threshold is None else str(threshold["asked"]).rpartition(":")[0]
    told = name and found and found.startswith(f"Hardest is {printable(name)!r}:")
    return None if told else found


def hardest(results: Row) -> str | None:
    """The class of the lowest recall, and what it is taken for."""
    estimate = results["estimate"]
    names = list(estimate["per_class"])
    unknown = (results.get("evaluation") or {}).get("unknown_classes", {})
    rows = [
        (row["recall"]["value"], name, row)
        for name, row in estimate["per_class"].items()
        if row["support"] and row["recall"]["value"] is not None and name not in unknown
    ]
    if not rows:
        return None
    value, name, row = min(rows, key=lambda r: (r[0], r[1]))
    if value == 1:
        return f"No class is hard: all {counted(estimate['n_images'], 'image')} are recognised."
    taken = ""
    if len(estimate["confusion_matrix"]) == len(names):
        counts = np.array(estimate["confusion_matrix"][names.index(name)])
        counts[names.index(name)] = 0
        if counts.any():
            taken = f", most often taken for {printable(names[int(counts.argmax())])!r}"
    few = " (few images: little is known of it)" if row["support"] < FEW else ""
    return (
        f"Hardest is {printable(name)!r}: {in_percent(row['recall'])} of "
        f"its {counted(row['support'], 'image', 'is/are')} recognised{taken}{few}."
    )


def _doubtful(results: Row, threshold: Row | None) -> str:
    """What to be careful about, the gravest first; a few things."""
    doubts = list(_doubts(results, threshold))[:MOST_DOUBTS]
    if not doubts and results["estimate"].get("calibration") is None:
        return "Nothing looks doubtful."
    if not doubts:
        return "Nothing looks doubtful: its probabilities can be taken as they are."
    return f"Doubtful: {'; '.join(doubts)}."


def _doubts(results: Row, threshold: Row | None) -> Iterator[str]:
    estimate = results["estimate"]
    yield from evaluation_doubts(results)
    if threshold is not None and threshold.get("warning"):
        yield str(threshold["warning"])
    near = results.get("near_copies")
    if near and near["images"] and near["near"] >= NEAR * near["images"]:
        ends = near["accuracy_near"], near["accuracy_others"]
        higher = None not in ends and ends[0] > ends[1]
        yield (
            f"{near['near']:,} of {near['images']:,} evaluated images have a nearly identical "
            f"training image{', so the number may be optimistic' if higher else ''}"
        )
    if (trials := (results.get("search") or {}).get("trials", 1)) > 1 and (
        estimate["method"] == "cv"
    ):
        yield f"the best of {trials:,} settings was chosen on the same images"
    if shared := results.get("n_groups_also_tested"):
        yield f"{counted(shared, 'group', 'has/have')} images in the test split and in training"
    few = [printable(k) for k, v in estimate["per_class"].items() if 0 < v["support"] < FEW]
    none = [printable(k) for k, v in estimate["per_class"].items() if not v["support"]]
    none = [] if results.get("evaluation") else none  # there the class is the model's alone
    if none:
        yield f"no image of {first_few(none, 3)} was evaluated"
    if few:
        yield f"fewer than {FEW} images evaluate {first_few(few, 3)}"
    calibration = estimate.get("calibration")
    if calibration and round(calibration["ece"] - calibration["if_right_high"], 3) > 0:
        yield (
            f"its probabilities are off by {number(calibration['ece'])} on average (right ones "
            f"would rarely show more than {number(calibration['if_right_high'])})"
        )
    if quarantined := results["dataset"].get("quarantined"):
        yield f"{counted(quarantined, 'file')} could not be read"


def _next(results: Row) -> str:
    """The one thing to do next."""
    if results.get("evaluation"):
        return evaluation_next(results)
    if better_than_guessing(results) is False:
        return (
            "Next: check the labels and look for copies (featx audit), then try a stronger "
            "backbone (featx backbones)."
        )
    counts = {k: n for k, n in (results.get("class_counts") or {}).items() if n < FEW_TRAINED}
    if counts:
        name = min(counts, key=lambda k: (counts[k], k))
        return (
            f"Next: label more images of {printable(name)!r} ({counts[name]:,} so far), the class "
            "with the fewest."
        )
    calibration = results["estimate"].get("calibration")
    off = calibration and calibration["ece"] > calibration["if_right_high"]
    if off and results.get("finetuning") is None:
        return "Next: look at the mistakes on the page; --calibrate auto mends probabilities."
    return "Next: look at the mistakes on the page, then score new images."
