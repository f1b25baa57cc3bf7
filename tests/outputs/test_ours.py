"""What featx wrote is recognised, also by earlier versions; what others wrote never is."""

from __future__ import annotations

import json
import tempfile
from pathlib import Path

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from PIL import Image

from featx.api.compare import COMPARISON
from featx.artifact.archive import ARCHIVE
from featx.artifact.folder import MODEL
from featx.auditing.folder import AUDIT
from featx.exporting.network import _is_network
from featx.finetuning.preview import SHEET
from featx.formats import write_rows
from featx.ours import FileKind
from featx.reporting.blocks import Paragraph
from featx.reporting.files import FIGURES
from featx.reporting.html import page
from featx.reporting.projector import PROJECTOR
from featx.runs import RUN
from featx.scoring.folder import PAGE, SCORES
from featx.scoring.sorting import TREE
from featx.store.export import EXPORT

NETWORK = FileKind("a network", _is_network)
FILES: list[tuple[FileKind, str]] = [
    *[(SCORES, ending) for ending in (".csv", ".jsonl", ".parquet")],
    *[(EXPORT, ending) for ending in (".npz", ".h5", ".parquet")],
    (PAGE, ".html"), (SHEET, ".png"), (ARCHIVE, ".featx"),
    *[(NETWORK, ending) for ending in (".onnx", ".xml", ".bin")],
    *[(FileKind(name, COMPARISON[name]), ".x") for name in ("html", "markdown", "json")],
]  # fmt: skip
SIGNED = [
    b"path,prediction,probability,error", b'{"path": 1, "prediction"', b"PAR1", b"PK\x03\x04",
    b"\x89HDF\r\n\x1a\n", b"<!doctype html>", b"\x89PNG\r\n\x1a\n", b"<?xml", b"# Comparison",
    b'{"runs": [], "schema_version": 1}', b"\n", b"path,label\nx.png,a\n",
]  # fmt: skip


@settings(max_examples=100)
@given(st.lists(st.sampled_from(SIGNED) | st.binary(max_size=40), min_size=1, max_size=4))
@example([b"\n\x05featx\x12"])
@example([b"<?xml", b"<featx>"])
def test_no_file_of_others_is_taken_for_ours(parts: list[bytes]) -> None:
    data = b"mine" + b"".join(parts)
    with tempfile.TemporaryDirectory() as folder:
        for kind, ending in FILES:
            path = Path(folder) / f"x{ending}"
            path.write_bytes(data)
            assert kind.fault(path) == f"is not {kind.what} that featx wrote"


def test_what_looks_alike_is_not_ours(tmp_path: Path) -> None:
    for name, text in (
        ("a.csv", "path,prediction,probability\n"),
        ("b.csv", "path,prediction,confidence,error\n"),
        ("a.jsonl", '{"path": "x", "label": "y"}\n'),
        ("a.jsonl", "[1]\n"),
    ):
        (tmp_path / name).write_text(text)
        assert SCORES.fault(tmp_path / name)
    write_rows(tmp_path / "a.parquet", ["path", "label"], [["x", "y"]])
    assert SCORES.fault(tmp_path / "a.parquet")
    assert EXPORT.fault(tmp_path / "a.parquet")
    np.savez(tmp_path / "a.npz", X=np.zeros(3), y=np.zeros(3))
    assert EXPORT.fault(tmp_path / "a.npz")
    Image.new("RGB", (4, 4)).save(tmp_path / "a.png")
    assert SHEET.fault(tmp_path / "a.png")
    (tmp_path / "a.html").write_text("<!doctype html><html><title>featx</title></html>")
    assert PAGE.fault(tmp_path / "a.html")
    (tmp_path / "a.md").write_text("# Comparison of phones\n")
    assert FileKind("", COMPARISON["markdown"]).fault(tmp_path / "a.md")
    (tmp_path / "a.pdf").write_text("x")
    assert FileKind("", COMPARISON["pdf"]).fault(tmp_path / "a.pdf")  # of another plug-in


def test_pages_of_earlier_versions_are_ours(tmp_path: Path) -> None:
    text = page("Run first", [Paragraph("words")])
    signature = '<meta name="generator" content="featx"/>'
    assert signature in text
    unsigned = text.replace(signature, "").replace("&#39;", "&#x27;")
    for version in (text, unsigned):
        (tmp_path / "page.html").write_text(version)
        assert PAGE.fault(tmp_path / "page.html") is None


def test_a_table_with_very_many_columns_is_ours(tmp_path: Path) -> None:
    columns = ["path", "prediction", "probability", *(f"p_{i}" for i in range(20000)), "error"]
    for ending in ("csv", "jsonl"):
        write_rows(tmp_path / f"s.{ending}", columns, [["x"] * len(columns)])
        assert SCORES.fault(tmp_path / f"s.{ending}") is None


def test_a_table_of_no_rows_is_ours(tmp_path: Path) -> None:
    for ending in ("csv", "jsonl", "parquet"):
        write_rows(tmp_path / f"s.{ending}", ["path", "prediction", "probability", "error"], [])
        assert SCORES.fault(tmp_path / f"s.{ending}") is None


def test_folders_of_others_are_not_ours(tmp_path: Path) -> None:
    """Each has a file of the right name, with something else in it."""
    for kind, name, text in (
        (RUN, "results.json", '{"classes": []}'),
        (MODEL, "model.json", '{"format": "another-model"}'),
        (MODEL, "model.json", "not JSON"),
        (TREE, ".featx-sorted.json", '{"made_by": "me"}'),
        (AUDIT, "audit.json", '{"summary": []}'),
        (FIGURES, ".featx-figures.json", '{"files": ["a.png"]}'),
        (PROJECTOR, "metadata.tsv", "name\tlabel\n"),
    ):
        folder = tmp_path / f"{kind.what} {len(text)}"
        folder.mkdir()
        (folder / name).write_text(text)
        assert kind.fault(folder) == f"is not {kind.what} that featx wrote"


@pytest.mark.parametrize("value", [[], 3, "x", None, {"a": 3}, {"cat": 3}])
def test_a_forged_marker_proves_nothing(tmp_path: Path, value: object) -> None:
    """Whatever stands in it, files of others are strangers, and nothing ends in an error."""
    (tmp_path / "cat").mkdir()
    (tmp_path / "cat" / "me.jpg").write_text("mine")
    for key in ("files", "folders"):
        note = {"made_by": "featx score --sort-into", "mode": "copy", "folders": {}, key: value}
        (tmp_path / ".featx-sorted.json").write_text(json.dumps(note))
        if value != {"cat": 3} or key == "files":  # which is what an earlier version wrote
            assert TREE.fault(tmp_path) is not None
    (tmp_path / "model.json").write_text(json.dumps({"format": "featx-model", "files": value}))
    assert MODEL.fault(tmp_path) is not None
