"""The rounds of a race, over made embeddings whose best is known and whose costs are counted."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field

import numpy as np
import pytest

from featx.config import ExtractConfig
from featx.errors import FitError
from featx.racing.choosing import RaceChoice
from featx.racing.document import _second
from featx.racing.draws import round_rows, round_sizes
from featx.racing.rounds import race
from featx.racing.runners import Rules
from featx.racing.scoring import ScoredLayers, mean_loss
from featx.racing.streams import Forwarded, Stream, beginners, neighbours, sets_of

N, CLASSES = 600, 3
RULES = Rules((60, 180, 400), 0.75, "accuracy", 5, 0)


@dataclass
class Made:
    """Streams of any distance between classes; each image costs a second."""

    distances: dict[str, float]
    seconds: dict[str, float] = field(default_factory=dict)
    unreadable: frozenset[int] = frozenset()
    now: float = 0.0
    asked: dict[str, list[int]] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        rng = np.random.default_rng(0)
        self.y = rng.permutation(np.arange(N) % CLASSES)
        names = [hashlib.sha256(bytes([i % 256, i // 256])).digest() for i in range(N)]
        self.hashes = np.frombuffer(b"".join(names), np.uint8).reshape(-1, 32)
        noise = {name: rng.normal(size=(N, 8)) for name in self.distances}
        self.X = {
            name: (noise[name] + distance * np.eye(8)[self.y]).astype(np.float32)
            for name, distance in self.distances.items()
        }

    def streams(self) -> list[Stream]:
        return [Stream(name, None, 32, "squash") for name in self.distances]

    def embed(self, stream: Stream, rows: np.ndarray) -> Forwarded:
        name = stream.backbone
        known = set(self.asked.setdefault(name, []))
        new = [row for row in rows.tolist() if row not in known]
        self.asked[name] += new
        each = self.seconds.get(name, 1.0)
        self.now += each * len(new)
        ok = np.array([row not in self.unreadable for row in rows])
        X = self.X[name][rows[ok]]
        return Forwarded({"s:avg": X, "pre-logits": X[:, :1]}, ok, self.hashes[rows], len(new),
                        each * len(new), each)  # fmt: skip

    def forget(self, stream: Stream) -> None:
        self.forgotten.append(stream.backbone)

    def clock(self) -> float:
        return self.now


class MadeGrid(Made):
    """Each of several inputs of several backbones as far from chance as it is told."""

    def __init__(self, strength: dict[Stream, float]) -> None:
        self.of = strength
        super().__init__({str(stream): far for stream, far in strength.items()})

    def streams(self) -> list[Stream]:
        return list(self.of)

    bad_before = 0

    def embed(self, stream: Stream, rows: np.ndarray) -> Forwarded:
        found = super().embed(Stream(str(stream), None, 32, "squash"), rows)
        if len(rows) < self.bad_before and stream.backbone == "a":
            rng = np.random.default_rng([stream.size_px, len(stream.resize)])
            found.X["s:avg"][:] = rng.normal(size=found.X["s:avg"].shape)
        return found


def run(made: Made, rules: Rules = RULES, groups: np.ndarray | None = None):
    return race(made.streams(), made, made.y, np.arange(N) if groups is None else groups, rules)


def test_the_best_wins_and_the_hopeless_are_embedded_once_only() -> None:
    made = Made({"bad": 0.2, "worse": 0.0, "good": 3.0, "fair": 1.0, "poor": 0.4, "none": 0.0})
    found = run(made)
    assert found.winner.stream.backbone == "good"
    assert found.winner.best.outputs == ("s:avg",)
    assert {name: len(rows) for name, rows in made.asked.items()} == {
        "bad": 60, "worse": 60, "none": 60, "poor": 60, "fair": 60, "good": 400,
    }  # fmt: skip
    assert set(made.forgotten) == set(made.distances) - {"good"}
    assert all(runner.behind["high"] < 0 for runner in found.runners[1:])


def test_rounds_are_nested_and_no_image_is_asked_for_twice() -> None:
    made = Made({"a": 1.0, "b": 1.0, "c": 1.0})
    found = run(made, Rules((60, 180, 400), 0.9, "accuracy", 5, 3))
    assert found.sizes == [60, 180, 400]
    for rows in made.asked.values():
        assert len(rows) == len(set(rows))
        assert set(rows) <= set(found.rows.tolist())


def test_the_same_seed_gives_the_same_race() -> None:
    first, again = (run(Made({"a": 0.6, "b": 0.7, "c": 0.5})) for _ in range(2))
    assert [r.stream for r in first.runners] == [r.stream for r in again.runners]
    assert [r.score for r in first.runners] == [r.score for r in again.runners]
    np.testing.assert_array_equal(first.rows, again.rows)


def test_groups_are_drawn_whole() -> None:
    groups = np.arange(N) // 5
    found = run(Made({"a": 1.0, "b": 1.0}), groups=groups)
    drawn = np.isin(np.arange(N), found.rows)
    assert all(len(set(drawn[groups == g])) == 1 for g in range(N // 5))


def test_early_rounds_hold_some_of_every_large_group() -> None:
    made, groups = Made({"bad": 0.0, "good": 2.0, "fair": 1.0}), np.arange(N) // 100
    found = run(made, groups=groups)
    drawn = np.isin(np.arange(N), found.rows)
    assert all(len(set(drawn[groups == g])) == 1 for g in range(6))
    assert len(made.asked["bad"]) == 60
    assert set(made.asked["bad"]) <= set(found.rows.tolist())
    assert set(groups[made.asked["bad"]]) == set(groups[found.rows])
    assert found.sizes == [60, 180, 400]


def test_forward_passes_are_ranked_by_the_log_loss_of_several_embeddings() -> None:
    found = run(Made({"a": 0.9, "b": 1.0, "c": 0.95}), Rules((60, 400), 0.9, "accuracy", 5, 1))
    last = [r for r in found.runners if r.images == found.sizes[-1]]
    losses = [np.mean([s.loss for s in r.scored]) for r in last]
    assert len(last) == 2, "the two best go on whatever they cost"
    assert losses == sorted(losses)
    assert found.runners[2].why == "too slow for its place, after 60 images"
    assert mean_loss(_scored(), last=True) == pytest.approx(0.2)
    assert mean_loss(_scored(), last=False) == pytest.approx(0.35)
    assert mean_loss(_scored()[1:3], last=False) == pytest.approx(0.15), "no layers side by side"


def _scored() -> list[ScoredLayers]:
    """The three smallest losses are .1 to .3; those of layers side by side .4 and .3."""
    none = np.empty((0, 2))
    pairs = ((0.4, ("a", "b")), (0.1, ("a",)), (0.2, ("b",)), (0.3, ("a", "b", "c")))
    return [ScoredLayers(names, 1, 0.5, none, loss) for loss, names in pairs]


def test_a_race_begins_with_small_squashed_inputs() -> None:
    begin = [(s.backbone, s.size_px, s.resize) for s in beginners(grid())]
    assert begin == [("a", 32, "squash"), ("b", 32, "squash"), ("a", 64, "squash"),
                     ("b", 64, "squash")]  # fmt: skip
    kept = [Stream("a", None, 32, "shortest"), Stream("a", None, 64, "shortest")]
    assert beginners(kept) == kept[:1]


def test_neighbours_differ_by_one_size_or_by_how_they_are_resized() -> None:
    near = neighbours(Stream("a", None, 64, "squash"), grid())
    assert [(s.backbone, s.size_px, s.resize) for s in near] == [
        ("a", 32, "squash"), ("a", 64, "shortest"), ("a", 96, "squash"),
    ]  # fmt: skip


def test_large_inputs_are_embedded_where_their_neighbours_lead() -> None:
    best = Stream("a", None, 96, "shortest")
    strength = {stream: (stream.backbone == "a") * stream.size_px / 60 for stream in grid()}
    made = MadeGrid({**strength, best: 2.5})
    found = race(
        made.streams(), made, made.y, np.arange(N), Rules((60, 300), 0.5, "accuracy", 5, 0)
    )
    assert found.winner.stream == best
    rows = {runner.stream: runner for runner in found.runners}
    assert len(rows) == 12
    for stream in (Stream("b", None, 96, "squash"), Stream("b", None, 96, "shortest")):
        assert rows[stream].images == 0
        assert rows[stream].why == "not tried: its neighbours were behind"
    assert str(Stream("b", None, 96, "squash")) not in made.asked


def test_neighbours_of_who_leads_the_last_round_join_late(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("featx.racing.runners.FAIR", 0.6)
    leading = {Stream("b", None, size, "squash"): 0.6 for size in (32, 64)}
    strength = {**dict.fromkeys(grid(), 0.0), **leading}
    best = Stream("a", None, 32, "shortest")
    made = MadeGrid({**strength, Stream("a", None, 32, "squash"): 2.0, best: 3.0})
    made.bad_before = 100  # that backbone looks hopeless in the first round
    rules = Rules((60, 200), 0.85, "accuracy", 5, 0)
    found = race(made.streams(), made, made.y, np.arange(N), rules)
    assert found.winner.stream == best
    assert len(made.asked[str(best)]) == 200
    assert [len(found.winner.bests[k].proba) for k in (0, 1)] == [60, 200]
    first = [r for r in found.runners if r.images == 60]
    assert first
    assert all(r.behind["value"] is not None for r in first)


def grid() -> list[Stream]:
    return [
        Stream(backbone, None, size, resize)
        for size in (32, 64, 96)
        for backbone in "ab"
        for resize in ("shortest", "squash")
    ]


def test_whole_groups_of_what_a_race_drew_are_set_apart() -> None:
    hashes = np.arange(6, dtype=np.uint8)[:, None].repeat(32, axis=1)
    choice = RaceChoice(ExtractConfig(), {}, frozenset({hashes[0].tobytes()}), [])
    copies, groups = np.array([0, 1, 2, 3, 0, 5]), np.array(["a", "a", "", "b", "c", ""])
    assert choice.apart(hashes, copies, groups).tolist() == [1, 1, 0, 0, 1, 0]
    assert choice.apart(hashes, copies, None).tolist() == [1, 0, 0, 0, 1, 0]
    lone = RaceChoice(ExtractConfig(), {}, frozenset({hashes[2].tobytes()}), [])
    assert lone.apart(hashes, copies, groups).tolist() == [0, 0, 1, 0, 0, 0]
    assert lone.apart(hashes[:2], copies[:2], groups[:2]) is None


def test_a_budget_is_kept_and_the_leader_wins_what_is_left() -> None:
    made = Made({"a": 0.5, "b": 2.0, "c": 1.9, "d": 1.8})
    free = run(made).elapsed_s
    short = Made(made.distances)
    found = run(short, Rules((60, 180, 400), 0.75, "accuracy", 5, 0, budget_s=400))
    assert found.ended_by_budget
    assert found.elapsed_s <= 400 < free + 400
    assert found.winner.scored
    assert found.winner.why == ""
    assert any("budget" in runner.why for runner in found.runners)


def test_a_budget_below_the_first_round_begins_what_it_can() -> None:
    made = Made({"a": 0.5, "b": 2.0, "c": 1.9})
    found = run(made, Rules((60, 180), 0.5, "accuracy", 5, 0, budget_s=70))
    assert found.winner.stream.backbone == "a"
    assert [r.why for r in found.runners[1:]] == ["budget, before it began"] * 2
    assert list(made.asked) == ["a"]


def test_equal_embeddings_race_once() -> None:
    made = Made({"a": 2.0, "b": 0.1, "twin": 0.0})
    made.X["twin"] = made.X["a"]
    found = run(made)
    twin = next(r for r in found.runners if r.stream.backbone == "twin")
    assert twin.why == "the same embeddings as a, 32 px, squash"
    assert twin.behind["value"] == 0
    assert len(made.asked["twin"]) == 60


def test_unreadable_images_are_left_out_for_everyone() -> None:
    made = Made({"a": 2.0, "b": 1.9}, unreadable=frozenset(range(0, N, 7)))
    found = run(made)
    assert found.sizes[0] < 60
    assert len(found.hashes) == found.sizes[-1] < len(found.rows)
    with pytest.raises(FitError, match="could be read"):
        run(Made({"a": 2.0}, unreadable=frozenset(range(N))))


@pytest.mark.parametrize(
    ("asked", "n", "share", "sizes"),
    [
        ([100, 300, 1000], 5000, 0.5, [100, 300, 1000]),
        ([100, 300, 1000], 1500, 0.5, [75, 225, 750]),
        ([100, 300, 1000], 351, 0.5, [30, 52, 175]),
        ([100, 300, 1000], 60, 0.5, [30]),
        ([1000, 100], 5000, 1.0, [100, 1000]),
        ([100, 110], 5000, 1.0, [110]),
    ],
)
def test_round_sizes(asked, n, share, sizes) -> None:
    assert round_sizes(asked, n, share=share) == sizes


def test_a_round_has_more_images_than_classes() -> None:
    assert round_sizes([100, 300, 1000], 3000, share=0.5, n_classes=120) == [156, 300, 1000]


def test_a_first_round_costs_at_most_a_twelfth_of_the_images() -> None:
    assert round_sizes([100, 300, 1000], 1500, share=0.5, n_classes=120) == [125, 225, 750]
    assert round_sizes([100, 300, 1000], 300, share=0.5, n_classes=120) == [30, 45, 150]


def test_a_round_that_is_too_small_for_all_classes_is_of_the_commonest() -> None:
    y = np.repeat(np.arange(80), np.linspace(20, 3, 80).astype(int))
    rounds = round_rows(y, np.arange(len(y)), [60, 90, 400], n_folds=5, seed=0)
    assert len(rounds[0]) == 60
    assert 90 <= len(rounds[1]) <= 120
    assert set(rounds[0]) <= set(rounds[1]) <= set(rounds[2])
    assert len(np.unique(y[rounds[0]])) == 15
    assert np.bincount(y[rounds[0]])[:15].min() >= 2
    assert len(np.unique(y[rounds[2]])) == 80


def test_layers_compete_alone_by_pooling_and_together() -> None:
    outputs = ["s1:avg", "s2:avg", "s1:max", "s2:max", "pre-logits"]
    assert sets_of(outputs) == [
        *((name,) for name in outputs),
        ("s1:avg", "s2:avg"),
        ("s1:max", "s2:max"),
        tuple(outputs),
    ]
    assert sets_of(["pre-logits"]) == [("pre-logits",)]


@pytest.mark.parametrize(
    ("ahead", "end"),
    [
        (0.02, "the images drawn do not tell the two apart, and log loss, which ranks them, "
         "favours the winner."),
        (-0.02, "the images drawn do not tell the two apart."),
    ],
)  # fmt: skip
def test_the_next_forward_pass_is_told_from_the_winner(ahead: float, end: str) -> None:
    row = {"backbone": "featx:lite0", "weights": None, "size_px": 64, "resize": "squash"}
    row["images"] = 500
    behind = {"value": ahead, "low": ahead - 0.1, "high": ahead + 0.1}
    said = _second({"rounds": [100, 500], "rows": [row, {**row, "behind": behind}]})
    assert said.endswith(end)
