"""Successive halving over forward passes: some on few images, the best of them on more.

After Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016. What is halved are forward passes, since only those cost time: every
layer and pooling of one is scored in every round that it is in. Large inputs cost most, so a
race begins with small ones and goes on to the neighbours of those that lead.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from featx.console import counted
from featx.data.splits import hash_codes, link_components, make_folds
from featx.errors import FitError
from featx.racing.draws import round_rows
from featx.racing.runners import RaceField, Rules, Runner
from featx.racing.scoring import Drawn, ScoredLayers, mean_loss, score_sets
from featx.racing.streams import EmbeddingSource, Forwarded, Stream, beginners, sets_of
from featx.stats.bootstrap import interval, training_stretch
from featx.types import BoolArray, Float32Array, IntArray, UInt8Array

TWIN = "the same embeddings as"
UNTRIED = "not tried: its neighbours were behind"


@dataclass(frozen=True)
class RaceOutcome:
    """A race.

    Parameters
    ----------
    runners : list of Runner
        The winner first; then by the round that they reached and their score there.
    rows : ndarray of int64
        Rows of the data set that were drawn, whether they could be read or not.
    hashes : ndarray of shape (n, 32), uint8
        Contents of those that were read.
    sizes : list of int
        Images read in each round.
    ended_by_budget : bool
    elapsed_s : float
    """

    runners: list[Runner]
    rows: IntArray
    hashes: UInt8Array
    sizes: list[int]
    ended_by_budget: bool
    elapsed_s: float

    @property
    def winner(self) -> Runner:
        """The best of the last round."""
        return self.runners[0]


def race(
    streams: Sequence[Stream], source: EmbeddingSource, y: IntArray, groups: IntArray, rules: Rules,
    tell: Callable[[str], None] = lambda _: None,
) -> RaceOutcome:  # fmt: skip
    """Run the rounds.

    Parameters
    ----------
    streams : sequence of Stream
        In the order in which they begin, the cheapest first.
    source : EmbeddingSource
    y, groups : ndarray of shape (n,), int64
        Class and group of every image that may be drawn.
    rules : Rules
    tell : callable, optional
        Is given a sentence after each round.

    Raises
    ------
    FitError
        The images drawn allow no cross-validation.
    """
    return _Race(RaceField(streams, source, rules, len(y)), y, groups, tell).run()


class _Race:
    """The state of a race."""

    def __init__(
        self, field: RaceField, y: IntArray, groups: IntArray, tell: Callable[[str], None]
    ) -> None:
        self.field, self.source, self.rules = field, field.source, field.rules
        self.y, self.groups, self.tell = y, groups, tell
        self.sizes: list[int] = []
        self.drawn: list[Drawn] = []
        self.read: list[IntArray] = []
        self.rows = np.empty(0, np.int64)
        self.hashes = np.empty((0, 32), np.uint8)

    def run(self) -> RaceOutcome:
        rules, field = self.rules, self.field
        rounds = round_rows(
            self.y, self.groups, rules.sizes, n_folds=rules.n_folds, seed=rules.seed
        )
        for rows in rounds:
            if self.sizes:
                if len(rows) <= len(self.rows):
                    continue
                field.halve(len(rows), len(self.rows))
                if not field.affords(len(rows)):
                    break
            self._round(rows, last=len(rows) >= len(rounds[-1]))
            self.tell(self._sentence())
        return self._finished()

    def _round(self, rows: IntArray, *, last: bool) -> None:
        """Embed, score and rank; then what is next to the leaders, too."""
        field, later = self.field, bool(self.sizes)
        embedded: dict[Stream, Forwarded] = {}
        joining = field.alive if later else [Runner(s) for s in beginners(field.streams)]
        field.alive, self.rows = [], rows
        known: dict[bytes, list[ScoredLayers]] = {}
        while joining:
            self._embed(joining, embedded)
            drawn, kept = self._draw(embedded)
            self._score(embedded, drawn, kept, known)
            field.alive.sort(key=lambda r: (bool(r.why), mean_loss(r.scored, last=last)))
            joining = field.joining(len(rows), later=later)
        self.sizes.append(len(drawn.y))
        self.drawn.append(drawn)
        self.read.append(rows[kept])
        for runner in field.alive:
            self._look_back(runner, embedded[runner.stream])
            runner.bests[len(self.drawn) - 1] = runner.best
            runner.images = len(drawn.y)
        field.keep_reasonless()
        self._compare(field.alive, field.alive[0].best, drawn)

    def _look_back(self, runner: Runner, found: Forwarded) -> None:
        """Score one that joined late on the images of earlier rounds, which it has embedded."""
        own = self.rows[found.ok]
        for k, rows in enumerate(self.read[:-1]):
            if k not in runner.bests:
                at = np.isin(own, rows)
                if at.sum() < len(rows):  # some that the others could read, it could not
                    continue
                X = {name: values[at] for name, values in found.X.items()}
                scored = score_sets(X, sets_of(list(X)), self.drawn[k], self.rules.scoring)
                runner.bests[k] = scored[0]

    def _embed(self, joining: Sequence[Runner], embedded: dict[Stream, Forwarded]) -> None:
        """What each makes of the images; in the first round only as many as time allows."""
        for runner in joining:
            if not self.sizes and self.field.begins_too_late(runner):
                continue
            found = self.source.embed(runner.stream, self.rows)
            runner.computed += found.computed
            runner.seconds += found.seconds
            runner.image_s = found.image_s or runner.image_s
            embedded[runner.stream] = found
            self.field.alive.append(runner)

    def _draw(self, embedded: Mapping[Stream, Forwarded]) -> tuple[Drawn, BoolArray]:
        """Folds over the images that every runner could read, and which those are."""
        kept = np.all([each.ok for each in embedded.values()], axis=0)
        rows, self.hashes = self.rows[kept], next(iter(embedded.values())).hashes[kept]
        if not kept.any():
            raise FitError(f"None of the {len(kept):,} images drawn for the race could be read.")
        classes, y = np.unique(self.y[rows], return_inverse=True)
        units = link_components(self.groups[rows], hash_codes(self.hashes))
        names = [str(c) for c in classes]
        folds = make_folds(y, units, names, n_folds=self.rules.n_folds, seed=self.rules.seed)
        return Drawn(y, folds.fold, units, len(classes)), kept

    def _score(
        self, embedded: Mapping[Stream, Forwarded], drawn: Drawn, kept: BoolArray,
        known: dict[bytes, list[ScoredLayers]],
    ) -> None:  # fmt: skip
        """Score what is not ``known`` yet."""
        first: dict[bytes, Runner] = {}
        for runner in self.field.alive:
            found = embedded[runner.stream]
            X = {name: values[kept[found.ok]] for name, values in found.X.items()}
            digest = _digest(X, kept)
            if digest not in known:
                known[digest] = score_sets(X, sets_of(list(X)), drawn, self.rules.scoring)
            runner.scored = known[digest]
            twin = first.setdefault(digest, runner)
            if twin is not runner:  # square images do not change by how they become square
                runner.why = f"{TWIN} {twin.stream.name}"

    def _compare(self, runners: Sequence[Runner], leader: ScoredLayers, drawn: Drawn) -> None:
        """Intervals of each runner's best score, and of its difference to another's."""
        rules, n_units = self.rules, int(drawn.units.max()) + 1
        stretch = training_stretch(int(drawn.fold.max()) + 1)
        wide = (-np.inf, np.inf)
        limits = wide if rules.scoring == "neg_log_loss" else (0.0, 1.0)
        others = leader.samples(rules.scoring, drawn, rules.seed)
        for runner in runners:
            own, value = runner.best.samples(rules.scoring, drawn, rules.seed), runner.best.value
            runner.score = interval(value, own, n_units, stretch=stretch, limits=limits)
            runner.behind = interval(
                value - leader.value, own - others, n_units, stretch=stretch, limits=wide
            )

    def _sentence(self) -> str:
        leader = self.field.alive[0]
        return (
            f"Round {len(self.sizes)}: {counted(len(self.field.alive), 'forward pass')} on "
            f"{counted(self.sizes[-1], 'image')}; {leader.stream.name}, {leader.best.layers} "
            f"leads with {leader.best.value:.3f}."
        )

    def _finished(self) -> RaceOutcome:
        field, ran = self.field, self.field.ran()
        rest = [Runner(stream, why=UNTRIED) for stream in field.streams if stream not in ran]
        runners = [*field.alive, *field.left, *rest]
        for k, drawn in enumerate(self.drawn):
            last = [runner for runner in runners if runner.bests and max(runner.bests) == k]
            if k in runners[0].bests:
                self._compare(last, runners[0].bests[k], drawn)
        return RaceOutcome(runners, self.rows, self.hashes, self.sizes, field.late, field.spent())


def _digest(X: Mapping[str, Float32Array], kept: BoolArray) -> bytes:
    """Equal for equal embeddings of the same images."""
    digest = hashlib.sha256(kept.tobytes())
    for name, values in X.items():
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.digest()
