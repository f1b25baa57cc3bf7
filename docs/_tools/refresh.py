"""Make what the pages show anew: the outputs in the tutorial, and the pictures.

    python docs/_tools/refresh.py

runs the commands of docs/tutorial.md in a new folder, writes what they print into the page (as much
of it as it shows now), and photographs the report, the page of new images and a terminal in
headless Chromium. Pictures go to docs/pictures.
"""

from __future__ import annotations

import html
import io
import os
import shlex
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from blocks import blocks, run_page, shortened
from PIL import Image

DOCS = Path(__file__).resolve().parent.parent
TUTORIAL = DOCS / "tutorial.md"
PICTURES = DOCS / "pictures"
COLUMNS = 100
MOST_BYTES = 150_000
TERMINAL = """<meta charset="utf-8"><style>
body { margin: 0; background: #1b1f27; color: #e6e6e6; }
pre { margin: 0; padding: 18px 22px; white-space: pre-wrap;
      font: 13px/1.45 "DejaVu Sans Mono", monospace; }
b { color: #8fd18f; }
</style><pre>%s</pre>"""


def main() -> None:
    """Run the tutorial, then write the page and the pictures."""
    folder = Path(tempfile.mkdtemp(prefix="featx-docs-"))
    os.chdir(folder)
    os.environ |= {"COLUMNS": str(COLUMNS), "PYTHONPATH": str(DOCS.parent)}
    try:
        printed = {command.line: text for command, text in run_page(TUTORIAL, featx, shell)}
        TUTORIAL.write_text(refreshed(TUTORIAL.read_text("utf-8"), printed), "utf-8")
        (folder / "terminal.html").write_text(TERMINAL % terminal(printed), "utf-8")
        photograph(folder)
    finally:
        shutil.rmtree(folder)


def featx(arguments: list[str]) -> str:
    """All that ``featx ARGUMENTS`` prints."""
    return shell(shlex.join([sys.executable, "-m", "featx", *arguments]))


def shell(line: str) -> str:
    """All that a command line prints; one that fails ends the script."""
    print(line, flush=True)
    done = subprocess.run(
        ["bash", "-euo", "pipefail", "-c", line],
        stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, check=False,
    )  # fmt: skip
    if done.returncode:
        raise SystemExit(f"{line}\n{done.stdout}")
    return done.stdout


def refreshed(page: str, printed: dict[str, str]) -> str:
    """The page with what its commands printed."""
    for block in reversed(list(blocks(page))):
        if block.language == "console" and block.reason is None:
            lines = []
            for command in block.commands:
                lines.append(f"$ {command.line}")
                lines += shortened(command.shown, printed[command.line].splitlines())
            page = page[: block.start] + "\n".join([*lines, ""]) + page[block.stop :]
    return page


def terminal(printed: dict[str, str]) -> str:
    """What the tutorial's fit found, as a terminal shows it."""
    line, text = next((k, v) for k, v in printed.items() if k.startswith("featx fit "))
    lines = text.splitlines()
    start = next(i for i, row in enumerate(lines) if row.startswith("→"))
    shown = "\n".join(["...", *lines[start:]])
    return f"<b>$ {html.escape(line)}</b>\n{html.escape(shown)}"


def photograph(folder: Path) -> None:
    """Take all pictures, of pages in ``folder``."""
    with chromium() as browser:
        for name, file, scheme, size, mark in (
            ("report-light", "runs/first/report.html", "light", (1000, 550), None),
            ("report-dark", "runs/first/report.html", "dark", (1000, 550), None),
            ("mistakes", "runs/first/report.html", "light", (1000, 620), "Worst mistakes"),
            ("new-images", "new.html", "light", (1000, 620), "Predicted classes"),
            ("terminal", "terminal.html", "dark", (900, 250), None),
        ):
            page = browser.new_page(
                viewport={"width": size[0], "height": size[1]}, color_scheme=scheme
            )
            page.goto((folder / file).as_uri())
            if mark:
                heading = page.get_by_role("heading", name=mark).first
                heading.evaluate("e => window.scrollTo(0, e.getBoundingClientRect().top - 12)")
            save(page.screenshot(full_page=name == "terminal"), PICTURES / f"{name}.png")
            page.close()


def save(png: bytes, path: Path) -> None:
    """Write a picture with few colours, which is small."""
    path.parent.mkdir(exist_ok=True)
    image = Image.open(io.BytesIO(png)).convert("RGB")
    image.quantize(192, dither=Image.Dither.NONE).save(path, optimize=True)
    if path.stat().st_size > MOST_BYTES:
        raise SystemExit(f"{path} has {path.stat().st_size} bytes, more than {MOST_BYTES}")
    print(path, path.stat().st_size)


@contextmanager
def chromium() -> Iterator[Any]:
    """Headless browser, closed at the end."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"))
        yield browser
        browser.close()


if __name__ == "__main__":
    main()
