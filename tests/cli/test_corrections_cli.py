"""``--labels corrections.csv`` on the command line: what it changes, and what it says."""

from __future__ import annotations

import json
from pathlib import Path

from featx.data.corrections import COLUMNS
from featx.formats import write_rows
from tests.cli.conftest import BACKBONE
from tests.lab import Featx


def test_every_command_applies_corrections_and_says_so(featx: Featx, workspace: Path) -> None:
    plain = json.loads(featx("inspect", "photos", "--json").out)
    first, second, *_ = sorted(plain["classes"])
    images = sorted(p.relative_to("photos").as_posix() for p in Path("photos").rglob("*.*"))
    moved = next(name for name in images if f"{first}/" in name)
    left = next(name for name in reversed(images) if f"{second}/" in name)
    rows = [(moved, "", first, "relabel", second), (left, "", second, "exclude", "")]
    write_rows(Path("c.csv"), COLUMNS, rows)
    found = featx("inspect", "photos", "--labels", "c.csv", "--json")
    said = "Corrections: 1 label changed, 1 image excluded, 0 images grouped, 0 labels confirmed."
    assert said in found.err
    document = json.loads(found.out)
    total = {name: sum(counts.values()) for name, counts in document["classes"].items()}
    before = {name: sum(counts.values()) for name, counts in plain["classes"].items()}
    assert total == before | {first: before[first] - 1}
    assert [change["id"] for change in document["corrections"]["changes"]] == [moved, left]
    assert "corrections" not in plain
    audited = featx("audit", "photos", *BACKBONE, "--labels", "c.csv", "--json")
    assert audited.code == 0, audited.err
    assert said in audited.err
    assert json.loads(audited.out)["corrections"] == document["corrections"]
    page = Path("audit/audit.html").read_text("utf-8")
    assert "data-about=" not in page or 'id="decisions"' in page
    write_rows(Path("d.csv"), COLUMNS, [("no.png", "", "", "right", "")])
    refused = featx("fit", "photos", *BACKBONE, "--labels", "d.csv")
    assert refused.code == 1
    assert "'d.csv' names 1 of 1 images that 'photos' does not have" in refused.err
