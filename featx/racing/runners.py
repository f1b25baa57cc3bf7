"""Who is in a race, who has left it and why, and what the race may still cost."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, field

from featx.console import counted
from featx.racing.scoring import ScoredLayers
from featx.racing.streams import EmbeddingSource, Stream, neighbours

LEADERS = 2  # whose neighbours join in the first round, and that go on whatever they cost
FAIR = 0.25  # of the pixels of embedding everything: about a fifth of its time
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

    @property
    def pixels(self) -> int:
        """Of the network's input: what an image costs, on any machine."""
        return self.stream.size_px**2


class RaceField:
    """The forward passes of a race.

    Parameters
    ----------
    streams : sequence of Stream
        All that may run.
    source : EmbeddingSource
        Is told which networks are needed no more, and has the clock.
    rules : Rules
    n_images : int
        That may be drawn.

    Attributes
    ----------
    alive : list of Runner
        In the race, the leader first.
    left : list of Runner
        The last to leave first.
    late : bool
        Whether the budget has ended the race for any.
    """

    def __init__(
        self, streams: Sequence[Stream], source: EmbeddingSource, rules: Rules, n_images: int
    ) -> None:
        self.streams, self.source, self.rules, self.n_images = streams, source, rules, n_images
        self.started = source.clock()
        self.alive: list[Runner] = []
        self.left: list[Runner] = []
        self.late = False

    def ran(self) -> set[Stream]:
        """What has run."""
        return {runner.stream for runner in [*self.alive, *self.left]}

    def spent(self) -> float:
        """Seconds since the race began."""
        return self.source.clock() - self.started

    def keep(self, kept: list[Runner]) -> None:
        """Let all others leave."""
        gone = [runner for runner in self.alive if runner not in kept]
        for runner in gone:
            self.source.forget(runner.stream)
        self.alive, self.left = kept, [*gone, *self.left]

    def keep_reasonless(self) -> None:
        """Let those leave that have a reason to."""
        self.keep([runner for runner in self.alive if not runner.why])

    def begins_too_late(self, runner: Runner) -> bool:
        """Whether the budget of the first round is used up; then it leaves before it began."""
        budget = self.rules.budget_s
        if not self.alive or budget is None or self.spent() <= FIRST_SHARE * budget:
            return False
        self.late, runner.why = True, "budget, before it began"
        self.left.append(runner)
        return True

    def joining(self, n: int, *, later: bool) -> list[Runner]:
        """The neighbours of the leaders that have not run; after the first round, if paid for.

        Parameters
        ----------
        n : int
            Images of the round.
        later : bool
            Whether it is not the first.
        """
        if later and self.rules.budget_s is not None:
            return []
        rest, ran, found = self._pixels_left(n), self.ran(), []
        near = [s for r in self.alive[:LEADERS] for s in neighbours(r.stream, self.streams)]
        largest = max(runner.pixels for runner in self.alive)
        for runner in map(Runner, dict.fromkeys(near)):
            takes = n * runner.pixels
            finish = (self.n_images - n) * max(largest, runner.pixels)
            if runner.stream not in ran and not (later and takes + finish > rest):
                rest -= takes
                found.append(runner)
        return found

    def halve(self, n: int, before: int) -> None:
        """Keep the best share for ``n`` images after ``before``; none surely behind or too dear."""
        most = max(1, math.ceil(len(self.alive) * self.rules.keep))
        rest, largest = self._pixels_left(before), 0
        for place, runner in enumerate(self.alive):
            own, high = runner.pixels, runner.behind["high"]
            after = f"after {counted(runner.images, 'image')}"
            takes, finish = (n - runner.images) * own, (self.n_images - n) * max(largest, own)
            if place >= most or (place and high is not None and high < 0):
                runner.why = f"behind {after}"
            elif place >= LEADERS and takes + finish > rest:
                runner.why = f"too slow for its place, {after}"
            else:
                rest, largest = rest - takes, max(largest, own)
        self.keep_reasonless()

    def affords(self, n: int) -> bool:
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
        self.keep(paid)
        return True

    def _pixels_left(self, n: int) -> float:
        """What is left of a quarter of all; pixels, so that no race depends on the machine."""
        rest = FAIR * self.n_images * sum(stream.size_px**2 for stream in self.streams)
        rest -= n * sum(runner.pixels for runner in self.alive)
        return rest - sum(runner.images * runner.pixels for runner in self.left)
