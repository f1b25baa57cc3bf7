"""Made images, an embedding that is exact on every processor, and what a command left behind.

A network's embeddings differ a little between processors, so the golden results rest on none: the
engine's ``embed`` is replaced by sums of pixels, which are whole numbers in float32 whatever adds
them, and the images are BMP files, whose bytes no compressor decides. What goes before (reading,
hashing, decoding, the store) and what comes after runs as it is.
"""

from __future__ import annotations

import contextlib
import csv
import importlib
import io
import json
import math
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from unittest.mock import patch

import numpy as np

SIZE = 32  # pixels: no image is resized
BLOCK = 8  # pixels that are added up in each direction

#: In place of sentences in documents, which may be worded anew.
SENTENCE = "(a sentence)"

#: 16 features of the embedded backbone, whose specification no download and no seed decides.
BACKBONE = [
    *("--backbone", "featx:mini-v1", "--layer", "conv1.2", "--pooling", "avg"),
    *("--size", str(SIZE), "--crop", "1.0"),
    *("--engine", "torch", "--device", "cpu", "--precision", "fp32", "--workers", "1"),
]


def exact_embedding(pixels: np.ndarray, n_features: int) -> np.ndarray:
    """Signed sums over blocks of pixels (n, 32, 32, 3): (n, n_features), float32, exact."""
    n, side = len(pixels), SIZE // BLOCK
    blocks = pixels.astype(np.int64).reshape(n, side, BLOCK, side, BLOCK, 3).sum(axis=(2, 4))
    signs = np.random.default_rng(18).integers(0, 2, (side * side * 3, n_features)) * 2 - 1
    return ((blocks.reshape(n, -1) @ signs) / 2**12).astype(np.float32)


@contextlib.contextmanager
def exact_engine() -> Iterator[None]:
    """Networks of 16 or 32 channels embed by `exact_embedding` as long as this is open."""
    engine = importlib.import_module("featx.engines._torch").TorchEngine

    def embed(self: Any, batch: np.ndarray) -> tuple[np.ndarray, ...]:
        return tuple(exact_embedding(batch, spec.n_features) for spec in self.specs)

    with patch.object(engine, "embed", embed):
        yield


def write_bmp(path: Path, pixels: np.ndarray) -> None:
    """A BMP file of (height, width, 3) RGB values."""
    height, width, _ = pixels.shape
    rows = pixels[::-1, :, ::-1].astype(np.uint8).tobytes()  # from the bottom, blue first
    assert width % 4 == 0, "rows are padded to four bytes"
    whole = (54 + len(rows)).to_bytes(4, "little")
    sizes = b"".join(v.to_bytes(4, "little") for v in (40, width, height))
    header = b"BM" + whole + bytes(4) + (54).to_bytes(4, "little") + sizes
    header += (1).to_bytes(2, "little") + (24).to_bytes(2, "little") + bytes(24)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(header + rows)


def draw(kind: int, seed: int, *, spread: int = 26, contrast: int = 1) -> np.ndarray:
    """An image of class ``kind``: its pattern of blocks, noise of blocks, and noise of pixels."""
    side = SIZE // BLOCK
    pattern = np.random.default_rng(1000 + kind).integers(-20, 21, (side, side, 3))
    rng = np.random.default_rng([kind, seed])
    blocks = 128 + contrast * pattern + rng.integers(-spread, spread + 1, (side, side, 3))
    pixels = np.kron(blocks, np.ones((BLOCK, BLOCK, 1), np.int64))
    return (pixels + rng.integers(-30, 31, (SIZE, SIZE, 3))).clip(0, 255).astype(np.uint8)


def write_images(root: Path, counts: dict[str, int], *, first: int = 0) -> None:
    """Folders of these names, the i-th with images of class i."""
    for kind, (name, count) in enumerate(counts.items()):
        for i in range(count):
            write_bmp(root / name / f"{i:03}.bmp", draw(kind, first + i))


def write_table(path: Path, rows: Sequence[Sequence[str]]) -> None:
    """A CSV file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(",".join(row) + "\n" for row in rows))


def run_featx(*arguments: object) -> int:
    """``featx ARGUMENTS`` in this process; its exit code."""
    from featx import console
    from featx.cli import main

    swallowed = io.StringIO()
    code: Any = None
    try:
        with contextlib.redirect_stdout(swallowed), contextlib.redirect_stderr(swallowed):
            main.main([str(argument) for argument in arguments])
    except SystemExit as ended:
        code = ended.code
    finally:
        console.set_verbosity(0)
    assert isinstance(code, int), code
    if os.environ.get("GOLDEN_VERBOSE") == "1":
        print(swallowed.getvalue())
    return code


def read_csv(path: Path) -> dict[str, list[Any]]:
    """A table as columns by name; cells that are numbers as numbers, others as they stand."""
    with path.open(encoding="utf-8", newline="") as stream:
        header, *rows = csv.reader(stream)
    return {name: [_cell(row[i]) for row in rows] for i, name in enumerate(header)}


def _cell(text: str) -> Any:
    for kind in (int, float):
        with contextlib.suppress(ValueError):
            value = kind(text)
            return rounded(value) if math.isfinite(value) else text
    return text


def rounded(value: Any) -> Any:
    """The same document with floats of 13 significant digits, which is more than is compared."""
    if isinstance(value, dict):
        return {k: rounded(v) for k, v in value.items()}
    if isinstance(value, list):
        return [rounded(v) for v in value]
    return float(f"{value:.12e}") if isinstance(value, float) else value


def read_document(path: Path, leave_out: frozenset[str]) -> Any:
    """A JSON file without the keys ``leave_out``, times and sentences; of notes their number."""
    return rounded(_without(json.loads(path.read_text("utf-8")), leave_out))


def _without(value: Any, leave_out: frozenset[str]) -> Any:
    if isinstance(value, dict):
        kept = {k: v for k, v in value.items() if k not in leave_out and not k.endswith("_s")}
        return {k: len(v) if k == "notes" else _without(v, leave_out) for k, v in kept.items()}
    if isinstance(value, list):
        return [_without(v, leave_out) for v in value]
    if isinstance(value, str) and (value.count(" ") > 3 or value.endswith(".")):
        return SENTENCE
    return value
