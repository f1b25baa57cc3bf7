"""Successive halving over forward passes: all on few images, the best of them on more.

After Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016. What is halved are forward passes, since only those cost time: every
layer and pooling of one is scored in every round that it is in.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from featx.console import counted
from featx.data.splits import hash_codes, link_components, make_folds
from featx.errors import FitError
from featx.racing.draws import round_rows
from featx.racing.scoring import Drawn, ScoredLayers, mean_of_best, score_sets
from featx.racing.streams import Stream, sets_of
from featx.stats.bootstrap import interval, training_stretch
from featx.types import BoolArray, IntArray

LATER_KEEP = 0.5  # at least, after the first round, which tells least
FIRST_SHARE = 0.6  # of the budget, that the first round may take


@dataclass(frozen=True)
class Forwarded:
    """Embeddings of some images by one forward pass.

    Parameters
    ----------
    X : mapping of str to ndarray of shape (n_ok, n_features), float32
        By layer and pooling.
    ok : ndarray of shape (n,), bool
        Images that could be read.
    hashes : ndarray of shape (n, 32), uint8
    computed : int
        Images that were not in the cache.
    seconds : float
        What embedding those took, without loading the network.
    image_s : float or None
        Seconds an image, of those or of an earlier race; None where it is not known.
    """

    X: Mapping[str, NDArray[np.float32]]
    ok: BoolArray
    hashes: NDArray[np.uint8]
    computed: int
    seconds: float
    image_s: float | None


class EmbeddingSource(Protocol):
    """Where embeddings come from."""

    def embed(self, stream: Stream, rows: IntArray) -> Forwarded:
        """Embeddings of these rows of the data set."""

    def forget(self, stream: Stream) -> None:
        """Let go of a network that has left the race."""

    def clock(self) -> float:
        """Seconds."""


@dataclass(frozen=True)
class Rules:
    """How a race is run; see `featx.config.RaceConfig`.

    Parameters
    ----------
    sizes : sequence of int
        Images of each round, ascending.
    keep : float
    scoring : str
    n_folds, seed : int
    budget_s : float or None
    """

    sizes: Sequence[int]
    keep: float
    scoring: str
    n_folds: int
    seed: int
    budget_s: float | None = None


@dataclass
class Runner:
    """A forward pass in the race.

    Attributes
    ----------
    stream : Stream
    images : int
        Of the last round that it was in; 0 where the budget ended before it began.
    computed : int
    seconds : float
        As in `Forwarded`, of all rounds.
    image_s : float or None
        Of its last round.
    scored : list of ScoredLayers
        Its embeddings in its last round, the best first.
    bests : list of ScoredLayers
        The best of every round that it was in.
    score, behind : dict
        The best one's score, and its difference to the best of the winner on the same images (of
        the leader, while the race runs), each as ``value``, ``low`` and ``high``.
    why : str
        Why it left the race; empty of those in the last round.
    """

    stream: Stream
    images: int = 0
    computed: int = 0
    seconds: float = 0.0
    image_s: float | None = None
    scored: list[ScoredLayers] = field(default_factory=list)
    bests: list[ScoredLayers] = field(default_factory=list)
    score: dict[str, float | None] = field(default_factory=dict)
    behind: dict[str, float | None] = field(default_factory=dict)
    why: str = ""

    @property
    def best(self) -> ScoredLayers:
        """Its best embedding."""
        return self.scored[0]


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
    hashes: NDArray[np.uint8]
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
    return _Race(streams, source, y, groups, rules, tell).run()


class _Race:
    """The state of a race."""

    def __init__(
        self, streams: Sequence[Stream], source: EmbeddingSource, y: IntArray, groups: IntArray,
        rules: Rules, tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.source, self.rules, self.tell = source, rules, tell
        self.y, self.groups = y, groups
        self.started = source.clock()
        self.alive = [Runner(stream) for stream in streams]
        self.left: list[Runner] = []
        self.sizes: list[int] = []
        self.late = False
        self.drawn: list[Drawn] = []
        self.rows = np.empty(0, np.int64)
        self.hashes = np.empty((0, 32), np.uint8)

    def run(self) -> RaceOutcome:
        rules = self.rules
        rounds = round_rows(
            self.y, self.groups, rules.sizes, n_folds=rules.n_folds, seed=rules.seed
        )
        for k, rows in enumerate(rounds):
            if k and len(rows) <= len(self.rows):
                continue
            if k and not self._affordable(len(rows)):
                break
            embedded = self._embed(rows)
            drawn, kept = self._draw(rows, embedded)
            self._score(embedded, drawn, kept, last=k + 1 == len(rounds))
            self.tell(self._sentence())
            if k + 1 < len(rounds):
                self._halve()
        return self._finished()

    def spent(self) -> float:
        """Seconds since the race began."""
        return self.source.clock() - self.started

    def _affordable(self, n: int) -> bool:
        """Whether time is left for a round; who is not paid for leaves, from the end."""
        if self.rules.budget_s is None:
            return True
        rest, paid = self.rules.budget_s - self.spent(), []
        for runner in self.alive:
            rest -= (n - runner.images) * (runner.image_s or 0.0)
            if rest < 0:
                runner.why = f"budget, after {counted(runner.images, 'image')}"
            else:
                paid.append(runner)
        self.late = self.late or len(paid) < len(self.alive)
        if not paid:  # the leader has won, and its network is still needed
            self.alive[0].why = ""
            return False
        self._drop(paid)
        return True

    def _drop(self, kept: list[Runner]) -> None:
        gone = [runner for runner in self.alive if runner not in kept]
        for runner in gone:
            self.source.forget(runner.stream)
        self.alive, self.left = kept, [*gone, *self.left]

    def _embed(self, rows: IntArray) -> dict[Stream, Forwarded]:
        """What each runner makes of the images; in the first round only as many as time allows."""
        found: dict[Stream, Forwarded] = {}
        budget = self.rules.budget_s
        for i, runner in enumerate(self.alive):
            first = not self.sizes and i > 0
            if first and budget is not None and self.spent() > FIRST_SHARE * budget:
                self.late, runner.why = True, "budget, before it began"
                continue
            embedded = self.source.embed(runner.stream, rows)
            runner.computed += embedded.computed
            runner.seconds += embedded.seconds
            runner.image_s = embedded.image_s or runner.image_s
            found[runner.stream] = embedded
        self._drop([runner for runner in self.alive if not runner.why])
        return found

    def _draw(
        self, rows: IntArray, embedded: Mapping[Stream, Forwarded]
    ) -> tuple[Drawn, BoolArray]:
        """Folds over the images that every runner could read, and which those are."""
        kept = np.all([each.ok for each in embedded.values()], axis=0)
        hashes = next(iter(embedded.values())).hashes[kept]
        if not kept.any():
            raise FitError(f"None of the {len(rows):,} images drawn for the race could be read.")
        classes, y = np.unique(self.y[rows[kept]], return_inverse=True)
        units = link_components(self.groups[rows[kept]], hash_codes(hashes))
        names = [str(c) for c in classes]
        folds = make_folds(y, units, names, n_folds=self.rules.n_folds, seed=self.rules.seed)
        self.rows, self.hashes = rows, hashes
        self.sizes.append(int(kept.sum()))
        return Drawn(y, folds.fold, units, len(classes)), kept

    def _score(
        self, embedded: Mapping[Stream, Forwarded], drawn: Drawn, kept: BoolArray, *, last: bool
    ) -> None:
        """Score every embedding, rank the runners, and compare each with the leader.

        Runners that are left in the last round differ little: their log loss tells more about them
        than a score that counts images.
        """
        rules = self.rules
        first: dict[bytes, Runner] = {}
        for runner in self.alive:
            found = embedded[runner.stream]
            X = {name: values[kept[found.ok]] for name, values in found.X.items()}
            twin = first.setdefault(_digest(X), runner)
            if twin is runner:
                runner.scored = score_sets(X, sets_of(list(X)), drawn, rules.scoring)
            else:  # square images, for instance, are not changed by how they become square
                runner.scored = twin.scored
                runner.why = f"the same embeddings as {twin.stream.name}"
            runner.bests.append(runner.best)
            runner.images = len(drawn.y)
        self._drop([runner for runner in self.alive if not runner.why])
        self.drawn.append(drawn)
        by = "loss" if last else "value"
        self.alive.sort(key=lambda runner: -mean_of_best(runner.scored, by))
        self._compare(self.alive, self.alive[0].best, drawn)

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

    def _halve(self) -> None:
        """Keep the best share; of them none that is certainly behind the leader."""
        keep = self.rules.keep if len(self.sizes) == 1 else max(self.rules.keep, LATER_KEEP)
        n = max(1, math.ceil(len(self.alive) * keep))
        for place, runner in enumerate(self.alive):
            high = runner.behind["high"]
            if place >= n or (place and high is not None and high < 0):
                runner.why = f"behind after {counted(runner.images, 'image')}"
        self._drop([runner for runner in self.alive if not runner.why])

    def _sentence(self) -> str:
        leader = self.alive[0]
        return (
            f"Round {len(self.sizes)}: {counted(len(self.alive), 'forward pass')} on "
            f"{counted(self.sizes[-1], 'image')}; {leader.stream.name}, {leader.best.layers} "
            f"leads with {leader.best.value:.3f}."
        )

    def _finished(self) -> RaceOutcome:
        runners = [*self.alive, *self.left]
        for k, drawn in enumerate(self.drawn):
            last = [runner for runner in runners if len(runner.bests) == k + 1]
            self._compare(last, runners[0].bests[k], drawn)
        return RaceOutcome(runners, self.rows, self.hashes, self.sizes, self.late, self.spent())


def _digest(X: Mapping[str, NDArray[np.float32]]) -> bytes:
    """Equal for equal embeddings."""
    digest = hashlib.sha256()
    for name, values in X.items():
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.digest()
