"""``--by`` and ``--estimate sites`` from the command line to the page."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np

from tests.cli.conftest import BACKBONE, Featx, paint


def photographs(folder: Path) -> Path:
    """Seventy-two images of two colours from three sites, the last of which swaps the labels."""
    rng = np.random.default_rng(0)
    lines = ["path,label,site,cam"]
    for i in range(72):
        site, red = i % 3, bool((i // 3) % 2)
        paint(folder / f"{i}.png", (200, 40, 30) if red != (site == 2) else (30, 40, 200), rng)
        lines.append(f"{i}.png,{'red' if red else 'blue'},s{site},c{i % 2}")
    manifest = folder / "m.csv"
    manifest.write_text("\n".join(lines) + "\n")
    return manifest


def test_sites_and_columns(featx: Featx, workspace: Path) -> None:
    manifest = photographs(workspace / "sites")
    flags = ["--estimate", "sites", "--by", "cam", "--name", "by", "--head", "lda", "--no-report"]
    fitted = featx("fit", str(manifest), "--group-column", "site", *BACKBONE, *flags)
    assert fitted.code == 0, fitted.err
    assert "At the next site, expect balanced accuracy between" in fitted.out
    assert "Worst by group: 's2'" in fitted.out
    results = json.loads((workspace / "runs/by/results.json").read_text())
    assert [by["column"] for by in results["by"]] == ["cam", "group"]
    assert results["by"][1]["worst"] == "s2"
    row = results["sites"]["metrics"]["balanced_accuracy"]
    assert results["sites"]["n"] == 3
    assert row["high"] - row["low"] > 0.5

    shown = featx("report", "runs/by", "--by", "site", "-o", "by.html", "--no-heat-maps")
    assert shown.code == 0, shown.err
    page = (workspace / "by.html").read_text()
    assert "By site and other columns" in page
    assert "Worst by site: &#39;s2&#39;" in page
    refused = featx("report", "runs/by", "--by", "camera")
    assert refused.code == 2
    assert "cam" in refused.err

    evaluated = featx("evaluate", "runs/by", str(manifest), "--by", "site", "--name", "ev",
                      "--no-report")  # fmt: skip
    assert evaluated.code == 0, evaluated.err
    results = json.loads((workspace / "runs/ev/results.json").read_text())
    assert [row["value"] for row in results["by"][0]["rows"]] == ["s0", "s1", "s2"]

    shutil.copytree(workspace / "runs/by", workspace / "runs/other")
    compared = featx("compare", "runs/by", "runs/other", "--by", "cam", "--json")
    assert compared.code == 0, compared.err
    [by] = json.loads(compared.out)["by"]
    assert [(row["value"], row["images"], len(row["scores"])) for row in by["rows"]] == [
        ("c0", 36, 2),
        ("c1", 36, 2),
    ]
