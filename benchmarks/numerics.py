"""Numerics: every engine and precision against torch in fp32, and what they do to a probe.

    python benchmarks/numerics.py --images DIR [--weights squeezenet1_0.safetensors]

DIR holds train/ and test/ with a folder per class. For each backbone with real weights (the
embedded one, and torchvision's SqueezeNet 1.0 where --weights gives them): the smallest cosine and
the largest relative error over 200 images, whether embeddings are bit-identical in another order
and another company, and, with a logistic regression on all training images, how many of the test
predictions change and by how much the accuracy does. Scaled decoding is measured beside them on
the same photographs enlarged to 6 megapixels. Writes benchmarks/results/numerics.json.
"""

from __future__ import annotations

import argparse
import datetime
import io
import tempfile
from pathlib import Path

import numpy as np
from measuring import asked, keep, runnable, versions
from PIL import Image

from featx import console
from featx.backbones import open_backbone
from featx.config import ExtractConfig
from featx.data.hashing import read_bytes
from featx.data.manifest import Manifest
from featx.data.pixels import read_pixels
from featx.data.reader import read_manifest
from featx.engines import ENGINES, build_engine, measure_agreement
from featx.extraction import Extractor, run_extractors
from featx.types import BackboneRequest, Preprocess

RESULTS = Path(__file__).parent / "results" / "numerics.json"
N_IMAGES = 200
N_SCALED = 40


def numerics_here() -> list[tuple[str, str]]:
    """Every engine and precision that this processor has, the reference first."""
    return list(dict.fromkeys([("torch", "fp32"), *runnable(ENGINES.names())]))


def embeddings(
    request: BackboneRequest, manifest: Manifest, cache: str, engine: str, precision: str
) -> np.ndarray:
    """Every image of the data set under one engine."""
    config = ExtractConfig(cache=cache, engine=engine, precision=precision, device="cpu")
    extractor = Extractor.from_request(request, config)
    [found] = run_extractors(manifest, [extractor], config)
    found.require_all()
    return found.X


def probe(X: np.ndarray, manifest: Manifest) -> tuple[np.ndarray, float]:
    """Predictions and accuracy on the test split of a plain logistic regression."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    y, split = np.array(manifest.labels), np.array(manifest.splits)
    head = make_pipeline(StandardScaler(), LogisticRegression(C=0.01, max_iter=2000))
    head.fit(X[split == "train"], y[split == "train"])
    predictions = head.predict(X[split == "test"])
    return predictions, float(np.mean(predictions == y[split == "test"]))


def measure(request: BackboneRequest, manifest: Manifest, cache: str) -> dict:
    """All numerics of one backbone."""
    backbone = open_backbone(request)
    step = max(1, len(manifest) // N_IMAGES)
    paths = manifest.paths[::step][:N_IMAGES]
    pixels = np.stack([read_pixels(read_bytes(path), backbone.preprocess) for path in paths])
    reference = build_engine("torch", backbone, device="cpu", precision="fp32")
    truth, accuracy = probe(embeddings(request, manifest, cache, "torch", "fp32"), manifest)
    rows = {}
    for name, precision in numerics_here():
        engine = build_engine(name, backbone, device="cpu", precision=precision)
        agreement = measure_agreement(engine, reference, pixels)
        order = np.random.default_rng(0).permutation(len(pixels))
        same = all(
            np.array_equal(a[order], b)
            for a, b in zip(engine.embed(pixels), engine.embed(pixels[order]), strict=True)
        )
        found, share = probe(embeddings(request, manifest, cache, name, precision), manifest)
        rows[f"{name} {precision}"] = {
            "smallest_cosine": agreement.cosine,
            "largest_relative_error": agreement.relative_error,
            "same_in_any_order": same,
            "test_predictions_changed": int((found != truth).sum()),
            "test_accuracy": round(share, 4),
        }
        print(request.name, name, precision, rows[f"{name} {precision}"], flush=True)
    return {
        "images": len(pixels),
        "test_images": len(truth),
        "reference_accuracy": round(accuracy, 4),
        "numerics": rows,
        "scaled_decoding": scaled_decoding(reference, backbone.preprocess, paths[:N_SCALED]),
    }


def scaled_decoding(reference: object, preprocess: Preprocess, paths: list[str]) -> dict:
    """Embeddings of large photographs decoded at a fraction, against decoding all of each."""
    pixels: dict[str, list[np.ndarray]] = {"reference": [], "scaled": []}
    for path in paths:
        stream = io.BytesIO()
        image = Image.open(path).convert("RGB").resize((3000, 2000), Image.Resampling.BICUBIC)
        image.save(stream, "JPEG", quality=92)
        for decode, images in pixels.items():
            values = {k: getattr(preprocess, k) for k in preprocess.__dataclass_fields__}
            images.append(
                read_pixels(stream.getvalue(), Preprocess(**{**values, "decode": decode}))
            )
    cosines = []
    embedded = [reference.embed(np.stack(images)) for images in pixels.values()]
    for a, b in zip(*embedded, strict=True):
        lengths = np.linalg.norm(a, axis=1) * np.linalg.norm(b, axis=1)
        cosines.append(float(((a * b).sum(axis=1) / lengths).min()))
    found = {"images": len(paths), "smallest_cosine": min(cosines)}
    print("scaled decoding", found, flush=True)
    return found


def table(document: dict) -> str:
    """The figures as a Markdown table."""
    lines = [
        "| backbone | numerics | smallest cosine | largest relative error "
        "| test predictions changed | test accuracy |",
        "|---|---|---|---|---|---|",
    ]
    for name, found in document["backbones"].items():
        for numerics, row in found["numerics"].items():
            lines.append(
                f"| {name} | {numerics} | {row['smallest_cosine']:.6f} "
                f"| {row['largest_relative_error']:.1e} "
                f"| {row['test_predictions_changed']} of {found['test_images']} "
                f"| {row['test_accuracy']:.4f} |"
            )
        scaled = found["scaled_decoding"]
        lines.append(f"| {name} | scaled decoding | {scaled['smallest_cosine']:.6f} | | | |")
    return "\n".join(lines)


def main() -> None:
    """Measure, print and write."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--images", type=Path)
    parser.add_argument("--weights", type=Path, help="of torchvision's squeezenet1_0")
    options = asked(parser, needs=["images"])
    if options.quick:
        globals().update(N_IMAGES=8, N_SCALED=2)
    console.set_verbosity(-1)
    manifest = read_manifest(str(options.images))
    requests = [BackboneRequest("featx:mini-v1")]
    if options.weights is not None:
        requests.append(BackboneRequest("torchvision:squeezenet1_0", weights=str(options.weights)))
    document = {
        "date": datetime.date.today().isoformat(),
        "versions": versions("featx", "torch", "timm", "openvino", "pillow", "scikit-learn"),
        "data_set": options.images.name,
        "backbones": {},
    }
    with tempfile.TemporaryDirectory() as cache:
        for request in requests:
            document["backbones"][request.name] = measure(request, manifest, cache)
    print(table(document))
    keep(RESULTS, document, quick=options.quick)


if __name__ == "__main__":
    main()
