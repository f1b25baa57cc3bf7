"""fit, score, compare and audit give what they gave: the same choices, numbers and exit codes.

The data sets are made, and their embeddings are sums of pixels that no processor rounds (see
``lab.py``). Kept are each run's ``results.json`` and ``predictions.csv``, the rows of
``featx score``, and the documents and tables of comparisons and audits. Sentences may be worded
anew and documents may gain keys. ``python -m tests.golden.make [CASE ...]`` writes them anew.
"""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from tests.golden.cases import CASES
from tests.golden.results import EXPECTED, computed, differences, origin, read_expected

MOST_SHOWN = 12


@pytest.fixture(scope="module")
def compute(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A function that runs a case by name."""
    with computed(tmp_path_factory.mktemp("golden")) as run:
        yield run


@pytest.mark.parametrize("name", CASES)
def test_results_are_the_golden_ones(name: str, compute: Callable[[str], dict[str, Any]]) -> None:
    kept, here = read_expected(name), origin()
    found = json.loads(json.dumps(compute(name)))
    places = differences(kept["result"], found, same_origin=kept["origin"] == here)
    wrong = list(itertools.islice(places, MOST_SHOWN))
    if not wrong:
        return
    other = [f"{k} {kept['origin'].get(k)}, here {v}" for k, v in here.items()]
    other = [text for text, k in zip(other, here, strict=True) if kept["origin"].get(k) != here[k]]
    if other:
        wrong.append(f"The golden results are of other versions or kernels: {'; '.join(other)}.")
    wrong.append(f"Where the change is meant: python -m tests.golden.make {name}")
    pytest.fail("\n".join([f"{name} is not what it was:", *wrong]), pytrace=False)


def test_every_golden_file_has_its_case() -> None:
    assert {path.stem for path in EXPECTED.glob("*.json")} == set(CASES)


@pytest.mark.parametrize("same_origin", [True, False])
def test_differences_are_found_wherever_they_are(same_origin: bool) -> None:
    def found(other: Any) -> list[str]:
        return list(differences(expected, other, same_origin=same_origin))

    expected = {"a": [1, 0.5, {"b": "x"}], "c": None, "d": True}
    near = [1, 0.5 + (1e-13 if same_origin else 1e-5), {"b": "x"}]
    assert found({**expected, "a": near, "new": 1}) == []
    for wrong in (
        {**expected, "a": [1, 0.5 + (1e-6 if same_origin else 0.01), {"b": "x"}]},
        {**expected, "a": [1, 0.5, {"b": "y"}]},
        {**expected, "a": [2, 0.5, {"b": "x"}]},
        {**expected, "a": [1, 0.5]},
        {**expected, "c": 0},
        {**expected, "d": 1},
        {"a": expected["a"], "c": None},
    ):
        assert len(found(wrong)) == 1, wrong
