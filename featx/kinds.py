"""What the values of options are, by the options' names; of any other option they are ``TEXT``."""

from __future__ import annotations

from collections.abc import Mapping

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
#: Options that name a file or folder, for which `os.PathLike` is taken too.
PATHS = frozenset(name for name, kind in TAKES.items() if kind in {"FOLDER", "FILE", "RUN"})
