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
from featx.numbers import bounds
from featx.reporting.blocks import Block, Chapter, Code, CodeBlock, Paragraph, Points, Table
from featx.reporting.contents import Finished
from featx.reporting.limits import limits
from featx.reporting.markdown import markdown
from featx.reporting.summaries.thresholds import (
    diagnostic_table,
    evaluated_words,
    short_points,
    threshold_blocks,
)
from featx.reporting.summaries.trust import novelty_sentence, sets_sentence
from featx.reporting.tables import (
    calibration_sentence,
    class_table,
    estimate_table,
    hardest_first,
    headline_metric,
    in_force,
    setting,
)
from featx.reporting.tabular import card_sentences, needed_table
from featx.runs import Run
from featx.stats.metrics import metric_name
from featx.types import ARRAYS

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

    @property
    def of_arrays(self) -> bool:
        """Whether it predicts from rows of numbers that were given."""
        return any(e["document"]["backbone"] == ARRAYS for e in self.document["extractors"])


def card_of(run: Run) -> str:
    """The card of a run's model."""
    return write_card(
        Carded(
            name=run.name,
            results=run.results.document(),
            environment=run.environment.document(),
            document=run.model_document,
            asked=run.config.model_dump(mode="json", exclude_defaults=True),
            command=run.command,
        )
    )


def write_card(model: Carded) -> str:
    """The card as Markdown with a head of YAML, which holds ASCII only, one key a line."""
    blocks = [
        Chapter("does", "What it does", list(_does(model))),
        Chapter("made", "How it was made", [Points(list(_made(model)))]),
        Chapter("data", "Data", list(_data(model))),
        Chapter("estimate", "How good it is", list(_estimate(model))),
        Chapter("operating", "Operating points", list(_operating(model))),
        Chapter("trust", "How far to trust a prediction", [Points(list(_trust(model)))]),
        Chapter("limits", "Limits", [Points(list(limits(model.results, model.document)))]),
        Chapter("use", "How to use it", list(_use(model))),
        Chapter("again", "How to make it again", list(_again(model))),
    ]
    return f"{_head(model)}\n\n{markdown(model.name, blocks)}"


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
    plain = "tabular" if model.of_arrays else "imagefolder"
    data = {"type": LOADERS.get(source.suffix.lower(), plain), "name": printable(name)}
    if estimate["method"] == "test":
        data["split"] = "test"
    measured = [
        {"type": kind, "value": round(row["value"], 6), "name": _between(title, row)}
        | ({"args": dict(arguments)} if arguments else {})
        for (kind, arguments, title), row in known
    ]
    kind = "tabular-classification" if model.of_arrays else "image-classification"
    task = {"type": kind, "name": kind.replace("-", " ").title()}
    head = {
        "library_name": "featx",
        "pipeline_tag": kind,
        "tags": ["featx", kind, *_sources(model.document)],
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
    ends = bounds(row)
    return f"{title} (95 % interval {ends})" if ends else title


def _sources(document: Mapping[str, Any]) -> list[str]:
    """Libraries that the backbones are of."""
    found = {e["document"]["backbone"].partition(":")[0] for e in document["extractors"]}
    return sorted(found & {"timm", "torchvision"})


def _does(model: Carded) -> Iterator[Block]:
    classes = model.document["classes"]
    backbones = " and ".join(str(e["document"]["backbone"]) for e in model.document["extractors"])
    of, one, base = "an image shows", "image", f"embeddings of {backbones}"
    if model.of_arrays:
        width = model.document["extractors"][0]["document"]["n_features"]
        of, one, base = "a row belongs to", "row", f"rows of {width:,} numbers"
    yield Paragraph(
        f"It predicts which of {counted(len(classes), 'class')} {of}, how probable each "
        f"is, and whether the {one} is like those that it was made from. It was made by featx: "
        f"{base} and a classifier on them. The classes:"
    )
    shown = classes[:MOST_CLASSES]
    more = "" if len(shown) == len(classes) else f" and {len(classes) - len(shown):,} more"
    yield Paragraph(", ".join(shown) + f"{more}.")


def _made(model: Carded) -> Iterator[str]:
    results, document = model.results, model.document
    for extractor in document["extractors"]:
        yield _backbone(extractor)
    chosen = results["chosen"]
    described = f"head {chosen['head']}"
    if params := chosen.get("params"):
        described += " with " + ", ".join(f"{k} {setting(v)}" for k, v in params.items())
    yield f"Classifier: {described}, on standardised embeddings."
    options = {
        "sampler": "Resampling of the training images",
        "class_weight": "Weights of the classes",
        "pca": "Principal components kept",
    }
    for key, words in options.items():
        if chosen.get(key) not in {None, "none"}:
            yield f"{words}: {chosen[key]}."
    yield from card_sentences(model.results, document.get("tabular") or ())
    if chosen.get("views"):
        yield f"Augmented views of each training image: {chosen['views']}."
    yield from _search(results)
    if "finetuning" in results:
        yield from _finetuned(model)


def _backbone(extractor: Mapping[str, Any]) -> str:
    document, request = extractor["document"], extractor["request"]
    if document["backbone"] == ARRAYS:
        named = document["columns"] or []
        ends = f", {named[0]} to {named[-1]}" if named else ""
        return f"Features: {document['n_features']:,} numbers a row that were given{ends}."
    height, width = document["preprocess"]["size_px"]
    output = " and ".join(
        " ".join(str(part[k]) for k in ("layer", "pooling") if part[k] != "own")
        for part in document["output"]
    )
    if extractor.get("weights"):
        weights = "fine-tuned weights, which are part of this model"
    elif request["weights"]:
        weights = f"weights from the file {PurePath(request['weights']).name}"
    elif request["pretrained"]:
        weights = "pretrained weights of that name"
    else:
        weights = "random weights, trained on nothing"
    tensors = document.get("weights_sha256")
    digest = f" (SHA-256 of the tensors {tensors})" if tensors else ""
    return (
        f"Backbone: {document['backbone']} with {weights}{digest}; "
        f"{document['n_features']:,} features from {output} at {height} × {width} pixels."
    )


def _search(results: Mapping[str, Any]) -> Iterator[str]:
    search = results.get("search")
    if search is None:
        return
    rows = len(results["candidates"])
    if search["trials"] == rows == 1:
        yield "One setting was tried: nothing was selected."
        return
    yield (
        f"Selected by {metric_name(results['scoring'])} in cross-validation on "
        f"{results['n_folds']} folds, among {counted(search['trials'], 'setting')} of "
        f"{counted(rows, 'kind')} of classifier ({search['strategy']} search)."
    )


def _finetuned(model: Carded) -> Iterator[str]:
    tuning, asked = model.results["finetuning"], model.asked.get("finetune") or {}
    last = tuning["trainings"][-1]
    recipe = tuning.get("tried", {}).get("recipe")
    if tuning["answer"] == "frozen":
        why = tuning.get("not_kept")
        tried = f" ({recipe})" if recipe else ""
        yield (
            f"Fine-tuning was tried{tried} and not kept{f': {why}' if why else ''}. This is "
            "the frozen backbone with a head fitted on "
            f"{counted(model.results['n_images'], 'image')}."
        )
        return
    yield (
        f"The backbone was trained too, for {counted(last['epochs'], 'epoch')}, of which number "
        f"{last['best_epoch']} was kept, by its {_watched(last)} on "
        f"{counted(last['n_validation'], 'validation image')}."
    )
    if again := last.get("refit"):
        yield (
            f"It was then trained for {counted(again['epochs'], 'more epoch')} on all "
            f"{counted(again['n_training'], 'training image')}, validation images included; its "
            "weights are the mean of those before and after."
        )
    if recipe:
        yield f"Tried: {recipe}."
    asked = {**asked, **tuning.get("tried", {})}
    shown = ("unfreeze", "lora", "learning_rate", "optimizer", "augment", "mixup", "cutmix")
    settings = [f"{key.replace('_', ' ')} {setting(asked[key])}" for key in shown if key in asked]
    if settings:
        yield f"Asked for: {', '.join(settings)}."


def _watched(training: Mapping[str, Any]) -> str:
    """The quantity that chose the epoch, before and after."""
    name = "loss" if training.get("watched", "loss") == "loss" else "score"
    before, after = (training[k][f"validation_{name}"] for k in ("frozen", "finetuned"))
    return f"{name}, which went from {before:.4f} to {after:.4f}," if before is not None else name


def _data(model: Carded) -> Iterator[Block]:
    results = model.results
    data = results["dataset"]
    copies = data.get("exact_copies")
    if copies is None:  # a run of an older version knows of equal files alone
        known = [e["report"].get("duplicates", 0) for e in results["extraction"].values()]
        copies = {"images": known[0], "sets": 0}
    rows = [
        ["labelled images", data["images"]],
        ["of them to train and select on", results["n_images"]],
        ["of them to test on once", results["n_test_images"]],
        ["groups that stay together", results["n_groups"] or None],
        ["exact copies of another image", copies["images"] - copies["sets"]],
        ["files that could not be read", data["quarantined"]],
    ]
    yield Paragraph(f"Data set {PurePath(data['source']).name}.")
    yield Table(["", "number"], rows)
    yield Paragraph(f"SHA-256 of all names, contents and labels: {data['sha256']}.")


def _estimate(model: Carded) -> Iterator[Block]:
    estimate = model.results["estimate"]
    yield Paragraph(
        f"Measured on {counted(estimate['n_images'], 'image')}: {estimate['description']}. "
        f"{estimate['interval']}."
    )
    yield estimate_table(
        estimate, {}, headline_metric(model.results), marked=not in_force(model.results)
    )
    yield Paragraph("Each class, the hardest by F1 first:")
    ranked = hardest_first(estimate["per_class"])
    yield class_table(ranked[:MOST_CLASSES], trained=model.results["class_counts"])
    if len(ranked) > MOST_CLASSES:
        other = counted(len(ranked) - MOST_CLASSES, "other class", "is/are")
        yield Paragraph(f"{other} in results.json of the run.")


def _trust(model: Carded) -> Iterator[str]:
    trust, measured = model.document.get("trust"), model.results.get("trust") or {}
    yield calibration_sentence(model.results["estimate"]["calibration"])
    if trust is None:
        return
    if trust["calibration"] is not None:
        yield f"Probabilities are calibrated by {trust['calibration']['method']}, out of fold."
    elif model.document["temperature"] is not None:
        yield "Probabilities are calibrated by a temperature, out of fold."
    yield from _decision(model)
    if (sets := trust["sets"]) is not None:
        yield sets_sentence(sets, measured.get("prediction_sets")) + "."
    if (novelty := trust["novelty"]) is not None:
        yield novelty_sentence(novelty, measured.get("novelty")) + "."


def _decision(model: Carded) -> Iterator[str]:
    decision = model.document["trust"]["decision"]
    if decision is not None and decision["by"] == "costs":
        yield "It predicts the class of the least expected cost, not the likeliest."


def _operating(model: Carded) -> Iterator[Block]:
    """The threshold in force and what it costs, and what others would."""
    operating = model.results.get("operating")
    if operating is None:
        return
    yield from threshold_blocks(operating)
    costs = list(short_points(operating))
    yield from costs
    yield from diagnostic_table(operating)
    if costs or operating.get("in_force") is not None:
        yield Paragraph(evaluated_words(operating))


def _use(model: Carded) -> Iterator[Block]:
    yield Paragraph("In the folder that holds this page:")
    what = "ROWS.npz" if model.of_arrays else "PHOTOS"
    if columns := model.document.get("tabular"):
        what, words = needed_table(columns, rows=model.of_arrays)
        yield Paragraph(words)
    yield CodeBlock(f"featx score . {what} -o scores.csv", "console")
    yield Paragraph("In Python:")
    yield CodeBlock(
        'import featx\n\nmodel = featx.load_model(".")\n'
        f'featx.score(model, "{what}", output="scores.csv")',
        "python",
    )
    if any(e["request"]["weights"] and not e.get("weights") for e in model.document["extractors"]):
        yield Paragraph(["Elsewhere, name the file of weights with ", Code("--weights FILE"), "."])
    yield Paragraph("Loading verifies every file and runs no code from it.")


def _again(model: Carded) -> Iterator[Block]:
    import yaml

    environment, document = model.environment, model.document
    yield Paragraph("Where it was made:")
    yield CodeBlock(model.command, "console")
    yield Paragraph(
        ["Elsewhere, with this as ", Code("config.yaml"), ", ", Code("featx run config.yaml"), ":"]
    )
    yield CodeBlock(yaml.safe_dump(dict(model.asked), sort_keys=False), "yaml")
    if (model.asked.get("finetune") or {}).get("from_run"):
        from_run = Code("from_run")
        yield Paragraph(["It continues the run named by ", from_run, ", which must be there too."])
    versions = ", ".join(f"{k} {v}" for k, v in document["versions"].items() if k != "python")
    yield Paragraph(
        f"Made {document['provenance'].get('date', '')} with Python {environment['python']} on "
        f"{environment['platform']}; {versions}; seed {model.results['seed']}."
    )
    files = [[name, f["size_bytes"], f["sha256"]] for name, f in document["files"].items()]
    yield Table(["file", "bytes", "SHA-256"], [*files, ["model.json", "", document["sha256"]]])
    yield Paragraph("(Of model.json: of its content without that key.)")
