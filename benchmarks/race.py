"""A race against embedding everything: what it finds, what it costs, and what its estimate is.

    python benchmarks/race.py --data FOLDER --weights squeezenet1_0.safetensors --scratch FOLDER

Six data sets, cut to at most 1,500 images, and other images of one of them; three backbones at
three sizes with two ways to resize: 18 forward passes with 12 to 14 embeddings each. Everything
is embedded once (kept in --scratch; a second run goes on from there) with its processor seconds
an image, without loading the network. Then, 20 times for each data set: 80 % of the images, drawn
with groups whole, are raced on, by the code of `featx race`, with embeddings from memory and a
clock that counts the seconds recorded. Among the winner's best embeddings the 80 % choose, as the
search of a fit does. Regret is what that choice lacks to the best of all embeddings, each scored
by the same regression on all images. The choice, and that of an exhaustive search on the same 80
%, predict the other 20 %: what racing loses out of the sample. What a fit reports (nested cross-
validation over the images that the race did not draw) is held against that, as is what it would
report if it evaluated on all images, and the race's own score. Rows are written to
benchmarks/results/race.json as they end. Runtime: an hour on two cores.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
from measuring import asked, keep, machine, temporary_folder, versions
from race_data import NAMES, extract_all, load

from featx.data.splits import hash_codes, hold_out, link_components, make_folds
from featx.racing.choosing import CONTENDERS
from featx.racing.draws import round_rows, round_sizes
from featx.racing.ridge import INTERCEPT, SHARES, out_of_fold
from featx.racing.rounds import race
from featx.racing.runners import Rules
from featx.racing.scoring import Drawn, mean_loss, score_sets
from featx.racing.streams import Forwarded, Stream, sets_of
from featx.stats.metrics import fold_score

RESULTS = Path(__file__).parent / "results" / "race.json"
DRAWS = 20
SCORING = "balanced_accuracy"
ROUNDS, KEEP, APART = [200, 1000], 0.75, 0.5
NEAR = 4  # standard errors from the best embedding, within which an exhaustive search looks
JUDGING = 0.2  # of the images judge what is chosen on the others


class Recorded:
    """A data set whose embeddings are all in memory, and a clock of what they cost."""

    def __init__(self, name: str, scratch: Path) -> None:
        self.X: dict[Stream, dict[str, np.ndarray]] = {}
        self.image_s: dict[Stream, float] = {}
        self.now = 0.0
        for found, file in load(name, scratch):
            stream = Stream(found.backbone, None, found.size_px, found.resize)
            taken = json.loads(str(file["_taken"]))
            self.X[stream] = {k: v for k, v in file.items() if not k.startswith("_")}
            self.image_s[stream] = taken["cpu_s"] / taken["images"]
        self.y = np.unique(file["_y"], return_inverse=True)[1]
        self.hashes = file["_hashes"]
        groups = file["_groups"] if "_groups" in file else np.arange(len(self.y)).astype(str)
        codes = np.unique(groups, return_inverse=True)[1]
        self.units = link_components(codes, hash_codes(self.hashes))
        self.grouped = "_groups" in file

    def streams(self) -> list[Stream]:
        return sorted(self.X, key=lambda stream: stream.size_px)


class Part:
    """Some images of it, as a race asks for them."""

    def __init__(self, whole: Recorded, rows: np.ndarray) -> None:
        self.whole, self.rows, self.now = whole, rows, 0.0
        self.seen: dict[Stream, set[int]] = {}

    def embed(self, stream: Stream, rows: np.ndarray) -> Forwarded:
        seen = self.seen.setdefault(stream, set())
        new = len(set(rows.tolist()) - seen)
        seen.update(rows.tolist())
        each = self.whole.image_s[stream]
        self.now += each * new
        at = self.rows[rows]
        X = {name: values[at] for name, values in self.whole.X[stream].items()}
        return Forwarded(X, np.ones(len(rows), bool), self.whole.hashes[at], new, each * new, each)

    def forget(self, stream: Stream) -> None:
        pass

    def clock(self) -> float:
        return self.now


def drawn_from(whole: Recorded, rows: np.ndarray) -> Drawn:
    y = np.unique(whole.y[rows], return_inverse=True)[1]
    units = link_components(whole.units[rows])
    names = [str(c) for c in range(int(y.max()) + 1)]
    folds = make_folds(y, units, names, n_folds=5, seed=0)
    return Drawn(y, folds.fold, units, len(names))


def exhaustive(whole: Recorded) -> tuple[dict[tuple[Stream, tuple[str, ...]], float], float]:
    """The score of every embedding of all images, and the standard error of the best one's."""
    drawn = drawn_from(whole, np.arange(len(whole.y)))
    table, best = {}, None
    for stream, X in whole.X.items():
        found = score_sets(X, sets_of(list(X)), drawn, SCORING)
        table |= {(stream, scored.outputs): scored.value for scored in found}
        best = max([*([best] if best else []), found[0]], key=lambda scored: scored.value)
    return table, float(np.nanstd(best.samples(SCORING, drawn, 0)))


def columns(whole: Recorded, stream: Stream, outputs: tuple[str, ...]) -> np.ndarray:
    return np.hstack([whole.X[stream][name] for name in outputs])


def searched(embeddings: Iterable[np.ndarray], drawn: Drawn) -> list[tuple[float, float]]:
    """The best score of each embedding and its penalty, as the search of a fit finds them."""
    found = []
    for X in embeddings:
        tried = out_of_fold(X, drawn.y, drawn.fold, drawn.n_classes, balanced=True)
        scores = [fold_score(SCORING, drawn.y, each) for each in tried]
        found.append((max(scores), SHARES[int(np.argmax(scores))]))
    return found


def best_of(found: list[tuple[float, float]]) -> int:
    return max(range(len(found)), key=lambda i: found[i][0])


def predicted(X: np.ndarray, drawn: Drawn, penalty: float, new: np.ndarray) -> np.ndarray:
    """Scores of new rows by the race's regression."""
    mean, spread = X.mean(axis=0), X.std(axis=0)
    spread = np.where(spread > 1e-6, spread, np.inf)
    weights = len(X) / (drawn.n_classes * np.bincount(drawn.y)[drawn.y])
    root = np.sqrt(weights)[:, None]
    Z = np.hstack([(X - mean) / spread, np.full((len(X), 1), INTERCEPT)]) * root
    Y = np.eye(drawn.n_classes)[drawn.y] * root
    K = Z @ Z.T
    K[np.diag_indices_from(K)] += penalty * np.trace(K) / len(K)
    W = Z.T @ np.linalg.solve(K, Y)
    return np.hstack([(new - mean) / spread, np.full((len(new), 1), INTERCEPT)]) @ W


def nested(embeddings: list[np.ndarray], drawn: Drawn) -> np.ndarray:
    """Scores of every row by a search on the other folds."""
    scores = np.full((len(drawn.y), drawn.n_classes), -np.inf)
    for fold in range(int(drawn.fold.max()) + 1):
        train = drawn.fold != fold
        names, y = np.unique(drawn.y[train], return_inverse=True)
        units = link_components(drawn.units[train])
        inner = make_folds(y, units, [str(c) for c in names], n_folds=5, seed=1)
        part = Drawn(y, inner.fold, units, len(names))
        found = searched((X[train] for X in embeddings), part)
        which = best_of(found)
        X, penalty = embeddings[which], found[which][1]
        scores[np.ix_(~train, names)] = predicted(X[train], part, penalty, X[~train])
    return scores


def one_draw(whole: Recorded, seed: int, table: dict[Any, float], error: float) -> dict[str, Any]:
    """One random part of the images raced on, and what the rest say of its choice."""
    everyone = np.arange(len(whole.y))
    names = [str(c) for c in range(int(whole.y.max()) + 1)]
    held = hold_out(whole.y, whole.units, names, share=JUDGING, seed=seed)[0]
    rows = everyone[~held]
    classes, y = np.unique(whole.y[rows], return_inverse=True)
    part = Part(whole, rows)
    sizes = round_sizes(ROUNDS, len(rows), share=APART, n_classes=len(classes))
    full_s = sum(whole.image_s.values()) * len(rows)
    rules = Rules(sizes, KEEP, SCORING, 5, seed)
    started = time.process_time()
    found = race(whole.streams(), part, y, link_components(whole.units[rows]), rules)
    heads_s = time.process_time() - started
    stream = found.winner.stream
    contenders = [scored.outputs for scored in found.winner.scored[:CONTENDERS]]
    rest_s = (len(rows) - len(found.rows)) * whole.image_s[stream]
    drawn = drawn_from(whole, rows)
    near = max(table.values()) - NEAR * error  # what lies below is not chosen on 80 % either
    every = [each for each, value in table.items() if value >= near]
    every = list(dict.fromkeys([*every, *((stream, outputs) for outputs in contenders)]))
    scores = dict(
        zip(every, searched((columns(whole, *e)[rows] for e in every), drawn), strict=True)
    )
    outputs = max(contenders, key=lambda each: scores[stream, each][0])
    exhaustively = max(every, key=lambda each: scores[each][0])
    embeddings = [columns(whole, stream, each) for each in contenders]
    apart = np.isin(drawn.units, drawn.units[found.rows])
    judged, other = (
        predicted(X[rows], drawn, scores[each][1], X[held])
        for each in ((stream, outputs), exhaustively)
        for X in [columns(whole, *each)]
    )
    proba = nested([X[rows] for X in embeddings], drawn)
    known = np.isin(whole.y[held], classes)
    truth = np.searchsorted(classes, whole.y[held])
    return {
        "rounds": found.sizes,
        "chosen": [stream.name, list(outputs)],
        "regret": max(table.values()) - table[stream, outputs],
        "regret_of_exhaustive": max(table.values()) - table[exhaustively],
        "behind_exhaustive": common_recall(truth[known], other[known], truth[known], judged[known]),
        "regret_of_pass": max(table.values())
        - max(v for (s, _), v in table.items() if s == stream),
        "race_s": found.elapsed_s,
        "with_rest_s": found.elapsed_s + rest_s,
        "full_s": full_s,
        "heads_cpu_s": round(heads_s, 2),
        **{
            f"optimism_{what}": common_recall(*own, truth[known], judged[known])
            for what, own in {
                "estimate": (drawn.y[~apart], proba[~apart]),
                "not_apart": (drawn.y, proba),
                "raced": (y[found.rows], placed(found.winner.best.proba, y[found.rows], classes)),
            }.items()
        },
    }


def placed(proba: np.ndarray, y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Columns of the classes that were drawn, among all."""
    wide = np.zeros((len(proba), len(classes)))
    wide[:, np.unique(y)] = proba
    return wide


def common_recall(
    y: np.ndarray, scores: np.ndarray, other_y: np.ndarray, other_scores: np.ndarray
) -> float:
    """How much higher the mean recall of the classes that both have is in the first.

    A class of three images is in one and not in the other; a balanced accuracy would then be of
    other classes.
    """
    both = np.intersect1d(y, other_y)
    first, second = (
        np.mean([np.mean(s[t == c].argmax(axis=1) == c) for c in both])
        for t, s in ((y, scores), (other_y, other_scores))
    )
    return float(first - second)


def drawn_so_far(
    whole: Recorded, path: Path, quick: bool
) -> tuple[dict[Any, float], float, list[dict[str, Any]]]:
    """The table of all embeddings, its best one's error, and the draws; kept as they end."""
    known = json.loads(path.read_text("utf-8")) if path.exists() else {}
    if not known:
        table, error = exhaustive(whole)
        rows = [[stream.name, list(outputs), v] for (stream, outputs), v in table.items()]
        known = {"table": rows, "error": error, "draws": []}
    streams = {stream.name: stream for stream in whole.X}
    table = {(streams[name], tuple(outputs)): v for name, outputs, v in known["table"]}
    for seed in range(len(known["draws"]), 2 if quick else DRAWS):
        path.write_text(json.dumps(known), "utf-8")
        known["draws"].append(one_draw(whole, seed, table, known["error"]))
    path.write_text(json.dumps(known), "utf-8")
    return table, known["error"], known["draws"]


def rankings(whole: Recorded, table: dict[Any, float], draws: int) -> dict[str, float]:
    """Rank correlation with the final order of the forward passes, on the first round's images.

    Of the race's regressions, and of LogME of the pre-logits (You et al., "LogME: practical
    assessment of pre-trained models for transfer learning", ICML 2021).
    """
    from scipy.stats import spearmanr

    final = [max(v for (s, _), v in table.items() if s == stream) for stream in whole.X]
    n_classes = int(whole.y.max()) + 1
    sizes = round_sizes(ROUNDS, len(whole.y), share=APART, n_classes=n_classes)
    found: dict[str, list[float]] = {"ridge": [], "logme": []}
    for seed in range(draws):
        rows = round_rows(whole.y, whole.units, sizes, n_folds=5, seed=seed)[0]
        drawn = drawn_from(whole, rows)
        scores: dict[str, list[float]] = {"ridge": [], "logme": []}
        for X in whole.X.values():
            part = {name: values[rows] for name, values in X.items()}
            scored = score_sets(part, sets_of(list(part)), drawn, SCORING)
            scores["ridge"].append(-mean_loss(scored, last=False))
            scores["logme"].append(logme(part["pre-logits"], drawn.y))
        for how, values in scores.items():
            found[how].append(float(spearmanr(values, final).statistic))
    return {how: round(float(np.mean(values)), 3) for how, values in found.items()}


def logme(X: np.ndarray, y: np.ndarray) -> float:
    """Mean log evidence of a Bayesian linear model of each class, at its best two precisions."""
    n, d = X.shape
    U, s, _ = np.linalg.svd(X.astype(float), full_matrices=False)
    s2, evidence = s**2, []
    for c in np.unique(y):
        target = (y == c).astype(float)
        z2 = (U.T @ target) ** 2
        outside = float(target @ target - z2.sum())
        alpha = beta = 1.0
        for _ in range(20):
            ratio = alpha / beta
            used = float((s2 / (s2 + ratio)).sum())
            m2 = float((s2 * z2 / (s2 + ratio) ** 2).sum())
            error = float((z2 / (1 + s2 / ratio) ** 2).sum()) + outside
            alpha, beta = used / (m2 + 1e-12), (n - used) / (error + 1e-12)
        logs = np.log(alpha + beta * s2).sum() + (d - len(s)) * np.log(alpha)
        value = d * np.log(alpha) + n * np.log(beta / (2 * np.pi)) - logs
        evidence.append((value - beta * error - alpha * m2) / (2 * n))
    return float(np.mean(evidence))


def summary(rows: list[dict[str, Any]], best: float, error: float) -> dict[str, Any]:
    """Means over draws with 95 % intervals; draws overlap, so they are a little too narrow."""
    regret = np.array([row["regret"] for row in rows])
    share = np.array([row["with_rest_s"] / row["full_s"] for row in rows])
    found = {
        "regret": mean_of(regret),
        "regret_of_exhaustive": mean_of(np.array([r["regret_of_exhaustive"] for r in rows])),
        "behind_exhaustive": mean_of(np.array([r["behind_exhaustive"] for r in rows])),
        "within_one_se": float((regret <= error).mean()),
        "share_of_seconds": mean_of(share),
    }
    for name in ("estimate", "not_apart", "raced"):
        found[f"optimism_{name}"] = mean_of(np.array([r[f"optimism_{name}"] for r in rows]))
    return {"best": best, "standard_error": error, **found}


def table(results: dict[str, Any]) -> str:
    """The rows of docs/race.md."""
    lines = [
        "| data | images, classes | exhaustive winner | score ± SE | regret, points [95 %] | "
        "regret of the exhaustive search on the 80 % | behind it on the other 20 % | "
        "each within one SE | share of the seconds | optimism of the estimate, points [95 %] | "
        "race's own score |",
        "|" + "---|" * 11,
    ]
    for name in (name for name in NAMES if name in results["rows"]):
        row = results["rows"][name]
        layers = row["winner"][1]
        chosen = layers[0] if len(layers) == 1 else f"{len(layers)} layers"
        regrets = [row[k] for k in ("regret", "regret_of_exhaustive", "behind_exhaustive")]
        cells = (
            name.replace("-others", ", other images"),
            f"{row['images']:,}, {row['classes']}",
            f"{row['winner'][0].replace('torchvision:', '').replace('featx:', '')}, {chosen}",
            f"{row['best']:.3f} ± {row['standard_error']:.3f}",
            *(points(each) for each in regrets),
            ", ".join("yes" if r["value"] <= row["standard_error"] else "no" for r in regrets),
            f"{row['share_of_seconds']['value']:.1%}".replace("%", " %"),
            points(row["optimism_estimate"]),
            points(row["optimism_raced"]),
        )
        lines.append(f"| {' | '.join(cells)} |")
    return "\n".join(lines)


def points(row: dict[str, float]) -> str:
    value, low, high = (f"{100 * row[k]:.1f}".replace("-", "−") for k in ("value", "low", "high"))
    return f"{value} [{low}, {high}]"


def mean_of(values: np.ndarray) -> dict[str, float]:
    half = 2.093 * values.std(ddof=1) / np.sqrt(len(values)) if len(values) > 1 else np.nan
    mean = float(values.mean())
    return {"value": mean, "low": mean - half, "high": mean + half}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--scratch", type=Path, help="embeddings are kept here [removed again]")
    parser.add_argument("--only", nargs="*", choices=NAMES, help="data sets [all]")
    parser.add_argument("--print", action="store_true", help="only the table of docs/race.md")
    if "--print" in sys.argv:
        print(table(json.loads(RESULTS.read_text("utf-8"))))
        return
    options = asked(parser, needs=("data", "weights"))
    scratch = options.scratch or temporary_folder()
    names = options.only or NAMES
    if options.quick:
        names = ["bccd"]
    most = 60 if options.quick else None
    for name in names:
        extract_all(options.data, options.weights, scratch, [name], most)
        whole = Recorded(name, scratch)
        scores, error, draws = drawn_so_far(whole, scratch / f"{name}.json", options.quick)
        best = max(scores, key=lambda key: scores[key])
        results: dict[str, Any] = {"rows": {}}
        if RESULTS.exists() and not options.quick:
            results = json.loads(RESULTS.read_text("utf-8"))
        results["rows"][name] = {
            "images": len(whole.y),
            "classes": int(whole.y.max()) + 1,
            "grouped": whole.grouped,
            "embeddings": len(scores),
            "winner": [best[0].name, list(best[1])],
            **summary(draws, scores[best], error),
            "rank_correlation": rankings(whole, scores, 2 if options.quick else 10),
            "images_per_s": {s.name: round(1 / t, 1) for s, t in whole.image_s.items()},
            "draws": draws,
        }
        results |= {"machine": machine(), "versions": versions("torch", "openvino", "numpy")}
        keep(RESULTS, results, quick=options.quick)
        print(name, json.dumps(summary(draws, scores[best], error)), flush=True)


if __name__ == "__main__":
    main()
