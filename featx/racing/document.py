"""A race as JSON, as a table, and in sentences."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from featx.config import RaceConfig
from featx.console import counted
from featx.files import printable
from featx.numbers import interval, number
from featx.racing.rounds import TWIN, RaceOutcome
from featx.racing.runners import Runner
from featx.stats.metrics import metric_name

#: Of ``race.csv``.
COLUMNS = (
    *("backbone", "weights", "size_px", "resize", "images", "layers", "n_features", "score"),
    *("low", "high", "behind", "behind_low", "behind_high", "seconds", "images_per_s"),
    *("pareto", "left"),
)
CLEARLY_FASTER = 1.5


def race_document(
    found: RaceOutcome, config: RaceConfig, *, source: str, images: int, n: int
) -> dict[str, Any]:
    """What ``race.json`` holds.

    Parameters
    ----------
    found : RaceOutcome
    config : RaceConfig
    source : str
        The data set.
    images : int
        Images that might have been drawn.
    n : int
        Images of the data set, those of a test split included.
    """
    rows = [_row(runner) for runner in found.runners]
    for row, front in zip(rows, _fronts(found.runners), strict=True):
        row["pareto"] = front
    document = {
        "schema_version": 1,
        "source": printable(source),
        "n_images": n,
        "n_drawable": images,
        "scoring": config.scoring,
        "seed": config.seed,
        "rounds": found.sizes,
        "budget": config.budget,
        "ended_by_budget": found.ended_by_budget,
        "elapsed_s": round(found.elapsed_s, 3),
        "embedded": sum(runner.computed for runner in found.runners),
        "winner": rows[0],
        "rows": rows,
        "drawn": [digest.tobytes().hex() for digest in found.hashes],
    }
    return {**document, "summary": race_sentences(document)}


def _row(runner: Runner) -> dict[str, Any]:
    stream, rate = runner.stream, runner.image_s
    best = runner.scored[0] if runner.scored else None
    nothing = {"value": None, "low": None, "high": None}
    return {
        "backbone": stream.backbone,
        "weights": stream.weights and str(Path(stream.weights).absolute()),
        "size_px": stream.size_px,
        "resize": stream.resize,
        "images": runner.images,
        "layers": [] if best is None else list(best.outputs),
        "n_features": None if best is None else best.n_features,
        "score": runner.score or nothing,
        "behind": runner.behind or nothing,
        "seconds": round(runner.seconds, 3),
        "images_per_s": None if not rate else round(1 / rate, 2),
        "left": runner.why,
        "embeddings": [
            {"layers": list(s.outputs), "n_features": s.n_features, "score": s.value}
            for s in runner.scored
        ],
    }


def _fronts(runners: Sequence[Runner]) -> list[bool]:
    """Whether no other forward pass is as good for less time, or better for as little.

    By how far each is behind the winner on the same images, so that rounds may be compared. One
    that gives the embeddings of another is left out: how fast it was differs by chance.
    """
    known = [
        (runner.behind["value"], runner.image_s)
        if runner.behind
        and runner.behind["value"] is not None
        and runner.image_s
        and not runner.why.startswith(TWIN)
        else None
        for runner in runners
    ]

    def beaten(own: tuple[float, float]) -> bool:
        return any(
            other is not None and other != own and other[0] >= own[0] and other[1] <= own[1]
            for other in known
        )

    return [own is not None and not beaten(own) for own in known]


def race_rows(document: Mapping[str, Any]) -> list[list[Any]]:
    """The rows of ``race.csv``."""
    return [
        [
            *(row[k] for k in ("backbone", "weights", "size_px", "resize", "images")),
            ",".join(row["layers"]),
            row["n_features"],
            *(row["score"][k] for k in ("value", "low", "high")),
            *(row["behind"][k] for k in ("value", "low", "high")),
            *(row[k] for k in ("seconds", "images_per_s", "pareto", "left")),
        ]
        for row in document["rows"]
    ]


def race_sentences(document: Mapping[str, Any]) -> list[str]:
    """What won, by how much, what was nearly as good for less, and what it all cost."""
    winner, metric = document["winner"], metric_name(document["scoring"])
    n = document["rounds"][-1]
    sentences = [
        f"{row_name(winner)} wins with {layers_text(winner)}: {metric} "
        f"{interval(winner['score'])} on {counted(n, 'image')}, by a ridge regression. It was "
        "chosen on these images, so the number is too high on average: the fit estimates it on "
        "others.",
        _second(document),
        _faster(document),
        _cost(document),
    ]
    return [sentence for sentence in sentences if sentence]


def row_name(row: Mapping[str, Any]) -> str:
    """A forward pass."""
    weights = f" ({Path(row['weights']).name})" if row["weights"] else ""
    return printable(f"{row['backbone']}{weights} at {row['size_px']} px, {row['resize']}")


def layers_text(row: Mapping[str, Any]) -> str:
    """Its best layers, in a few words where there are many."""
    layers = row["layers"]
    if len(layers) <= 2:
        return " and ".join(layers)
    poolings = {name.rpartition(":")[2] for name in layers if ":" in name}
    if len(poolings) == 1 and all(":" in name for name in layers):
        return f"all {len(layers)} stages, {poolings.pop()}"
    return f"all {len(layers)} layers and poolings"


def _second(document: Mapping[str, Any]) -> str:
    last = [row for row in document["rows"][1:] if row["images"] == document["rounds"][-1]]
    if not last:
        return "No other forward pass reached the last round."
    behind = min(last, key=lambda row: -row["behind"]["value"])
    apart = behind["behind"]["high"] is not None and behind["behind"]["high"] < 0
    verdict = "certainly behind" if apart else "the images drawn do not tell the two apart"
    if (behind["behind"]["value"] or 0.0) > 0:
        verdict += ", and log loss, which ranks them, favours the winner"
    return (
        f"The next is {row_name(behind)}: {interval(behind['behind'], signed=True)} on the same "
        f"images; {verdict}."
    )


def _faster(document: Mapping[str, Any]) -> str:
    winner = document["winner"]
    if not winner["images_per_s"]:
        return ""
    near = [
        row
        for row in document["rows"][1:]
        if row["images_per_s"]
        and row["images_per_s"] >= CLEARLY_FASTER * winner["images_per_s"]
        and row["images"] == document["rounds"][-1]
        and (row["behind"]["high"] or 0.0) >= 0
    ]
    if not near:
        return ""
    fast = max(near, key=lambda row: row["images_per_s"])
    times = number(fast["images_per_s"] / winner["images_per_s"], 1)
    return f"{row_name(fast)} is {times} times as fast and not certainly behind."


def _cost(document: Mapping[str, Any]) -> str:
    everything = len(document["rows"]) * document["n_images"]
    share = number(document["embedded"] / everything, 0, scale=100)
    seconds = f"{document['elapsed_s']:,.0f} s"
    ended = " The budget ended it." if document["ended_by_budget"] else ""
    return (
        f"The race took {seconds} and computed {document['embedded']:,} embeddings, {share} % of "
        f"the {everything:,} of {counted(len(document['rows']), 'forward pass')} over all "
        f"images.{ended}"
    )
