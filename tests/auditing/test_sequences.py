"""Runs of near-identical files are found by the order of their names, and not without one."""

from __future__ import annotations

import hashlib

import numpy as np
import pytest
from numpy.typing import NDArray

from featx.auditing.sequences import sequence_codes

SCENES, FRAMES = 24, 8


def film(noise: float) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Embeddings and low frequencies of scenes that drift, of length 1."""
    rng = np.random.default_rng(0)
    made = []
    for columns in (48, 24):
        drift = rng.normal(size=(SCENES, FRAMES, columns)).cumsum(axis=1) * noise
        rows = (rng.normal(size=(SCENES, 1, columns)) + drift).reshape(-1, columns)
        made.append((rows / np.linalg.norm(rows, axis=1, keepdims=True)).astype(np.float32))
    return made[0], made[1]


def joined(ids: list[str], *, classes: int = 2, noise: float = 0.2) -> np.ndarray | None:
    """Groups of the film when its frames have these names; scenes are of one class."""
    y = np.repeat(np.arange(SCENES) % classes, FRAMES)
    return sequence_codes(ids, y, *film(noise), seed=0)


TRUTH = np.repeat(np.arange(SCENES), FRAMES)
ALL = range(SCENES * FRAMES)
NAMES = {
    "a counter without zeros": lambda k: f"frame{k}.jpg",
    "a counter with gaps": lambda k: f"f_{3 * k + 50 * (k // 30):06}.jpg",
    "moments": lambda k: f"cam_2024-05-01_{k // 60:02}-{k % 60:02}-00.png",
    "folders by class": lambda k: f"{k // FRAMES % 2}/{k}.png",
    "a counter in each folder": lambda k: f"film{k // 96}/{k % 96}.png",
}


@pytest.mark.parametrize("name", NAMES)
def test_frames_of_a_scene_are_joined(name: str) -> None:
    found = joined([NAMES[name](k) for k in ALL])
    assert found is not None
    assert (found == TRUTH).all()


def test_a_film_that_changes_class_is_one_sequence() -> None:
    y = np.array([k % FRAMES > 4 for k in ALL], dtype=np.int64)
    found = sequence_codes([f"{y[k]}/{k}.png" for k in ALL], y, *film(0.2), seed=0)
    assert found is not None
    assert (found == TRUTH).all()


def test_names_without_an_order_join_nothing() -> None:
    assert joined([f"{hashlib.md5(bytes([k])).hexdigest()}.png" for k in ALL]) is None


def test_images_that_change_from_one_to_the_next_join_nothing() -> None:
    rng = np.random.default_rng(0)
    Z, low = (rng.normal(size=(len(ALL), 30)) for _ in range(2))
    Z /= np.linalg.norm(Z, axis=1, keepdims=True)
    low /= np.linalg.norm(low, axis=1, keepdims=True)
    y = np.repeat([0, 1], len(ALL) // 2)
    ids = [f"{k}.png" for k in ALL]
    assert sequence_codes(ids, y, Z.astype(np.float32), low.astype(np.float32), seed=0) is None
    few = sequence_codes(ids[:8], y[:8], Z[:8].astype(np.float32), low[:8], seed=0)  # type: ignore[arg-type]
    assert few is None
