"""Golden results: computed, written, read, and what differs between two."""

from __future__ import annotations

import contextlib
import importlib.metadata
import json
import math
import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from unittest.mock import patch

from tests.golden.cases import run_case, write_data
from tests.golden.lab import exact_engine

EXPECTED = Path(__file__).with_name("expected")

#: Numbers agree to this, relative or absolute, with the versions and on the kind of processor that
#: the results are of; ``GOLDEN_TOLERANCE=1e-12`` asks for more, for work that moves code alone.
TOLERANCE = float(os.environ.get("GOLDEN_TOLERANCE", "1e-9"))

#: Elsewhere sums are added in another order: measured, with kernels for AVX-512 and for SSE alone,
#: 1e-5 in probabilities of heads that compute in float32. Ends of intervals jump where two scores
#: that were equal no longer are. Choices, classes, counts and exit codes are the same there too.
ELSEWHERE = 1e-3
ENDS_ELSEWHERE = 2e-2
ENDS = ("low", "high")


@contextlib.contextmanager
def computed(workspace: Path) -> Iterator[Callable[[str], dict[str, Any]]]:
    """A function that runs a case by name on data sets made in ``workspace``."""
    write_data(workspace / "data")
    environment = {"FEATX_CACHE": str(workspace / "cache"), "FEATX_REPORT": "0"}
    with exact_engine(), patch.dict(os.environ, environment):
        yield lambda name: run_case(name, workspace)


def origin() -> dict[str, str]:
    """What the numbers depend on beside the code: libraries and the processor's kernels."""
    import torch
    from threadpoolctl import threadpool_info

    libraries = ("numpy", "scipy", "scikit-learn", "imbalanced-learn", "torch", "pillow")
    kernels = {str(found["architecture"]) for found in threadpool_info() if "architecture" in found}
    return {name: importlib.metadata.version(name) for name in libraries} | {
        "OpenBLAS kernels": ", ".join(sorted(kernels)),
        "torch kernels": torch.backends.cpu.get_cpu_capability(),
    }


def write_expected(name: str, result: dict[str, Any]) -> None:
    """Keep the results of a case, and where they are from."""
    document = {"origin": origin(), "result": result}
    EXPECTED.mkdir(exist_ok=True)
    (EXPECTED / f"{name}.json").write_text(f"{_text(document)}\n", "utf-8")


def _text(value: Any, indent: str = "") -> str:
    """JSON with one line for each key, and one for each list without dictionaries."""
    inner = indent + " "
    if isinstance(value, dict) and value:
        lines = [f"{inner}{json.dumps(str(k))}: {_text(v, inner)}" for k, v in value.items()]
        return "{\n" + ",\n".join(lines) + f"\n{indent}}}"
    if isinstance(value, list) and any(isinstance(v, dict) for v in value):
        lines = [inner + _text(v, inner) for v in value]
        return "[\n" + ",\n".join(lines) + f"\n{indent}]"
    return json.dumps(value, separators=(",", ":"), allow_nan=False)


def read_expected(name: str) -> dict[str, Any]:
    """What `write_expected` kept."""
    document: dict[str, Any] = json.loads((EXPECTED / f"{name}.json").read_text("utf-8"))
    return document


def differences(expected: Any, found: Any, *, same_origin: bool, at: str = "") -> Iterator[str]:
    """Each place where ``found`` is not what is expected; keys may have been added."""
    if isinstance(expected, dict) and isinstance(found, dict):
        for key, value in expected.items():
            if key not in found:
                yield f"{at}.{key} is missing; expected {value!r}"
            else:
                yield from differences(value, found[key], same_origin=same_origin, at=f"{at}.{key}")
    elif isinstance(expected, list) and isinstance(found, list):
        if len(expected) != len(found):
            yield f"{at} has {len(found)} entries; expected {len(expected)}"
        for i, pair in enumerate(zip(expected, found, strict=False)):
            yield from differences(*pair, same_origin=same_origin, at=f"{at}[{i}]")
    elif not _equal(expected, found, _tolerance(at, same_origin)):
        yield f"{at} is {found!r}; expected {expected!r}"


def _tolerance(at: str, same_origin: bool) -> float:
    if same_origin:
        return TOLERANCE
    return ENDS_ELSEWHERE if at.endswith(ENDS) else ELSEWHERE


def _equal(expected: Any, found: Any, tolerance: float) -> bool:
    if isinstance(expected, float) and isinstance(found, float | int):
        return math.isclose(expected, found, rel_tol=tolerance, abs_tol=tolerance)
    return type(expected) is type(found) and bool(expected == found)
