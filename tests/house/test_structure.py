"""The shape of the package: no import circles, a floor for every module, nothing too long."""

from __future__ import annotations

import ast
import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections import Counter, defaultdict
from pathlib import Path

import grimp
import numpy as np
import pytest
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

PACKAGE = Path(__file__).resolve().parents[2] / "featx"
FILE_LINES, FUNCTION_LINES = 400, 60


def circles(package: str) -> set[frozenset[str]]:
    """Sets of modules each of which imports, over others of them, itself.

    Imports inside functions count, and those for the type checker alone.
    """
    graph = grimp.build_graph(package, cache_dir=None)
    names = sorted(graph.modules)
    number = {name: i for i, name in enumerate(names)}
    links = [
        (number[name], number[other])
        for name in names
        for other in graph.find_modules_directly_imported_by(name)
    ]
    rows, columns = np.array(links).T
    matrix = coo_array((np.ones(len(links)), (rows, columns)), shape=(len(names), len(names)))
    _, parts = connected_components(matrix, directed=True, connection="strong")
    members: defaultdict[int, set[str]] = defaultdict(set)
    for name, part in zip(names, parts, strict=True):
        members[part].add(name.removeprefix(f"{package}."))
    return {frozenset(each) for each in members.values() if len(each) > 1}


def too_long(package: Path) -> set[str]:
    """Files, and functions as ``file:function``, that have more lines than a reader can hold."""
    found = set()
    for path in package.rglob("*.py"):
        text, name = path.read_text("utf-8"), path.relative_to(package).as_posix()
        if len(text.splitlines()) > FILE_LINES:
            found.add(name)
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                assert node.end_lineno is not None
                if node.end_lineno - node.lineno >= FUNCTION_LINES:
                    found.add(f"{name}:{node.name}")
    return found


def test_no_module_imports_itself_over_others() -> None:
    assert not circles("featx"), "modules that import each other in a circle"


def test_a_circle_is_found_wherever_the_import_stands(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = tmp_path / "ringed"
    folder.mkdir()
    (folder / "__init__.py").touch()
    (folder / "a.py").write_text("import ringed.b")
    (folder / "b.py").write_text("def late():\n    from ringed import c")
    (folder / "c.py").write_text(
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from ringed.a import name"
    )
    (folder / "d.py").write_text("import ringed.a")
    monkeypatch.syspath_prepend(tmp_path)
    assert circles("ringed") == {frozenset({"a", "b", "c"})}


def test_files_and_functions_can_be_read_at_once() -> None:
    found = sorted(too_long(PACKAGE))
    assert not found, f"more than {FILE_LINES} lines a file or {FUNCTION_LINES} a function: {found}"


def test_what_is_too_long_is_found(tmp_path: Path) -> None:
    body = "    pass\n"
    (tmp_path / "right.py").write_text("def f():\n" + body * 59 + "# \n" * 340)
    (tmp_path / "long.py").write_text("class C:\n  async def g():\n" + body * 60)
    (tmp_path / "longer.py").write_text("\n" * 401)
    assert too_long(tmp_path) == {"long.py:g", "longer.py"}


def test_a_class_name_means_one_thing() -> None:
    homes = Counter(
        node.name
        for path in PACKAGE.rglob("*.py")
        for node in ast.parse(path.read_text("utf-8")).body
        if isinstance(node, ast.ClassDef) and not node.name.startswith("_")
    )
    found = sorted(name for name, n in homes.items() if n > 1)
    assert not found, f"several classes have the name: {found}"


def told_twice(package: Path) -> set[str]:
    """Modules that list their names, and private names that a module takes from another one."""
    found = set()
    for path in package.rglob("*.py"):
        name = path.relative_to(package).as_posix()
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Name) and node.id == "__all__" and path.stem != "__init__":
                found.add(name)
            if isinstance(node, ast.ImportFrom) and (node.module or "").startswith(package.name):
                home = package.parent.joinpath(*str(node.module).split("."))
                private = [a.name for a in node.names if re.match("_[^_]", a.name)]
                found |= {f"{name}:{a}" for a in private if not (home / f"{a}.py").is_file()}
    return found


def test_what_a_module_offers_is_what_has_no_underscore() -> None:
    found = sorted(told_twice(PACKAGE))
    assert not found, f"an underscore says what is private, and __all__ is for packages: {found}"


def test_names_that_are_listed_and_private_names_that_are_taken_are_found(tmp_path: Path) -> None:
    folder = tmp_path / "told"
    folder.mkdir()
    (folder / "__init__.py").write_text("from told.a import f\n__all__ = ['f']")
    (folder / "_b.py").touch()
    (folder / "a.py").write_text("__all__ = ['f']\n\ndef f():\n    from told import _b")
    (folder / "c.py").write_text("from told._b import _hidden")
    assert told_twice(folder) == {"a.py", "c.py:_hidden"}


def test_the_floors_of_the_documentation_are_those_that_are_checked() -> None:
    settings = tomllib.loads((PACKAGE.parent / "pyproject.toml").read_text("utf-8"))
    layers = settings["tool"]["importlinter"]["contracts"][0]["layers"]
    text = (PACKAGE.parent / "docs/architecture.md").read_text("utf-8")
    rows = re.findall(r"^\| \d\w? \| (.*?) \|", text, re.MULTILINE)
    documented = [set(re.findall(r"`(\w+)/?`", row)) for row in rows]
    assert documented == [set(re.split(r" [|:] ", layer)) for layer in layers]


def test_a_file_of_the_verbs_is_named_as_its_command() -> None:
    verbs = {path.stem for path in (PACKAGE / "api").glob("*.py")} - {"__init__"}
    commands = {path.stem for path in (PACKAGE / "cli").glob("*.py")}
    assert verbs <= commands


@pytest.mark.parametrize(
    ("place", "statement"),
    [
        ("newcomer.py", ""),
        ("rooms/__init__.py", ""),
        ("kept.py", "def late():\n    import torch"),
        ("fitting/fit.py", "import matplotlib.pyplot"),
        ("scoring/scores.py", "import click"),
    ],
)
def test_a_module_on_no_floor_or_with_too_heavy_an_import_is_refused(
    tmp_path: Path, place: str, statement: str
) -> None:
    shutil.copytree(PACKAGE, tmp_path / "featx")
    shutil.copy(PACKAGE.parent / "pyproject.toml", tmp_path)
    path = tmp_path / "featx" / place
    path.parent.mkdir(exist_ok=True)
    with path.open("a") as file:
        file.write(f"\n{statement}\n")
    environment = {**os.environ, "PYTHONPATH": str(tmp_path), "PYTHONDONTWRITEBYTECODE": "1"}
    lint = Path(sys.executable).with_name("lint-imports")
    result = subprocess.run(
        [str(lint), "--no-cache"], cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "BROKEN" in result.stdout
