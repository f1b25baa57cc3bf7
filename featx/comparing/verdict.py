"""A comparison in one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx.files import printable
from featx.numbers import bounds, interval, number
from featx.runs import Run
from featx.stats.metrics import lower_is_better, metric_name

ALPHA = 0.05
MOST_DIGITS = 8  # of a difference that is reliable, however small
SAME_PRICE = 1.1  # times the cost, either way
TUNED = "fine-tuned "
ONE_RECIPE = "This says nothing of other recipes: --preset thorough and --trials try more."
UNBOUNDED = frozenset({"log_loss", "brier", "matthews", "cohen_kappa"})


def describe_run(run: Run) -> str:
    """What a run is: ``fine-tuned timm:resnet18``, ``logreg on timm:resnet18, smote``."""
    chosen = run.results.chosen
    if chosen.kind == "finetuned":
        return printable(f"{TUNED}{chosen.backbone}")
    if run.tuned:
        return printable(f"frozen {chosen.backbone}, fine-tuning not kept")
    sampler = "" if chosen.sampler == "none" else f", {chosen.sampler}"
    return printable(f"{chosen.head} on {chosen.backbone}{sampler}")


def verdict(
    run: Mapping[str, Any],
    baseline: Mapping[str, Any],
    difference: Mapping[str, Any],
    metric: str,
    *,
    n_compared: int,
) -> str:
    """What is known of one run against the baseline, and of a fine-tune what was tried.

    Parameters
    ----------
    run, baseline : mapping
        Of the document of a `Comparison`: ``label``, ``what``, ``tried``, ``searched``, ``cost``.
    difference : mapping
        From `featx.comparing.differences.describe_difference`, adjusted.
    metric : str
    n_compared : int
        Runs compared with the baseline.
    """
    found = _found(run, baseline, difference, metric, n_compared=n_compared)
    tuned = next((side for side in (run, baseline) if side["tried"] is not None), None)
    if tuned is None:
        return found
    test = next(iter(difference["metrics"][metric]["tests"]), None)
    sign = (-1 if lower_is_better(metric) else 1) * (1 if tuned is run else -1)
    better = test is not None and sign * test["mean"] > 0 and _p(difference, metric) < ALPHA
    won = better and tuned["what"].startswith(TUNED)
    more = "" if won or tuned["searched"] else f" {ONE_RECIPE}"
    return f"{found} Tried: {tuned['tried']}.{more}"


def _p(difference: Mapping[str, Any], metric: str) -> float:
    return float(difference["metrics"][metric]["p_adjusted"])


def _found(
    run: Mapping[str, Any],
    baseline: Mapping[str, Any],
    difference: Mapping[str, Any],
    metric: str,
    *,
    n_compared: int,
) -> str:
    """What is known of one run against the baseline, in a sentence."""
    found = difference["metrics"][metric]
    name, subject, before = metric_name(metric), _subject(run), printable(baseline["label"])
    if not found["tests"]:
        return f"{subject} and {before} cannot be told apart in {name}: nothing can be tested."
    test, p = found["tests"][0], found["p_adjusted"]
    price = _price(run["cost"], baseline["cost"])
    if test["low"] == test["high"] == 0 and not difference["images"]["told_apart"]:
        text = f"{subject} and {before} predict the same class for every image"
        return f"{text}, {price}." if price else f"{text}."
    size = _reliable if p < ALPHA else _unclear
    text = size(subject, before, metric, test) + f", {_chance(p)}"
    text += f" (Holm, {n_compared} comparisons)" if n_compared > 1 else ""
    sentence = f"{text}, {price}." if price else f"{text}."
    return f"F{sentence[1:]}" if sentence.startswith("fine-tuning") else sentence


def _unclear(subject: str, before: str, metric: str, test: Mapping[str, float]) -> str:
    mean, low, high, unit = _scaled(metric, test)
    row = {"mean": mean, "low": low, "high": high}
    return (
        f"No reliable difference between {subject} and {before} in {metric_name(metric)}: "
        + interval(row, 1 if unit else 3, signed=True, unit=unit)
    )


def _reliable(subject: str, before: str, metric: str, test: Mapping[str, float]) -> str:
    """How much better or worse, as a size with its interval: a loss of 2 is not one of −2."""
    mean, low, high, unit = _scaled(metric, test)
    if mean < 0:
        mean, low, high = -mean, -high, -low
    lost = test["mean"] < 0
    digits = 1 if unit else 3
    while mean and round(mean, digits) == 0 and digits < MOST_DIGITS:
        digits += 1
    shown, ends = number(mean, digits), bounds({"low": low, "high": high}, digits)
    if lower_is_better(metric):
        change = f"{'lowers' if lost else 'raises'} {metric_name(metric)} by {shown}"
    else:
        of = f"{unit} of" if unit else " in"
        change = f"{'loses ' if lost else 'adds +'}{shown}{of} {metric_name(metric)}"
    return f"{subject} {change} {ends} against {before}"


def _scaled(metric: str, test: Mapping[str, float]) -> tuple[float, float, float, str]:
    """Mean, ends and unit: points of a hundred where the metric is a share."""
    scale, unit = (1, "") if metric in UNBOUNDED else (100, " points")
    return scale * test["mean"], scale * test["low"], scale * test["high"], unit


def _subject(run: Mapping[str, Any]) -> str:
    label, what = printable(run["label"]), run["what"]
    if what.startswith(TUNED):
        return f"fine-tuning {what.removeprefix(TUNED)} ({label})"
    return label


def _chance(p: float) -> str:
    return "p < 0.001" if p < 0.001 else f"p = {p:.2g}"


def _price(cost: Mapping[str, Any], baseline: Mapping[str, Any]) -> str:
    """How much more or less was computed; empty where one of the two is not known."""
    one, other = cost["total_s"], baseline["total_s"]
    if not one or not other:
        return ""
    times = one / other
    if 1 / SAME_PRICE < times < SAME_PRICE:
        text = "for about the same compute"
    else:
        shown = f"{times:.2g}" if times < 10 else f"{times:,.0f}"
        text = f"for {shown} times the compute"
    return text if cost["with_extraction"] else f"{text} after extraction"
