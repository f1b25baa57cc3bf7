"""The ground floor: registry, types, console."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from featx import console
from featx.errors import FeatxError, MissingExtraError, UnknownNameError
from featx.files import printable
from featx.registry import Registry
from featx.types import BackboneRequest, ExtractorSpec, canonical_json


def test_a_plug_in_is_one_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    package = tmp_path / "some_plugins"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "_shared.py").write_text("raise RuntimeError('never imported')")
    (package / "first_one.py").write_text("PLUGIN = 1")
    monkeypatch.syspath_prepend(tmp_path)
    registry = Registry("some_plugins", str(package), "thing")
    assert registry.names() == ["first-one"]
    assert registry.get("first-one") == 1
    (package / "second.py").write_text("PLUGIN = 2")
    assert registry.get("second") == 2
    message = r"Unknown thing 'first'. Choose from: first-one, second.\nDid you mean 'first-one'"
    with pytest.raises(UnknownNameError, match=message):
        registry.get("first")


def test_missing_extras_say_how_to_install() -> None:
    assert "pip install 'featx[parquet]'" in str(MissingExtraError("Reading Parquet", "parquet"))
    assert issubclass(MissingExtraError, FeatxError)


@pytest.mark.parametrize(
    "error",
    [FeatxError("a", hint="b"), UnknownNameError("kind", "x", ["y"]), MissingExtraError("a", "b")],
)
def test_errors_come_back_from_another_process_as_they_were(error: FeatxError) -> None:
    back = pickle.loads(pickle.dumps(error))  # noqa: S301 - bytes of this very process
    assert type(back) is type(error)
    assert (str(back), back.message, back.hint) == (str(error), error.message, error.hint)


def test_canonical_json_does_not_depend_on_order_and_refuses_nan() -> None:
    assert canonical_json({"b": 1, "a": [1.5, "é"]}) == '{"a":[1.5,"é"],"b":1}'.encode()
    with pytest.raises(ValueError, match="not JSON compliant"):
        canonical_json({"a": float("nan")})


def test_the_fingerprint_changes_with_every_value_and_not_with_order() -> None:
    spec = ExtractorSpec({"backbone": "timm:a/b c", "n_features": 3})
    same = ExtractorSpec({"n_features": 3, "backbone": "timm:a/b c"})
    other = ExtractorSpec({"backbone": "timm:a/b c", "n_features": 4})
    assert spec.fingerprint == same.fingerprint != other.fingerprint
    assert spec.folder == f"timm-a-b-c-{spec.fingerprint[:12]}"


def test_a_backbone_request_survives_json() -> None:
    request = BackboneRequest("timm:x", layers=("a", "b"), poolings=("avg",), size_px=96)
    assert BackboneRequest.from_document(request.document()) == request


def test_names_that_are_not_utf8_or_hold_control_characters_are_printable() -> None:
    assert printable("a\udcffb\x1b[31m\n.jpg") == "a\\xffb\\x1b[31m\\n.jpg"


def test_tables_align(capfd: pytest.CaptureFixture[str]) -> None:
    console.table("T", ("name", "n"), [("a", 1), ("long", 20.5)])
    assert capfd.readouterr().out == "T\nname       n\n────  ──────\na          1\nlong  20.500\n"


def test_quiet_leaves_errors_alone(capsys: pytest.CaptureFixture[str]) -> None:
    console.set_verbosity(-1)
    try:
        console.log("story")
        console.detail("detail")
        console.warn("careful")
        console.text("result")
        console.table("", ("a",), [(1,)])
        console.error("failed")
    finally:
        console.set_verbosity(0)
    captured = capsys.readouterr()
    assert captured.err == "Error: failed\n"
    assert captured.out == ""
