"""The learning curve for a person: sentences, tables, and what more images would cost."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from featx import console
from featx.files import printable
from featx.numbers import interval
from featx.reporting.blocks import Block, Heading, Paragraph, Points, Table
from featx.types import ExtractionReport

MOST_CLASSES = 20
MOST_NAMED = 3
VERDICTS = {
    "rising": "the curve is still rising",
    "flat": "the curve is nearly flat",
    "unknown": "whether it is worth it cannot be told",
}


def complete_curve(curve: Mapping[str, Any], report: ExtractionReport) -> dict[str, Any]:
    """The section of ``results.json``: the curve with the cost of embeddings and in sentences.

    Parameters
    ----------
    curve : mapping
        From `featx.fitting.curve.learning_curve`.
    report : ExtractionReport
        Of this run's extraction, of all its backbones together.
    """
    image_s = None
    if report.computed:
        busy_s = report.decode_s + report.forward_s + report.commit_s
        image_s = report.read_s / max(report.images, 1) + busy_s / report.computed
    classes = [
        {**row, "embed_s": None if image_s is None else round(image_s * row["n_images"], 4)}
        for row in curve["classes"]
    ]
    return {
        **curve,
        "classes": classes,
        "cost": {
            "images_computed": report.computed,
            "embed_s_per_image": None if image_s is None else round(image_s, 6),
        },
        "summary": [*_sentences(curve), _cost_sentence(image_s, curve)],
    }


def _sentences(curve: Mapping[str, Any]) -> Iterator[str]:
    """What more labelled images would add, overall and for which classes."""
    for name in curve["scorings"]:
        yield _growth_sentence(name, curve["growth"][name], grouped=curve["n_groups"] is not None)
    rising = [row for row in curve["classes"] if row["growth"]["verdict"] == "rising"]
    if not rising:
        yield "For no class by itself is it clear that more of its images would raise its recall."
        return
    rising.sort(key=lambda row: -_doubled(row)["value"])
    named = "; ".join(
        f"{printable(row['class'])} {_points(_doubled(row))}" for row in rising[:MOST_NAMED]
    )
    more = f" and {len(rising) - MOST_NAMED} more" if len(rising) > MOST_NAMED else ""
    yield (
        f"Recall still rises for {len(rising)} of "
        f"{console.counted(len(curve['classes']), 'class')}; points that "
        f"twice the images of all classes would add: {named}{more} (each interval is for one "
        "class alone)."
    )


def _doubled(row: Mapping[str, Any]) -> Any:
    """What twice as many images are expected to add to a class's recall; None if not forecast."""
    ahead = row["growth"]["ahead"]
    return ahead[1]["gain"] if ahead else None


def _growth_sentence(name: str, growth: Mapping[str, Any], *, grouped: bool) -> str:
    """What a doubling is expected to add, or what was measured and why no more is said."""
    words = name.removeprefix("neg_").replace("_", " ")
    verdict = VERDICTS[growth["verdict"]]
    if growth["ahead"]:
        now, doubled = growth["ahead"][:2]
        alike = ", in new groups like these," if grouped else ""
        gain = _points(doubled["gain"], of=name)
        adds = f"add about {gain} to {words}"
        if name == "neg_log_loss":
            adds = f"lower log loss by about {gain.removeprefix('+')}"
        return (
            f"Doubling the labelled images from {now['n_images']:,} to {doubled['n_images']:,}"
            f"{alike} would {adds}: {verdict}."
        )
    sentence = f"What more labelled images would add to {words} is not forecast: {growth['reason']}"
    last = growth["last_doubling"]
    if last is None:
        return sentence + "."
    return (
        f"{sentence}. From {last['from_images']:,} to {last['to_images']:,} images trained on it "
        f"changed by {_points(last, of=name)}: {verdict}."
    )


def _cost_sentence(image_s: float | None, curve: Mapping[str, Any]) -> str:
    if image_s is None:
        return "Every embedding was in the cache, so what one more costs was not measured."
    total = image_s * curve["n_images"]
    return (
        f"Embedding an image took {image_s:.3g} s of a thread in this run; as many again as there "
        f"are would take {total:.3g} s."
    )


def _points(row: Mapping[str, Any], *, of: str = "") -> str:
    """``+1.2 points [0.3, 2.2]``, the unit only where the score is named; log loss has none."""
    if of == "neg_log_loss":
        return interval(row, signed=True)
    return interval(row, 1, scale=100, signed=True, unit=" points" if of else "")


def curve_blocks(curve: Mapping[str, Any]) -> Iterator[Block]:
    """The curve, what is expected of more images, the classes, and the sentences."""
    scorings = curve["scorings"]
    rows: list[tuple[Any, ...]] = [
        (f"{size['n_images']:,}", "trained on", *(size["metrics"][name] for name in scorings))
        for size in curve["sizes"]
    ]
    for i, ahead in enumerate(curve["growth"][scorings[0]]["ahead"]):
        each = [curve["growth"][name]["ahead"] for name in scorings]
        scores = [one[i]["score"] if one else "" for one in each]
        rows.append((f"{ahead['n_images']:,}", "expected", *scores))
    yield Heading("Learning curve")
    yield Table(("images", "", *scorings), rows)
    yield Paragraph(curve["interval"])
    yield from _classes(curve)
    yield Points([*curve["notes"], *curve["summary"]])


def _classes(curve: Mapping[str, Any]) -> Iterator[Block]:
    """Images, recall, expected gain and cost of each class, the largest gains first if many."""
    rows = list(curve["classes"])
    title = "What to label: recall by class, and the points that twice the images would add"
    if len(rows) > MOST_CLASSES:
        rows.sort(key=lambda row: -(_doubled(row) or {"value": 0.0})["value"])
        title += f" ({MOST_CLASSES} largest gains of {len(rows)}; all are in results.json)"
    cells = [
        (
            row["class"],
            row["n_images"],
            row["recall"],
            _points(_doubled(row)) if _doubled(row) else "not forecast",
            row["growth"]["verdict"],
            "" if row["embed_s"] is None else f"{row['embed_s']:.3g}",
        )
        for row in rows[:MOST_CLASSES]
    ]
    yield Heading(title)
    yield Table(("class", "images", "recall", "twice adds", "", "s to embed as many"), cells)


def tuning_curve_blocks(curve: Mapping[str, Any], scoring: str) -> Iterator[Block]:
    """The frozen and the fine-tuned model by the number of training images."""
    rows = []
    for size in curve["sizes"]:
        score = size["score"]
        change = {"value": score.get("difference"), **{k: score.get(k) for k in ("low", "high")}}
        row = size["n_images"], score["frozen"], score["finetuned"], interval(change, signed=True)
        rows.append((f"{row[0]:,}", *row[1:]))
    yield Heading(f"Learning curve: {scoring} of the {curve['images']}, and its change")
    yield Table(("images trained on", "frozen", "fine-tuned", "change [95 %]"), rows)
    yield Points([*curve["summary"], *curve["notes"]])
