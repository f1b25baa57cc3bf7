"""Successive halving over forward passes: some on few images, the best of them on more.

After Jamieson and Talwalkar, "Non-stochastic best arm identification and hyperparameter
optimization", AISTATS 2016. What is halved are forward passes, since only those cost time: every
layer and pooling of one is scored in every round that it is in. Large inputs cost most, so a
race begins with small ones and goes on to the neighbours of those that lead.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from featx.console import counted
from featx.data.splits import hash_codes, link_components, make_folds
from featx.errors import FitError
from featx.racing.draws import round_rows
from featx.racing.scoring import Drawn, ScoredLayers, mean_loss, score_sets
from featx.racing.source import EmbeddingSource, Forwarded
from featx.racing.streams import Stream, beginners, neighbours, sets_of
from featx.stats.bootstrap import interval, training_stretch
from featx.types import BoolArray, Float32Array, IntArray, UInt8Array

LEADERS = 2  # whose neighbours join in the first round, and that go on whatever they cost
FAIR = 0.25  # of the pixels of embedding everything: about a fifth of its time
TWIN = "the same embeddings as"
UNTRIED = "not tried: its neighbours were behind"
FIRST_SHARE = 0.6  # of the budget, that the first round may take


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
        Of the last round that it was in; 0 where it was not tried.
    computed : int
    seconds : float
        As in `Forwarded`, of all rounds.
    image_s : float or None
        Of its last round.
    scored : list of ScoredLayers
        Its embeddings in its last round, the best first.
    bests : dict of int to ScoredLayers
        Its best in every round so far, from 0; of those before it joined, too.
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
    bests: dict[int, ScoredLayers] = field(default_factory=dict)
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
    return _Race(streams, source, y, groups, rules, tell).run()


class _Race:
    """The state of a race."""

    def __init__(
        self, streams: Sequence[Stream], source: EmbeddingSource, y: IntArray, groups: IntArray,
        rules: Rules, tell: Callable[[str], None],
    ) -> None:  # fmt: skip
        self.source, self.rules, self.tell = source, rules, tell
        self.y, self.groups, self.streams = y, groups, streams
        self.started = source.clock()
        self.alive: list[Runner] = []
        self.left: list[Runner] = []
        self.sizes: list[int] = []
        self.late, self.most = False, 0
        self.drawn: list[Drawn] = []
        self.read: list[IntArray] = []
        self.rows = np.empty(0, np.int64)
        self.hashes = np.empty((0, 32), np.uint8)

    def run(self) -> RaceOutcome:
        rules = self.rules
        rounds = round_rows(
            self.y, self.groups, rules.sizes, n_folds=rules.n_folds, seed=rules.seed
        )
        self.most = len(rounds[-1])
        for rows in rounds:
            if self.sizes:
                if len(rows) <= len(self.rows):
                    continue
                self._halve(len(rows))
                if not self._affordable(len(rows)):
                    break
            self._round(rows)
            self.tell(self._sentence())
        return self._finished()

    def _round(self, rows: IntArray) -> None:
        """Embed, score and rank; then what is next to the leaders, too."""
        embedded: dict[Stream, Forwarded] = {}
        joining = self.alive if self.sizes else [Runner(s) for s in beginners(self.streams)]
        self.alive, self.rows = [], rows
        known: dict[bytes, list[ScoredLayers]] = {}
        while joining:
            self._embed(joining, embedded)
            drawn, kept = self._draw(embedded)
            self._score(embedded, drawn, kept, known)
            joining = self._joining()
        self.sizes.append(len(drawn.y))
        self.drawn.append(drawn)
        self.read.append(rows[kept])
        for runner in self.alive:
            self._look_back(runner, embedded[runner.stream])
            runner.bests[len(self.drawn) - 1] = runner.best
            runner.images = len(drawn.y)
        self._drop([runner for runner in self.alive if not runner.why])
        self._compare(self.alive, self.alive[0].best, drawn)

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

    def _joining(self) -> list[Runner]:
        """The neighbours of the leaders that have not run; after the first round, if paid for."""
        later, rest, found = bool(self.sizes), self._pixels_left(), []
        if later and self.rules.budget_s is not None:
            return []
        ran = {runner.stream for runner in [*self.alive, *self.left]}
        near = [s for r in self.alive[:LEADERS] for s in neighbours(r.stream, self.streams)]
        largest = max(_pixels(runner) for runner in self.alive)
        for runner in map(Runner, dict.fromkeys(near)):
            takes = len(self.rows) * _pixels(runner)
            finish = (len(self.y) - len(self.rows)) * max(largest, _pixels(runner))
            if runner.stream not in ran and not (later and takes + finish > rest):
                rest -= takes
                found.append(runner)
        return found

    def _pixels_left(self) -> float:
        """What is left of a quarter of all; pixels, so that no race depends on the machine."""
        rest = FAIR * len(self.y) * sum(stream.size_px**2 for stream in self.streams)
        rest -= len(self.rows) * sum(_pixels(runner) for runner in self.alive)
        return rest - sum(runner.images * _pixels(runner) for runner in self.left)

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

    def _embed(self, joining: Sequence[Runner], embedded: dict[Stream, Forwarded]) -> None:
        """What each makes of the images; in the first round only as many as time allows."""
        budget = self.rules.budget_s
        for runner in joining:
            first = not self.sizes and self.alive
            if first and budget is not None and self.spent() > FIRST_SHARE * budget:
                self.late, runner.why = True, "budget, before it began"
                self.left.append(runner)
                continue
            found = self.source.embed(runner.stream, self.rows)
            runner.computed += found.computed
            runner.seconds += found.seconds
            runner.image_s = found.image_s or runner.image_s
            embedded[runner.stream] = found
            self.alive.append(runner)

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
        """Score what is not ``known`` yet, and rank the runners."""
        first: dict[bytes, Runner] = {}
        for runner in self.alive:
            found = embedded[runner.stream]
            X = {name: values[kept[found.ok]] for name, values in found.X.items()}
            digest = _digest(X, kept)
            if digest not in known:
                known[digest] = score_sets(X, sets_of(list(X)), drawn, self.rules.scoring)
            runner.scored = known[digest]
            twin = first.setdefault(digest, runner)
            if twin is not runner:  # square images do not change by how they become square
                runner.why = f"{TWIN} {twin.stream.name}"
        last = len(self.rows) >= self.most
        self.alive.sort(key=lambda runner: (bool(runner.why), mean_loss(runner.scored, last=last)))

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

    def _halve(self, n: int) -> None:
        """Keep the best share for a round of ``n`` images; none certainly behind or too dear."""
        most = max(1, math.ceil(len(self.alive) * self.rules.keep))
        rest, largest = self._pixels_left(), 0
        for place, runner in enumerate(self.alive):
            own, high = _pixels(runner), runner.behind["high"]
            after = f"after {counted(runner.images, 'image')}"
            takes, finish = (n - runner.images) * own, (len(self.y) - n) * max(largest, own)
            if place >= most or (place and high is not None and high < 0):
                runner.why = f"behind {after}"
            elif place >= LEADERS and takes + finish > rest:
                runner.why = f"too slow for its place, {after}"
            else:
                rest, largest = rest - takes, max(largest, own)
        self._drop([runner for runner in self.alive if not runner.why])

    def _sentence(self) -> str:
        leader = self.alive[0]
        return (
            f"Round {len(self.sizes)}: {counted(len(self.alive), 'forward pass')} on "
            f"{counted(self.sizes[-1], 'image')}; {leader.stream.name}, {leader.best.layers} "
            f"leads with {leader.best.value:.3f}."
        )

    def _finished(self) -> RaceOutcome:
        ran = {runner.stream for runner in [*self.alive, *self.left]}
        rest = [Runner(stream, why=UNTRIED) for stream in self.streams if stream not in ran]
        runners = [*self.alive, *self.left, *rest]
        for k, drawn in enumerate(self.drawn):
            last = [runner for runner in runners if runner.bests and max(runner.bests) == k]
            if k in runners[0].bests:
                self._compare(last, runners[0].bests[k], drawn)
        return RaceOutcome(runners, self.rows, self.hashes, self.sizes, self.late, self.spent())


def _pixels(runner: Runner) -> int:
    return runner.stream.size_px**2


def _digest(X: Mapping[str, Float32Array], kept: BoolArray) -> bytes:
    """Equal for equal embeddings of the same images."""
    digest = hashlib.sha256(kept.tobytes())
    for name, values in X.items():
        digest.update(name.encode() + np.ascontiguousarray(values).tobytes())
    return digest.digest()
