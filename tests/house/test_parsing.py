"""JSON and YAML: what a parser would pass over in silence is an error with its place."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from featx.config import load_config
from featx.data.table import read_table
from featx.errors import ConfigError, DatasetError
from featx.parsing import MAX_DEPTH, parse_json, parse_yaml

TEXTS = st.text(st.characters(exclude_characters="\0", exclude_categories=("Cs",)), max_size=5)
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | TEXTS,
    lambda inside: st.lists(inside, max_size=4) | st.dictionaries(TEXTS, inside),
    max_leaves=20,
)


@given(value=VALUES)
def test_honest_documents_are_read_as_the_libraries_read_them(value: Any) -> None:
    assert parse_json(json.dumps(value)) == value
    text = yaml.safe_dump(value)
    assert parse_yaml(text) == yaml.safe_load(text)


@pytest.mark.parametrize("depth", [MAX_DEPTH + 1, 1000, 100_000])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('[{"a":', "}]")])
def test_what_is_nested_too_deeply_is_an_error_and_no_exhausted_stack(
    depth: int, opening: str, closing: str
) -> None:
    text = opening * depth + "1" + closing * depth
    with pytest.raises(ValueError, match="nested too deeply"):
        parse_json(text)
    if depth < 2000:  # PyYAML takes seconds for more
        with pytest.raises(ValueError, match="nested too deeply"):
            parse_yaml(text.replace(":", ": "))


def test_what_is_just_not_too_deep_is_read() -> None:
    text = "[" * MAX_DEPTH + "]" * MAX_DEPTH
    assert parse_json(text) == json.loads(text)
    assert parse_yaml(text[1:-2] + "]") == json.loads(text[1:-2] + "]")


@pytest.mark.parametrize(
    "text", ['{"a": 1, "a": 1}', '[{"b": {"a": 1, "c": 2, "a": 3}}]', '{"a": 1, "\\u0061": 2}']
)
def test_a_key_given_twice_is_an_error_in_json(text: str) -> None:
    with pytest.raises(ValueError, match="the key 'a' is given twice"):
        parse_json(text)


def bomb(opening: str, closing: str, first: str, levels: int = 12) -> str:
    lines = [f"x0: &x0 {first}"]
    for i in range(1, levels):
        lines.append(f"x{i}: &x{i} {opening}{', '.join([f'*x{i - 1}'] * 10)}{closing}")
    return "\n".join(lines)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: 1\na: 1", "line 2: the key 'a' is given twice, see line 1"),
        ("a: {b: 1, c: 2, 'b': 3}", "line 1: the key 'b' is given twice"),
        ("- {1: a, 1: b}", "the key '1' is given twice"),
        ("a: &a {b: 1}\nc: {<<: *a, <<: *a}", "the key '<<' is given twice"),
        (
            bomb("[", "]", "[a, b]"),
            "line 6: with its references it holds over 100,000 values",
        ),
        (bomb("{<<: [", "]}", "{k: v}"), "with its references it holds over 100,000"),
        ("&a [*a]", "line 1: a value refers to itself"),
        ("&a {b: {c: *a}}", "line 1: a value refers to itself"),
        ("a: " + "9" * 5000, "a value cannot be read: Exceeds the limit"),
        ("a: 2024-99-99", "a value cannot be read: month must be in 1..12"),
        ("a: !!int x", "a value cannot be read"),
        ("a: !!python/object:os.system x", "could not determine a constructor"),
        ("? [a]\n: b", "found unhashable key"),
        ("a: [1", "line 1, column 6: "),
        ("a: 1\n--- \nb: 2", "line 2, column 1: but found another document"),
        ("a: \x07", "special characters are not allowed"),
        ('a: 1\nb: "x\\0y"', "line 2: a text holds a NUL character"),
        ("*a", "line 1, column 1: found undefined alias"),
    ],
)
def test_yaml_that_misleads_is_refused_with_its_place(text: str, message: str) -> None:
    with pytest.raises(ValueError, match=re.escape(message)) as caught:
        parse_yaml(text)
    assert "\n" not in str(caught.value)


def test_references_that_unfold_to_little_are_read() -> None:
    assert parse_yaml("a: &a {b: 1}\nc: {<<: *a, d: *a}") == {
        "a": {"b": 1},
        "c": {"b": 1, "d": {"b": 1}},
    }
    assert parse_yaml("") is None


def load(tmp_path: Path, text: str, *overrides: str) -> Any:
    path = tmp_path / "c.yaml"
    path.write_text(text, "utf-8")
    return load_config(str(path), overrides=overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("data: {dataset: x}\ndata: {dataset: y}", "line 2: the key 'data' is given twice"),
        ("[" * 2000, "nested too deeply"),
        ("", "expected a mapping of sections, got an empty file"),
        ("data: {dataset: NO}", "data.dataset: .*Got False .YAML reads no, off as False; quote"),
        ("data: {dataset: x}\nfit: {threshold: NO}", "fit.threshold: .*YAML reads no, off"),
        ("data: {dataset: 2024-05-01}", "data.dataset: .*YAML reads this as a date; quote"),
        ("data: {dataset: 010}", "data.dataset: .*Got 8 .YAML reads this as a number; quote"),
        ("data: {dataset: x}\nfit: {budget: 1:30}", "fit.budget: .*Got 90 .*a number; quote"),
        (
            "data: {dataset: x}\nfit: {param_grid: {logreg: {C: [1e3]}}}",
            "fit.param_grid.logreg.C.0.*should be a number, not text. Got '1e3' .YAML reads 1e3 "
            "as text; write it as 1000",
        ),
        ("data: {dataset: [" + "x, " * 999 + "]}", r"Got \['x', .*\.\.\.\."),
    ],
)
def test_a_configuration_is_read_strictly(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, text)
    assert len(str(caught.value)) < 1000


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["fit.cv=3", "fit.cv=4"], "--set 'fit.cv=4' contradicts --set 'fit.cv=3'"),
        (["fit={cv: 3}", "fit.seed=4"], "--set 'fit.seed=4' contradicts --set 'fit={cv: 3}'"),
        (["fit.seed=4", "fit={cv: 3}"], "contradicts --set 'fit.seed=4'"),
        (["fit.cv=["], "--set 'fit.cv=\\[': not valid YAML"),
        (["fit.param_grid={a: {}, a: {}}"], "the key 'a' is given twice"),
        (["fit.=3"], "not of the form section.key=value"),
        (["fit..cv=3"], "not of the form section.key=value"),
    ],
)
def test_overrides_must_agree(tmp_path: Path, overrides: list[str], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        load(tmp_path, "data: {dataset: x}", *overrides)


def test_an_override_may_be_repeated_and_neighbours_do_not_clash(tmp_path: Path) -> None:
    found = load(tmp_path, "data: {dataset: x}", "fit.cv=3", "fit.cv=3", "fit.cv=3", "fit.seed=1")
    assert (found.fit.cv, found.fit.seed) == (3, 1)


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"path": "a.png", "label": "x", "label": "y"}', "the key 'label' is given twice"),
        ('{"path": ' + "[" * 5000 + "]" * 5000 + "}", "nested too deeply"),
    ],
)
def test_a_manifest_line_is_read_strictly(tmp_path: Path, line: str, message: str) -> None:
    path = tmp_path / "list.jsonl"
    path.write_text(line + "\n", "utf-8")
    with pytest.raises(DatasetError, match=f"line 1.*{message}"):
        read_table(path)
