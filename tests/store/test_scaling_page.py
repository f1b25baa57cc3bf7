"""docs/scaling.md says what the formulas and the measured rates give."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).parent.parent.parent
PAGE = (REPOSITORY / "docs" / "scaling.md").read_text("utf-8")


def printed(*arguments: str) -> list[str]:
    command = [sys.executable, str(REPOSITORY / "benchmarks" / "scaling.py"), *arguments]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    return done.stdout.splitlines()


def row(lines: list[str], label: str) -> list[str]:
    (line,) = [line for line in lines if line.startswith(f"| {label} |")]
    return [cell.strip() for cell in line.split("|")[2:-1]]


def test_the_page_holds_what_the_script_prints() -> None:
    for line in printed("--images-per-s", "100"):
        if "xtracting" not in line:  # which depends on the rate given
            assert line in PAGE.splitlines()


def test_the_formulas_by_hand() -> None:
    lines = printed("--images-per-s", "100")
    assert row(lines, "embeddings") == ["2.1 GB", "210 GB", "2.1 TB"]
    # 64 MiB / (48 + 4 * 512) = 32,017.6 rows a shard
    assert row(lines, "shards") == ["32", "3,124", "31,234"]
    assert row(lines, "all of `X` in memory") == ["2.05 GB", "205 GB", "2.05 TB"]
    # 10^6 images / 100 a second = 2.78 h; 10^9 on 256 machines: 10.85 h
    assert row(lines, "extracting on 1 machine")[0] == "2.8 h"
    assert row(lines, "extracting on 256 machines")[2] == "11 h"
