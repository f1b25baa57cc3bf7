"""Photograph the pages of `featx label` and `featx open` for docs/pages.md and the how-to.

    python docs/_tools/app_pictures.py

labels some of the digits of `featx demo` in headless Chromium, by keyboard as a person would, fits
a run and opens it. Pictures go to docs/pictures.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from refresh import DOCS, PICTURES, chromium, featx, save

N_LABELS = 240
SIZE = {"width": 1180, "height": 700}


def main() -> None:
    """Label, fit, open, and take the pictures."""
    folder = Path(tempfile.mkdtemp(prefix="featx-pages-"))
    os.chdir(folder)
    os.environ |= {"PYTHONPATH": str(DOCS.parent)}
    try:
        featx(["demo", "--images-only"])
        truth = flattened(folder / "featx-demo/digits", folder / "camera")
        with chromium() as browser:
            with served("label", "camera") as address:
                photograph_labelling(browser, address, truth)
            featx(["fit", "featx-demo/digits", "--head", "logreg", "--name", "first"])
            with served("open", "runs/first") as address:
                photograph_run(browser, address)
    finally:
        shutil.rmtree(folder)


def flattened(source: Path, target: Path) -> dict[str, str]:
    """Images of class folders in one folder; the class of each name."""
    target.mkdir()
    truth = {}
    for i, path in enumerate(sorted(source.rglob("*.png"))):
        name = f"IMG_{(i * 389) % 9973:04}.png"
        shutil.copy(path, target / name)
        truth[name] = path.parent.name
    return truth


@contextmanager
def served(*command: str) -> Iterator[str]:
    """The address of a page while it is served."""
    process = subprocess.Popen(
        [sys.executable, "-m", "featx", *command, "--no-browser"], stderr=subprocess.PIPE
    )
    assert process.stderr is not None
    for line in process.stderr:
        if found := re.search(rb"http://\S+", line):
            break
    else:
        raise SystemExit(f"featx {' '.join(command)} serves nothing")
    yield found[0].decode()
    process.send_signal(signal.SIGINT)
    process.communicate()


def photograph_labelling(browser: Any, address: str, truth: dict[str, str]) -> None:
    """Label by keyboard; one picture of a single image, one of similar ones in the dark."""
    page = browser.new_page(viewport=SIZE)
    page.goto(address)
    for _ in range(N_LABELS):
        page.locator('#state[data-d=""]').wait_for(state="attached")
        name = page.get_attribute("#picture", "alt")
        names = page.locator("#names .name").all_text_contents()
        wanted = f"digit {truth[name]}"
        if wanted in names[:9]:
            page.keyboard.press(str(names.index(wanted) + 1))
        else:
            page.keyboard.press("/")
            page.keyboard.type(wanted)
            page.keyboard.press("Enter")
        page.locator(f'#picture:not([alt="{name}"])').wait_for(state="attached")
    page.locator("#n-labelled", has_text=str(N_LABELS)).wait_for()
    page.wait_for_timeout(6000)  # until the progress is measured anew
    page.evaluate("document.activeElement.blur()")
    save(page.screenshot(), PICTURES / "label.png")
    page.emulate_media(color_scheme="dark")
    page.keyboard.press("m")
    page.locator('#grid [role="option"] img').nth(9).wait_for()
    page.keyboard.press("Space")
    for _ in range(3):
        page.keyboard.press("ArrowRight")
        page.keyboard.press("Space")
    page.locator("#said:not(.shown)").wait_for(state="attached")
    page.wait_for_timeout(500)
    save(page.screenshot(), PICTURES / "label-similar.png")
    page.close()


def photograph_run(browser: Any, address: str) -> None:
    """The worst mistake of a run, with what the model says of it."""
    page = browser.new_page(viewport=SIZE)
    page.goto(address)
    page.locator("#nearest img").nth(2).wait_for()
    page.evaluate("document.activeElement.blur()")
    page.wait_for_timeout(500)
    save(page.screenshot(), PICTURES / "open.png")
    page.close()


if __name__ == "__main__":
    main()
