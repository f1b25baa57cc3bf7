"""A labelling on arrays: what is chosen, how it is judged, what is kept."""

from __future__ import annotations

import threading
from pathlib import Path

import numpy as np
import pytest

from featx.errors import UsageError
from featx.labelling import LabellingSession, LabelLog
from featx.labelling.choosing import Known, choose, random_order
from featx.labelling.head import QuickHead, Space
from featx.labelling.judging import Evidence, estimate_share, judge

SIZES = (150, 60, 25, 5)


def made(seed: int = 0, spread: float = 1.0) -> tuple[np.ndarray, np.ndarray]:
    """Four classes of very different sizes."""
    rng = np.random.default_rng(seed)
    y = rng.permutation(np.repeat(np.arange(4), SIZES))
    X = 2.5 * rng.normal(size=(4, 12))[y] + spread * rng.normal(size=(len(y), 12))
    return X.astype(np.float32), y


def session(X: np.ndarray, log: LabelLog | None = None, **more: object) -> LabellingSession:
    ids = [f"{i:04}.png" for i in range(len(X))]
    paths = [f"/images/{id}" for id in ids]
    return LabellingSession("images", ids, paths, X, log or LabelLog(), **more)  # type: ignore[arg-type]


def label_batches(one: LabellingSession, y: np.ndarray, n: int) -> None:
    for _ in range(n):
        for each in one.next_batch():
            one.label([each.id], f"class {y[int(each.id[:4])]}")


def test_labels_from_nothing_find_every_class_and_a_good_head() -> None:
    X, y = made()
    one = session(X)
    label_batches(one, y, 6)
    progress = one.progress()
    assert progress.n_labelled == 120
    assert set(progress.classes) == {f"class {k}" for k in range(4)}
    assert progress.estimate is not None
    assert progress.estimate.low > 0.7
    assert progress.estimate.n == progress.n_random
    assert "120 of 240 images labelled, 4 classes found." in progress.sentence
    predicted = [each.y_pred for each in one.next_batch()]
    assert all(name is not None for name in predicted)


def test_each_image_comes_once_and_all_come() -> None:
    X = made()[0]
    one, seen = session(X, batch=50), []
    while batch := one.next_batch():
        seen += [each.id for each in batch]
        one.label([each.id for each in batch[:20]], "a")
        one.skip([each.id for each in batch[20:30]])
        one.unsure([each.id for each in batch[30:40]])
        one.exclude([each.id for each in batch[40:]])
    assert sorted(seen) == one.ids
    assert one.progress().n_skipped > 0


def test_the_random_part_is_the_first_of_one_random_order_whatever_else_is_labelled() -> None:
    X, y = made()
    one = session(X)
    order = [one.ids[i] for i in random_order(one.ids, 0)]
    one.label(order[:3], "class 0")  # chosen by a person before their turn
    batch = one.next_batch()
    drawn = [each.id for each in batch if each.reason == "random"]
    assert sorted(drawn) == sorted(order[3:5]), "three of the five labels were there already"
    assert len(batch) == 20, "what they saved is chosen"
    for each in batch:
        one.label([each.id], f"class {y[int(each.id[:4])]}")
    assert one.progress().n_random == 5


def test_the_random_order_of_old_images_stays_when_images_are_added() -> None:
    ids = [f"{i}.png" for i in range(50)]
    more = [*ids, *(f"new-{i}.png" for i in range(50))]
    old = [ids[i] for i in random_order(ids, 7)]
    new = [more[i] for i in random_order(more, 7)]
    assert [id for id in new if id in set(ids)] == old
    assert old != [ids[i] for i in random_order(ids, 8)]


def test_a_labelling_goes_on_where_it_was_left(tmp_path: Path) -> None:
    X, y = made()
    one = session(X, LabelLog(tmp_path / "labels.jsonl"))
    label_batches(one, y, 3)
    again = session(X, LabelLog(tmp_path / "labels.jsonl"))
    assert again.progress() == one.progress()
    assert [e.id for e in again.next_batch()] == [e.id for e in one.next_batch()]


def test_undo_takes_back_the_last_step_with_all_its_images() -> None:
    X, _ = made()
    one = session(X)
    one.label(one.ids[:3], "a")
    one.skip(one.ids[3:5])
    assert one.undo() == one.ids[3:5]
    assert one.undo() == one.ids[:3]
    assert one.undo() == []
    assert one.progress().n_labelled == 0


def test_exact_copies_are_asked_for_once() -> None:
    X, _ = made()
    copies = np.arange(len(X)) // 2
    one = session(X, copies=copies, batch=30, random_share=0.5)
    shown: list[str] = []
    while batch := one.next_batch():
        shown += [each.id for each in batch]
        one.label([each.id for each in batch], "a")
    assert len({copies[int(id[:4])] for id in shown}) == len(shown) == len(X) // 2


def test_similar_images_are_the_nearest_without_a_decision() -> None:
    X, y = made(spread=0.1)
    one = session(X)
    first = one.ids[int(np.flatnonzero(y == 2)[0])]
    found = one.similar([first], 10)
    assert {int(y[int(each.id[:4])]) for each in found} == {2}
    assert first not in {each.id for each in found}
    one.label([found[0].id], "two")
    assert found[0].id not in {each.id for each in one.similar([first], 10)}
    event = one.log.decisions()[found[0].id]
    assert event.chosen == "similar"


def test_wrong_calls_are_refused_with_what_was_wrong() -> None:
    X, _ = made()
    one = session(X)
    with pytest.raises(UsageError, match=r"'nowhere\.png' is no image of 'images'"):
        one.label(["nowhere.png"], "a")
    with pytest.raises(UsageError, match="name of a class is empty"):
        one.label(one.ids[:1], "  ")
    with pytest.raises(UsageError, match="share from 0 to 1"):
        session(X, random_share=1.5)
    assert not one.log.events()


def test_threads_label_at_once_and_every_label_stands() -> None:
    X, y = made()
    one = session(X)

    def work() -> None:
        for _ in range(3):
            for each in one.next_batch(5):
                one.label([each.id], f"class {y[int(each.id[:4])]}")
            one.progress()

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    events = [event for event in one.log.events() if event.action == "label"]
    assert len(events) == 60
    assert one.progress().n_labelled == len({event.id for event in events})


def test_rare_classes_are_preferred_among_equal_doubts() -> None:
    proba = np.full((40, 3), 0.02, np.float32)
    proba[:20, :2], proba[20:, 1:] = 0.49, 0.49  # all as doubtful; the others are of class 1 or 2
    rng = np.random.default_rng(0)
    Z = rng.normal(size=(40, 8)).astype(np.float32)
    known = Known(Z, proba, np.array([100, 100, 1]), np.arange(0))
    chosen = choose(known, np.ones(40, bool), 10, rng)
    assert (chosen.rows >= 20).all()


def test_a_batch_is_spread() -> None:
    rng = np.random.default_rng(0)
    Z = np.repeat(rng.normal(size=(10, 8)), 4, axis=0).astype(np.float32)
    known = Known(Z, np.full((40, 2), 0.5, np.float32), np.array([9, 9]), np.arange(0))
    chosen = choose(known, np.ones(40, bool), 8, rng)
    assert len(set(chosen.rows // 4)) == 8


def evidence(seed: int, n: int = 120, share: float = 0.25) -> tuple[Evidence, float]:
    """Labels half at random, half where a head errs, and the true share that is right."""
    X, y = made(seed, spread=4.0)
    space = Space.of(X)
    order = np.random.default_rng(seed).permutation(len(y))
    drawn, rest = order[:40], order[40:]
    proba = QuickHead.fit(space.Z[drawn], y[drawn], 4, space.variance).predict_proba(space.Z)
    wrong = rest[np.argsort(proba[rest, y[rest]])][: n - 40]
    rows = np.concatenate([drawn, wrong])
    head = QuickHead.fit(space.Z[rows], y[rows], 4, space.variance)
    left = np.setdiff1d(order, rows)
    truth = (head.predict_proba(space.Z[left]).argmax(axis=1) == y[left]).mean()
    drawn_mask = np.arange(n) < 40
    return Evidence(space, rows, y[rows], drawn_mask, rows, seed), float(truth)


def test_the_estimate_rests_on_the_random_part_alone() -> None:
    found = evidence(0)[0]
    shuffled = np.where(found.drawn, found.y, (found.y + 1) % 4)  # every chosen label is wrong
    n_drawn = int(found.drawn.sum())
    wrong = judge(Evidence(found.space, found.rows, shuffled, found.drawn, found.copies, 0))
    right = judge(found)
    assert right.estimate is not None
    assert wrong.estimate is not None
    assert right.estimate.n == wrong.estimate.n == n_drawn
    assert wrong.estimate.value < right.estimate.value


def test_no_image_is_judged_by_a_head_that_trained_on_it_or_its_copy() -> None:
    rng = np.random.default_rng(0)
    n = 60  # pure noise, each image twice: only a copy could tell its label
    X = np.repeat(rng.normal(size=(n // 2, 200)), 2, axis=0).astype(np.float32)
    y = np.repeat(rng.permutation(np.arange(n // 2) % 2), 2)
    drawn = np.arange(n) % 2 == 0
    known = Evidence(Space.of(X), np.arange(n), y, drawn, np.arange(n) // 2)
    blind = Evidence(Space.of(X), np.arange(n), y, drawn, np.arange(n))
    leaky, sound = judge(blind).estimate, judge(known).estimate
    assert leaky is not None
    assert sound is not None
    assert leaky.value == 1.0
    assert sound.value < 0.8


def test_the_curve_ends_at_the_estimate_and_few_labels_are_never_enough() -> None:
    judged = judge(evidence(0)[0])
    assert judged.estimate is not None
    assert judged.curve
    last = [point for point in judged.curve if point.kind == "chosen"][-1]
    assert (last.n_labelled, last.value) == (120, judged.estimate.value)
    assert {point.kind for point in judged.curve} == {"chosen", "random"}
    assert judged.gain is not None
    assert 0 <= judged.gain[1] <= judged.gain[0] <= judged.gain[2]
    assert judged.gain[2] > 0.01


def test_it_says_stop_when_more_labels_cannot_add_what_was_asked() -> None:
    X, y = made(spread=0.1)
    one = session(np.repeat(X, 4, axis=0), random_share=0.5, enough=0.05)
    label_batches(one, np.repeat(y, 4), 20)
    progress = one.progress()
    assert progress.stop
    assert progress.sentence.endswith("you can stop.")
    one.enough = 0.0
    assert not one.progress().stop


def test_wilsons_interval_is_the_known_one() -> None:
    right = np.arange(10) < 8  # Newcombe 1998: 0.4902 to 0.9433
    assert estimate_share(right) == pytest.approx((0.8, 0.4902, 0.9433), abs=1e-4)
    assert estimate_share(np.ones(5, bool))[2] == 1.0
