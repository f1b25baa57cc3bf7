"""The names of scikit-learn's that featx uses in private are there, and are said when they go."""

from __future__ import annotations

import re
from pathlib import Path

import numpy as np
import pytest
import sklearn
from sklearn.ensemble import HistGradientBoostingClassifier
from sklearn.svm import SVC

import featx
from featx.heads._private import NAMES, require

X = np.random.default_rng(0).normal(size=(30, 4))
FITTED = {
    "SVC": SVC().fit(X, np.arange(30) % 3),
    "HistGradientBoostingClassifier": HistGradientBoostingClassifier(max_iter=1).fit(
        X, np.arange(30) % 3
    ),
    "BaseEstimator": SVC(),
}
SOURCES = {path: path.read_text("utf-8") for path in Path(featx.__file__).parent.rglob("*.py")}


@pytest.mark.parametrize("name", NAMES)
def test_scikit_learn_has_it(name: str) -> None:
    owner, _, attribute = name.partition(".")
    assert hasattr(FITTED[owner], attribute), (
        f"scikit-learn {sklearn.__version__} has no {name}. featx uses it because: {NAMES[name]}. "
        "See featx/heads/_private.py, and the upper bound in pyproject.toml."
    )


def test_a_name_that_goes_is_named() -> None:
    with pytest.raises(RuntimeError, match=r"scikit-learn .* has no SVC\._gone"):
        require(SVC(), "_gone")


def test_each_is_used_and_nowhere_else() -> None:
    attributes = {name.partition(".")[2] for name in NAMES}
    of_files = re.compile(r"\.(_fit_X|_y)\b")  # what featx 0.1 wrote into files
    for path, text in SOURCES.items():
        used = {a for a in attributes if re.search(rf"\b{a}\b", text)}
        if path.name == "_private.py":
            assert used == attributes
        else:
            assert not used, path
        assert path.name == "format_1.py" or not of_files.search(text), path


def test_no_private_module_is_imported() -> None:
    for path, text in SOURCES.items():
        found = re.findall(r"(?:from|import) (?:sklearn|imblearn)[.\w]*\._\w+", text)
        found += re.findall(r"from (?:sklearn|imblearn)[.\w]* import (?:.*\b)?_\w+", text)
        assert not found, (path, found)
