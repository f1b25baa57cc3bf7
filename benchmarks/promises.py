"""Does the rest of what a fit says hold, and do ensembles and views help?

    python benchmarks/promises.py --data FOLDER --weights squeezenet1_0.safetensors --cache FOLDER

Data, embeddings and resplits are those of coverage.py: a small training set (150 images; of
malaria 12 patients) against a large untouched remainder. Each resplit asks of the model that
ships:

- do prediction sets of 90 % hold the true class of 90 % of the remainder (lac and aps), is 1 % of
  it called out of distribution, and how many images of the other two data sets are;
- is the accuracy that the learning curve foretells of twice as many images what a fit of twice as
  many reaches (of malaria, twice as many patients);
- what is gained on the remainder by a vote of three heads over the best one of them, and, for
  clothing, by four augmented views of each training image, where the search takes them.

Every resplit is kept under the cache as it ends, and a second run goes on from there. Writes
benchmarks/results/promises.json and prints Markdown tables.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import coverage
import numpy as np

import featx
from featx.config import FitConfig
from featx.fitting import FitData, FitResult, fit_heads
from featx.fitting.gathering import gather
from featx.fitting.training import pipeline_outputs

RESULTS = Path(__file__).parent / "results" / "promises.json"

STATED, ALARMS = 0.9, 0.01  # of images: covered by their set, called out of distribution
FOREIGN = 300  # images of each other data set
N_VIEWS = 4
HEADS = ["logreg", "svm-rbf", "knn"]

Row = dict[str, Any]


def main() -> None:
    """Run what is missing, then write and print."""
    options = coverage.asked(__doc__, ROWS, resplits=100)
    for name in options.row:
        fill(name, options)
    rows = {n: SUMMARIES[n.split("/")[1]](kept) for n in ROWS if (kept := known(n, options.cache))}
    coverage.write(RESULTS, rows, quick=options.quick)
    print(tables(rows))


def kept_in(name: str, cache: Path) -> Path:
    """Where the resplits of one row are kept, a line each."""
    return cache / "promises" / f"{name.replace('/', '-')}.jsonl"


def known(name: str, cache: Path) -> list[Row]:
    """Resplits of one row that are done."""
    path = kept_in(name, cache)
    if not path.exists():
        return []
    return [json.loads(line) for line in path.read_text("utf-8").splitlines()]


def fill(name: str, options: argparse.Namespace) -> None:
    """Run the resplits of one row that are missing."""
    dataset, question = name.split("/")
    path, done = kept_in(name, options.cache), len(known(name, options.cache))
    path.parent.mkdir(parents=True, exist_ok=True)
    if done >= options.resplits:
        return
    ask = QUESTIONS[question](dataset, options)
    with path.open("a", encoding="utf-8") as file:
        for seed in range(done, options.resplits):
            row = ask(coverage.FIRST_SEED + seed)
            file.write(json.dumps(row) + "\n")
            file.flush()
    print(f"{name}: {options.resplits} resplits", file=sys.stderr)


def trust(dataset: str, options: argparse.Namespace) -> Callable[[int], Row]:
    """Prediction sets and the out-of-distribution score."""
    pool = coverage.load(dataset, options)
    rng = np.random.default_rng(0)
    foreign = []
    for other in DATASETS:
        if other != dataset:
            (X,) = coverage.load(other, options).X.values()
            foreign.append(X[rng.permutation(len(X))[:FOREIGN]])

    def ask(seed: int) -> Row:
        training, rest = coverage.draw(pool, np.random.default_rng(seed))
        row: Row = {}
        for method in ("lac", "aps"):
            config = FitConfig(
                jobs=1, seed=seed, estimate="cv", sets=method, coverage=STATED, ood_rate=ALARMS
            )
            result = fit_heads(training, config)
            row[method] = covered(result, rest)
        row["alarms"] = flagged(result, next(iter(rest.X.values())))
        row["found"] = [flagged(result, X) for X in foreign]
        return row

    return ask


def covered(result: FitResult, rest: FitData) -> dict[str, float]:
    """How often sets hold the true class, how many classes they name, how many abstain."""
    outputs = pipeline_outputs(result.pipeline, rest.X[result.chosen.backbone])
    probabilities = outputs.probabilities()
    said, sets = probabilities.argmax(axis=1), result.trust.trust.sets
    inside, y = sets.sets(probabilities, said), np.searchsorted(result.classes, rest.y)
    return {
        "covered": float(inside[np.arange(len(y)), y].mean()),
        "size": float(inside.sum(axis=1).mean()),
    }


def flagged(result: FitResult, X: np.ndarray) -> float:
    """Share of images called out of distribution."""
    scores = result.trust.novelty.scores(result.pipeline[:1].transform(X))
    return float((scores > result.trust.trust.novelty.limit).mean())


def growth(dataset: str, options: argparse.Namespace) -> Callable[[int], Row]:
    """The learning curve's word against twice as many images."""
    pool = coverage.load(dataset, options)

    def ask(seed: int) -> Row:
        rng = np.random.default_rng(seed)
        training, rest = coverage.draw(pool, rng)
        added, rest = coverage.draw(rest, rng)
        config = FitConfig(jobs=1, seed=seed, estimate="cv")
        now = fit_heads(training, config.model_copy(update={"learning_curve": True}))
        growth = now.learning_curve["growth"]["accuracy"]
        row = {"now": accuracy(now, rest), "verdict": growth["verdict"]}
        row["twice"] = accuracy(fit_heads(joined(training, added), config), rest)
        if growth["ahead"]:
            ahead = next(a for a in growth["ahead"] if a["factor"] == 2)
            row |= {key: ahead["score"][key] for key in ("value", "low", "high")}
        return row

    return ask


def joined(one: FitData, other: FitData) -> FitData:
    """Both sets of images."""
    groups = None if one.groups is None else np.concatenate([one.groups, other.groups])
    return FitData(
        {name: np.concatenate([X, other.X[name]]) for name, X in one.X.items()},
        np.concatenate([one.y, other.y]),
        [*one.ids, *other.ids],
        np.concatenate([one.hashes, other.hashes]),
        groups,
    )


def accuracy(result: FitResult, rest: FitData) -> float:
    """Of the model that ships."""
    return float((result.pipeline.predict(rest.X[result.chosen.backbone]) == rest.y).mean())


def vote(dataset: str, options: argparse.Namespace) -> Callable[[int], Row]:
    """Three heads together against the best of them."""
    pool = coverage.load(dataset, options)

    def ask(seed: int) -> Row:
        training, rest = coverage.draw(pool, np.random.default_rng(seed))
        config = FitConfig(jobs=1, seed=seed, estimate="cv", head=HEADS)
        without = fit_heads(training, config)
        with_it = fit_heads(training, config.model_copy(update={"ensemble": ["vote"]}))
        said = pipeline_outputs(with_it.pipeline, rest.X[with_it.chosen.backbone])
        named = np.array(with_it.classes)[said.probabilities().argmax(axis=1)]
        return {
            "without": accuracy(without, rest),
            "with": float((named == rest.y).mean()),
            "taken": with_it.chosen.head == "vote",
        }

    return ask


def views(dataset: str, options: argparse.Namespace) -> Callable[[int], Row]:
    """Augmented views of the training images against the images alone."""
    extraction = featx.extract(
        options.data / dataset,
        backbone="torchvision:squeezenet1_0",
        weights=str(options.weights),
        size=96,
        views=N_VIEWS,
        cache=str(options.cache),
    )
    gathered = gather([extraction])
    place = {name: i for i, name in enumerate(gathered.ids)}
    pool = coverage.rows_of(gathered, gathered.splits != "test")  # which has no views

    def ask(seed: int) -> Row:
        training, rest = coverage.draw(pool, np.random.default_rng(seed))
        rows = [place[name] for name in training.ids]
        viewed = replace(training, views={name: V[rows] for name, V in gathered.views.items()})
        config = FitConfig(jobs=1, seed=seed, estimate="cv")
        with_them = fit_heads(viewed, config)
        return {
            "without": accuracy(fit_heads(training, config), rest),
            "with": accuracy(with_them, rest),
            "taken": with_them.chosen.views > 0,
        }

    return ask


def summary_of_trust(kept: list[Row]) -> Row:
    """Means over resplits, in percent; classes per set."""
    row: Row = {"resplits": len(kept)}
    for method in ("lac", "aps"):
        row[method] = {
            "covered": percent([k[method]["covered"] for k in kept]),
            "size": round(float(np.mean([k[method]["size"] for k in kept])), 2),
        }
    row["alarms"] = percent([k["alarms"] for k in kept])
    row["found"] = [percent(shares) for shares in zip(*(k["found"] for k in kept), strict=True)]
    return row


def summary_of_growth(kept: list[Row]) -> Row:
    """How often something is foretold and holds, and by how much it is off, in points."""
    told = [k for k in kept if "value" in k]
    return {
        "resplits": len(kept),
        "told": len(told),
        "now": percent([k["now"] for k in told]),
        "foretold": percent([k["value"] for k in told]),
        "twice": percent([k["twice"] for k in told]),
        "covered": percent([k["low"] <= k["twice"] <= k["high"] for k in told]),
        "width": percent([k["high"] - k["low"] for k in told]),
    }


def summary_of_gain(kept: list[Row]) -> Row:
    """Accuracy with and without in percent; the gain in points with its 95 % interval."""
    gains = 100 * np.array([k["with"] - k["without"] for k in kept])
    error = 1.96 * gains.std(ddof=1) / np.sqrt(len(gains))
    return {
        "resplits": len(kept),
        "without": percent([k["without"] for k in kept]),
        "with": percent([k["with"] for k in kept]),
        "gain": round(float(gains.mean()), 2),
        "interval": [round(float(gains.mean() + side * error), 2) for side in (-1, 1)],
        "taken": percent([k["taken"] for k in kept]),
    }


def percent(shares: Any) -> float | None:
    """Mean share in percent; None of none."""
    return round(100 * float(np.mean(shares)), 1) if len(shares) else None


DATASETS = ["clothing", "malaria", "plankton"]
ROWS = [
    *(f"{dataset}/{question}" for question in ("trust", "growth", "vote") for dataset in DATASETS),
    "clothing/views",
]
QUESTIONS = {"trust": trust, "growth": growth, "vote": vote, "views": views}
SUMMARIES = {
    "trust": summary_of_trust,
    "growth": summary_of_growth,
    "vote": summary_of_gain,
    "views": summary_of_gain,
}


def tables(rows: dict[str, Row]) -> str:
    """Markdown: trust, growth, gains."""
    of = {q: {n.split("/")[0]: r for n, r in rows.items() if n.endswith(q)} for q in QUESTIONS}
    lines = [
        "| data | resplits | coverage of lac | classes per set | coverage of aps | classes per set "
        "| false alarms | other data flagged |",
        "|---|---|---|---|---|---|---|---|",
    ]
    for dataset, r in of["trust"].items():
        others = [d for d in DATASETS if d != dataset]
        found = ", ".join(f"{o} {s} %" for o, s in zip(others, r["found"], strict=True))
        lines.append(
            f"| {dataset} | {r['resplits']} | {r['lac']['covered']} % | {r['lac']['size']} "
            f"| {r['aps']['covered']} % | {r['aps']['size']} | {r['alarms']} % | {found} |"
        )
    lines += [
        "",
        "| data | forecasts made | accuracy now | forecast for twice as many | measured "
        "| within its interval | width of it |",
        "|---|---|---|---|---|---|---|",
    ]
    for dataset, r in of["growth"].items():
        figures = [r[key] for key in ("now", "foretold", "twice", "covered", "width")]
        cells = [f"{f} {unit}" for f, unit in zip(figures, [*4 * ["%"], "points"], strict=True)]
        cells = cells if r["told"] else len(cells) * [""]
        lines.append(f"| {dataset} | {r['told']} of {r['resplits']} | {' | '.join(cells)} |")
    lines += [
        "",
        "| data | what | resplits | accuracy without | with | gain in points (95 % interval) "
        "| selected by the search |",
        "|---|---|---|---|---|---|---|",
    ]
    for question, what in (("vote", "a vote of three heads"), ("views", "four views of an image")):
        for dataset, r in of[question].items():
            low, high = r["interval"]
            lines.append(
                f"| {dataset} | {what} | {r['resplits']} | {r['without']} % | {r['with']} % "
                f"| {r['gain']} ({low} to {high}) | {r['taken']} % |"
            )
    return "\n".join(lines)


if __name__ == "__main__":
    main()
