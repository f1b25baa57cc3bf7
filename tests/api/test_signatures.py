"""What an editor, ``help()`` and a type checker see of the public functions."""

from __future__ import annotations

import inspect
import pydoc
import subprocess
import sys
from pathlib import Path

import jedi
import numpy as np
import pytest
from numpydoc.docscrape import FunctionDoc

import featx
from featx.config import (
    AuditConfig,
    CompareConfig,
    CountConfig,
    DatasetConfig,
    EvaluateConfig,
    ExportConfig,
    ExtractConfig,
    FinetuneConfig,
    FitConfig,
    NextConfig,
    RaceConfig,
    ReportConfig,
    ScoreConfig,
    SimilarConfig,
)
from featx.errors import UnknownNameError, UsageError
from featx.kinds import PATHS
from recipes.signatures import STUB, stub

SECTIONS = {
    "audit": (DatasetConfig, ExtractConfig, AuditConfig),
    "compare": (CompareConfig,),
    "count": (DatasetConfig, CountConfig),
    "evaluate": (DatasetConfig, EvaluateConfig),
    "export_model": (ExportConfig,),
    "extract": (DatasetConfig, ExtractConfig),
    "finetune": (DatasetConfig, FinetuneConfig),
    "fit": (DatasetConfig, ExtractConfig, FitConfig),
    "inspect": (DatasetConfig,),
    "race": (DatasetConfig, RaceConfig),
    "next_images": (ExtractConfig, NextConfig),
    "report": (ReportConfig,),
    "score": (ScoreConfig,),
    "similar": (DatasetConfig, SimilarConfig),
}


@pytest.mark.parametrize("name", SECTIONS)
def test_a_signature_has_every_field_with_its_default(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("FEATX_REPORT")
    parameters = inspect.signature(getattr(featx, name)).parameters
    assert all(p.kind is not p.VAR_KEYWORD for p in parameters.values())
    for section in SECTIONS[name]:
        for field_name, field in section.model_fields.items():
            parameter = parameters[field_name]
            if field.is_required() or (name, field_name) in {
                ("score", "output"),  # the command line needs a file, a call does not
            }:
                continue
            default = parameter.default
            shown = list(default) if isinstance(default, tuple) else default
            assert shown == field.get_default(call_default_factory=True), field_name


def test_paths_are_fields() -> None:
    sections = [each for each in vars(featx.config).values() if hasattr(each, "model_fields")]
    alone = {"preview"}  # an option of the command line that is in no configuration
    assert {name for each in sections for name in each.model_fields} | alone >= PATHS


@pytest.mark.parametrize("name", SECTIONS)
def test_docstrings_are_numpydoc_and_have_every_parameter(name: str) -> None:
    function = getattr(featx, name)
    documented = FunctionDoc(function)["Parameters"]
    names = [n for p in documented for n in p.name.lstrip("*").split(", ")]
    expected = list(inspect.signature(function).parameters)
    assert sorted(names) == sorted(expected)
    assert all(p.type and p.desc for p in documented)
    assert "--" not in "".join(line for p in documented for line in p.desc)
    text = pydoc.plain(pydoc.render_doc(function))
    assert expected[-1] in text
    assert "**options" not in text


def test_the_file_for_editors_is_what_the_functions_are() -> None:
    assert STUB.read_text("utf-8") == stub(), "run: python -m recipes.signatures"


def test_an_editor_completes_options() -> None:
    code = "import featx\nfeatx.fit('photos', cal"
    found = [c.name for c in jedi.Script(code, path="x.py").complete()]
    assert "calibrate=" in found
    [signature] = jedi.Script("import featx\nfeatx.score(", path="x.py").get_signatures()
    assert {"model", "images", "top_k", "device"} <= {p.name for p in signature.params}
    assert "backbone" not in {p.name for p in signature.params}
    assert [c.name for c in jedi.Script("import featx\nfeatx.load_", path="x.py").complete()] == [
        "load_model",
        "load_run",
    ]


def test_a_notebook_completes_options() -> None:
    found = jedi.Interpreter("featx.fit('photos', cal", [{"featx": featx}]).complete()
    assert "calibrate=" in [c.name for c in found]


def test_a_type_checker_checks_calls(tmp_path: Path) -> None:
    script = tmp_path / "script.py"
    script.write_text(
        "import featx\nfrom pathlib import Path\n"
        'run = featx.fit("photos", head=["knn"], pca=0.9, cache=Path("c"), scoring="accuracy")\n'
        "run.results.estimate\n"
        'featx.fit("photos", cv="5")\n'
        'featx.fit("photos", hed="knn")\n'
        'featx.score(run, "new", top_k="3")\n',
        "utf-8",
    )
    result = subprocess.run(
        [sys.executable, "-m", "mypy", "--follow-imports=skip", "--config-file=",
         f"--cache-dir={tmp_path}", str(script), str(STUB)],
        cwd=STUB.parents[1], capture_output=True, text=True,
    )  # fmt: skip
    found = [line.split(":")[1] for line in result.stdout.splitlines() if ": error:" in line]
    assert found == ["5", "6", "7"], result.stdout


def test_dir_has_public_names_alone() -> None:
    assert dir(featx) == sorted(featx.__all__)
    assert all(hasattr(featx, name) for name in featx.__all__)


X = np.zeros((4, 3), np.float32)


@pytest.mark.parametrize(
    ("call", "kind", "message"),
    [
        (lambda: featx.fit("photos", calibrat="x"), UnknownNameError, "mean 'calibrate'"),
        (lambda: featx.fit("photos", y=["a"]), UsageError, r"fit_arrays\(X, y\)"),
        (lambda: featx.fit(X, ["a"]), UsageError, r"Got ndarray.\nfeatx.fit_arrays"),
        (lambda: featx.fit("photos", ["a"]), UsageError, "by position"),
        (lambda: featx.extract(X), UsageError, "path of a data set of images. Got ndarray"),
        (lambda: featx.compare("a", "b", metrik="x"), UnknownNameError, "mean 'metric'"),
        (lambda: featx.score("m", "n", backbone="x"), UsageError, "score: the model's own is used"),
        (lambda: featx.evaluate("m", "n", backbone="x"), UsageError, "the model's own is used"),
        (lambda: featx.finetune("photos", views=3), UsageError, "views is not an option of"),
        (lambda: featx.report(), TypeError, "run"),
    ],
)
def test_what_was_meant_is_said(call, kind, message) -> None:
    with pytest.raises(kind, match=message):
        call()
