"""Written by ``python -m recipes.signatures``; edit the functions instead."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from featx.adapters._dataset import EmbeddingDataset as EmbeddingDataset
from featx.adapters._embedder import ImageEmbedder as ImageEmbedder
from featx.adapters._folds import LeakFreeKFold as LeakFreeKFold
from featx.api.audit import FinishedAudit
from featx.api.evaluate import evaluate as evaluate
from featx.api.report import load_run as load_run
from featx.artifact import Model
from featx.artifact import load_model as load_model
from featx.comparing.compare import Comparison
from featx.config import ExportConfig, ExtractConfig, ScoreConfig
from featx.data.findings import Inspection
from featx.exporting.network import Exported
from featx.extraction import Extraction
from featx.runs import Run
from featx.scoring.scores import Scores

__all__ = [
    "EmbeddingDataset",
    "ImageEmbedder",
    "LeakFreeKFold",
    "__version__",
    "audit",
    "compare",
    "evaluate",
    "export_model",
    "extract",
    "finetune",
    "fit",
    "fit_arrays",
    "inspect",
    "load_model",
    "load_run",
    "report",
    "score",
]
__version__: str

def audit(
    dataset: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | Sequence[str] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    backbone: str | Sequence[str] = (),
    weights: str | os.PathLike[str] | None = None,
    pretrained: bool = True,
    layer: str | Sequence[str] = (),
    pooling: Literal["avg", "max", "avg+max", "cls", "flatten"]
    | Sequence[Literal["avg", "max", "avg+max", "cls", "flatten"]] = (),
    separate: bool = False,
    size: int | None = None,
    crop: float | None = None,
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
    | None = None,
    resize: Literal["shortest", "squash"] | None = None,
    decode: Literal["reference", "scaled"] = "reference",
    range: str = "full",
    cache: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    batch_size: Literal["auto"] | int = "auto",
    workers: int | None = None,
    views: int = 0,
    augment: Literal["light", "medium", "strong"] = "medium",
    upright: bool = True,
    limit: int | None = None,
    on_error: Literal["skip", "fail"] = "skip",
    offline: bool = False,
    cluster: str | None = None,
    address: str | None = None,
    output: str | os.PathLike[str] = "audit",
    folds: int = 5,
    shown: int = 60,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedAudit:
    r"""Look for copies, doubtful labels, outliers and shortcuts.

    Parameters
    ----------
    dataset : path
        See `featx.extract`. Labels, groups and splits are used where there are any.
    root : path, optional
        Folder that a manifest's paths are relative to. By default: manifest's folder.
    path_column : str, optional
        Manifest column with the image path. By default: path.
    label_column : str, optional
        Manifest column with the label. By default: label.
    group_column : str, optional
        Manifest column with the group (patient, plot, camera). By default: group.
    split_column : str, optional
        Manifest column with train, val or test. By default: split.
    columns : str or sequence of str
        Columns of numbers to fit on in a file of arrays: names, or patterns such as f*; may be
        a list. By default: X, else all columns of numbers.
    labels : str or sequence of str
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images that must not straddle folds, joined with the
        groups that there are.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient(\d+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. By default: $FEATX_BACKBONE,
        else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (needs just one).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto has fit choose among
        the stages, the pre-logits and several side by side. By default: pre-logits.
    pooling : str or sequence of str
        One of 'avg', 'max', 'avg+max', 'cls', 'flatten'. Pooling of each layer; may be a list.
        By default: backbone's own.
    separate : bool, default False
        One store for each layer and pooling instead of one concatenation.
    size : int, optional
        Input size in pixels. By default: weights' own.
    crop : float, optional
        Fraction the centre crop keeps. By default: weights' own.
    interpolation : {'nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'}, optional
        Resampling filter. By default: weights' own.
    resize : {'shortest', 'squash'}, optional
        shortest keeps the aspect and crops; squash does not. By default: weights' own.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        What becomes black and white in images of more than 8 bits: full, LOW-HIGH, or auto,
        found in the training images; part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Numerics of the forward pass; part of the fingerprint. By default: bf16 where the
        processor or GPU multiplies it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads that decode and, where the CPU computes, embed. By default: CPU cores.
    views : int, default 0
        Augmented views of each image that is not in the test split.
    augment : {'light', 'medium', 'strong'}, default 'medium'
        How much views differ from their image.
    upright : bool, default True
        ``upright=False`` also turns views by quarters: images have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray computes on the machines of a Ray cluster. By default: this machine.
    address : str, optional
        The cluster's HOST:PORT, or auto for the one this machine is in. By default: its own,
        new one.
    output : path, default 'audit'
        Folder for audit.html, tables and lists.
    folds : int, default 5
        Folds of the cross-validation that finds doubtful labels.
    shown : int, default 60
        Findings of each kind on the page.
    seed : int, default 0
        Seed of folds and trees.
    overwrite : bool, default False
        Replace existing output.

    Returns
    -------
    FinishedAudit
        With ``folder``, ``results`` and ``found``.

    Raises
    ------
    UsageError
        An option makes no sense, or the output exists and ``overwrite`` is not set.
    DatasetError, BackboneError, StoreError
        See `featx.extract`; also where no image can be read.

    Examples
    --------
    >>> featx.audit("photos/", output="audit").results["serious"]        # doctest: +SKIP
    """

def compare(
    *runs: str | os.PathLike[str] | Run,
    html: str | os.PathLike[str] | None = None,
    json: str | os.PathLike[str] | None = None,
    markdown: str | os.PathLike[str] | None = None,
    baseline: str | os.PathLike[str] | None = None,
    metric: str | None = None,
    disagreements: str | os.PathLike[str] | None = None,
    seed: int = 0,
    finetune: bool = False,
    backbone: str | None = None,
    weights: str | os.PathLike[str] | None = None,
    name: str | None = None,
    overwrite: bool = False,
) -> Comparison:
    """Compare finished runs with a baseline, on the images and folds that they have in common.

    Parameters
    ----------
    *runs : path or Run
        Two or more folders that `featx.fit` wrote, or what it gave back. With ``finetune=True``
        one path, which is a data set.
    html : path, optional
        File for a report in the format html.
    json : path, optional
        File for a report in the format json.
    markdown : path, optional
        File for a report in the format markdown.
    baseline : path, optional
        Run that the others are compared with. By default: the first.
    metric : str, optional
        Metric of the verdicts, such as accuracy. By default: that of the baseline's fit.
    disagreements : path, optional
        File for the images that not all runs predict alike: .csv, .jsonl, .parquet.
    seed : int, default 0
        Seed of the bootstrap.
    finetune : bool, default False
        The argument is a data set: fit a head on its frozen embeddings, fine-tune the backbone
        on the same folds, and compare the two.
    backbone : str, optional
        Backbone of both runs, with ``finetune``. By default: the embedded backbone.
    weights : path, optional
        With ``finetune``, local weights of the backbone of both runs.
    name : str, optional
        With ``finetune`` the runs are NAME-frozen and NAME-finetuned. By default: data set.
    overwrite : bool, default False
        Replace existing output.

    Returns
    -------
    Comparison
        With ``document`` and ``verdicts``.

    Raises
    ------
    UsageError
        Fewer than two runs, a folder that is none, an unknown metric, or output that exists.
    ComparisonError
        The runs were not evaluated on the same images in the same way; the message says how.

    Examples
    --------
    >>> featx.compare("runs/frozen", "runs/tuned").verdicts             # doctest: +SKIP
    """

def export_model(
    model: Model | str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    config: ExportConfig | None = None,
    extract: ExtractConfig | None = None,
    to: str = "onnx",
    images: str | os.PathLike[str] | None = None,
    n_images: int = 16,
    tolerance: float = 0.01,
    overwrite: bool = False,
    weights: str | os.PathLike[str] | None = None,
    device: str = "auto",
    offline: bool = False,
) -> Exported:
    """Write preprocessing, backbone, head and calibration as one network, and check it.

    The network takes ``images``, uint8 RGB of shape (n, height, width, 3), upright and of any
    size, and gives ``probabilities``, float32 (n, n_classes), and ``predicted``, int64 (n,), the
    index of the class that featx decides for. It is fp32 whatever the model was fitted with.

    Parameters
    ----------
    model : Model or path
        What `featx.load_model` takes.
    output : path, optional
        File to write. Default None is the model's own name with the format's suffix.
    config : ExportConfig, optional
        Format and check.
    extract : ExtractConfig, optional
        ``weights``, ``device`` and ``offline`` are read.
    to : str, default 'onnx'
        Format: onnx or openvino.
    images : path, optional
        Images that the export is checked on. By default: the data set of the fit.
    n_images : int, default 16
        How many of them.
    tolerance : float, default 0.01
        Largest difference of a probability from featx's that is accepted.
    overwrite : bool, default False
        Replace existing output.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (needs just one).
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    offline : bool, default False
        Never contact a model hub.

    Returns
    -------
    Exported

    Raises
    ------
    UsageError
        The output exists, or there are no images to check with.
    MissingExtraError
        A library of the format is not installed.
    ModelError
        The head or the network cannot be exported, or the file's probabilities differ from
        featx's by more than the tolerance; then nothing is left behind.
    """

def extract(
    dataset: str | os.PathLike[str],
    *,
    model: Model | str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | Sequence[str] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    backbone: str | Sequence[str] = (),
    weights: str | os.PathLike[str] | None = None,
    pretrained: bool = True,
    layer: str | Sequence[str] = (),
    pooling: Literal["avg", "max", "avg+max", "cls", "flatten"]
    | Sequence[Literal["avg", "max", "avg+max", "cls", "flatten"]] = (),
    separate: bool = False,
    size: int | None = None,
    crop: float | None = None,
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
    | None = None,
    resize: Literal["shortest", "squash"] | None = None,
    decode: Literal["reference", "scaled"] = "reference",
    range: str = "full",
    cache: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    batch_size: Literal["auto"] | int = "auto",
    workers: int | None = None,
    views: int = 0,
    augment: Literal["light", "medium", "strong"] = "medium",
    upright: bool = True,
    limit: int | None = None,
    on_error: Literal["skip", "fail"] = "skip",
    offline: bool = False,
    cluster: str | None = None,
    address: str | None = None,
) -> Extraction | list[Extraction]:
    r"""Embed every image of a data set with frozen backbones, once.

    Parameters
    ----------
    dataset : path
        Class folders, ``train/val/test`` folders of them, an unlabelled folder, or a CSV, TSV,
        JSONL or Parquet manifest.
    model : Model or path, optional
        A model, or what `featx.load_model` takes, whose backbone embeds the images as it does in
        `featx.score`: a fine-tuned one too.
    root : path, optional
        Folder that a manifest's paths are relative to. By default: manifest's folder.
    path_column : str, optional
        Manifest column with the image path. By default: path.
    label_column : str, optional
        Manifest column with the label. By default: label.
    group_column : str, optional
        Manifest column with the group (patient, plot, camera). By default: group.
    split_column : str, optional
        Manifest column with train, val or test. By default: split.
    columns : str or sequence of str
        Columns of numbers to fit on in a file of arrays: names, or patterns such as f*; may be
        a list. By default: X, else all columns of numbers.
    labels : str or sequence of str
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images that must not straddle folds, joined with the
        groups that there are.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient(\d+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. By default: $FEATX_BACKBONE,
        else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (needs just one).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto has fit choose among
        the stages, the pre-logits and several side by side. By default: pre-logits.
    pooling : str or sequence of str
        One of 'avg', 'max', 'avg+max', 'cls', 'flatten'. Pooling of each layer; may be a list.
        By default: backbone's own.
    separate : bool, default False
        One store for each layer and pooling instead of one concatenation.
    size : int, optional
        Input size in pixels. By default: weights' own.
    crop : float, optional
        Fraction the centre crop keeps. By default: weights' own.
    interpolation : {'nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'}, optional
        Resampling filter. By default: weights' own.
    resize : {'shortest', 'squash'}, optional
        shortest keeps the aspect and crops; squash does not. By default: weights' own.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        What becomes black and white in images of more than 8 bits: full, LOW-HIGH, or auto,
        found in the training images; part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Numerics of the forward pass; part of the fingerprint. By default: bf16 where the
        processor or GPU multiplies it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads that decode and, where the CPU computes, embed. By default: CPU cores.
    views : int, default 0
        Augmented views of each image that is not in the test split.
    augment : {'light', 'medium', 'strong'}, default 'medium'
        How much views differ from their image.
    upright : bool, default True
        ``upright=False`` also turns views by quarters: images have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray computes on the machines of a Ray cluster. By default: this machine.
    address : str, optional
        The cluster's HOST:PORT, or auto for the one this machine is in. By default: its own,
        new one.

    Returns
    -------
    Extraction or list of Extraction
        One embedding gives one `Extraction` with ``X`` of shape (n_ok, n_features) float32,
        ``y``, ``ids``, ``groups`` and ``splits`` of shape (n_ok,), and ``failures``. Several
        backbones, or ``separate=True`` outputs, give a list in the order asked.

    Raises
    ------
    UsageError
        An option makes no sense.
    DatasetError, BackboneError, StoreError
        The data set, the backbone or the cache fails. Everything committed stays.

    Examples
    --------
    >>> e = featx.extract("photos/", backbone="featx:mini-v1")   # doctest: +SKIP
    >>> e.X.shape, e.y[:2]                                       # doctest: +SKIP
    ((351, 1152), array(['Basophil', 'Basophil'], dtype='<U10'))
    """

def finetune(
    dataset: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | Sequence[str] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    backbone: str | Sequence[str] = (),
    weights: str | os.PathLike[str] | None = None,
    pretrained: bool = True,
    layer: str | Sequence[str] = (),
    pooling: Literal["avg", "max", "avg+max", "cls", "flatten"]
    | Sequence[Literal["avg", "max", "avg+max", "cls", "flatten"]] = (),
    separate: bool = False,
    size: int | None = None,
    crop: float | None = None,
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
    | None = None,
    resize: Literal["shortest", "squash"] | None = None,
    decode: Literal["reference", "scaled"] = "reference",
    range: str = "full",
    cache: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    batch_size: Literal["auto"] | int = "auto",
    workers: int | None = None,
    upright: bool = True,
    limit: int | None = None,
    on_error: Literal["skip", "fail"] = "skip",
    offline: bool = False,
    from_run: str | os.PathLike[str] | None = None,
    preset: Literal["quick", "balanced", "thorough"] | None = "balanced",
    head: Literal["logreg", "mlp"] = "logreg",
    start: Literal["fitted", "random"] | None = None,
    unfreeze: str = "all",
    lora: int | None = None,
    epochs: int = 12,
    learning_rate: float | None = None,
    head_rate: float | None = None,
    layer_decay: float | None = None,
    optimizer: Literal["adamw", "adam", "sgd", "rmsprop"] = "adamw",
    weight_decay: float = 0.01,
    schedule: Literal["cosine", "one-cycle", "step", "plateau", "constant"] = "cosine",
    warmup: float = 0.2,
    label_smoothing: float = 0.05,
    focal: float = 0.0,
    class_weight: Literal["none", "balanced"] = "none",
    balanced_sampling: bool = False,
    mixup: float = 0.0,
    cutmix: float = 0.0,
    augment: Literal["none", "crop", "light", "medium", "strong", "randaugment"] = "crop",
    train_batch: int = 32,
    processes: int = 1,
    accumulate: int = 1,
    clip: float = 1.0,
    ema: float = 0.0,
    train_batch_norm: bool = False,
    validation: float = 0.15,
    monitor: Literal["last", "score", "loss"] = "last",
    patience: int | None = None,
    trials: int | None = None,
    budget: str | None = None,
    tune: Literal["learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"]
    | Sequence[
        Literal["learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"]
    ] = ("learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"),
    estimate: Literal["auto", "test", "cv"] = "auto",
    folds: int | None = None,
    scoring: Literal[
        "balanced_accuracy", "accuracy", "f1_macro", "f1_weighted", "roc_auc_ovr", "neg_log_loss"
    ]
    | None = None,
    seed: int | None = None,
    memory_mb: int = 2048,
    tensorboard: str | os.PathLike[str] | None = None,
    checkpoint_s: float = 60.0,
    jobs: int | None = None,
    name: str | None = None,
    runs: str | os.PathLike[str] = "runs",
    overwrite: bool = False,
    mlflow: str | None = None,
    report: bool = True,
    heat_maps: bool = True,
) -> Run:
    r"""Train a backbone and its head on images, from the head that its frozen embeddings give.

    Parameters
    ----------
    dataset : path
        A labelled data set; see `featx.extract`.
    root : path, optional
        Folder that a manifest's paths are relative to. By default: manifest's folder.
    path_column : str, optional
        Manifest column with the image path. By default: path.
    label_column : str, optional
        Manifest column with the label. By default: label.
    group_column : str, optional
        Manifest column with the group (patient, plot, camera). By default: group.
    split_column : str, optional
        Manifest column with train, val or test. By default: split.
    columns : str or sequence of str
        Columns of numbers to fit on in a file of arrays: names, or patterns such as f*; may be
        a list. By default: X, else all columns of numbers.
    labels : str or sequence of str
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images that must not straddle folds, joined with the
        groups that there are.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient(\d+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. By default: $FEATX_BACKBONE,
        else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (needs just one).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto has fit choose among
        the stages, the pre-logits and several side by side. By default: pre-logits.
    pooling : str or sequence of str
        One of 'avg', 'max', 'avg+max', 'cls', 'flatten'. Pooling of each layer; may be a list.
        By default: backbone's own.
    separate : bool, default False
        One store for each layer and pooling instead of one concatenation.
    size : int, optional
        Input size in pixels. By default: weights' own.
    crop : float, optional
        Fraction the centre crop keeps. By default: weights' own.
    interpolation : {'nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'}, optional
        Resampling filter. By default: weights' own.
    resize : {'shortest', 'squash'}, optional
        shortest keeps the aspect and crops; squash does not. By default: weights' own.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        What becomes black and white in images of more than 8 bits: full, LOW-HIGH, or auto,
        found in the training images; part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Numerics of the forward pass; part of the fingerprint. By default: bf16 where the
        processor or GPU multiplies it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads that decode and, where the CPU computes, embed. By default: CPU cores.
    upright : bool, default True
        ``upright=False`` also turns views by quarters: images have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    from_run : path, optional
        Run of featx fit on the same images, whose folds, test split, seed, scoring and backbone
        are taken.
    preset : {'quick', 'balanced', 'thorough'}, default 'balanced'
        Set of defaults: quick trains 5 epochs, balanced 12, thorough 30; other flags win. By
        default: balanced.
    head : {'logreg', 'mlp'}, default 'logreg'
        Head that is fitted on the frozen embeddings, and trained.
    start : {'fitted', 'random'}, optional
        What the head is before training: as it was fitted on the frozen embeddings, or random
        weights. By default: by the kind of network.
    unfreeze : str, default 'all'
        What is trained: head, also the last-N stages (last-1, last-2 ...), all, or gradual: one
        stage more at a time, the last first.
    lora : int, optional
        Train corrections of this rank to the attention of a transformer, in the stages of
        ``unfreeze``, instead of its weights. By default: none.
    epochs : int, default 12
        The most times that all images are seen. By default: by ``preset``.
    learning_rate : float, optional
        Of the backbone, before ``layer_decay``. By default: by the kind of network.
    head_rate : float, optional
        Times ``learning_rate``, for the head. By default: 10 where it is random, else 1.
    layer_decay : float, optional
        Factor of the rate from each stage to the one below. By default: by the kind of network.
    optimizer : {'adamw', 'adam', 'sgd', 'rmsprop'}, default 'adamw'
        sgd has Nesterov's momentum of 0.9.
    weight_decay : float, default 0.01
        Biases and norms do not decay.
    schedule : {'cosine', 'one-cycle', 'step', 'plateau', 'constant'}, default 'cosine'
        How the learning rate goes on after the warm-up.
    warmup : float, default 0.2
        Share of all steps that it rises over.
    label_smoothing : float, default 0.05
        Share of the target that is spread over all classes.
    focal : float, default 0.0
        Focusing exponent of the focal loss; 0 is cross-entropy.
    class_weight : {'none', 'balanced'}, default 'none'
        balanced weights the loss of a class by 1/frequency.
    balanced_sampling : bool, default False
        Draw every class equally often, images of rare ones repeatedly.
    mixup : float, default 0.0
        Alpha of mixup; 0 does none.
    cutmix : float, default 0.0
        Alpha of cutmix; 0 does none.
    augment : {'none', 'crop', 'light', 'medium', 'strong', 'randaugment'}, default 'crop'
        How training images are changed, anew in each step.
    train_batch : int, default 32
        Images in a step.
    processes : int, default 1
        Processes on the CPU that share the images of a step; several GPUs are named with
        ``device``.
    accumulate : int, default 1
        Parts that a step's images are computed in, to save memory.
    clip : float, default 1.0
        Largest norm of the gradient; 0 does not clip.
    ema : float, default 0.0
        Decay of a moving average of the weights; 0 has none.
    train_batch_norm : bool, default False
        Let statistics of batch normalisation move.
    validation : float, default 0.15
        Share of the training images that the frozen and the tuned network are compared on
        before either is kept.
    monitor : {'last', 'score', 'loss'}, default 'last'
        Which epoch is kept: the last one, or the best by the score (of equal ones by the loss)
        or by the loss of the validation images.
    patience : int, optional
        Epochs without a better one before it stops. By default: none; 5 where the schedule is
        plateau or constant.
    trials : int, optional
        Search ``tune`` with so many trainings, the first as asked, judged by the validation
        images; anew for each fold. By default: none is searched; 20 with ``budget``.
    budget : str, optional
        Time for all searches together, such as 30m or 2h: what is tried then depends on the
        machine. By default: no limit.
    tune : str or sequence of str
        One of 'learning_rate', 'weight_decay', 'unfreeze', 'layer_decay', 'augment', 'epochs'.
        What ``trials`` and ``budget`` search; may be a list. By default: all.
    estimate : {'auto', 'test', 'cv'}, default 'auto'
        Where the honest number comes from: the test split, or folds, each predicted by a model
        trained without it. By default: test if there is one, else cv.
    folds : int, optional
        Folds. By default: those of the run, else 5.
    scoring : str, optional
        One of 'balanced_accuracy', 'accuracy', 'f1_macro', 'f1_weighted', 'roc_auc_ovr',
        'neg_log_loss'. Score that is shown. By default: that of the run, else
        balanced_accuracy.
    seed : int, optional
        Seed of it all. By default: that of the run, else 0.
    memory_mb : int, default 2048
        Memory for decoded images, in MB; others are decoded every time.
    tensorboard : path, optional
        Folder for curves in TensorBoard's format, written after each epoch.
    checkpoint_s : float, default 60.0
        Seconds between checkpoints; each epoch ends with one too.
    jobs : int, optional
        Threads of the head's search. By default: CPU cores.
    name : str, optional
        Name of the run. By default: data set and time.
    runs : path, default 'runs'
        Folder that runs are written into.
    overwrite : bool, default False
        Replace a run of the same name.
    mlflow : str, optional
        Also log the finished run to MLflow: the address of a server or database, or a folder.
        By default: no.
    report : bool, default True
        Write report.html into the run.
    heat_maps : bool, default True
        Show on the page where in its images a linear head's decisions come from.

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``: the fine-tuned one or, where fine-tuning ended
        below its own warm start, the frozen one.

    Raises
    ------
    UsageError
        An option makes no sense, the run exists, or ``from_run`` was made on other images.
    FitError
        The labels cannot carry an honest estimate, or are too few for a validation part.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.

    Notes
    -----
    Linear probing, then fine-tuning: Kumar et al., "Fine-tuning can distort pretrained features and
    underperform out-of-distribution", ICLR 2022, https://arxiv.org/abs/2202.10054.
    """

def fit(
    dataset: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | Sequence[str] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    backbone: str | Sequence[str] = (),
    weights: str | os.PathLike[str] | None = None,
    pretrained: bool = True,
    layer: str | Sequence[str] = (),
    pooling: Literal["avg", "max", "avg+max", "cls", "flatten"]
    | Sequence[Literal["avg", "max", "avg+max", "cls", "flatten"]] = (),
    separate: bool = False,
    size: int | None = None,
    crop: float | None = None,
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
    | None = None,
    resize: Literal["shortest", "squash"] | None = None,
    decode: Literal["reference", "scaled"] = "reference",
    range: str = "full",
    cache: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    batch_size: Literal["auto"] | int = "auto",
    workers: int | None = None,
    views: int = 0,
    augment: Literal["light", "medium", "strong"] = "medium",
    upright: bool = True,
    limit: int | None = None,
    on_error: Literal["skip", "fail"] = "skip",
    offline: bool = False,
    cluster: str | None = None,
    address: str | None = None,
    head: str | Sequence[str] = ("logreg",),
    concat: bool = False,
    sampler: str | Sequence[str] = ("none",),
    pca: Literal["none"] | int | float | Sequence[Literal["none"] | int | float] = ("none",),
    class_weight: Literal["auto", "none", "balanced"] = "auto",
    param_grid: dict[str, dict[str, list[bool | int | float | str | None]]] = {},
    search: str = "grid",
    trials: int | None = None,
    budget: str | None = None,
    ensemble: Literal["vote", "stack"] | Sequence[Literal["vote", "stack"]] = (),
    members: int | None = None,
    seeds: int = 1,
    resume: bool = True,
    cv: int = 5,
    scoring: Literal[
        "balanced_accuracy", "accuracy", "f1_macro", "f1_weighted", "roc_auc_ovr", "neg_log_loss"
    ] = "balanced_accuracy",
    select: Literal["best", "1se"] = "best",
    estimate: Literal["auto", "holdout", "test", "cv", "nested", "repeated"] = "auto",
    holdout: float = 0.2,
    repeats: int = 5,
    calibrate: Literal["none", "temperature", "sigmoid", "isotonic", "auto"] = "none",
    threshold: str | None = None,
    prevalence: float | None = None,
    costs: str | os.PathLike[str] | None = None,
    learning_curve: bool = False,
    coverage: float = 0.9,
    coverage_over: Literal["images", "classes"] = "images",
    sets: Literal["lac", "aps", "raps"] = "lac",
    ood_rate: float = 0.01,
    seed: int = 0,
    jobs: int | None = None,
    search_device: str = "cpu",
    name: str | None = None,
    runs: str | os.PathLike[str] = "runs",
    overwrite: bool = False,
    mlflow: str | None = None,
    report: bool = True,
    heat_maps: bool = False,
) -> Run:
    r"""Search a classifier on cached embeddings, estimate it honestly, and save it.

    Parameters
    ----------
    dataset : path
        A labelled data set; see `featx.extract`.
    root : path, optional
        Folder that a manifest's paths are relative to. By default: manifest's folder.
    path_column : str, optional
        Manifest column with the image path. By default: path.
    label_column : str, optional
        Manifest column with the label. By default: label.
    group_column : str, optional
        Manifest column with the group (patient, plot, camera). By default: group.
    split_column : str, optional
        Manifest column with train, val or test. By default: split.
    columns : str or sequence of str
        Columns of numbers to fit on in a file of arrays: names, or patterns such as f*; may be
        a list. By default: X, else all columns of numbers.
    labels : str or sequence of str
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images that must not straddle folds, joined with the
        groups that there are.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient(\d+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. By default: $FEATX_BACKBONE,
        else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (needs just one).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto has fit choose among
        the stages, the pre-logits and several side by side. By default: pre-logits.
    pooling : str or sequence of str
        One of 'avg', 'max', 'avg+max', 'cls', 'flatten'. Pooling of each layer; may be a list.
        By default: backbone's own.
    separate : bool, default False
        One store for each layer and pooling instead of one concatenation.
    size : int, optional
        Input size in pixels. By default: weights' own.
    crop : float, optional
        Fraction the centre crop keeps. By default: weights' own.
    interpolation : {'nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'}, optional
        Resampling filter. By default: weights' own.
    resize : {'shortest', 'squash'}, optional
        shortest keeps the aspect and crops; squash does not. By default: weights' own.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        What becomes black and white in images of more than 8 bits: full, LOW-HIGH, or auto,
        found in the training images; part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Numerics of the forward pass; part of the fingerprint. By default: bf16 where the
        processor or GPU multiplies it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads that decode and, where the CPU computes, embed. By default: CPU cores.
    views : int, default 0
        Augmented views of each image that is not in the test split.
    augment : {'light', 'medium', 'strong'}, default 'medium'
        How much views differ from their image.
    upright : bool, default True
        ``upright=False`` also turns views by quarters: images have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray computes on the machines of a Ray cluster. By default: this machine.
    address : str, optional
        The cluster's HOST:PORT, or auto for the one this machine is in. By default: its own,
        new one.
    head : str or sequence of str, default 'logreg'
        Classifier to try; may be a list.
    concat : bool, default False
        Also try the embeddings of all backbones named, side by side.
    sampler : str or sequence of str, default 'none'
        Resampling inside the folds; may be a list. none is always tried too.
    pca : {'none'} or int or float or sequence of {'none'} or int or float, default 'none'
        Principal components of the scaled embeddings, fitted inside the folds: none, so many,
        or those with this share of the variance, such as 0.95; may be a list.
    class_weight : {'auto', 'none', 'balanced'}, default 'auto'
        balanced also tries each head with classes weighted by 1/frequency; auto does so once
        beside samplers, for comparison; none never does.
    param_grid : dict, default {}
        Values to search instead of a head's own, as {head: {parameter: [values]}}.
    search : str, default 'grid'
        grid tries every value and goes on past an end that is best; random and bayes draw
        ``trials`` points from a head's space; halving tries all on few images first.
    trials : int, optional
        Points drawn for each row; halving draws none without it. By default: 30 for random and
        bayes.
    budget : str, optional
        Time for the search and the nested ones that evaluate it, such as 5m, 90s or 2h30m: what
        is tried then depends on the machine. By default: no limit.
    ensemble : {'vote', 'stack'} or sequence of {'vote', 'stack'}
        Also try the candidates together: vote averages their probabilities, stack weighs them
        by logistic regression; may be a list.
    members : int, optional
        Best candidates in an ensemble. By default: all of them.
    seeds : int, default 1
        Copies of each candidate that depends on the seed, which also vote.
    resume : bool, default True
        Scores are kept in RUNS/.searches as they are found, and known ones are not fitted
        again; ``resume=False`` does neither.
    cv : int, default 5
        Folds of the search.
    scoring : str, default 'balanced_accuracy'
        One of 'balanced_accuracy', 'accuracy', 'f1_macro', 'f1_weighted', 'roc_auc_ovr',
        'neg_log_loss'. What the search maximises.
    select : {'best', '1se'}, default 'best'
        best takes the highest mean score, 1se the simplest candidate within one standard error
        of it.
    estimate : {'auto', 'holdout', 'test', 'cv', 'nested', 'repeated'}, default 'auto'
        How performance is estimated: the test split, a share held out where there is none,
        nested cross-validation, the same repeated, or the search's own folds (too high on
        average; a note says so). By default: test if there is one, else nested.
    holdout : float, default 0.2
        Share that ``estimate`` holdout keeps back.
    repeats : int, default 5
        Partitions that ``estimate`` repeated makes.
    calibrate : {'none', 'temperature', 'sigmoid', 'isotonic', 'auto'}, default 'none'
        How scores become probabilities, fitted out of fold; auto takes the smallest log loss.
        none leaves them, and takes a temperature for heads without probabilities.
    threshold : str, optional
        Decide for CLASS from a cutoff of its probability on: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. Chosen out of
        fold. By default: the likeliest class.
    prevalence : float, optional
        Share of the class that is looked for where the model is used, such as 0.01: precision,
        predictive values and false alarms are then of that. By default: its share of the
        images.
    costs : path, optional
        CSV file of what it costs to decide for a column's class where a row's is true: decide
        for the least expected cost. By default: the likeliest class.
    learning_curve : bool, default False
        Also train the chosen classifier on fewer images, and forecast what labelling more would
        add.
    coverage : float, default 0.9
        Share of images whose prediction set holds the true class.
    coverage_over : {'images', 'classes'}, default 'images'
        Whether ``coverage`` holds over all images or of every class.
    sets : {'lac', 'aps', 'raps'}, default 'lac'
        Prediction sets: lac are the smallest, aps larger for hard images and smaller for easy
        ones, raps the same without long tails of many classes.
    ood_rate : float, default 0.01
        Share of ordinary images flagged as out of distribution.
    seed : int, default 0
        Seed of folds, samplers and heads.
    jobs : int, optional
        Threads of the search. By default: CPU cores.
    search_device : str, default 'cpu'
        Where the search fits logistic regressions: cpu, cuda or cuda:N.
    name : str, optional
        Name of the run. By default: data set and time.
    runs : path, default 'runs'
        Folder that runs are written into.
    overwrite : bool, default False
        Replace a run of the same name.
    mlflow : str, optional
        Also log the finished run to MLflow: the address of a server or database, or a folder.
        By default: no.
    report : bool, default True
        Write report.html into the run.
    heat_maps : bool, default False
        Show on the page where in its images a linear head's decisions come from. `featx report`
        does so later.

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``.

    Raises
    ------
    UsageError
        An option makes no sense, or the run exists and ``overwrite`` is not set.
    FitError
        The labels cannot carry an honest estimate (one class, too few images of a class ...).
    DatasetError, BackboneError, StoreError
        See `featx.extract`.
    """

def fit_arrays(
    X: Any,
    y: Any = None,
    *,
    groups: Any = None,
    ids: Any = None,
    splits: Any = None,
    columns: str | Sequence[str] = (),
    head: str | Sequence[str] = ("logreg",),
    sampler: str | Sequence[str] = ("none",),
    pca: Literal["none"] | int | float | Sequence[Literal["none"] | int | float] = ("none",),
    class_weight: Literal["auto", "none", "balanced"] = "auto",
    param_grid: dict[str, dict[str, list[bool | int | float | str | None]]] = {},
    search: str = "grid",
    trials: int | None = None,
    budget: str | None = None,
    ensemble: Literal["vote", "stack"] | Sequence[Literal["vote", "stack"]] = (),
    members: int | None = None,
    seeds: int = 1,
    resume: bool = True,
    cv: int = 5,
    scoring: Literal[
        "balanced_accuracy", "accuracy", "f1_macro", "f1_weighted", "roc_auc_ovr", "neg_log_loss"
    ] = "balanced_accuracy",
    select: Literal["best", "1se"] = "best",
    estimate: Literal["auto", "holdout", "test", "cv", "nested", "repeated"] = "auto",
    holdout: float = 0.2,
    repeats: int = 5,
    calibrate: Literal["none", "temperature", "sigmoid", "isotonic", "auto"] = "none",
    threshold: str | None = None,
    prevalence: float | None = None,
    costs: str | os.PathLike[str] | None = None,
    learning_curve: bool = False,
    coverage: float = 0.9,
    coverage_over: Literal["images", "classes"] = "images",
    sets: Literal["lac", "aps", "raps"] = "lac",
    ood_rate: float = 0.01,
    seed: int = 0,
    jobs: int | None = None,
    search_device: str = "cpu",
    cluster: str | None = None,
    address: str | None = None,
    name: str | None = None,
    runs: str | os.PathLike[str] = "runs",
    overwrite: bool = False,
    mlflow: str | None = None,
    report: bool = True,
) -> Run:
    """Search a classifier on embeddings or features, estimate it honestly, and save it.

    The run has a report and is compared like any other; its model predicts from such rows. Equal
    rows are found and kept together: none trains a model that is tested on another.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features), frame or path
        A NumPy array, a pandas or polars frame, a torch tensor, or a file: ``.npz``, ``.npy``,
        ``.h5``, ``.parquet`` or ``.csv``. Numbers are used as float32.
    y : array-like of shape (n_rows,), or str, optional
        Labels: text or whole numbers. A text is the name of a column of a frame or a file. By
        default the column ``y``, ``label`` or the like. Rows without a label are left out.
    groups : array-like of shape (n_rows,), or str, optional
        What must not straddle folds: patient, plot, camera.
    ids : array-like of shape (n_rows,), or str, optional
        Unique names, by which runs are compared. By default the column ``ids`` or ``id``, the
        index of a frame, or else the number of the row, from 0.
    splits : array-like of shape (n_rows,), or str, optional
        ``train``, ``val`` or ``test``. Rows of the test split are predicted once.
    columns : str or sequence of str
        Columns of a frame or file to fit on: names, or patterns such as ``f*``. By default ``X``
        where it has one, else all columns of numbers that have no other meaning.
    head : str or sequence of str, default 'logreg'
        Classifier to try; may be a list.
    sampler : str or sequence of str, default 'none'
        Resampling inside the folds; may be a list. none is always tried too.
    pca : {'none'} or int or float or sequence of {'none'} or int or float, default 'none'
        Principal components of the scaled embeddings, fitted inside the folds: none, so many,
        or those with this share of the variance, such as 0.95; may be a list.
    class_weight : {'auto', 'none', 'balanced'}, default 'auto'
        balanced also tries each head with classes weighted by 1/frequency; auto does so once
        beside samplers, for comparison; none never does.
    param_grid : dict, default {}
        Values to search instead of a head's own, as {head: {parameter: [values]}}.
    search : str, default 'grid'
        grid tries every value and goes on past an end that is best; random and bayes draw
        ``trials`` points from a head's space; halving tries all on few images first.
    trials : int, optional
        Points drawn for each row; halving draws none without it. By default: 30 for random and
        bayes.
    budget : str, optional
        Time for the search and the nested ones that evaluate it, such as 5m, 90s or 2h30m: what
        is tried then depends on the machine. By default: no limit.
    ensemble : {'vote', 'stack'} or sequence of {'vote', 'stack'}
        Also try the candidates together: vote averages their probabilities, stack weighs them
        by logistic regression; may be a list.
    members : int, optional
        Best candidates in an ensemble. By default: all of them.
    seeds : int, default 1
        Copies of each candidate that depends on the seed, which also vote.
    resume : bool, default True
        Scores are kept in RUNS/.searches as they are found, and known ones are not fitted
        again; ``resume=False`` does neither.
    cv : int, default 5
        Folds of the search.
    scoring : str, default 'balanced_accuracy'
        One of 'balanced_accuracy', 'accuracy', 'f1_macro', 'f1_weighted', 'roc_auc_ovr',
        'neg_log_loss'. What the search maximises.
    select : {'best', '1se'}, default 'best'
        best takes the highest mean score, 1se the simplest candidate within one standard error
        of it.
    estimate : {'auto', 'holdout', 'test', 'cv', 'nested', 'repeated'}, default 'auto'
        How performance is estimated: the test split, a share held out where there is none,
        nested cross-validation, the same repeated, or the search's own folds (too high on
        average; a note says so). By default: test if there is one, else nested.
    holdout : float, default 0.2
        Share that ``estimate`` holdout keeps back.
    repeats : int, default 5
        Partitions that ``estimate`` repeated makes.
    calibrate : {'none', 'temperature', 'sigmoid', 'isotonic', 'auto'}, default 'none'
        How scores become probabilities, fitted out of fold; auto takes the smallest log loss.
        none leaves them, and takes a temperature for heads without probabilities.
    threshold : str, optional
        Decide for CLASS from a cutoff of its probability on: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. Chosen out of
        fold. By default: the likeliest class.
    prevalence : float, optional
        Share of the class that is looked for where the model is used, such as 0.01: precision,
        predictive values and false alarms are then of that. By default: its share of the
        images.
    costs : path, optional
        CSV file of what it costs to decide for a column's class where a row's is true: decide
        for the least expected cost. By default: the likeliest class.
    learning_curve : bool, default False
        Also train the chosen classifier on fewer images, and forecast what labelling more would
        add.
    coverage : float, default 0.9
        Share of images whose prediction set holds the true class.
    coverage_over : {'images', 'classes'}, default 'images'
        Whether ``coverage`` holds over all images or of every class.
    sets : {'lac', 'aps', 'raps'}, default 'lac'
        Prediction sets: lac are the smallest, aps larger for hard images and smaller for easy
        ones, raps the same without long tails of many classes.
    ood_rate : float, default 0.01
        Share of ordinary images flagged as out of distribution.
    seed : int, default 0
        Seed of folds, samplers and heads.
    jobs : int, optional
        Threads of the search. By default: CPU cores.
    search_device : str, default 'cpu'
        Where the search fits logistic regressions: cpu, cuda or cuda:N.
    cluster : str, optional
        ray computes on the machines of a Ray cluster. By default: this machine.
    address : str, optional
        The cluster's HOST:PORT, or auto for the one this machine is in. By default: its own,
        new one.
    name : str, optional
        Name of the run. By default: data set and time.
    runs : path, default 'runs'
        Folder that runs are written into.
    overwrite : bool, default False
        Replace a run of the same name.
    mlflow : str, optional
        Also log the finished run to MLflow: the address of a server or database, or a folder.
        By default: no.
    report : bool, default True
        Write report.html into the run.

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``.

    Raises
    ------
    UsageError
        An option makes no sense, a column is not there, or the run exists.
    DatasetError
        Lengths differ, or X holds NaN, infinity or no numbers.
    FitError
        See `featx.fit`.

    Examples
    --------
    >>> run = featx.fit_arrays(X, y, groups=patients, name="own")            # doctest: +SKIP
    >>> run.model.predict(X_new)                                             # doctest: +SKIP
    """

def inspect(
    dataset: str | os.PathLike[str],
    *,
    workers: int | None = None,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | Sequence[str] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
) -> Inspection:
    r"""Count, measure and check the images of a data set.

    Parameters
    ----------
    dataset : path
        See `featx.extract`.
    workers : int, optional
        Decoding threads; by default one for each CPU core.
    root : path, optional
        Folder that a manifest's paths are relative to. By default: manifest's folder.
    path_column : str, optional
        Manifest column with the image path. By default: path.
    label_column : str, optional
        Manifest column with the label. By default: label.
    group_column : str, optional
        Manifest column with the group (patient, plot, camera). By default: group.
    split_column : str, optional
        Manifest column with train, val or test. By default: split.
    columns : str or sequence of str
        Columns of numbers to fit on in a file of arrays: names, or patterns such as f*; may be
        a list. By default: X, else all columns of numbers.
    labels : str or sequence of str
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images that must not straddle folds, joined with the
        groups that there are.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient(\d+)'; joined with the groups that there are.

    Returns
    -------
    Inspection
        Classes, groups, splits, sizes, formats, broken files and exact duplicates; ``document()``
        gives all of it as JSON.

    Raises
    ------
    UsageError, DatasetError
        The data set does not exist or cannot be read as asked.
    """

def report(
    run: Run | str | os.PathLike[str],
    *,
    output: str | os.PathLike[str] | None = None,
    figures: str | os.PathLike[str] | None = None,
    dataset: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    threshold: str | None = None,
    prevalence: float | None = None,
    heat_maps: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write a finished run as one self-contained page.

    Parameters
    ----------
    run : path or Run
        A folder that `featx.fit` or `featx.finetune` wrote, or what it gave back.
    output : path, optional
        File of the page. By default: report.html in the run.
    figures : path, optional
        Folder for the figures as SVG and PNG and the tables as CSV.
    dataset : path, optional
        Where the images are now. By default: where the run found them.
    cache : path, optional
        Cache folder. By default: the run's.
    threshold : str, optional
        Decide for CLASS from a cutoff of its probability on: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. likeliest is none
        of these. By default: the run's.
    prevalence : float, optional
        Share of the class that is looked for where the model is used, such as 0.01: precision,
        predictive values and false alarms are then of that. By default: its share of the
        images.
    heat_maps : bool, default True
        Show on the page where in its images a linear head's decisions come from.
    overwrite : bool, default False
        Replace existing output.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    UsageError
        It is no run, or output exists and ``overwrite`` is not set. The page in the run itself
        is made of the run alone, and always made anew.
    RunError
        A file of the run cannot be read, is not what featx writes, or is of a newer version.

    Notes
    -----
    Where images, weights or embeddings are no longer there, the page is without pictures and
    says so.
    """

def score(
    model: Model | Run | str | os.PathLike[str],
    images: Any,
    *,
    output: str | os.PathLike[str] | None = None,
    config: ScoreConfig | None = None,
    extract: ExtractConfig | None = None,
    top_k: int = 1,
    proba: bool = False,
    average_views: int = 0,
    threshold: str | None = None,
    prevalence: float | None = None,
    abstain_below: float | None = None,
    sort_into: str | os.PathLike[str] | None = None,
    sort_mode: Literal["link", "copy"] = "link",
    sort_unsure: bool = True,
    report: str | None = None,
    history: str | None = None,
    fail_on: str | None = None,
    all_files: bool = False,
    overwrite: bool = False,
    weights: str | os.PathLike[str] | None = None,
    cache: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    batch_size: Literal["auto"] | int = "auto",
    workers: int | None = None,
    limit: int | None = None,
    on_error: Literal["skip", "fail"] = "skip",
    offline: bool = False,
    cluster: str | None = None,
    address: str | None = None,
) -> Scores:
    """Predict the class of every image of a folder; nothing is left out.

    Parameters
    ----------
    model : Model, Run or path
        A model, a run, or what `featx.load_model` takes.
    images : path, DatasetConfig, array-like or frame
        A folder, with or without subfolders, or a manifest file; labels are ignored. Rows of
        numbers, as `featx.fit_arrays` takes them, or a file of them: one row each is predicted.
    output : path, optional
        ``.csv``, ``.jsonl`` or ``.parquet`` file to write. Default None writes nothing.
    config : ScoreConfig, optional
        What is written; its ``output`` is not read here.
    extract : ExtractConfig, optional
        Cache, device and the like. What decides the embedding is the model's, except ``weights``
        (a file that has moved since the model was fitted).
    top_k : int, default 1
        Best classes to name in each row.
    proba : bool, default False
        One column per class with its probability.
    average_views : int, default 0
        Mean probability over each image and so many augmented views of it.
    threshold : str, optional
        Decide for CLASS from a cutoff of its probability on: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. likeliest is none
        of these. By default: the model's.
    prevalence : float, optional
        Share of the class that is looked for where the model is used, such as 0.01: precision,
        predictive values and false alarms are then of that. By default: its share of the
        images.
    abstain_below : float, optional
        Abstain from predictions less likely than this.
    sort_into : path, optional
        Folder to sort the images into by class.
    sort_mode : {'link', 'copy'}, default 'link'
        How ``sort_into`` places files.
    sort_unsure : bool, default True
        ``sort_into`` puts images that the model abstains from, or that are out of distribution,
        into _unsure; ``sort_unsure=False`` puts them with their predicted class.
    report : str, optional
        File for a page about the images: classes, confidence, pictures, drift.
    history : str, optional
        File of JSON lines to which one line on this scoring is added: date, model, rows,
        shares, drift.
    fail_on : str, optional
        Findings that give exit code 4, everything written all the same: drift, ood, abstained
        and quarantined, each where it would be warned of, or above a share such as
        ood=0.2,abstained=0.5; drift=0.01 is a p-value.
    all_files : bool, default False
        Also one row, with the reason, for each file that is no image or not read.
    overwrite : bool, default False
        Replace existing output.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (needs just one).
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Numerics of the forward pass; part of the fingerprint. By default: bf16 where the
        processor or GPU multiplies it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads that decode and, where the CPU computes, embed. By default: CPU cores.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray computes on the machines of a Ray cluster. By default: this machine.
    address : str, optional
        The cluster's HOST:PORT, or auto for the one this machine is in. By default: its own,
        new one.

    Returns
    -------
    Scores

    Raises
    ------
    UsageError
        An option makes no sense, or something that exists would be overwritten.
    ModelError
        The model cannot be loaded, or the backbone on this machine is not the one it was fitted
        with; the message says what differs.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.
    AlarmError
        What ``fail_on`` names was found; all is written. `Scores.require_calm` asks later.

    Examples
    --------
    >>> scores = featx.score("runs/first", "new_photos/", top_k=3)   # doctest: +SKIP
    >>> scores.predictions[:2]                                       # doctest: +SKIP
    array(['Basophil', 'Monocyte'], dtype=object)
    """
