"""What a release needs agrees with itself: versions, Python versions, workflows, what is packed."""

from __future__ import annotations

import re
import tarfile
import tomllib
import zipfile
from pathlib import Path
from typing import Any

import pytest
import yaml
from hatchling import build as hatchling

import featx

REPOSITORY = Path(__file__).resolve().parents[2]
PROJECT = tomllib.loads((REPOSITORY / "pyproject.toml").read_text("utf-8"))["project"]
WORKFLOWS = sorted((REPOSITORY / ".github" / "workflows").glob("*.yml"))


def load(path: Path) -> Any:
    return yaml.safe_load(path.read_text("utf-8"))


def test_one_version_everywhere() -> None:
    citation = load(REPOSITORY / "CITATION.cff")
    assert PROJECT["version"] == featx.__version__ == citation["version"]
    assert PROJECT["license"] == citation["license"]
    newest = re.search(r"^## (\S+)", (REPOSITORY / "CHANGELOG.md").read_text("utf-8"), re.MULTILINE)
    assert newest is not None
    assert newest[1] == featx.__version__


def test_the_matrix_tries_every_python_that_is_promised() -> None:
    promised = {c.rsplit(" ", 1)[1] for c in PROJECT["classifiers"] if ":: Python :: 3." in c}
    suite = load(REPOSITORY / ".github" / "workflows" / "tests.yml")["jobs"]["suite"]
    assert set(suite["strategy"]["matrix"]["python"]) == promised
    assert PROJECT["requires-python"] == f">={min(promised)}"


@pytest.mark.parametrize("workflow", WORKFLOWS, ids=lambda p: p.name)
def test_workflows_call_targets_and_scripts_that_exist(workflow: Path) -> None:
    targets = set(re.findall(r"^([a-z]+):", (REPOSITORY / "Makefile").read_text("utf-8"), re.M))
    steps = [s for job in load(workflow)["jobs"].values() for s in job["steps"]]
    assert all(("run" in step) != ("uses" in step) for step in steps)
    runs = [step["run"] for step in steps if "run" in step]
    made = [line.split()[1] for line in runs if line.startswith("make ")]
    assert set(made) <= targets
    assert all((REPOSITORY / line).is_file() for line in runs if line.startswith(".ci/"))


@pytest.mark.parametrize("form", sorted((REPOSITORY / ".github" / "ISSUE_TEMPLATE").glob("*.yml")))
def test_issue_forms_load(form: Path) -> None:
    fields = load(form).get("body", [])
    assert all(field["attributes"]["label"] for field in fields)
    assert form.name == "config.yml" or fields


def test_archives_hold_the_package_and_no_data_of_the_tests(tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(REPOSITORY)
        wheel = tmp_path / hatchling.build_wheel(str(tmp_path))
        archive = tmp_path / hatchling.build_sdist(str(tmp_path))
    with zipfile.ZipFile(wheel) as packed:
        names = packed.namelist()
    assert {name.split("/")[0] for name in names} == {
        "featx",
        f"featx-{featx.__version__}.dist-info",
    }
    assert "featx/backbones/weights/mini-v1.safetensors" in names
    assert any(name.endswith(".j2") or name.endswith(".html") for name in names), "templates"
    with tarfile.open(archive) as packed_source:
        inside = {name.split("/", 1)[1] for name in packed_source.getnames() if "/" in name}
    assert {"pyproject.toml", "README.md", "LICENSE", "featx/__init__.py"} <= inside
    assert not [name for name in inside if name.startswith(("tests/", "benchmarks/results/"))]
