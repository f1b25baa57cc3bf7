"""The steps of gpu.py, in order of worth: what each runs, and what it takes at a guess."""

from __future__ import annotations

import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gpu_runner import HERE, CutOff, Figures, Place, Runner
from measuring import left_out

TESTS = "backbones/test_engine.py", "extraction/test_extraction.py", "fitting/test_speed_paths.py"


@dataclass(frozen=True)
class Step:
    """Something to measure.

    Parameters
    ----------
    name : str
    seconds : float
        What it takes on a GPU at a guess.
    run : callable
    """

    name: str
    seconds: float
    run: Callable[[Runner, Place], None]


def tests(runner: Runner, place: Place) -> None:
    """The tests that need a GPU; without one they are collected and skipped."""
    files = [str(HERE.parent / "tests" / name) for name in TESTS]
    command = [sys.executable, "-m", "pytest", "-m", "gpu", "-p", "no:cacheprovider", *files]
    try:
        done = subprocess.run(
            command,
            cwd=HERE.parent,
            capture_output=True,
            text=True,
            check=False,
            timeout=max(0.1, runner.end - time.monotonic()),
        )
    except subprocess.TimeoutExpired:
        raise CutOff("pytest") from None
    runner.figures |= {
        "exit_code": done.returncode,
        "output": (done.stdout + done.stderr).splitlines()[-15:],
    }
    if done.returncode not in {0, 5}:
        raise RuntimeError("tests failed; see output")


def decode(runner: Runner, place: Place) -> None:
    """The rate at which the CPU can feed a GPU."""
    network, _ = place.network("resnet50")
    manifest = place.part("decode", 0, max(4, place.n_images // 2))
    runner.side("decode", network=network, manifest=manifest, workers=place.workers)


def extraction(timm: str) -> Callable[[Runner, Place], None]:
    """One network: featx, then the plain loop on the same files."""

    def run(runner: Runner, place: Place) -> None:
        network, plain = place.network(timm)
        asked = place.precisions("bf16", "fp32", "fp16")
        common = {"manifest": str(place.images), "device": place.device}
        scratch = tempfile.mkdtemp(dir=place.scratch)
        featx = runner.side(
            "featx",
            "featx",
            network=network,
            scratch=scratch,
            seconds=place.seconds,
            precisions=asked,
            **common,
        )
        options: Figures = {"batch_size": place.batch, "workers": min(place.workers, 16)}
        loop = runner.side("plain", "plain", network=plain, precisions=asked, **options, **common)
        runner.figures["times the plain loop"] = {
            p: round(featx[p]["per_s"] / loop[p]["per_s"], 3)
            for p in asked
            if "per_s" in featx.get(p, {}) and p in loop
        }

    return run


def search(runner: Runner, place: Place) -> None:
    """A search on a GPU against the CPU."""
    sizes = {"images": 50_000, "features": 1024, "points": 4}
    if place.tiny:
        sizes = {"images": 200, "features": 8, "points": 2}
    for name in dict.fromkeys((place.device, "cpu")):
        runner.side("search", name, device=name, **sizes)


def finetune(runner: Runner, place: Place) -> None:
    """An epoch of fine-tuning."""
    network, _ = place.network("resnet50")
    sizes: Figures = {"images": 8, "size": 32} if place.tiny else {"images": 512}
    precisions = place.precisions("bf16", "fp32")
    runner.side("finetune", network=network, device=place.device, precisions=precisions, **sizes)


def resume(runner: Runner, place: Place) -> None:
    """A run that is killed in the middle and resumed, against one in one go."""
    network, _ = place.network("resnet50")
    n = min(2048, place.n_images)
    common = {
        "network": network,
        "manifest": place.part("resume", 0, n),
        "device": place.device,
        "precision": place.precisions("bf16")[0],
        "cache": tempfile.mkdtemp(dir=place.scratch),
    }
    runner.side("killed", killed=True, at=n // 2, **common)
    runner.side("resumed", whole=tempfile.mkdtemp(dir=place.scratch), **common)


def processes(runner: Runner, place: Place) -> None:
    """One process on all files, against two on one GPU with half of them each."""
    network, _ = place.network("resnet50")
    half = place.n_images // 2
    for n, parts in ((1, [(0, 2 * half)]), (2, [(0, half), (half, 2 * half)])):
        meeting = Path(tempfile.mkdtemp(dir=place.scratch))

        def options(i: int, part: tuple[int, int], meeting: Path = meeting, n: int = n) -> Figures:
            return {
                "network": network,
                "manifest": place.part(f"beside-{n}-{i}", *part),
                "device": place.device,
                "precision": place.precisions("bf16")[0],
                "cache": str(meeting / f"cache-{i}"),
                "ready": str(meeting / f"ready-{i}"),
                "others": n,
            }

        with runner.begun("beside", **options(0, parts[0])) as first:
            if n == 2:
                found = runner.side("beside", "second of two", **options(1, parts[1]))
            last = runner.ended(first, "beside", f"first of {n}")
        longest = max(last["elapsed_s"], found["elapsed_s"] if n == 2 else 0.0)
        runner.figures[f"{n} processes, images/s"] = round(2 * half / longest, 1)


def nvjpeg(runner: Runner, place: Place) -> None:
    """Decoding on the GPU, which featx does not offer."""
    network, _ = place.network("resnet50")
    limit = min(512, place.n_images)
    options = {"network": network, "manifest": str(place.images), "limit": limit}
    runner.side("nvjpeg", device=place.device, **options)


def layout(runner: Runner, place: Place) -> None:
    """Other numbers of streams and other batch sizes."""
    network, _ = place.network("resnet50")
    grid = {"streams": [2, 3, 4], "batch_sizes": [64, 256]}
    if place.tiny:
        grid = {"streams": [1], "batch_sizes": [4]}
    runner.side(
        "layout",
        network=network,
        manifest=str(place.images),
        device=place.device,
        precision=place.precisions("bf16")[0],
        scratch=tempfile.mkdtemp(dir=place.scratch),
        seconds=place.seconds / 2,
        **grid,
    )


def graphs(runner: Runner, place: Place) -> None:
    """CUDA graphs and ``torch.compile``, which featx does not use."""
    for timm in ("resnet50", "vit_small_patch16_224")[: 1 if place.tiny else 2]:
        _, network = place.network(timm)
        runner.side(
            "graphs",
            network,
            network=network,
            device=place.device,
            precision=place.precisions("bf16")[0],
            seconds=place.seconds,
            batch_size=place.batch,
            compiled=not place.tiny,
        )


STEPS = (
    Step("extraction: resnet50", 60, extraction("resnet50")),
    Step("tests", 40, tests),
    Step("decode", 15, decode),
    Step("resume", 40, resume),
    Step("extraction: vit_small_patch16_224", 55, extraction("vit_small_patch16_224")),
    Step("search", 75, search),
    Step("finetune", 60, finetune),
    Step("extraction: convnext_tiny", 60, extraction("convnext_tiny")),
    Step("extraction: vit_base_patch16_224", 70, extraction("vit_base_patch16_224")),
    Step("extraction: efficientnet_lite0", 55, extraction("efficientnet_lite0")),
    Step("processes", 35, processes),
    Step("nvjpeg", 15, nvjpeg),
    Step("layout", 45, layout),
    Step("graphs", 90, graphs),
)
TRIAL_SECONDS = 4.0  # of a step without a GPU, with tiny sizes


def run_steps(
    place: Place,
    steps: dict[str, Figures],
    end: float,
    keep: Callable[[], None],
    chosen: list[str] | None = None,
) -> None:
    """Run what is not done yet and fits; ``keep`` is called after every step.

    Parameters
    ----------
    place : Place
    steps : dict
        By name; those that are ``done`` are left as they are. Others are added to it.
    end : float
        On the clock of `time.monotonic`.
    keep : callable
        Writes the results.
    chosen : list of str, optional
        Only these steps.
    """
    for step in STEPS:
        if chosen and step.name not in chosen:
            continue
        if steps.get(step.name, {}).get("ended") == "done":
            print(f"{step.name}: done before", flush=True)
            continue
        estimate, left = TRIAL_SECONDS if place.tiny else step.seconds, end - time.monotonic()
        figures: Figures = {"estimate_s": estimate}
        if left < estimate:
            figures["ended"] = f"left out: {estimate:.0f} s do not fit into {max(0, left):.0f} s"
            left_out(step.name, figures["ended"])
            steps.setdefault(step.name, figures)
            keep()
            continue
        steps[step.name] = figures
        started = time.monotonic()
        try:
            step.run(Runner(figures, end), place)
            figures["ended"] = "done"
        except CutOff as cut:
            figures["ended"] = f"cut off in {cut}: the time was over"
        except Exception as error:  # one step must not cost the others
            figures["ended"] = f"failed: {error}"
        figures["took_s"] = round(time.monotonic() - started, 1)
        print(f"{step.name}: {figures['ended']}, {figures['took_s']} s", flush=True)
        keep()
