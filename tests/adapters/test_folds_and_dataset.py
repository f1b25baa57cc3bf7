"""`featx.LeakFreeKFold` and `featx.EmbeddingDataset`: the folds and the store for other tools."""

from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_val_predict, cross_val_score
from torch.utils.data import DataLoader

import featx
from featx.errors import DatasetError, DecodeError, FitError, UsageError
from featx.runs import Run
from tests.adapters.conftest import SETTINGS


def folds(splitter: featx.LeakFreeKFold, X: object, y: object, groups: object = None) -> list[int]:
    """The fold that each row is tested in."""
    found = np.full(len(y), -1)  # type: ignore[arg-type]
    for k, (train, test) in enumerate(splitter.split(X, y, groups)):
        assert not set(train) & set(test)
        assert len(train) + len(test) == len(found)
        found[test] = k
    return found.tolist()


def test_folds_are_those_of_fit(
    run: Run, photos: Path, paths: list[Path], labels: list[str]
) -> None:
    """From the images as from their embeddings: the copy stays with its original."""
    table = run.predictions["oof"]
    assert [str(photos / name) for name in table.ids] == [str(p) for p in paths]
    expected = table.fold.tolist()
    splitter = featx.LeakFreeKFold(3)
    assert folds(splitter, paths, labels) == expected
    X = featx.extract(photos, cache=str(photos.parent / "cache"), **SETTINGS).X
    assert folds(splitter, X, labels) == expected
    assert expected[-1] == expected[[p.name for p in paths].index("01.png")]
    assert folds(featx.LeakFreeKFold(3, random_state=1), X, labels) != expected
    assert splitter.get_n_splits() == splitter.get_n_splits(X, labels) == 3


def test_folds_with_groups_are_those_of_fit(
    photos: Path, paths: list[Path], tmp_path: Path
) -> None:
    groups = [f"patient {i % 7}" for i in range(len(paths))]
    lines = [f"{p},{p.parent.name},{g}" for p, g in zip(paths, groups, strict=True)]
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(["path,label,group", *lines]))
    options = {"cv": 3, "seed": 4, "estimate": "cv", "runs": str(tmp_path), "name": "r"}
    cache = str(photos.parent / "cache")
    data = {"root": str(photos), "group_column": "group", "cache": cache}
    run = featx.fit(manifest, **data, **options, **SETTINGS)
    y = [p.parent.name for p in paths]
    found = folds(featx.LeakFreeKFold(3, random_state=4), paths, y, groups)
    assert found == run.predictions["oof"].fold.tolist()
    assert found != folds(featx.LeakFreeKFold(3, random_state=4), paths, y)
    alone = [None, "", *[""] * (len(paths) - 2)]  # each a group of its own
    assert folds(featx.LeakFreeKFold(3), paths, y, alone) == folds(featx.LeakFreeKFold(3), paths, y)
    for name in set(groups):
        assert len({f for f, g in zip(found, groups, strict=True) if g == name}) == 1


def test_scikit_learn_takes_the_splitter(paths: list[Path]) -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(["a", "b", "c"], 20)
    X = rng.normal(size=(60, 4)) + 3 * np.repeat(np.arange(3), 20)[:, None]
    X[1] = X[0]
    groups = np.arange(60) // 2
    splitter, head = featx.LeakFreeKFold(4, random_state=2), LogisticRegression()
    assert cross_val_score(head, X, y, groups=groups, cv=splitter).mean() > 0.8
    assert len(cross_val_predict(head, X, y, cv=splitter)) == 60
    with sklearn.config_context(enable_metadata_routing=True):
        assert len(cross_val_score(head, X, y, params={"groups": groups}, cv=splitter)) == 4
    search = GridSearchCV(head, {"C": [0.1, 1]}, cv=splitter).fit(X, y, groups=groups)
    assert search.n_splits_ == 4
    found = folds(splitter, X, y)
    assert found[0] == found[1]
    for name in "abc":  # stratified to within the pair that stays together
        counts = np.bincount(np.array(found)[y == name])
        assert counts.max() - counts.min() <= 2
    again = pickle.loads(pickle.dumps(splitter))  # noqa: S301 - bytes of this very process
    assert repr(again) == repr(splitter) == "LeakFreeKFold(n_splits=4, random_state=2)"
    assert folds(again, np.zeros(60), y) == folds(splitter, None, y.tolist())


def test_fewer_folds_are_announced_and_nonsense_refused(paths: list[Path]) -> None:
    y, groups = ["a"] * 6 + ["b"] * 6, [0, 1, 2] * 4
    splitter = featx.LeakFreeKFold()
    with pytest.warns(UserWarning, match="3 folds instead of 5"):
        assert len(list(splitter.split(None, y, groups))) == 3
    assert splitter.get_n_splits(None, y, groups) == 3
    for arguments, words in [
        ((None, None), "needs y"),
        ((None, ["a"] * 5), "1 class"),
        ((np.zeros((4, 2)), y), "12 labels, but X has 4"),
        ((None, y, [1]), "but groups has 1"),
        ((None, y, [1] * 12), "separate images or groups"),
    ]:
        with pytest.raises(FitError, match=words):
            list(splitter.split(*arguments))
    with pytest.raises(FitError, match="n_splits is 1"):
        list(featx.LeakFreeKFold(1).split(None, y))
    with pytest.raises(DecodeError, match=r"Image 1 \('nix.png'\)"):
        list(splitter.split([paths[0], "nix.png"], ["a", "b"]))


@pytest.mark.parametrize("workers", [0, 2])
def test_a_dataset_gives_the_rows_of_the_store(photos: Path, workers: int) -> None:
    options = {**SETTINGS, "cache": str(photos.parent / "cache")}
    extraction = featx.extract(photos, **options)
    data = featx.EmbeddingDataset(photos, **options)
    assert (len(data), data.classes, data.n_features) == (
        19,
        ["blue", "red"],
        extraction.X.shape[1],
    )
    x, y = data[3]
    np.testing.assert_array_equal(x, extraction.X[3])
    assert data.classes[y] == extraction.y[3]
    batches = list(DataLoader(data, batch_size=4, num_workers=workers))
    np.testing.assert_array_equal(np.concatenate([b[0] for b in batches]), extraction.X)
    assert np.concatenate([b[1] for b in batches]).tolist() == data.targets
    again = pickle.loads(pickle.dumps(data))  # noqa: S301 - as workers that are spawned get it
    np.testing.assert_array_equal(again[5][0], x := extraction.X[5])
    assert repr(data) == f"<EmbeddingDataset of 19 images, 2 classes, {len(x)} features>"


def test_a_dataset_of_one_split_and_what_is_refused(
    photos: Path, paths: list[Path], tmp_path: Path
) -> None:
    lines = [f"{p},{p.parent.name},{'test' if i % 3 else 'train'}" for i, p in enumerate(paths)]
    manifest = tmp_path / "m.csv"
    manifest.write_text("\n".join(["path,label,split", *lines]))
    options = {**SETTINGS, "cache": str(photos.parent / "cache")}
    extraction = featx.extract(manifest, root=str(photos), split_column="split", **options)
    test = featx.EmbeddingDataset(extraction, split="test")
    train = featx.EmbeddingDataset(extraction, split="train")
    assert len(test) + len(train) == 19
    assert test.classes == train.classes
    assert not set(test.ids) & set(train.ids)
    with pytest.raises(DatasetError, match="split 'val'"):
        featx.EmbeddingDataset(extraction, split="val")
    with pytest.raises(UsageError, match="takes no options; got cache"):
        featx.EmbeddingDataset(extraction, cache="x")
    with pytest.raises(DatasetError, match="no labels"):
        featx.EmbeddingDataset(photos / "red", **options)
    two = ["timm:test_resnet", "featx:mini-v1"]
    with pytest.raises(UsageError, match="a dataset holds one"):
        featx.EmbeddingDataset(photos, **{**options, "backbone": two, "size": 32})


def test_splitters_are_cloned() -> None:
    assert clone(featx.LeakFreeKFold(3), safe=False).n_splits == 3
