"""`featx demo`: the whole road on real images that come with scikit-learn, offline."""

from __future__ import annotations

import io
import re
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from featx import console
from featx.errors import FeatxError
from featx.files import make_directory, write_atomic
from featx.ours import FolderKind, remove_known
from featx.outputs import Output, claimed
from featx.runs import RUN
from featx.scoring.sorting import TREE
from featx.shell import as_argument, shell_line
from featx.system_errors import writing

MARK = ".featx-demo"  # only a folder with this file in it is ever replaced
IMAGES = re.compile(
    r"\.featx-demo|scores\.csv|(digits/(train|test)/\d|new)/(\d{4}|broken-[a-z]+)\.png"
    r"|runs/\.searches/[0-9a-f]+\.jsonl|cache/[^/]+-[0-9a-f]{12}/"
    r"(extractor\.json|index\.json|lock|shards/[^/]+\.h5|derived/[^/]+)"
)
SIZE_PX = 32
TEST_OF_EACH = 20
NEW_IMAGES = 60
# Imbalanced on purpose, 10 to 1: how many training images each digit keeps.
TRAIN_OF_EACH = (120, 100, 85, 70, 60, 48, 36, 26, 18, 12)


def demo(
    folder: str = "featx-demo", *, images_only: bool = False, overwrite: bool = False
) -> dict[str, Any]:
    """Make a small data set, then run inspect, extract, fit and score on it as a user would.

    Parameters
    ----------
    folder : str, default "featx-demo"
        Where everything is put: images, cache, run and scores.
    images_only : bool, default False
        Make the data set and stop.
    overwrite : bool, default False
        Replace an earlier demo (never any other folder).

    Returns
    -------
    dict
        Paths by what they are (``folder``, ``images``, ``new``; with a run also ``cache``,
        ``run``, ``scores``), and ``elapsed_s``.

    Raises
    ------
    UsageError
        The folder exists and is not an earlier demo, or ``overwrite`` is not set.
    FeatxError
        One of the commands failed; its own message stands above.
    """
    root = Path(folder)
    with claimed([Output(root, "--folder", DEMO, overwrite)]):
        _make(root)
        made = {} if images_only else _demo(root)
    images = {"images": f"{as_argument(root)}/digits", "new": f"{as_argument(root)}/new"}
    return {"folder": as_argument(root), **images, **made}


def _make(root: Path) -> None:
    """The images, once their folder is claimed."""
    with writing("the demo", root):
        if root.exists():
            remove_known(root, DEMO)
        make_directory(root)
        write_atomic(root / MARK, b"made by featx demo; safe to delete\n")
        make_images(root)
    console.log(
        "Handwritten digits of scikit-learn as PNG files: imbalanced 10 to 1, a test split, "
        "four files broken on purpose, and new images without labels: "
        f"{root / 'digits'} and {root / 'new'}."
    )


def _demo(root: Path) -> dict[str, Any]:
    """The commands, on images that are there."""
    started = time.perf_counter()
    cache, runs, run, labelled, new, scores, tree = (
        f"{as_argument(root)}/{name}"
        for name in ("cache", "runs", "runs/first", "digits", "new", "scores.csv", "sorted")
    )
    _run("inspect", labelled)
    _run("extract", labelled, "--cache", cache)
    heads = ["--head", "logreg", "--head", "svm-rbf", "--sampler", "smote", "--seed", "0"]
    _run("fit", labelled, "--cache", cache, *heads, "--runs", runs, "--name", "first")
    _run("score", run, new, "--cache", cache, "-o", scores)
    refit = [labelled, "--cache", cache, "--class-weight", "balanced", "--runs", runs]
    rescore = [run, new, "--cache", cache, "-o", scores, "--overwrite", "--proba"]
    rescore += ["--sort-into", tree]
    lines = (root / "scores.csv").read_text("utf-8").splitlines()
    console.text("\n".join([*lines[:6], f"... {len(lines) - 1} rows in {scores}"]))
    elapsed_s = time.perf_counter() - started
    console.log(
        f"\nDone in {elapsed_s:.0f} s. Try next:\n"
        f"  {shell_line('featx', 'fit', *refit)}\n"
        f"  {shell_line('featx', 'score', *rescore)}\n"
        "  featx fit YOUR_IMAGES/        one folder per class is all it needs"
    )
    made = {"cache": cache, "run": run, "scores": scores}
    return {**made, "elapsed_s": round(elapsed_s, 3)}


def _knows(root: Path) -> Callable[[str], bool]:
    """What the demo made, and what is made with the commands that it prints."""
    runs = [path for path in root.glob("runs/*") if RUN.is_one(path)]
    inside = {f"runs/{path.name}": RUN.knows(path) for path in runs}
    if TREE.is_one(root / "sorted"):
        inside["sorted"] = TREE.knows(root / "sorted")

    def known(name: str) -> bool:
        if IMAGES.fullmatch(name):
            return True
        return any(
            name.startswith(f"{folder}/") and knows(name.removeprefix(f"{folder}/"))
            for folder, knows in inside.items()
        )

    return known


DEMO = FolderKind("a demo", lambda root: (root / MARK).is_file(), _knows, room_bytes=1 << 24)


def make_images(root: Path) -> None:
    """Write ``digits/{train,test}/<digit>/*.png`` and ``new/*.png`` below ``root``."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = (digits.images * (255 / 16)).astype(np.uint8)
    rng = np.random.default_rng(0)  # the rows are ordered by writer; every part gets all of them
    left_over: list[int] = []
    for digit, n_train in enumerate(TRAIN_OF_EACH):
        rows = rng.permutation(np.flatnonzero(digits.target == digit))
        test, train = rows[:TEST_OF_EACH], rows[TEST_OF_EACH : TEST_OF_EACH + n_train]
        left_over.extend(rows[TEST_OF_EACH + n_train :])
        for split, chosen in (("test", test), ("train", train)):
            for row in chosen:
                _write(root / "digits" / split / str(digit) / f"{row:04}.png", images[row])
    for row in sorted(left_over)[:NEW_IMAGES]:
        _write(root / "new" / f"{row:04}.png", images[row])
    whole = _png(images[0])
    _write_bytes(root / "digits/train/3/broken-empty.png", b"")
    _write_bytes(root / "digits/train/3/broken-truncated.png", whole[: len(whole) // 2])
    _write_bytes(root / "digits/test/5/broken-text.png", b"this is no image")
    _write_bytes(root / "new/broken-truncated.png", whole[: len(whole) // 3])


def _png(pixels: np.ndarray) -> bytes:
    from PIL import Image

    file = io.BytesIO()
    image = Image.fromarray(pixels).resize((SIZE_PX, SIZE_PX), Image.Resampling.BICUBIC)
    image.save(file, "PNG")
    return file.getvalue()


def _write(path: Path, pixels: np.ndarray) -> None:
    _write_bytes(path, _png(pixels))


def _write_bytes(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(data)


def _run(*arguments: str) -> None:
    """Run one featx command as the user would, its words shown first."""
    console.log(f"\n$ {shell_line('featx', *arguments)}")
    quiet = ["-q"] if console.verbosity() < 0 else []
    with console.elsewhere():
        result = subprocess.run([sys.executable, "-m", "featx", *arguments, *quiet], check=False)
    if result.returncode != 0:
        raise FeatxError(f"featx {arguments[0]} ended with exit code {result.returncode}.")
