"""Other columns beside the embedding: what they gain, and that nothing of them leaks."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fit_lab import make_data, part_of
from sklearn.compose import ColumnTransformer
from sklearn.impute import SimpleImputer
from sklearn.preprocessing import OneHotEncoder, StandardScaler

from featx.artifact import Model, ModelExtractor, load_model
from featx.artifact.tabular import Tabular, TabularColumn, side_by_side
from featx.config import FitConfig
from featx.data.manifest import Manifest, Row
from featx.errors import DatasetError, FeatxError, UsageError
from featx.fitting import FitData, fit_heads
from featx.fitting.candidates import Setup, Trial
from featx.fitting.data import TabularBlock
from featx.fitting.splitting import split_data
from featx.fitting.tabular import column_facts, read_tabular
from featx.fitting.training import project
from featx.heads import HEADS

NUMBER = TabularColumn(name="age", kind="number", low=0.0, high=9.0)
CATEGORY = TabularColumn(name="site", kind="category", categories=["arm", "back", "leg"])
QUICK: dict[str, Any] = {
    "head": ["ridge"],
    "param_grid": {"ridge": {"alpha": [100.0]}},
    "cv": 3,
    "jobs": 1,
}


def with_columns(
    columns: list[TabularColumn], cells: dict[str, list[Any]], data: FitData
) -> tuple[FitData, Tabular]:
    """The data with cells of other columns."""
    tabular = Tabular(tuple(columns))
    values = side_by_side(tabular.read(cells, len(data.y)))
    block = TabularBlock(tabular.names, tabular.categorical, values)
    return replace(data, tabular=block), tabular


def ages(y: np.ndarray, gap: float, seed: int = 0) -> list[float]:
    """A number of each image, ``gap`` standard deviations apart between the classes."""
    return (gap * (y == "c1") + np.random.default_rng(seed).normal(size=len(y))).tolist()


def test_a_column_of_signal_gains_and_one_of_noise_is_not_claimed() -> None:
    for seed, gap in [(0, 2.5), (1, 0.0), (2, 0.0)]:
        plain = make_data([60, 60], distance=0.2, seed=seed)
        data, tabular = with_columns([NUMBER], {"age": ages(plain.y, gap, seed)}, plain)
        result = fit_heads(data, FitConfig(**QUICK, seed=seed), tabular=tabular)
        assert result.tabular is not None
        gain = result.tabular.gain
        assert gain is not None
        assert gain.estimated_on == "nested"
        assert gain.difference.mean == pytest.approx(gain.with_columns - gain.without_columns)
        assert (gain.difference.p < 0.05) == (gap > 0)
        if gap:
            assert gain.difference.low is not None
            assert gain.difference.low > 0.1
            assert result.tabular.used
            assert result.chosen.tabular == ["age"]
            assert result.chosen.against_no_columns is not None
            assert any("The columns help" in note for note in result.notes)


def test_on_a_test_split_both_rows_are_fitted_on_the_rest() -> None:
    splits = ["test" if i % 3 == 0 else "train" for i in range(120)]
    plain = make_data([60, 60], distance=0.2, splits=splits)
    data, tabular = with_columns([NUMBER], {"age": ages(plain.y, 2.5)}, plain)
    gain = fit_heads(data, FitConfig(**QUICK), tabular=tabular).tabular.gain  # type: ignore[union-attr]
    assert gain is not None
    assert (gain.estimated_on, gain.n_images) == ("test", 40)


def holed(n: int) -> tuple[list[float | None], list[str | None]]:
    """Numbers and categories, some empty; the last category is rare."""
    rng = np.random.default_rng(3)
    numbers = [None if rng.random() < 0.2 else float(rng.normal(4, 2)) for _ in range(n)]
    sites = [None if rng.random() < 0.2 else str(rng.choice(["arm", "back"])) for _ in range(n)]
    sites[0] = "leg"
    return numbers, sites


def test_predictions_equal_those_of_a_column_transformer_in_the_same_folds() -> None:
    plain = make_data([45, 45], distance=1.0)
    numbers, sites = holed(90)
    numbers = [n and n + 5 * (i // 45) for i, n in enumerate(numbers)]
    data, tabular = with_columns([NUMBER, CATEGORY], {"age": numbers, "site": sites}, plain)
    quick = QUICK | {"head": ["logreg"], "param_grid": {"logreg": {"C": [0.1]}}}
    result = fit_heads(data, FitConfig(**quick, estimate="cv"), tabular=tabular)
    assert result.chosen.tabular == ["age", "site"]
    held, width = result.held[0], 8
    X = np.column_stack([plain.X["net"], np.array(numbers, float)]).astype(object)
    X = np.column_stack([X, np.array([s or "" for s in sites], object)])
    expected = np.zeros((90, 2))
    for fold in range(3):
        tested = held.fold == fold
        steps = ColumnTransformer(
            [
                ("embedding", "passthrough", list(range(width))),
                ("age", SimpleImputer(strategy="median", add_indicator=True), [width]),
                ("site", OneHotEncoder(handle_unknown="ignore", sparse_output=False), [width + 1]),
            ]
        )
        Z = StandardScaler().fit(steps.fit_transform(X[~tested]).astype(float))
        levels = Z.n_features_in_ - width - 2
        weights = np.ones(Z.n_features_in_)
        weights[width:] = 2 / np.sqrt([2, 2, *[levels] * levels])  # 8 features, 2 columns
        head = HEADS.get("logreg").build(None, 0).set_params(C=0.1)
        head.fit(Z.transform(steps.transform(X[~tested]).astype(float)) * weights, plain.y[~tested])
        rows = Z.transform(steps.transform(X[tested]).astype(float)) * weights
        expected[tested] = head.predict_proba(rows)
    np.testing.assert_allclose(held.proba, expected, atol=1e-3)
    assert np.ptp(expected) > 0.5


@pytest.mark.parametrize("pca", ["none", 3])
def test_nothing_is_fitted_outside_the_training_part(pca: Any) -> None:
    plain = make_data([30, 30])
    numbers, sites = holed(60)
    data, _ = with_columns([NUMBER, CATEGORY], {"age": numbers, "site": sites}, plain)
    part, seen = part_of(data), np.arange(60) % 4 > 0
    setup = Setup(("net",), "ridge", "none", "none", pca=pca, tabular=("age", "site"))
    first = project(part, seen, Trial(setup, ()), seed=0)
    assert part.tabular is not None
    part.tabular.values[~seen] = 7e6
    again = project(part, seen, Trial(setup, ()), seed=0)
    np.testing.assert_array_equal(first.X, again.X)
    if pca == 3:  # three components, and the columns as they are
        assert first.X.shape[1] == 3 + len(first.steps[0][1].source_)


@pytest.mark.parametrize(
    "options",
    [
        {"sampler": ["smote"], "pca": [4]},
        {"ensemble": ["vote", "stack"], "head": ["ridge", "lda"], "seeds": 1},
        {"head": ["logreg"], "param_grid": {"logreg": {"C": [0.1]}}, "class_weight": "balanced"},
    ],
)
def test_the_saved_model_predicts_what_the_fit_did(tmp_path: Path, options: dict[str, Any]) -> None:
    plain = make_data([45, 45], distance=0.5)
    sites = holed(90)[1]
    cells = {"age": ages(plain.y, 2.5), "site": sites}
    data, tabular = with_columns([NUMBER, CATEGORY], cells, plain)
    data = replace(data, X={**data.X, "other": data.X["net"][:, :5] + 1})
    settings = QUICK | {"param_grid": {"ridge": {"alpha": [100.0]}}, "estimate": "cv"} | options
    result = fit_heads(data, FitConfig(**settings), tabular=tabular)
    trial_columns = result.chosen.tabular
    assert trial_columns == ["age", "site"]
    documents = [
        {"backbone": f"timm:{n}", "n_features": data.X[n].shape[1]} for n in result.backbones
    ]
    model = Model(
        classes=result.classes,
        head=result.pipeline,
        extractors=[ModelExtractor(d, {"name": d["backbone"]}) for d in documents],
        tabular=tabular,
        temperature=result.temperature,
        trust=result.trust.trust,
        novelty=result.trust.novelty,
        drift=result.trust.drift,
        operating=result.trust.operating,
    )
    model.save(tmp_path / "m")
    loaded = load_model(tmp_path / "m")
    X = np.hstack([data.X[name] for name in result.backbones])
    expected = model.predict_proba(X, tabular=cells)
    np.testing.assert_allclose(loaded.predict_proba(X, tabular=cells), expected, atol=1e-6)
    np.testing.assert_allclose(loaded.ood_scores(X), model.ood_scores(X), rtol=1e-5)
    assert loaded.tabular == tabular
    groups = loaded.predict_groups(X, [str(i // 3) for i in range(90)], way="mean", tabular=cells)
    np.testing.assert_allclose(
        groups.probabilities, expected.reshape(30, 3, -1).mean(axis=1), atol=1e-6
    )
    if (planes := loaded.planes()) is not None:
        assert planes[0].shape[1] == X.shape[1]
    if "ensemble" not in options:
        rebuilt = loaded.pipeline  # scikit-learn's own
        raw = np.hstack([X, side_by_side(tabular.read(cells, 90))])
        assert (rebuilt.predict(raw) == model.predict(X, tabular=cells)).all()
        unknown = {"age": cells["age"], "site": ["elsewhere"] * 90}
        assert np.isfinite(model.predict_proba(X, tabular=unknown)).all()
    with pytest.raises(UsageError, match=r"Missing: age \(a number\)|Missing: age"):
        loaded.predict(X, tabular={"site": sites})
    with pytest.raises(UsageError, match="Missing: age, site"):
        loaded.predict(X)


def test_views_share_the_cells_of_their_image() -> None:
    plain = make_data([20, 20])
    views = {"net": np.stack([plain.X["net"]] * 2, axis=1) + 0.1}
    data, _ = with_columns([NUMBER], {"age": list(range(40))}, replace(plain, views=views))
    setup = Setup(("net",), "logreg", "none", "none", views=2, tabular=("age",))
    X, y, _ = part_of(data).examples(setup, np.ones(40, bool))
    assert X.shape == (120, 9)
    np.testing.assert_array_equal(X[40:, -1], np.repeat(np.arange(40), 2))
    assert len(y) == 120


def facts(column: TabularColumn, cells: list[Any], **columns: Any) -> list[str]:
    data, tabular = with_columns([column], {column.name: cells}, make_data([30, 30], **columns))
    part, test, _ = split_data(data, use_test=True)
    return column_facts(tabular, part, test, np.arange(len(part)) % 3)[0].warnings


def test_columns_that_give_the_answer_away_are_named() -> None:
    rng = np.random.default_rng(0)
    label = [["arm", "back"][i // 30] for i in range(60)]
    assert "alone predicts the class" in facts(CATEGORY, label)[0]
    assert any("row number" in w for w in facts(NUMBER, rng.permutation(60).tolist()))
    names = [f"p{i}" for i in range(60)]
    identifier = TabularColumn(name="id", kind="category", categories=names)
    assert "nearly an identifier" in facts(identifier, names)[0]
    groups = [i % 15 for i in range(60)]
    assert any("follows the groups" in w for w in facts(identifier, [f"p{g}" for g in groups],
                                                        groups=groups))  # fmt: skip
    splits = ["test" if i % 3 == 0 else "train" for i in range(60)]
    where = [2.0 + (s == "test") + 0.01 * rng.normal() for s in splits]
    assert any("follows the split" in w for w in facts(NUMBER, where, splits=splits))
    assert facts(NUMBER, [1.0] * 60) == ["Column age has one value only: it says nothing."]
    assert facts(NUMBER, rng.normal(size=60).tolist()) == []


def manifest(**columns: list[str | None]) -> Manifest:
    n = len(next(iter(columns.values())))
    rows = tuple(
        Row(f"{i}.png", "", "ab"[i % 2], split="test" if i == n - 1 else None,
            extra=tuple((k, v[i]) for k, v in columns.items()))
        for i in range(n)
    )  # fmt: skip
    return Manifest("", "m.csv", rows)


def read(asked: str, cells: list[str | None]) -> TabularColumn:
    name = asked.partition(":")[0]
    tabular = read_tabular(manifest(**{name: cells}), FitConfig(tabular=[asked]))
    assert tabular is not None
    return tabular.columns[0]


def test_what_a_column_holds_is_read_from_its_cells() -> None:
    assert read("x", ["1", None, "2.5", "90"]).model_dump() == {
        "name": "x", "kind": "number", "categories": [], "low": 1.0, "high": 2.5,
    }  # fmt: skip
    assert read("x:category", ["1", "2", "1", "3"]).categories == ["1", "2"]
    assert read("x", ["b", "a", None, "c"]).categories == ["a", "b"]


@pytest.mark.parametrize(
    ("asked", "cells", "kind", "message"),
    [
        ("x", ["1", "2", "old", "3"], DatasetError, r"'old' in the row of 2\.png \(1 cell .* of 4"),
        ("x:number", ["a", "b", "c", "d"], DatasetError, "holds numbers, but 'a'"),
        ("x", ["1", "inf", "2", "3"], DatasetError, "'inf' in the row of 1.png"),
        ("x", ["1", "1_000", "2", "3"], DatasetError, "1_000"),
        ("x", ["a", "b", "a", "b"], UsageError, "the label itself"),
        ("x", [f"p{i}" for i in range(1200)], UsageError, "1,199 different values"),
        ("x", ["1700000000", "1700000001", "5", "6"], UsageError, "beyond the 32 bits"),
        ("group", ["1", "2", "3", "4"], UsageError, "--tabular group"),
    ],
)
def test_columns_that_cannot_be_used_are_refused(
    asked: str, cells: list[str | None], kind: type[FeatxError], message: str
) -> None:
    with pytest.raises(kind, match=message):
        read(asked, cells)
