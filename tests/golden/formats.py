"""Models and runs as an earlier version wrote them: ``python -m tests.golden.formats COMMIT``.

What it writes is kept, not made anew. To add the fixtures of another version: ``git worktree add
OLD COMMIT``, then the command above in any other folder than this repository's, with
``PYTHONPATH=OLD:REPOSITORY``; it says which featx writes. They are small: 16 features of some
thirty made images.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
import tempfile
import zipfile
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
os.environ["FEATX_REPORT"] = "0"

import numpy as np

from tests.golden.cases import HEADS, THREE
from tests.golden.lab import (
    BACKBONE,
    draw,
    exact_embedding,
    exact_engine,
    read_csv,
    run_featx,
    write_images,
)

HERE = Path(__file__).parent
FEW = {"blue": 12, "green": 9, "red": 7}
SIGNS = {"+": 9, "-": 8, "=x": 7, "@y": 6}
N_FEATURES = 16

#: Model -> how it was fitted.
MODELS: dict[str, tuple[str, ...]] = {
    **{name: ("few", "--head", name) for name in HEADS},
    "vote": ("few", *THREE, "--ensemble", "vote"),
    "stack": ("few", *THREE, "--ensemble", "stack"),
    "seeds": ("few", "--head", "mlp", "--seeds", "2"),
    "smote": ("few", "--head", "svm-linear", "--sampler", "smote"),
    "pca": ("few", "--pca", "5"),
    "threshold": ("few", "--threshold", "red:recall=0.8"),
    "costs": ("few", "--costs", "costs.csv"),
    "temperature": ("few", "--calibrate", "temperature"),
    "sigmoid": ("few", "--calibrate", "sigmoid", "--head", "svm-rbf"),
    "isotonic": ("few", "--calibrate", "isotonic", "--head", "knn"),
    "raps": ("few", "--sets", "raps", "--coverage-over", "classes"),
}

#: Run -> how it was made.
RUNS: dict[str, tuple[str, ...]] = {
    "signs": ("signs", "--head", "logreg", "--sampler", "random-over", "--learning-curve"),
    "signs-knn": ("signs", "--head", "knn", "--calibrate", "sigmoid"),
    "split": ("split", "--head", "svm-linear", "--threshold", "red:recall=0.8"),
    "split-vote": ("split", "--head", "logreg", "--head", "ridge", "--ensemble", "vote"),
}


def write_few(root: Path) -> None:
    """``few``, ``signs``, ``split`` and ``new`` under ``root``, and a table of costs."""
    write_images(root / "few", FEW)
    write_images(root / "signs", SIGNS)
    write_images(root / "split" / "train", FEW)
    write_images(root / "split" / "test", {"blue": 5, "green": 4, "red": 4}, first=540)
    write_images(root / "new", {"a": 3, "b": 3, "c": 3}, first=900)
    (root / "costs.csv").write_text("true,blue,green,red\nblue,0,1,1\ngreen,2,0,1\nred,8,5,0\n")


def new_embeddings() -> np.ndarray:
    """The embeddings of the images in ``new``, in the order of their names."""
    images = [draw(kind, 900 + i) for kind in range(3) for i in range(3)]
    return exact_embedding(np.array(images), N_FEATURES)


def _make(name: str, *words: object) -> Path:
    """The run that a command makes, with nothing in it of the machine."""
    code = run_featx(*words, "-j", "1", "--name", name)
    assert code == 0, name
    run = Path("runs", name)
    (run / "model" / "README.md").unlink()
    environment = json.loads((run / "environment.json").read_text())
    environment |= {"platform": "Linux", "processor": "x86_64", "cores": 2}
    (run / "environment.json").write_text(json.dumps(environment, indent=2) + "\n")
    return run


def _answers(model: Path) -> dict[str, Any]:
    """What a model says of `new_embeddings`."""
    from featx import load_model

    loaded, X = load_model(model), new_embeddings()
    return {
        "classes": list(loaded.classes),
        "predict": loaded.predict(X).tolist(),
        "predict_proba": loaded.predict_proba(X).tolist(),
        "ood_scores": loaded.ood_scores(X).tolist(),
    }


def _tuned(runs: Path) -> dict[str, Any]:
    """``tuned.zip`` with a frozen run and one fine-tuned from it, of a network mostly of zeros."""
    import timm
    import torch
    from safetensors.torch import save_file

    torch.manual_seed(0)
    weights = timm.create_model("test_convnext").state_dict()
    for name, values in weights.items():
        if values.ndim > 1:
            kept = torch.rand_like(values) < 0.1
            scale = round(64 * (20 / values[0].numel()) ** 0.5) / 64
            weights[name] = (torch.sign(values) * kept * scale).contiguous()
    save_file(weights, "sparse.safetensors")
    few = ("few", "--backbone", "timm:test_convnext", "--weights", "sparse.safetensors")
    few = (*few, "--size", "32", "--engine", "torch", "--device", "cpu", "--precision", "fp32")
    frozen = _make("frozen", "fit", *few, "--cv", "2")
    training = (
        "--unfreeze",
        "head",
        "--epochs",
        "4",
        "--learning-rate",
        "0.01",
        "--train-batch",
        "8",
        "--augment",
        "none",
    )
    tuned = _make("tuned", "finetune", "few", "--from", frozen, *training, *few[5:])
    assert (tuned / "model" / "backbone-0.safetensors").exists(), "the frozen network won"
    with zipfile.ZipFile(runs / "tuned.zip", "w", zipfile.ZIP_DEFLATED, compresslevel=9) as file:
        for path in sorted(p for run in (frozen, tuned) for p in run.rglob("*") if p.is_file()):
            file.write(path, path.relative_to("runs"))
    code = run_featx("score", tuned, "new", "-o", "tuned.csv", "--proba", "--device", "cpu")
    assert code == 0
    return read_csv(Path("tuned.csv"))


def main(commit: str) -> None:
    """Write ``models-COMMIT`` and ``runs-COMMIT`` beside this file."""
    import featx

    print(f"Written by {Path(featx.__file__).parent}")
    models, runs = HERE / f"models-{commit}", HERE / f"runs-{commit}"
    with tempfile.TemporaryDirectory() as folder, exact_engine():
        os.environ["FEATX_CACHE"] = f"{folder}/cache"
        os.chdir(folder)
        write_few(Path())
        answers = {}
        for name, options in MODELS.items():
            model = _make(name, "fit", *options, *BACKBONE, "--cv", "2") / "model"
            answers[name] = _answers(model)
            shutil.copytree(model, models / name)
        for name, options in RUNS.items():
            run = _make(f"{name}-run", "fit", *options, *BACKBONE, "--cv", "2")
            answers[f"run {name}"] = _answers(run)
            shutil.copytree(run, runs / name)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["FEATX_CACHE"] = f"{folder}/cache"
        os.chdir(folder)
        write_few(Path())
        answers["tuned"] = _tuned(runs)
        (models / "answers.json").write_text(json.dumps(answers, indent=1) + "\n")


if __name__ == "__main__":
    main(sys.argv[1])
