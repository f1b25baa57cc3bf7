"""What names mean on the command line: headings, kinds of values, synonyms of commands and options.

All of it is data. An option that is in none of the tables stands under the heading of its section
and takes ``TEXT``.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

from featx.errors import nearest

__all__ = [
    "HEADINGS", "HEADING_OF", "PLUGINS", "SECTION_HEADING", "TAKES", "WORK", "command_hint",
    "option_hint",
]  # fmt: skip

#: Headings of the main help with their commands, in the order of work.
WORK: Mapping[str, Sequence[str]] = {
    "Look at the data": ("inspect", "audit", "label", "next"),
    "Make a model": ("race", "extract", "fit", "finetune", "run"),
    "Look at the model": ("report", "open", "evaluate", "compare"),
    "Use the model": ("score", "count", "similar", "export"),
    "Look after things": ("demo", "backbones", "cache", "doctor", "completion"),
}

#: Headings of a command's options, in their order.
HEADINGS = (
    "Common", "Data", "Label", "Page", "Backbone", "Search", "Training", "Estimate", "Compare",
    "Audit", "Export", "Machine", "Output", "General",
)  # fmt: skip

#: The heading of an option by its configuration section, where `HEADING_OF` has none.
SECTION_HEADING: Mapping[str, str] = {
    "data": "Data",
    "extract": "Backbone",
    "fit": "Search",
    "finetune": "Training",
    "audit": "Audit",
    "compare": "Compare",
    "evaluate": "Estimate",
    "export": "Export",
    "score": "Output",
    "report": "Output",
    "race": "Search",
    "label": "Label",
    "next": "Label",
    "open": "Page",
    "count": "Output",
    "similar": "Output",
}

_UNDER = {
    "Data": "limit on_error dataset images root path_column label_column group_column "
    "split_column exclude group group_from",
    "Search": "trials budget tune",
    "Estimate": "estimate by holdout repeats calibrate threshold prevalence costs learning_curve "
    "coverage coverage_over sets ood_rate folds validation average_views abstain_below by_group "
    "group_answer",
    "Machine": "cache engine device precision batch_size workers offline cluster address jobs "
    "search_device memory_mb processes checkpoint_s",
    "Output": "name runs overwrite mlflow report heat_maps output tensorboard disagreements top_k "
    "preview dry_run report_html report_markdown report_json to figures folder",
    "Audit": "shown",
    "Page": "page browser port",
}
HEADING_OF: Mapping[str, str] = {
    name: heading for heading, names in _UNDER.items() for name in names.split()
}

_TAKES = {
    "FOLDER": "root cache runs sort_into figures tensorboard folder race",
    "FILE": "exclude labels group history weights output disagreements costs preview images report "
    "dataset log import_from export audited audit_file labelled",
    "RUN": "baseline from_run model",
    "COLUMN": "path_column label_column group_column split_column tabular",
    "RULE": "group_from",
    "COLUMN|RULE": "by_group",
    "WAY": "group_answer",
    "BACKBONE": "backbone",
    "EXTRACTOR": "extractor extractors",
    "LAYER": "layer",
    "CLASSIFIER": "head",
    "SAMPLER": "sampler",
    "ENGINE": "engine",
    "DEVICE": "device search_device",
    "STRATEGY": "search",
    "FORMAT": "to",
    "CLUSTER": "cluster",
    "HOST:PORT": "address",
    "METRIC": "metric scoring",
    "NAME": "name",
    "TARGET": "mlflow",
    "TIME": "budget",
    "LOW-HIGH": "range",
    "CLASS:GOAL": "threshold",
    "STAGES": "unfreeze",
    "MAPPING": "param_grid",
    "KEY=VALUE": "overrides",
}
#: What the value of an option is, by the option's name: shown in help, and used to complete it.
TAKES: Mapping[str, str] = {name: kind for kind, names in _TAKES.items() for name in names.split()}

#: Options whose values are plug-ins: one file each in these folders of the package.
PLUGINS: Mapping[str, str] = {
    "head": "heads",
    "sampler": "samplers",
    "engine": "engines",
    "search": "fitting.strategies",
    "cluster": "clusters",
    "to": "exports",
}

#: Other words for commands: the first of these that exists is meant.
_COMMANDS = {
    "train": ("fit", "finetune"), "learn": ("fit",), "search": ("fit",), "classifier": ("fit",),
    "probe": ("fit",), "linear-probe": ("fit",), "tune": ("finetune",), "fine-tune": ("finetune",),
    "retrain": ("finetune",), "predict": ("score",), "classify": ("score",), "infer": ("score",),
    "inference": ("score",), "apply": ("score",), "annotate": ("label",), "sort": ("score",),
    "eval": ("evaluate", "score"),
    "test": ("evaluate", "score"), "validate": ("evaluate", "score"), "embed": ("extract",),
    "embeddings": ("extract",), "features": ("extract",), "encode": ("extract",),
    "info": ("inspect",), "stats": ("inspect",), "describe": ("inspect",), "ls": ("inspect",),
    "list": ("inspect",), "summary": ("inspect",), "check": ("audit", "inspect"),
    "clean": ("audit",), "dedup": ("audit",), "duplicates": ("audit",), "outliers": ("audit",),
    "diff": ("compare",), "versus": ("compare",), "benchmark": ("compare",), "show": ("report",),
    "html": ("report",), "view": ("open", "report"), "serve": ("open", "label"),
    "browse": ("open",), "plot": ("report",), "convert": ("export",),
    "onnx": ("export",), "openvino": ("export",), "deploy": ("export",), "save": ("export",),
    "models": ("backbones",), "networks": ("backbones",), "example": ("demo",),
    "tutorial": ("demo",), "screen": ("race",), "choose": ("race",),
    "gc": ("cache",), "verify": ("cache",), "version": ("doctor",),
    "env": ("doctor",), "diagnose": ("doctor",), "config": ("run",), "pipeline": ("run",),
    "neighbours": ("similar",), "neighbors": ("similar",), "nearest": ("similar",),
    "find": ("similar",), "retrieve": ("similar",), "quantify": ("count",), "tally": ("count",),
    "complete": ("completion",), "autocomplete": ("completion",),
}  # fmt: skip

#: Other words for options.
_OPTIONS = {
    "--model": ("--backbone",), "--arch": ("--backbone",), "--network": ("--backbone",),
    "--encoder": ("--backbone",), "--checkpoint": ("--weights",), "--ckpt": ("--weights",),
    "--classifier": ("--head",), "--clf": ("--head",), "--estimator": ("--head",),
    "--resample": ("--sampler",), "--resampler": ("--sampler",), "--oversample": ("--sampler",),
    "--smote": ("--sampler",), "--balance": ("--sampler", "--balanced-sampling"),
    "--metric": ("--scoring",), "--score": ("--scoring",), "--folds": ("--cv",),
    "--kfold": ("--cv",), "--n-splits": ("--cv",), "--cross-validation": ("--cv",),
    "--lr": ("--learning-rate",), "--wd": ("--weight-decay",), "--freeze": ("--unfreeze",),
    "--n-epochs": ("--epochs",), "--optim": ("--optimizer",), "--out": ("--output",),
    "--output-dir": ("--output", "--runs"), "--save": ("--output", "--name"),
    "--out-dir": ("--output", "--runs"), "--dest": ("--output",), "--threads": ("--workers",),
    "--num-workers": ("--workers",), "--n-jobs": ("--jobs", "--workers"),
    "--image-size": ("--size",), "--img-size": ("--size",), "--input-size": ("--size",),
    "--resolution": ("--size",), "--gpu": ("--device",), "--cuda": ("--device",),
    "--cpu": ("--device",), "--force": ("--overwrite",), "--random-state": ("--seed",),
    "--random-seed": ("--seed",), "--labels": ("--label-column",), "--label": ("--label-column",),
    "--target": ("--label-column",), "--groups": ("--group-column",),
    "--patient": ("--group-column", "--by-group"), "--split": ("--split-column",),
    "--cache-dir": ("--cache",), "--probabilities": ("--proba",), "--probs": ("--proba",),
    "--topk": ("--top-k",), "--time": ("--budget",), "--timeout": ("--budget",),
    "--time-limit": ("--budget",), "--format": ("--to", "--output"), "--silent": ("--quiet",),
    "--debug": ("--verbose",), "--fp16": ("--precision",), "--bf16": ("--precision",),
}  # fmt: skip


def command_hint(name: str, known: Collection[str]) -> str:
    """`` Did you mean 'featx fit'?``, or nothing.

    Parameters
    ----------
    name : str
        As it was typed.
    known : collection of str
        The commands that there are.
    """
    return _hint(name.lower(), known, _COMMANDS, "featx ")


def option_hint(name: str, known: Collection[str]) -> str:
    """`` Did you mean --head?``, or nothing; see `command_hint`."""
    return _hint(name.lower().replace("_", "-"), known, _OPTIONS, "")


def _hint(
    name: str, known: Collection[str], synonyms: Mapping[str, Sequence[str]], before: str
) -> str:
    meant = [other for other in synonyms.get(name, ()) if other in known]
    if not meant:
        similar = nearest(name, known, cutoff=0.6)
        other = nearest(name, synonyms, cutoff=0.8)
        meant = [similar] if similar else [o for o in synonyms.get(other or "", ()) if o in known]
    return f" Did you mean {before}{meant[0]}?" if meant else ""
