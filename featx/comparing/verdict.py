"""A comparison in one plain sentence."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from featx.comparing.cost import lower_is_better
from featx.comparing.record import JudgedRun
from featx.files import printable

__all__ = ["ALPHA", "describe_run", "metric_name", "verdict"]

ALPHA = 0.05
SAME_PRICE = 1.1  # times the cost, either way
TUNED = "fine-tuned "
NAMES = {
    "roc_auc_ovr": "ROC area",
    "f1_macro": "macro F1",
    "f1_weighted": "weighted F1",
    "average_precision_macro": "macro average precision",
    "matthews": "Matthews correlation",
    "cohen_kappa": "Cohen's kappa",
    "brier": "Brier score",
}
UNBOUNDED = frozenset({"log_loss", "brier", "matthews", "cohen_kappa"})


def metric_name(metric: str) -> str:
    """In words."""
    return NAMES.get(metric, metric.replace("_", " "))


def describe_run(run: JudgedRun) -> str:
    """What a run is: ``fine-tuned timm:resnet18``, ``logreg on timm:resnet18, smote``."""
    backbone, head = run.chosen.get("backbone"), run.chosen.get("head")
    if not isinstance(backbone, str) or not isinstance(head, str):
        return ""
    if run.tuned and run.chosen.get("kind") == "finetuned":
        return printable(f"{TUNED}{backbone}")
    if run.tuned:
        return printable(f"frozen {backbone}, kept as fine-tuning made it worse")
    sampler = run.chosen.get("sampler", "none")
    return printable(f"{head} on {backbone}" + (f", {sampler}" if sampler != "none" else ""))


def verdict(
    run: Mapping[str, Any],
    baseline: Mapping[str, Any],
    difference: Mapping[str, Any],
    metric: str,
    *,
    n_compared: int,
) -> str:
    """What is known of one run against the baseline.

    Parameters
    ----------
    run, baseline : mapping
        Of the document of a `Comparison`: ``label``, ``what``, ``cost``.
    difference : mapping
        From `featx.comparing.differences.describe_difference`, adjusted.
    metric : str
    n_compared : int
        Runs compared with the baseline.
    """
    found = difference["metrics"][metric]
    name, subject, before = metric_name(metric), _subject(run), printable(baseline["label"])
    if not found["tests"]:
        return f"{subject} and {before} cannot be told apart in {name}: nothing can be tested."
    test, p = found["tests"][0], found["p_adjusted"]
    scale, digits, unit = (1, 3, "") if metric in UNBOUNDED else (100, 1, " points")
    mean, low, high = (scale * test[k] for k in ("mean", "low", "high"))
    interval = f"[{_signed(low, digits, plus=False)}, {_signed(high, digits, plus=False)}]"
    if p >= ALPHA:
        text = f"No reliable difference between {subject} and {before} in {name}: "
        text += f"{_signed(mean, digits)}{unit} {interval}"
    else:
        size = f"{abs(mean):.{digits}f}"
        if lower_is_better(metric):
            text = f"{subject} {'lowers' if mean < 0 else 'raises'} {name} by {size} {interval}"
        else:
            verb = "adds +" if mean > 0 else "loses "
            text = f"{subject} {verb}{size}{unit} {'of' if unit else 'in'} {name} {interval}"
        text += f" against {before}"
    text += f", {_chance(p)}" + (f" (Holm, {n_compared} comparisons)" if n_compared > 1 else "")
    price = _price(run["cost"], baseline["cost"])
    sentence = f"{text}, {price}." if price else f"{text}."
    return f"F{sentence[1:]}" if sentence.startswith("fine-tuning") else sentence


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
    cached = [c["cached"] for c in (cost, baseline) if c["cached"]]
    return f"{text} (cached embeddings left out)" if cached else text


def _signed(value: float, digits: int, *, plus: bool = True) -> str:
    """With a true minus sign; what rounds to nothing has no sign."""
    text = f"{value:.{digits}f}"
    if float(text) == 0:
        return f"{0:.{digits}f}"
    return f"−{text[1:]}" if value < 0 else f"+{text}" if plus else text
