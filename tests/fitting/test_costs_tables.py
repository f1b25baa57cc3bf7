"""A table of costs as spreadsheets of any country write it."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from featx.config import FitConfig
from featx.errors import ConfigError
from featx.fitting import read_rule

CLASSES = ["blé", "coton, brut", "maïs"]
COSTS = np.array([[0, 1, 0.5], [2, 0, 3], [1.25, 4, 0]])


def table(separator: str, *, decimal: str = ".", accents: str = "", end: str = "\n") -> str:
    names = [f'"{name}"' if separator in name else name for name in CLASSES]
    if accents:
        import unicodedata

        names = [unicodedata.normalize(accents, name) for name in names]
    lines = [separator.join(["", *names])]
    for name, row in zip(names, COSTS, strict=True):
        cells = [f"{value:g}".replace(".", decimal) for value in row]
        lines.append(separator.join([name, *cells]))
    return end.join(lines) + end


def read(path: Path) -> np.ndarray:
    rule = read_rule(FitConfig(costs=str(path)), CLASSES)
    return rule.costs  # type: ignore[union-attr]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize(
    "text",
    [
        table(","),
        table(";"),
        table(";", decimal=","),
        table("\t", decimal=","),
        table(";", decimal=",", accents="NFD", end="\r\n"),
        table(",") + "\n",
    ],
)
def test_separators_encodings_and_decimal_commas(text: str, encoding: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    path.write_bytes(text.encode(encoding))
    np.testing.assert_array_equal(read(path), COSTS)


def test_columns_and_rows_come_in_any_order(tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    lines = [["", *CLASSES], *([n, *map(str, r)] for n, r in zip(CLASSES, COSTS, strict=True))]
    order = [0, 3, 1, 2]
    turned = [[lines[i][j] for j in order] for i in [0, 2, 3, 1]]
    path.write_text("\n".join(";".join(row) for row in turned), "utf-8")
    np.testing.assert_array_equal(read(path), COSTS)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (table("|"), "separated by commas, semicolons or tabs.*The first row: .blé"),
        ("", "it is empty"),
        (table(";").replace("maïs", "mais", 1), "must name each class once"),
        (table(";").replace("1.25", "viel"), "'viel' is not one"),
        (table(";").replace("1.25", "inf"), "a finite number in every cell"),
    ],
)
def test_what_cannot_be_read_is_named(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "costs.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError, match=message):
        read(path)
