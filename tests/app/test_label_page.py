"""The page of `featx label` in Chromium: by keyboard, twice at once, on a telephone."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from app_lab import HOSTILE, Served, draw, labelling, page_of, serving

from featx.labelling import LabellingSession, LabelLog

COLOURS = ("red", "green", "blue")


@pytest.fixture
def open_page(chromium: Any) -> Iterator[Any]:
    """A function that opens an address, in a window of its own, and fails on any error there."""
    faults: list[str] = []
    contexts = []

    def opened(address: str, **more: Any) -> Any:
        context = chromium.new_context(**more)
        contexts.append(context)
        page = context.new_page()
        page.set_default_timeout(20_000)
        page.on("pageerror", lambda error: faults.append(str(error)))
        page.on("dialog", lambda dialog: faults.append(dialog.message))
        page.on(
            "request",
            lambda request: (
                request.url.startswith(address)
                or request.url.startswith("blob:")
                or faults.append(request.url)
            ),
        )
        page.goto(address)
        return page

    yield opened
    for context in contexts:
        context.close()
    assert faults == []


def ready(page: Any) -> str:
    """Wait for an image that nothing is decided about; its name."""
    page.locator('#state[data-d=""]').wait_for(state="attached")
    name = page.get_attribute("#picture", "alt")
    assert name
    return str(name)


def label(page: Any, n: int) -> None:
    """Label images by keyboard alone, by their number as their colour."""
    for _ in range(n):
        name = ready(page)
        wanted = COLOURS[int(name[:2]) % 3]
        names = page.locator("#names .name").all_text_contents()
        if wanted in names:
            page.keyboard.press(str(names.index(wanted) + 1))
        else:
            page.keyboard.press("/")
            page.keyboard.type(wanted)
            page.keyboard.press("Enter")
        page.locator(f'#picture:not([alt="{name}"])').wait_for(state="attached")


def start(folder: Path) -> tuple[subprocess.Popen[bytes], str]:
    """`featx label`, and the address of its page."""
    command = [
        sys.executable,
        "-m",
        "featx",
        "label",
        "images",
        "--no-browser",
        "--engine",
        "torch",
    ]
    process = subprocess.Popen(
        [*command, "--batch", "10"], cwd=folder, stderr=subprocess.PIPE, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)}, process_group=0,
    )  # fmt: skip
    assert process.stderr is not None
    said = ""
    for line in process.stderr:
        said += line.decode()
        if found := re.search(r"Labelling page: (http://127\.0\.0\.1:\d+/\S+/)", said):
            return process, found[1]
    raise AssertionError(said)


def test_fifty_labels_by_keyboard_with_a_kill_between(tmp_path: Path, open_page: Any) -> None:
    draw(tmp_path / "images", [f"{i:02}.png" for i in range(60)])
    process, address = start(tmp_path)
    page = open_page(address)
    label(page, 25)
    page.locator("#n-labelled", has_text="25").wait_for()
    process.send_signal(signal.SIGKILL)
    process.communicate()
    page.keyboard.press("s")  # what is decided now cannot be saved, and the page says so
    page.locator("#gone").wait_for()
    process, address = start(tmp_path)
    try:
        page = open_page(address)
        page.locator("#n-labelled", has_text="25").wait_for()
        label(page, 25)
        page.locator("#n-labelled", has_text="50").wait_for()
    finally:
        process.send_signal(signal.SIGINT)
        _out, err = process.communicate(timeout=60)
    assert process.returncode == 0, err
    assert b"50 images of 60 labelled in 3 classes" in b" ".join(err.split())
    log = LabelLog(tmp_path / "images-labels.jsonl")
    labels = log.labels()
    assert len(log.events()) == 50  # no image came twice
    assert len(labels) == 50
    assert all(colour == COLOURS[int(name[:2]) % 3] for name, colour in labels.items())


def test_two_windows_do_not_overwrite_each_other(
    served: Served, session: LabellingSession, open_page: Any
) -> None:
    one, two = (open_page(served.place.address) for _ in range(2))
    for page in (one, two):
        ready(page)
        page.select_option("#show", "all")
        page.locator("#cell-3").click()
    one.keyboard.press("/")
    one.keyboard.type("kept")
    one.keyboard.press("Enter")
    one.locator('#cell-3[data-d="label"]').wait_for()  # at once,
    one.locator("#names .name", has_text="kept").wait_for()  # and now it is saved
    # The other window has not heard of it yet, or has: it may not replace it unseen.
    decided = served.ask("POST", "api/decide",
                         {"rows": [3], "decision": "skip", "marks": [""]})  # fmt: skip
    assert decided.status == 409
    two.locator('#cell-3[data-d="label"]').wait_for()  # it hears of it without being asked
    assert two.locator("#names .name").all_text_contents() == ["kept"]
    two.locator("#cell-4").click()
    two.locator("#cell-3").click()
    two.keyboard.press("s")
    two.locator('#cell-4[data-d="skip"]').wait_for()
    one.locator('#cell-4[data-d="skip"]').wait_for()
    one.keyboard.press("z")  # each takes back its own
    one.locator('#cell-3[data-d=""]').wait_for()
    assert session.log.decisions()[session.ids[4]].action == "skip"


def test_names_are_text_whatever_they_hold(
    served: Served, session: LabellingSession, open_page: Any
) -> None:
    page = open_page(served.place.address)
    ready(page)
    page.select_option("#show", "all")
    page.fill("#named", "onerror")
    page.locator("#cell-0", has_text="onerror").click()
    page.keyboard.press("/")
    page.keyboard.type(HOSTILE)
    page.keyboard.press("Enter")
    page.locator("#names .name", has_text=HOSTILE).wait_for()
    page.locator('#cell-0[data-d="label"]').wait_for()
    page.keyboard.press("g")
    page.locator("#state", has_text=HOSTILE).wait_for()
    assert page.locator('[src="x"], [onerror]').count() == 0
    assert HOSTILE in session.classes()
    option = page.locator("#show .of-class").filter(has_text=HOSTILE)
    assert option.count() == 1


def test_more_like_these_several_at_once_undo_and_the_other_decisions(
    tmp_path: Path, open_page: Any
) -> None:
    names = [f"{i:02}.png" for i in range(30)]
    session = labelling(tmp_path, names, draw(tmp_path / "images", names))
    with serving(page_of(session, tmp_path / "thumbnails")) as served:
        page = open_page(served.place.address)
        label(page, 1)
        page.locator("#n-labelled", has_text="1").wait_for()
        first = next(iter(session.log.labels()))
        said = {"skip": "1 skipped", "unsure": "1 cannot tell", "exclude": "1 excluded"}
        for key, words in (("s", "skip"), ("u", "unsure"), ("x", "exclude")):
            name = ready(page)
            page.keyboard.press(key)
            page.locator(f'#picture:not([alt="{name}"])').wait_for(state="attached")
            page.locator("#tallies", has_text=said[words]).wait_for()
            assert session.log.decisions()[name].action == words
        name = ready(page)
        page.keyboard.press("m")
        page.locator('#grid [role="option"] img').first.wait_for()
        for _ in range(2):
            page.keyboard.press("Space")
            page.keyboard.press("ArrowRight")
        assert page.locator('#grid [aria-selected="true"]').count() == 2
        page.keyboard.press("1")
        page.locator('#grid [data-d="label"]').nth(1).wait_for()  # at once,
        page.locator("#n-labelled", has_text="3").wait_for()  # and now it is saved
        near = set(session.log.labels()) - {first}
        assert {int(n[:2]) % 3 for n in near} == {int(name[:2]) % 3}
        page.keyboard.press("z")
        page.locator("#n-labelled", has_text="1").wait_for()
        assert set(session.log.labels()) == {first}


@pytest.mark.parametrize(("width", "scheme"), [(400, "dark"), (1400, "light")])
def test_it_fits_and_has_names_for_screen_readers(
    served: Served, open_page: Any, width: int, scheme: str
) -> None:
    page = open_page(
        served.place.address, viewport={"width": width, "height": 800}, color_scheme=scheme
    )
    ready(page)
    for view in ("Single", "Grid"):
        page.get_by_role("button", name=view, exact=True).click()
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width
    for name in ("Undo", "Keys", "Skip", "Cannot tell", "Exclude"):
        page.get_by_role("button", name=re.compile(f"^{name}")).wait_for()
    for role, name in (("listbox", "Images"), ("combobox", "Find or name a class"),
                       ("progressbar", "Images decided"), ("button", "Export")):  # fmt: skip
        page.get_by_role(role, name=name).wait_for()
    for element in page.locator("button:visible, input:visible, select:visible").all():
        assert element.evaluate(
            "e => (e.labels?.length || e.getAttribute('aria-label') || e.textContent.trim()) !== ''"
        )


def test_of_a_hundred_thousand_images_only_those_in_view_are_drawn(
    tmp_path: Path, open_page: Any
) -> None:
    n = 100_000
    [path] = draw(tmp_path, ["0.png"])
    names = [f"{i:06}.png" for i in range(n)]
    session = labelling(tmp_path, names, [path] * n)
    with serving(page_of(session, tmp_path / "thumbnails")) as served:
        page = open_page(served.place.address, viewport={"width": 1400, "height": 800})
        ready(page)
        page.select_option("#show", "all")
        page.locator("#cell-0", has_text="000000.png").wait_for()
        page.locator("#grid").focus()
        page.keyboard.press("End")
        page.locator(f"#cell-{n - 1}", has_text=names[-1]).wait_for()
        assert page.locator(".cell").count() < 200
        page.evaluate("document.getElementById('grid').scrollTop *= 0.5")
        page.locator(f"#cell-{n // 2}", has_text=names[n // 2]).wait_for(state="attached")
        assert page.locator(".cell").count() < 200
