"""The model card: what a model is, how good, and how far it can be trusted, beside its files.

Mitchell et al., "Model cards for model reporting", FAccT 2019, https://arxiv.org/abs/1810.03993.
The head of the page is the metadata that the Hugging Face Hub reads,
https://github.com/huggingface/hub-docs/blob/main/modelcard.md.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import PurePath
from typing import Any

from featx.console import counted
from featx.files import printable
from featx.reporting.contents import Finished
from featx.reporting.limits import limits
from featx.reporting.markdown import escaped, fenced, table
from featx.reporting.tables import headline
from featx.reporting.words import interval, metric

__all__ = ["CARD", "Carded", "write_card"]

#: The only name under which the Hub shows a page.
CARD = "README.md"
MOST_CLASSES = 200  # rows of the table
LOADERS = {".csv": "csv", ".tsv": "csv", ".jsonl": "json", ".json": "json", ".parquet": "parquet"}
# Ids of https://huggingface.co/metrics, the arguments that make them ours, and what to call them.
METRICS: dict[str, tuple[str, dict[str, str], str]] = {
    "accuracy": ("accuracy", {}, "Accuracy"),
    "balanced_accuracy": ("recall", {"average": "macro"}, "Balanced accuracy"),
    "f1_macro": ("f1", {"average": "macro"}, "F1, macro"),
    "precision_macro": ("precision", {"average": "macro"}, "Precision, macro"),
    "roc_auc_ovr": ("roc_auc", {"multi_class": "ovr", "average": "macro"}, "ROC AUC, macro"),
    "matthews": ("matthews_correlation", {}, "Matthews correlation"),
}


@dataclass(frozen=True)
class Carded(Finished):
    """A model with what its run knows of it.

    Parameters
    ----------
    name, results, environment, command
        See `featx.reporting.contents.Finished`.
    document : mapping
        ``model.json``.
    asked : mapping
        The run's configuration where it is not the default, by section.
    """

    document: Mapping[str, Any]
    asked: Mapping[str, Any]


def write_card(model: Carded) -> str:
    """The card as Markdown with a head of YAML.

    Every name is escaped; the head holds ASCII only, one key a line.
    """
    sections = {
        "What it does": _does(model),
        "How it was made": _made(model),
        "Data": _data(model),
        "How good it is": _estimate(model),
        "How far to trust an answer": _trust(model),
        "Limits": (f"- {escaped(sentence)}" for sentence in limits(model.results, model.document)),
        "How to use it": _use(model),
        "How to make it again": _again(model),
    }
    parts = [_head(model), f"# {escaped(model.name)}"]
    for title, lines in sections.items():
        parts += [f"## {title}", "\n".join(lines)]
    return "\n\n".join(parts) + "\n"


def _head(model: Carded) -> str:
    """Metadata; only what the run knows: no licence, language or data set of the Hub."""
    import yaml

    estimate = model.results["estimate"]
    source = PurePath(str(model.results["dataset"]["source"]))
    known = [
        (METRICS[name], row)
        for name, row in estimate["metrics"].items()
        if name in METRICS and row["value"] is not None
    ]
    name = source.name or str(source)
    data = {"type": LOADERS.get(source.suffix.lower(), "imagefolder"), "name": printable(name)}
    if estimate["method"] == "test":
        data["split"] = "test"
    measured = [
        {"type": kind, "value": round(row["value"], 6), "name": _between(title, row)}
        | ({"args": dict(arguments)} if arguments else {})
        for (kind, arguments, title), row in known
    ]
    task = {"type": "image-classification", "name": "Image Classification"}
    head = {
        "library_name": "featx",
        "pipeline_tag": "image-classification",
        "tags": ["featx", "image-classification", *_sources(model.document)],
        "metrics": sorted({kind for (kind, _, _), _ in known}),
        "model-index": [
            {
                "name": printable(model.name),
                "results": [{"task": task, "dataset": data, "metrics": measured}],
            }
        ],
    }
    return f"---\n{yaml.safe_dump(head, sort_keys=False, width=float('inf'))}---"


def _between(title: str, row: Mapping[str, Any]) -> str:
    if row["low"] is None or row["high"] is None:
        return title
    return f"{title} (95 % interval {row['low']:.3f} to {row['high']:.3f})"


def _sources(document: Mapping[str, Any]) -> list[str]:
    """Libraries that the backbones are of."""
    found = {e["document"]["backbone"].partition(":")[0] for e in document["extractors"]}
    return sorted(found & {"timm", "torchvision"})


def _does(model: Carded) -> Iterator[str]:
    classes = model.document["classes"]
    yield (
        f"It says which of {counted(len(classes), 'class')} an image shows, how probable "
        "each is, and "
        "whether the image is like those that it was made from. It was made by featx: embeddings "
        f"of {_backbones(model.document)} and a classifier on them. The classes:\n"
    )
    shown = classes[:MOST_CLASSES]
    more = "" if len(shown) == len(classes) else f" and {len(classes) - len(shown):,} more"
    yield ", ".join(map(escaped, shown)) + f"{more}."


def _backbones(document: Mapping[str, Any]) -> str:
    return " and ".join(escaped(str(e["document"]["backbone"])) for e in document["extractors"])


def _made(model: Carded) -> Iterator[str]:
    results, document = model.results, model.document
    for extractor in document["extractors"]:
        yield f"- {_backbone(extractor)}"
    chosen = results["chosen"]
    described = [f"head {escaped(str(chosen['head']))}"]
    if params := chosen.get("params"):
        settings = ", ".join(f"{escaped(str(k))} {_value(v)}" for k, v in params.items())
        described.append(f"with {settings}")
    yield f"- Classifier: {' '.join(described)}, on standardised embeddings."
    options = {
        "sampler": "Resampling of the training images",
        "class_weight": "Weights of the classes",
        "pca": "Principal components kept",
    }
    for key, words in options.items():
        if chosen.get(key) not in {None, "none"}:
            yield f"- {words}: {escaped(str(chosen[key]))}."
    if chosen.get("views"):
        yield f"- Augmented views of each training image: {chosen['views']}."
    yield from _search(results)
    if "finetuning" in results:
        yield from _finetuned(model)


def _value(value: Any) -> str:
    return f"{value:g}" if isinstance(value, float) else escaped(str(value))


def _backbone(extractor: Mapping[str, Any]) -> str:
    document, request = extractor["document"], extractor["request"]
    height, width = document["preprocess"]["size_px"]
    output = " and ".join(
        " ".join(escaped(str(part[k])) for k in ("layer", "pooling") if part[k] != "own")
        for part in document["output"]
    )
    if extractor.get("weights"):
        weights = "fine-tuned weights, which are part of this model"
    elif request["weights"]:
        weights = f"weights from the file {escaped(PurePath(request['weights']).name)}"
    elif request["pretrained"]:
        weights = "pretrained weights of that name"
    else:
        weights = "random weights, trained on nothing"
    tensors = document.get("weights_sha256")
    digest = f" (SHA-256 of the tensors {tensors})" if tensors else ""
    return (
        f"Backbone: {escaped(document['backbone'])} with {weights}{digest}; "
        f"{document['n_features']:,} features from {output} at {height} × {width} pixels."
    )


def _search(results: Mapping[str, Any]) -> Iterator[str]:
    search = results.get("search")
    if search is None:
        return
    rows = len(results["candidates"])
    if search["trials"] == rows == 1:
        yield "- One setting was tried: nothing was chosen."
        return
    yield (
        f"- Chosen by {metric(results['scoring'])} in cross-validation on {results['n_folds']} "
        f"folds, among {counted(search['trials'], 'setting')} of "
        f"{counted(rows, 'kind')} of classifier ({escaped(search['strategy'])} search)."
    )


def _finetuned(model: Carded) -> Iterator[str]:
    tuning, asked = model.results["finetuning"], model.asked.get("finetune") or {}
    last = tuning["trainings"][-1]
    said = tuning.get("tried", {}).get("said")
    if tuning["answer"] == "frozen":
        why = tuning.get("not_kept")
        tried = f" ({escaped(said)})" if said else ""
        yield (
            f"- Fine-tuning was tried{tried} and not kept{f': {escaped(why)}' if why else ''}. "
            "This is the frozen backbone with a head fitted on "
            f"{counted(model.results['n_images'], 'image')}."
        )
        return
    yield (
        f"- The backbone was trained too, for {counted(last['epochs'], 'epoch')}, of which number "
        f"{last['best_epoch']} was kept, by its {_watched(last)} on "
        f"{counted(last['n_validation'], 'validation image')}."
    )
    if said:
        yield f"- Tried: {escaped(said)}."
    asked = {**asked, **tuning.get("tried", {})}
    shown = ("unfreeze", "lora", "learning_rate", "optimizer", "augment", "mixup", "cutmix")
    settings = [f"{key.replace('_', ' ')} {_value(asked[key])}" for key in shown if key in asked]
    if settings:
        yield f"- Asked for: {', '.join(settings)}."


def _watched(training: Mapping[str, Any]) -> str:
    """The quantity that chose the epoch, before and after."""
    name = training.get("watched", "loss").replace("last", "score")
    before, after = (training[k][f"validation_{name}"] for k in ("frozen", "finetuned"))
    return f"{name}, which went from {before:.4f} to {after:.4f}," if before is not None else name


def _data(model: Carded) -> Iterator[str]:
    results = model.results
    data = results["dataset"]
    copies = data.get("exact_copies")
    if copies is None:  # a run of an older version knows of equal files alone
        known = [e["report"].get("duplicates", 0) for e in results["extraction"].values()]
        copies = {"images": known[0], "sets": 0}
    rows = [
        ["labelled images", f"{data['images']:,}"],
        ["of them to train and choose on", f"{results['n_images']:,}"],
        ["of them to judge once", f"{results['n_test_images']:,}"],
        ["groups that stay together", f"{results['n_groups']:,}" if results["n_groups"] else "–"],
        ["exact copies of another image", f"{copies['images'] - copies['sets']:,}"],
        ["files that could not be read", f"{data['quarantined']:,}"],
    ]
    yield f"Data set {escaped(PurePath(data['source']).name)}.\n"
    yield table(["", "number"], rows)
    yield f"\nSHA-256 of all names, contents and labels: {data['sha256']}."


def _estimate(model: Carded) -> Iterator[str]:
    estimate = model.results["estimate"]
    yield (
        f"Measured on {counted(estimate['n_images'], 'image')}: {escaped(estimate['description'])}."
        f" {estimate['interval']}.\n"
    )
    yield table(
        ["", "value [95 % interval]"],
        [[metric(name), interval(row)] for name, row in headline(estimate)],
    )
    yield "\nEach class, the hardest by F1 first:\n"
    measures = ("recall", "precision", "f1", "average_precision")
    ranked = sorted(
        estimate["per_class"].items(), key=lambda item: (item[1]["f1"]["value"] or 0.0, item[0])
    )
    trained = model.results["class_counts"]
    lines = [
        [
            escaped(label),
            f"{trained.get(label, 0):,}",
            f"{row['support']:,}",
            *(interval(row[m]) for m in measures),
        ]
        for label, row in ranked[:MOST_CLASSES]
    ]
    yield table(["class", "trained on", "judged on", *map(metric, measures)], lines)
    if len(ranked) > MOST_CLASSES:
        other = counted(len(ranked) - MOST_CLASSES, "other class", "is/are")
        yield f"\n{other} in results.json of the run."


def _trust(model: Carded) -> Iterator[str]:
    trust, measured = model.document.get("trust"), model.results.get("trust") or {}
    error = model.results["estimate"]["calibration"]
    yield (
        f"- Calibration: expected calibration error {error['ece']:.3f} "
        f"({error['bins']}; a perfectly calibrated model would show about "
        f"{error['if_right_mean']:.3f})."
    )
    if trust is None:
        return
    if trust["calibration"] is not None:
        yield f"- Probabilities are calibrated by {trust['calibration']['method']}, out of fold."
    elif model.document["temperature"] is not None:
        yield "- Probabilities are calibrated by a temperature, out of fold."
    yield from _decision(model)
    if (sets := trust["sets"]) is not None:
        over = "the images" if sets["over"] == "images" else "each class"
        line = (
            f"- Prediction sets ({sets['method']}) are meant to hold the true class of "
            f"{100 * sets['coverage']:g} % of {over}"
        )
        if seen := measured.get("prediction_sets"):
            line += f"; measured, as shares: {interval(seen['covered'])}. {_abstains(seen)}"
        yield line + "."
    if (novelty := trust["novelty"]) is not None:
        line = (
            f"- Out-of-distribution score ({novelty['method']}): above {novelty['limit']:.3f} an "
            f"image is flagged, meant for {100 * novelty['rate']:g} % of images like those it was "
            "made from"
        )
        if seen := measured.get("novelty"):
            line += f"; measured, as a share: {interval(seen['false_alarms'])}"
        yield line + "."


def _abstains(sets: Mapping[str, Any]) -> str:
    """How many answers are held back, and how right the rest is."""
    right = sets["accuracy_of_the_others"]
    if right["value"] is None:
        return "It abstains from all of them"
    if not sets["abstained"]["value"]:
        return f"It abstains from none of them, and {interval(right)} are right"
    return (
        f"It abstains from {interval(sets['abstained'])}, and of the rest {interval(right)} "
        "are right"
    )


def _decision(model: Carded) -> Iterator[str]:
    decision = model.document["trust"]["decision"]
    if decision is None:
        return
    if decision["by"] == "costs":
        yield "- It decides for the class of the least expected cost, not the likeliest."
        return
    name = model.document["classes"][decision["column"]]
    yield f"- It decides for {escaped(name)} from a probability of {decision['cutoff']:.3f} on."


def _use(model: Carded) -> Iterator[str]:
    yield "In the folder that holds this page:\n"
    yield fenced("featx score . PHOTOS -o scores.csv", "console")
    yield "\nIn Python:\n"
    yield fenced(
        'import featx\n\nmodel = featx.load_model(".")\n'
        'featx.score(model, "PHOTOS", output="scores.csv")',
        "python",
    )
    if any(e["request"]["weights"] and not e.get("weights") for e in model.document["extractors"]):
        yield "\nElsewhere the file of weights is named with `--weights FILE`."
    yield "\nLoading verifies every file and runs no code from it."


def _again(model: Carded) -> Iterator[str]:
    import yaml

    environment, document = model.environment, model.document
    yield "Where it was made:\n"
    yield fenced(model.command, "console")
    yield "\nElsewhere, with this as `config.yaml`, `featx run config.yaml`:\n"
    yield fenced(yaml.safe_dump(dict(model.asked), sort_keys=False), "yaml")
    if (model.asked.get("finetune") or {}).get("from_run"):
        yield "\nIt goes on from the run that `from_run` names, which must be there too."
    versions = ", ".join(f"{k} {v}" for k, v in document["versions"].items() if k != "python")
    yield (
        f"\nMade {escaped(str(document['provenance'].get('date', '')))} with Python "
        f"{environment['python']} on {escaped(environment['platform'])}; {escaped(versions)}; "
        f"seed {model.results['seed']}.\n"
    )
    files = [[escaped(n), f"{f['size_bytes']:,}", f["sha256"]]
             for n, f in document["files"].items()]  # fmt: skip
    yield table(["file", "bytes", "SHA-256"], [*files, ["model.json", "", document["sha256"]]])
    yield "\n(Of model.json: of its content without that key.)"
