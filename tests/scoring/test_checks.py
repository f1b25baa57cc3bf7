"""What of a scoring is unusual: known answers, what is asked to fail, and where it is said."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import featx
from featx.artifact import Model, save_model
from featx.artifact.trust import NoveltyLimit, PredictionSets, Trust, Usual
from featx.config.alarms import parse_alarms
from featx.errors import AlarmError, UsageError
from featx.scoring.checks import Check, chance, checks_of, raise_alarms
from tests.lab import in_process, save_pixels

BLUE = (20, 40, 190)


@pytest.mark.parametrize(
    ("k", "n", "usual_k", "usual_n"),
    [(3, 40, 1, 100), (0, 5, 2, 9), (40, 40, 34, 3409), (7, 9, 0, 12), (120, 900, 300, 3000)],
)
def test_chance_is_that_of_fishers_exact_test(k: int, n: int, usual_k: int, usual_n: int) -> None:
    from scipy.stats import fisher_exact

    table = [[k, n - k], [usual_k, usual_n - usual_k]]
    assert chance(k, n, usual_k, usual_n) == pytest.approx(
        fisher_exact(table, alternative="greater").pvalue, rel=1e-9, abs=1e-300
    )


def test_images_like_the_training_images_are_rarely_far_above() -> None:
    rng = np.random.default_rng(0)
    far = 0
    for _ in range(400):
        usual_k, k = rng.binomial(300, 0.1), rng.binomial(60, 0.1)
        far += Check("ood", k, 60, usual_k / 300, chance(k, 60, usual_k, 300)).far
    assert far <= 2  # of 400 at 1 in 1,000, more are seen once in 1,000
    many = chance(24, 60, 30, 300)
    assert Check("ood", 24, 60, 0.1, many).far
    assert not Check("ood", 160, 1000, 0.1, chance(160, 1000, 1000, 10000)).far  # not twice as many


def flagged(model: Model, blocks: np.ndarray) -> Check:
    far = np.arange(len(blocks)) < 30
    [_, check] = checks_of(model, {"ood": far}, blocks, n_rows=len(blocks), n_unread=0)
    return check


def test_copies_count_once(fitted: Model) -> None:
    model = replace(fitted, trust=Trust(usual=Usual(images=200, abstained=0.1, ood=0.01)))
    alone, copies = np.arange(60), np.where(np.arange(60) < 30, 0, np.arange(60))
    assert flagged(model, alone).far
    check = flagged(model, copies)  # one picture 30 times
    assert (check.images, check.of) == (30, 60)
    assert not check.far


def test_what_is_asked_for_is_read_strictly() -> None:
    assert parse_alarms("drift, ood=0.2,abstained=1") == {"drift": None, "ood": 0.2, "abstained": 1}
    for text, message in {
        "oodd": "did you mean 'ood'",
        "": "is not one of drift, ood",
        "ood=2": "not a share from 0 to 1",
        "ood=": "not a share",
        "ood=nan": "not a share",
        "drift,drift": "named twice",
    }.items():
        with pytest.raises(ValueError, match=message):
            parse_alarms(text)


def test_limits_and_what_is_raised() -> None:
    checks = [Check("ood", 3, 10, 0.01, 0.5), Check("quarantined", 0, 0)]
    raise_alarms("ood=0.3,quarantined=0", checks, None)  # not above, and no files at all
    raise_alarms("ood,drift", checks, None)
    with pytest.raises(AlarmError, match=r"3 of 10 images .*limit is 20\.0 %") as caught:
        raise_alarms("ood=0.2", checks, None)
    assert caught.value.exit_code == 4
    drift = {"drift": True, "embeddings": {"p_adjusted": 0.03},
             "predicted_classes": {"p_adjusted": 0.5}}  # fmt: skip
    with pytest.raises(AlarmError, match="have drifted"):
        raise_alarms("drift", checks, drift)
    raise_alarms("drift=0.01", checks, drift)


@pytest.fixture(scope="module")
def known(fitted: Model) -> Model:
    """The three colours with a threshold, an out-of-distribution limit and what is usual."""
    from featx.artifact.novelty import Novelty

    width = fitted.n_features
    novelty = Novelty(
        means=np.zeros((1, width), np.float32),
        components=np.zeros((0, width), np.float32),
        variances=np.zeros(0, np.float32),
        rest=np.ones(1, np.float32),
    )
    trust = Trust(
        sets=PredictionSets(coverage=0.9, over="images", thresholds=[0.2, 0.2, 0.2]),
        novelty=NoveltyLimit(rate=0.01, limit=0.01),  # every image is beyond it
        usual=Usual(images=1000, abstained=0.05, ood=0.01),
    )
    return replace(fitted, novelty=novelty, trust=trust,
                   provenance={"n_images": 90, "n_quarantined": 0})  # fmt: skip


def test_warned_of_written_and_failed(
    known: Model,
    images: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    save_model(known, tmp_path / "m")
    for name in ("a.heic.part", "b.pdf"):
        (images / name).write_bytes(b"%PDF-1.4")
    command = in_process(capfd)
    done = command("score", "m", "new", "--cache", "c", "--fail-on", "ood=0.2,quarantined=0.5",
                   "--sort-into", "sorted", "--json")  # fmt: skip
    assert done.code == 4
    document = json.loads(done.out)
    assert document["checks"]["ood"]["share"] == 1
    assert document["checks"]["ood"]["far_above"]
    assert document["checks"]["quarantined"]["images"] == 4  # two broken files, two PDF
    assert document["passed_over_because"]["PDF"] == "PDF, which featx does not read"
    assert "Error: --fail-on ood=0.2,quarantined=0.5: 7 of 7 images are out of dist" in done.err
    assert "Warning: 100.0 % of the images are out of distribution" in done.err
    assert "--no-sort-unsure puts them with their predicted class" in done.err
    assert document["sorted_into"] == {"_unreadable": 2, "_unsure": 7}
    assert len(Path("scores.csv").read_text().splitlines()) == 10
    done = command("score", "m", "new", "--cache", "c", "--overwrite", "--sort-into", "sorted",
                   "--no-sort-unsure", "--fail-on", "ood=1")  # fmt: skip
    assert done.code == 0
    assert "7 of 7 images are out of distribution (100.0 %; of held-out training images 1.0 %)" in (
        done.out
    )
    assert not (tmp_path / "sorted" / "_unsure").exists()
    with pytest.raises(AlarmError, match="out of distribution"):
        featx.score(known, images, cache=tmp_path / "c", fail_on="ood")


def test_a_model_that_cannot_tell_is_refused_before_anything_is_read(
    fitted: Model, known: Model, images: Path
) -> None:
    for fail_on in ("drift", "ood=0.5", "abstained"):
        with pytest.raises(UsageError, match="this model cannot tell"):
            featx.score(fitted, images, fail_on=fail_on)
    assert known.trust is not None
    older = replace(known, trust=known.trust.model_copy(update={"usual": None}), provenance={})
    for name in ("ood", "abstained", "quarantined"):
        with pytest.raises(UsageError, match=f"--fail-on {name}=0.2"):
            featx.score(older, images, fail_on=name)


def test_a_class_named_as_the_folder_for_the_unsure_keeps_one_of_its_own() -> None:
    from featx.scoring.sorting import safe_names

    assert safe_names(["_unsure"]) == {"_unsure": "_unsure_2"}


def test_a_fitted_model_keeps_what_is_usual(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for label, colour in {"blue": BLUE, "red": (190, 40, 20)}.items():
        for i in range(24):
            pixels = np.array(colour) + rng.normal(0, 60, (20, 20, 3))
            save_pixels(tmp_path / "photos" / label / f"{i}.png", pixels)
    (tmp_path / "photos" / "red" / "broken.png").write_bytes(b"no image")
    options: dict[str, Any] = {"cache": tmp_path / "cache", "report": False}
    run = featx.fit(tmp_path / "photos", runs=tmp_path / "runs", name="r", cv=3, **options)
    again = featx.load_model(run.folder)
    assert again.trust is not None
    assert again.trust.usual is not None
    sets = run.results["trust"]["prediction_sets"]
    assert again.trust.usual.images == 48
    assert again.trust.usual.abstained == pytest.approx(sets["abstained"]["value"])
    assert again.provenance["n_quarantined"] == 1
