"""The scripts and styles of pages are linted, and lie in files that the wheel holds."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import tinycss2

PACKAGE = Path(__file__).resolve().parents[2] / "featx"
STATIC = [PACKAGE / room / "static" for room in ("reporting", "app")]
# Left out: small functions stand where they are read, and a copy may be sorted in place.
ALLOWED = ["-A", "unicorn/consistent-function-scoping", "-A", "unicorn/no-array-sort"]
RULES = ["--deny-warnings", "-D", "correctness", "-D", "suspicious", *ALLOWED]


def lint(folder: Path) -> subprocess.CompletedProcess[str]:
    command = [str(Path(sys.executable).with_name("oxlint")), *RULES, str(folder)]
    return subprocess.run(command, capture_output=True, text=True)


@pytest.mark.parametrize("folder", STATIC, ids=lambda p: p.parent.name)
def test_scripts_are_clean(folder: Path) -> None:
    result = lint(folder)
    assert result.returncode == 0, result.stdout


def test_the_linter_can_fail(tmp_path: Path) -> None:
    (tmp_path / "page.js").write_text("let shown = 1;\nif (shown = 2) { let unused = 3; }\n")
    assert lint(tmp_path).returncode == 1


def faults(style: str) -> list[str]:
    """What of a style sheet a browser would drop: what does not parse."""
    found, rules = [], tinycss2.parse_stylesheet(style, skip_comments=True, skip_whitespace=True)
    while rules:
        rule = rules.pop()
        if rule.type == "error":
            found.append(f"{rule.source_line}: {rule.message}")
        elif (
            rule.type == "at-rule" and rule.content is not None and rule.lower_at_keyword == "media"
        ):
            rules += tinycss2.parse_rule_list(rule.content, True, True)
        elif rule.type == "qualified-rule":
            inside = tinycss2.parse_blocks_contents(rule.content, True, True)
            wrong = [d for d in inside if d.type == "error"]
            found += [f"{d.source_line}: {d.message}" for d in wrong]
    return found


@pytest.mark.parametrize(
    "sheet",
    sorted(sheet for folder in STATIC for sheet in folder.glob("*.css")),
    ids=lambda p: p.name,
)
def test_styles_parse(sheet: Path) -> None:
    assert faults(sheet.read_text("utf-8")) == []


def test_a_broken_style_is_found() -> None:
    assert faults("p { color red; }\n@media print { b { margin: 0; : 1 } }") != []
