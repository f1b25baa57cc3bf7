"""What labels, groups, splits and options rule out is refused before the first image is read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featx
from featx.data.splits import make_folds
from featx.errors import FeatxError, FitError
from featx.fitting import FitData, check_labels
from featx.fitting.splitting import split_data
from tests.fitting.fit_lab import hashes_of


def manifest(folder: Path, rows: list[str], header: str = "path,label,group,split") -> Path:
    """A manifest whose files hold no image: whoever decodes one fails otherwise."""
    for row in rows:
        (folder / row.split(",")[0]).write_bytes(b"no image")
    path = folder / "images.csv"
    path.write_text("\n".join([header, *rows]) + "\n")
    return path


@pytest.fixture(autouse=True)
def unread(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("images were about to be read")

    monkeypatch.setattr("featx.api.fit.extract_manifest", refuse)
    monkeypatch.setattr("featx.api.finetune.extract_manifest", refuse)


def rows(labels: str, groups: str = "", splits: str = "") -> list[str]:
    """A row a letter of ``labels``."""
    named = {"r": "train", "t": "test"}
    return [
        f"{i}.png,{label},{groups[i] if groups else ''},{named[splits[i]] if splits else ''}"
        for i, label in enumerate(labels)
    ]


BOTH = [
    ("aaaa", "", "", "at least two classes to train on; got 4 images: a 4"),
    ("a", "", "", "got 1 image: a 1"),
    ("aabbc", "", "rrrrt", "The test split holds a class without any training image: c"),
    ("aabbcd", "", "rrrrtt", "holds classes without any training image: c, d"),
    ("abbb", "", "", "No honest cross-validation is possible: 4 images"),
    ("aaabbb", "111222", "", "No honest cross-validation is possible: 6 images"),
]


@pytest.mark.parametrize("verb", [featx.fit, featx.finetune])
@pytest.mark.parametrize(("labels", "groups", "splits", "message"), BOTH)
def test_labels_groups_and_splits(verb, labels, groups, splits, message, tmp_path: Path) -> None:
    path = manifest(tmp_path, rows(labels, groups, splits))
    with pytest.raises(FitError, match=message):
        verb(path, runs=str(tmp_path / "runs"))
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"estimate": "test"}, "no image is in a test split"),
        ({"estimate": "repeated"}, "Nested cross-validation needs 3 folds"),
        ({"threshold": "x:recall=0.9"}, "Unknown class 'x'. Choose from: a, b."),
        ({"threshold": "a:recall"}, "is not of the form"),
        ({"costs": "costs.csv"}, "must name each class once"),
        ({"head": ["nothing"]}, "Unknown head"),
        ({"sampler": ["nothing"]}, "Unknown sampler"),
        ({"concat": True, "backbone": "featx:mini-v1"}, "there is only featx:mini-v1"),
    ],
)
def test_options(options, message, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("costs.csv").write_text("true,a,c\na,0,1\nc,1,0\n")
    path = manifest(tmp_path, rows("aabbb"))
    with pytest.raises(FeatxError, match=message):
        featx.fit(path, runs=str(tmp_path / "runs"), **options)


def test_what_can_be_fitted_goes_on_to_read(tmp_path: Path) -> None:
    path = manifest(tmp_path, rows("aabbc", splits="rrrrr"))
    with pytest.raises(AssertionError, match="about to be read"):
        featx.fit(path)
    path = manifest(tmp_path, rows("aabbc", splits="rrrrt"))
    with pytest.raises(AssertionError, match="about to be read"):
        featx.fit(path, estimate="cv")


@settings(max_examples=150, deadline=None)
@given(
    st.lists(
        st.tuples(st.sampled_from("abc"), st.sampled_from(["", "1", "2", "3"]), st.booleans()),
        min_size=1,
        max_size=14,
    ),
    st.sampled_from(["auto", "cv", "test"]),
)
def test_nothing_is_refused_that_could_be_fitted(images, estimate) -> None:
    """Where no image is unreadable or a copy, it is refused before if and only if afterwards."""
    y, groups, tested = (list(column) for column in zip(*images, strict=True))
    splits = ["test" if t else "train" for t in tested]
    data = FitData(
        {"net": np.arange(2.0 * len(y), dtype=np.float32).reshape(-1, 2)},
        np.array(y),
        [str(i) for i in range(len(y))],
        hashes_of(range(len(y))),
        np.array(groups),
        np.array(splits),
    )

    def refused(work) -> bool:
        try:
            work()
        except FitError:
            return True
        return False

    def afterwards() -> None:
        part, test, _ = split_data(data, use_test=estimate != "cv")
        if estimate == "test" and test is None:
            raise FitError("no test split")
        make_folds(part.y, part.components, part.classes, n_folds=5, seed=0)

    before = refused(lambda: check_labels(y, groups, splits, estimate=estimate))
    assert before == refused(afterwards)
