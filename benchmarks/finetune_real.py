"""Is fine-tuning worth it? Frozen backbones, their last stages and all of them, by one command.

    python benchmarks/finetune_real.py --data clothing/ --weights FILE --folder FOLDER

Runs `featx fit` and `featx finetune` on a data set with a test split, for torchvision's SqueezeNet
with the ImageNet weights of FILE and the embedded backbone, and `featx compare` on all of them and
on those of each backbone. FOLDER keeps cache, runs and pages: what is there is not run again, and a
run that was killed goes on. Writes benchmarks/results/finetune_real.json, with the time and the
processor time of each command.
"""

from __future__ import annotations

import argparse
import datetime
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from measuring import asked, cpu_of_children_s, keep, machine

RESULTS = Path(__file__).parent / "results" / "finetune_real.json"
SQUEEZENET = ["--backbone", "torchvision:squeezenet1_0", "--weights"]
GRADUAL = ["--unfreeze", "gradual", "--augment", "light", "--epochs", "6", "--learning-rate"]
LAST = ["--unfreeze", "last-2", "--augment", "none", "--epochs", "10", "--learning-rate", "5e-5"]
MINI_LAST = ["--unfreeze", "last-1", "--augment", "light", "--epochs", "5", "--learning-rate"]
FITS = {"squeezenet-frozen": SQUEEZENET, "mini-frozen": []}
FINETUNES = {  # name: the run it starts from, and how it is trained
    "squeezenet-last2": ("squeezenet-frozen", LAST),
    "squeezenet-gradual": ("squeezenet-frozen", [*GRADUAL, "1e-4"]),
    "mini-last1": ("mini-frozen", [*MINI_LAST, "2e-4"]),
    "mini-gradual": ("mini-frozen", [*GRADUAL, "2e-4"]),
}
COMPARED = {
    "all": ["squeezenet-frozen", "squeezenet-last2", "squeezenet-gradual",
            "mini-frozen", "mini-last1", "mini-gradual"],
    "squeezenet": ["squeezenet-frozen", "squeezenet-last2", "squeezenet-gradual"],
    "mini": ["mini-frozen", "mini-last1", "mini-gradual"],
}  # fmt: skip


def main() -> None:
    """Run what is not there, compare, and write."""
    parser = argparse.ArgumentParser(description=__doc__.split("\n", 1)[0])
    parser.add_argument("--data", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--folder", type=Path)
    options = asked(parser, needs=["data", "weights"], folders=["folder"])
    more: list[str] = []
    if options.quick:
        options.data = (
            options.data if (options.data / "train").is_dir() else options.data / "clothing"
        )
        more = ["--size", "64", "--no-report"]
        for _, how in FINETUNES.values():
            how[how.index("--epochs") + 1] = "1"
            how += ["--no-report"]
    options.folder.mkdir(parents=True, exist_ok=True)
    data, weights = str(options.data.resolve()), str(options.weights.resolve())
    for name, backbone in FITS.items():
        of = [*backbone, weights] if backbone else []
        run(options.folder, name, ["fit", data, *of, *(more if backbone else [])])
    for name, (start, how) in FINETUNES.items():
        run(options.folder, name, ["finetune", data, "--from", f"runs/{start}", *how])
    document = {
        "data": options.data.name,
        "date": datetime.date.today().isoformat(),
        "machine": machine(),
        "runs": {name: described(options.folder, name) for name in COMPARED["all"]},
        "comparisons": {name: compared(options.folder, name) for name in COMPARED},
    }
    keep(RESULTS, document, quick=options.quick)
    print(table(document))


def featx(folder: Path, arguments: list[str], log: str) -> dict[str, float]:
    """One command in ``folder``; what it took."""
    environment = {**os.environ, "FEATX_CACHE": "cache"}
    before, started = cpu_of_children_s(), time.perf_counter()
    with (folder / log).open("w") as stream:
        command = [sys.executable, "-m", "featx", *arguments]
        subprocess.run(
            command, cwd=folder, env=environment, stdout=stream, stderr=stream, check=True
        )
    cpu_s = cpu_of_children_s() - before
    return {"clock_s": round(time.perf_counter() - started, 1), "processor_s": round(cpu_s, 1)}


def run(folder: Path, name: str, arguments: list[str]) -> None:
    """One run, unless it is there, and its time beside it."""
    if not (folder / "runs" / name / "results.json").exists():
        took = featx(folder, [*arguments, "--name", name], f"{name}.log")
        (folder / f"{name}.time.json").write_text(json.dumps(took))
        print(name, took, flush=True)


def described(folder: Path, name: str) -> dict[str, Any]:
    """What a run found, and what its command took."""
    results = json.loads((folder / "runs" / name / "results.json").read_text("utf-8"))
    found = {
        "command": FINETUNES.get(name, (None, []))[1],
        **json.loads((folder / f"{name}.time.json").read_text()),
        "metrics": {
            metric: results["estimate"]["metrics"][metric]
            for metric in ("balanced_accuracy", "accuracy", "log_loss")
        },
        "images_judged": results["estimate"]["n_images"],
    }
    if "finetuning" in results:
        training = results["finetuning"]["trainings"][0]
        found |= {
            "answer": results["finetuning"]["answer"],
            "epochs": training["epochs"],
            "best_epoch": training["best_epoch"],
            "validation": {side: training[side] for side in ("frozen", "finetuned")},
        }
    return found


def compared(folder: Path, name: str) -> dict[str, Any]:
    """Verdicts on some of the runs, the first of them the baseline."""
    pages = [f"--{kind}={name}.{end}" for kind, end in
             (("json", "json"), ("html", "html"), ("markdown", "md"))]  # fmt: skip
    runs = [f"runs/{run}" for run in COMPARED[name]]
    took = featx(folder, ["compare", *runs, *pages, "--overwrite"], f"compare-{name}.log")
    document = json.loads((folder / f"{name}.json").read_text("utf-8"))
    return {
        **took,
        "verdicts": [difference["verdict"] for difference in document["differences"]],
        "predicted_differently": document["disagreements"]["n"],
    }


def table(document: dict[str, Any]) -> str:
    """The document as Markdown."""
    lines = [
        "| run | balanced accuracy | accuracy | log loss | minutes | processor minutes |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in document["runs"].items():
        metrics = found["metrics"]
        balanced = metrics["balanced_accuracy"]
        lines.append(
            f"| {name} | {balanced['value']:.3f} [{balanced['low']:.3f}, {balanced['high']:.3f}] "
            f"| {metrics['accuracy']['value']:.3f} | {metrics['log_loss']['value']:.3f} "
            f"| {found['clock_s'] / 60:.1f} | {found['processor_s'] / 60:.1f} |"
        )
    for comparison in document["comparisons"].values():
        lines += ["", *(f"- {verdict}" for verdict in comparison["verdicts"])]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
