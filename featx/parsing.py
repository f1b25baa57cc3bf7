"""JSON and YAML read strictly: what a parser would pass over in silence is an error.

A key given twice, nesting beyond all sense and references that unfold to more than memory holds
are each a `ValueError` that says what and where, never a `RecursionError`.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import yaml

MAX_DEPTH = 128  # of what featx writes nothing is a quarter as deep
MAX_NODES = 100_000  # of a configuration once its references are followed
_TOO_DEEP = f"it is nested too deeply, more than {MAX_DEPTH} levels"


def parse_json(text: str | bytes, *, parse_constant: Callable[[str], Any] | None = None) -> Any:
    """The value of a JSON document.

    Parameters
    ----------
    text : str or bytes
    parse_constant : callable, optional
        As in `json.loads`: called with ``NaN``, ``Infinity`` and ``-Infinity``.

    Raises
    ------
    ValueError
        It is not JSON, has a key twice in one object, or is nested too deeply.
    """
    try:
        value = json.loads(text, object_pairs_hook=_unique, parse_constant=parse_constant)
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [item for one in level for item in _items(one) if isinstance(item, dict | list)]
        if not level:
            return value
    raise ValueError(_TOO_DEEP)


def _items(value: Any) -> Iterable[Any]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        keys = [key for key, _ in pairs]
        twice = next(key for i, key in enumerate(keys) if key in keys[:i])
        raise ValueError(f"the key {twice!r} is given twice")
    return found


def parse_yaml(text: str) -> Any:
    """The value of one YAML document of plain values.

    Raises
    ------
    ValueError
        It is not YAML, has a key twice in one mapping, is nested too deeply, or unfolds to more
        than a configuration can need; the message names the line.
    """
    import yaml

    loader = yaml.SafeLoader("")
    try:
        loader = yaml.SafeLoader(text)
        node = loader.get_single_node()
        if node is None:
            return None
        _measure(node, {})
        return _constructed(loader, node)
    except yaml.YAMLError as error:
        raise ValueError(_plain(error)) from None
    except RecursionError:
        raise ValueError(_TOO_DEEP) from None
    finally:
        loader.dispose()


def _constructed(loader: yaml.SafeLoader, node: yaml.Node) -> Any:
    try:
        return loader.construct_document(node)
    except ValueError as error:  # a date that no calendar has, an integer of thousands of digits
        raise ValueError(f"a value cannot be read: {str(error).partition(';')[0]}") from None


def _plain(error: yaml.YAMLError) -> str:
    """What is wrong and in which line, in one."""
    problem = getattr(error, "problem", None) or str(error)
    mark = getattr(error, "problem_mark", None)
    where = "" if mark is None else f"line {mark.line + 1}, column {mark.column + 1}: "
    return where + " ".join(str(problem).split())


def _measure(node: yaml.Node, known: dict[int, tuple[int, int] | None]) -> tuple[int, int]:
    """How many nodes there are from here on and how deep, references followed; checks keys."""
    import yaml

    if id(node) in known:
        found = known[id(node)]
        if found is None:
            raise ValueError(f"{_line(node)}: a value refers to itself")
        return found
    known[id(node)] = None
    below: list[yaml.Node] = []
    if isinstance(node, yaml.MappingNode):
        _check_keys(node)
        below = [part for pair in node.value for part in pair]
    elif isinstance(node, yaml.SequenceNode):
        below = node.value
    elif "\0" in node.value:
        raise ValueError(f"{_line(node)}: a text holds a NUL character")
    measured = [_measure(part, known) for part in below]
    size = 1 + sum(n for n, _ in measured)
    depth = 1 + max((d for _, d in measured), default=0)
    if size > MAX_NODES:
        raise ValueError(f"{_line(node)}: with its references it holds over {MAX_NODES:,} values")
    if depth > MAX_DEPTH:
        raise ValueError(_TOO_DEEP)
    known[id(node)] = size, depth
    return size, depth


def _check_keys(node: yaml.MappingNode) -> None:
    first: dict[tuple[str, str], yaml.Node] = {}
    for key, _ in node.value:
        if isinstance(key.value, str) and first.setdefault((key.tag, key.value), key) is not key:
            before = _line(first[key.tag, key.value])
            raise ValueError(f"{_line(key)}: the key {key.value!r} is given twice, see {before}")


def _line(node: yaml.Node) -> str:
    return f"line {node.start_mark.line + 1}"
