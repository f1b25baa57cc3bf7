"""Written by ``python -m recipes.signatures``; edit the functions instead."""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from featx.adapters._dataset import EmbeddingDataset as EmbeddingDataset
from featx.adapters._embedder import ImageEmbedder as ImageEmbedder
from featx.adapters._folds import LeakFreeKFold as LeakFreeKFold
from featx.api.audit import FinishedAudit
from featx.api.race import FinishedRace
from featx.api.similar import Similar
from featx.artifact import load_model as load_model
from featx.artifact.model import Model
from featx.comparing.compare import Comparison
from featx.config.export import ExportConfig
from featx.config.extract import ExtractConfig
from featx.config.score import ScoreConfig
from featx.data.findings import Inspection
from featx.exporting.network import Exported
from featx.extraction.result import Extraction
from featx.labelling.session import LabelSuggestion
from featx.runs import load_run as load_run
from featx.runs.finished import Run
from featx.scoring.counting import Counts
from featx.scoring.scores import Scores

__all__ = [
    "EmbeddingDataset",
    "ImageEmbedder",
    "LeakFreeKFold",
    "__version__",
    "audit",
    "compare",
    "count",
    "evaluate",
    "export_model",
    "extract",
    "finetune",
    "fit",
    "fit_arrays",
    "inspect",
    "load_model",
    "load_run",
    "next_images",
    "race",
    "report",
    "score",
    "similar",
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
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
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
    resize: Literal["shortest", "squash", "auto"] | None = None,
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
    """Look for copies, doubtful labels, outliers and shortcuts.

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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. For fit also auto: those on
        this machine race first. By default: $FEATX_BACKBONE, else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto lets fit choose among
        the stages, the pre-logits and several concatenated. By default: pre-logits.
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
    resize : {'shortest', 'squash', 'auto'}, optional
        shortest keeps the aspect and crops; squash does not; auto lets fit choose between the
        weights' own and squash. By default: weights' own; auto with ``layer`` auto.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        Values shown as black and white in images of more than 8 bits: full, LOW-HIGH, or auto
        (from the training images); part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    views : int, default 0
        Augmented views of each image that is not in the test split.
    augment : {'light', 'medium', 'strong'}, default 'medium'
        How much views differ from their image.
    upright : bool, default True
        ``upright=False`` also rotates views by quarter turns, for images that have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.
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
        An option is invalid, or the output exists and ``overwrite`` is not set.
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
    by: str | Sequence[str] = (),
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
        Run to compare the others with. By default: the first.
    metric : str, optional
        Metric that the verdicts are based on, such as accuracy. By default: the metric of the
        baseline's fit.
    disagreements : path, optional
        File for the images on which runs disagree: .csv, .jsonl or .parquet.
    by : str or sequence of str
        Also show every value of this: a column of the manifest, group, split, a field of EXIF
        such as exif:Model, or a part of the path as ``group_from`` names it, such as folder:0;
        may be a list.
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
        Fewer than two runs, a folder that is not a run, an unknown metric, or output that exists.
    ComparisonError
        The runs were not evaluated on the same images in the same way; the message says how.

    Examples
    --------
    >>> featx.compare("runs/frozen", "runs/tuned").verdicts             # doctest: +SKIP
    """

def count(
    model: Model | Run | str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    by: str | Sequence[str] = (),
    audit: int | None = None,
    audit_file: str | os.PathLike[str] = "audit.csv",
    audited: str | os.PathLike[str] | None = None,
    labelled: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    new_class: str | Sequence[str] = (),
    seed: int = 0,
    output: str | os.PathLike[str] | None = None,
    report: str | os.PathLike[str] | None = None,
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
) -> Counts:
    """Count the images of each class in a new folder, with intervals.

    Parameters
    ----------
    model : Model, Run or path
        A run, whose out-of-fold predictions say how its model errs; a model alone needs an audit.
    dataset : path
        A folder of new images or a manifest; labels are ignored.
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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.
    by : str or sequence of str
        Also count in every value of this: a column of the manifest, group, a field of EXIF such
        as exif:Model, or a part of the path as ``group_from`` names it, such as folder:0; may
        be a list.
    audit : int, optional
        Draw this many images for a person to label, those that make the intervals shortest, and
        write them to ``audit_file``.
    audit_file : path, default 'audit.csv'
        CSV file that ``audit`` writes.
    audited : path, optional
        The file of ``audit`` with its column label filled in: corrects the counts.
    labelled : path or sequence of path
        Labels that some of the images have: a file of featx label, a manifest, corrections.csv,
        or what Label Studio or CVAT exported. These images count as labelled; may be a list.
    new_class : str or sequence of str
        Label that is a class of its own, although it is spelled almost as a class of the model;
        may be a list.
    seed : int, default 0
        Seed of the draws.
    output : path, optional
        Output file: .csv, .jsonl or .parquet.
    report : path, optional
        File for a page with the counts.
    overwrite : bool, default False
        Replace existing output.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.

    Returns
    -------
    Counts
        Whole numbers that add up to the images that could be read, with 95 % intervals between 0
        and that number; ``parts`` has the folder and every value of ``by``.

    Raises
    ------
    UsageError
        An option is invalid, there is a model without its run and no audit, or an output exists.
    ModelError, RunError
        The model or the run cannot be read.
    DatasetError, BackboneError, StoreError
        See `featx.extract`; also where ``audited`` names other images, other classes, or none.

    Examples
    --------
    >>> counts = featx.count("runs/first", "september/", by="folder:0")    # doctest: +SKIP
    >>> counts.whole.classes[0]                                            # doctest: +SKIP
    ClassCount(name='deer', predicted=412, count=388, low=371, high=404, audited=0, labelled=0)
    """

def evaluate(
    model: Model | Run | str | os.PathLike[str],
    dataset: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    split: Literal["train", "val", "test"] | None = None,
    threshold: str | None = None,
    prevalence: float | None = None,
    by: str | Sequence[str] = (),
    by_group: str | None = None,
    group_answer: str | None = None,
    fail_on: str | None = None,
    seed: int | None = None,
    name: str | None = None,
    runs: str | os.PathLike[str] = "runs",
    overwrite: bool = False,
    report: bool = True,
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
) -> Run:
    """Evaluate a finished model on labelled images that it has not seen.

    Parameters
    ----------
    model : Model, Run or path
        A model, a run, or what `featx.load_model` takes.
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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.
    split : {'train', 'val', 'test'}, optional
        Evaluate on the images of this split only. By default: all images.
    threshold : str, optional
        Predict CLASS if its probability reaches a cutoff: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. likeliest is none
        of these. By default: the model's.
    prevalence : float, optional
        Prevalence of the target class where the model will be used, such as 0.01; precision,
        predictive values and false alarms are computed for it. By default: its share of the
        images.
    by : str or sequence of str
        Also show every value of this: a column of the manifest, group, split, a field of EXIF
        such as exif:Model, or a part of the path as ``group_from`` names it, such as folder:0;
        may be a list.
    by_group : str, optional
        Also answer once for each group of images (patient, specimen, lot): the groups of the
        data set, or those of a column of the manifest, or of the path, by a rule such as
        ``group_from`` takes.
    group_answer : str, optional
        How the images of a group give its answer: mean (of their probabilities), vote,
        max:CLASS or noisy-or:CLASS (one image of CLASS makes the group positive). By default:
        the model's.
    fail_on : str, optional
        Exit with code 4 on these findings, after writing all output: drift, ood, abstained and
        quarantined, each at its warning level or above a share such as ood=0.2,abstained=0.5;
        drift=0.01 is a p-value.
    seed : int, optional
        Seed of the resamples. By default: the model's.
    name : str, optional
        Name of the run. By default: data set and time.
    runs : path, default 'runs'
        Folder for runs.
    overwrite : bool, default False
        Replace a run of the same name.
    report : bool, default True
        Write report.html into the run.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.

    Returns
    -------
    Run
        ``run.results.estimate`` has every metric on the images that are not copies of training
        images; ``run.results.evaluation`` what else was found. Its ``model`` is the one that was
        evaluated, at its own path.

    Raises
    ------
    UsageError
        An option is invalid, or the run exists and ``overwrite`` is not set.
    ModelError
        The model cannot be loaded, or its backbone is not the one it was fitted with.
    FitError
        The images have no labels.
    AlarmError
        What ``fail_on`` names was found; the run is written.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.

    Examples
    --------
    >>> run = featx.evaluate("runs/first", "other_hospital/")           # doctest: +SKIP
    >>> run.results.evaluation.against_shipped["accuracy"].place        # doctest: +SKIP
    'inside'
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
    index of the class that featx predicts. It is fp32 whatever the model was fitted with.

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
        Images to check the export on. By default: the data set of the fit.
    n_images : int, default 16
        Number of images to check.
    tolerance : float, default 0.01
        Largest accepted difference from featx's probabilities.
    overwrite : bool, default False
        Replace existing output.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
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
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
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
    resize: Literal["shortest", "squash", "auto"] | None = None,
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
    """Embed every image of a data set with frozen backbones, once.

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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. For fit also auto: those on
        this machine race first. By default: $FEATX_BACKBONE, else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto lets fit choose among
        the stages, the pre-logits and several concatenated. By default: pre-logits.
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
    resize : {'shortest', 'squash', 'auto'}, optional
        shortest keeps the aspect and crops; squash does not; auto lets fit choose between the
        weights' own and squash. By default: weights' own; auto with ``layer`` auto.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        Values shown as black and white in images of more than 8 bits: full, LOW-HIGH, or auto
        (from the training images); part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    views : int, default 0
        Augmented views of each image that is not in the test split.
    augment : {'light', 'medium', 'strong'}, default 'medium'
        How much views differ from their image.
    upright : bool, default True
        ``upright=False`` also rotates views by quarter turns, for images that have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.

    Returns
    -------
    Extraction or list of Extraction
        One embedding gives one `Extraction` with ``X`` of shape (n_ok, n_features) float32,
        ``y``, ``ids``, ``groups`` and ``splits`` of shape (n_ok,), and ``failures``. Several
        backbones, or ``separate=True`` outputs, give a list in the order asked.

    Raises
    ------
    UsageError
        An option is invalid.
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
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
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
    resize: Literal["shortest", "squash", "auto"] | None = None,
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
    average_last: float = 0.25,
    validation: float = 0.15,
    refit: bool = True,
    monitor: Literal["last", "score", "loss"] = "last",
    patience: int | None = None,
    trials: int | None = None,
    budget: str | None = None,
    tune: Literal["learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"]
    | Sequence[
        Literal["learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"]
    ] = ("learning_rate", "weight_decay", "unfreeze", "layer_decay", "augment", "epochs"),
    learning_curve: bool = False,
    estimate: Literal["auto", "test", "cv"] = "auto",
    folds: int | None = None,
    by: str | Sequence[str] = (),
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
    """Fine-tune a backbone and its head, starting from the head fitted on its frozen embeddings.

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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. For fit also auto: those on
        this machine race first. By default: $FEATX_BACKBONE, else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto lets fit choose among
        the stages, the pre-logits and several concatenated. By default: pre-logits.
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
    resize : {'shortest', 'squash', 'auto'}, optional
        shortest keeps the aspect and crops; squash does not; auto lets fit choose between the
        weights' own and squash. By default: weights' own; auto with ``layer`` auto.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        Values shown as black and white in images of more than 8 bits: full, LOW-HIGH, or auto
        (from the training images); part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    upright : bool, default True
        ``upright=False`` also rotates views by quarter turns, for images that have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    from_run : path, optional
        Run of featx fit on the same images; its folds, test split, seed, scoring and backbone
        are reused.
    preset : {'quick', 'balanced', 'thorough'}, default 'balanced'
        Set of defaults: quick trains 5 epochs, balanced 12, thorough 30; other flags override
        it. By default: balanced.
    head : {'logreg', 'mlp'}, default 'logreg'
        Head to fit on the frozen embeddings and then train.
    start : {'fitted', 'random'}, optional
        Initial weights of the head: fitted on the frozen embeddings, or random. By default:
        depends on the network.
    unfreeze : str, default 'all'
        What to train: head, last-N (the head and the last N stages: last-1, last-2 ...), all,
        or gradual (one more stage at a time, the last first).
    lora : int, optional
        Rank of the low-rank corrections to train in a transformer's attention, in the stages of
        ``unfreeze``, instead of its weights. By default: no LoRA.
    epochs : int, default 12
        Maximum number of epochs. By default: set by ``preset``.
    learning_rate : float, optional
        Learning rate of the backbone, before ``layer_decay``. By default: depends on the
        network.
    head_rate : float, optional
        Factor on ``learning_rate`` for the head. By default: 10 if it starts random, else 1.
    layer_decay : float, optional
        Factor on the learning rate from each stage to the one below. By default: depends on the
        network.
    optimizer : {'adamw', 'adam', 'sgd', 'rmsprop'}, default 'adamw'
        sgd uses Nesterov momentum of 0.9.
    weight_decay : float, default 0.01
        Weight decay, without biases and norms.
    schedule : {'cosine', 'one-cycle', 'step', 'plateau', 'constant'}, default 'cosine'
        Learning-rate schedule after the warm-up.
    warmup : float, default 0.2
        Share of all steps in which the learning rate rises.
    label_smoothing : float, default 0.05
        Share of the target spread over all classes.
    focal : float, default 0.0
        Focusing exponent of the focal loss; 0 is cross-entropy.
    class_weight : {'none', 'balanced'}, default 'none'
        balanced weights the loss of a class by 1/frequency.
    balanced_sampling : bool, default False
        Draw every class equally often, repeating images of rare ones.
    mixup : float, default 0.0
        Alpha of mixup; 0 turns it off.
    cutmix : float, default 0.0
        Alpha of cutmix; 0 turns it off.
    augment : {'none', 'crop', 'light', 'medium', 'strong', 'randaugment'}, default 'crop'
        Augmentation of training images, drawn anew in each step.
    train_batch : int, default 32
        Images in a step.
    processes : int, default 1
        CPU processes that share the images of a step; for several GPUs use ``device``.
    accumulate : int, default 1
        Parts to compute each step's images in, to save memory.
    clip : float, default 1.0
        Largest norm of the gradient; 0 turns clipping off.
    ema : float, default 0.0
        Decay of a moving average of the weights; 0 turns it off.
    train_batch_norm : bool, default False
        Update the statistics of batch normalisation.
    average_last : float, default 0.25
        Share of the last steps whose weights are averaged, none of the first 60; 0 averages
        none. ``ema`` averages exponentially instead.
    validation : float, default 0.15
        Share of the training images set aside to choose between the frozen and the fine-tuned
        network.
    refit : bool, default True
        After validation, train the network further on all training images, those of the
        validation part included, for a third of the epochs.
    monitor : {'last', 'score', 'loss'}, default 'last'
        Epoch to keep: the last, or the best by the score (ties by loss) or by the loss of the
        validation images.
    patience : int, optional
        Stop after this many epochs without a better one. By default: never; 5 if the schedule
        is plateau or constant.
    trials : int, optional
        Number of trainings to search ``tune`` with, the first with the given settings,
        evaluated on the validation images; repeated for each fold. By default: no search; 20
        with ``budget``.
    budget : str, optional
        Time limit for all searches together, such as 30m or 2h; what is tried then depends on
        the machine. By default: no limit.
    tune : str or sequence of str
        One of 'learning_rate', 'weight_decay', 'unfreeze', 'layer_decay', 'augment', 'epochs'.
        Settings that ``trials`` and ``budget`` search; may be a list. By default: all.
    learning_curve : bool, default False
        Also do it all with half, a quarter and an eighth of the training images, and show from
        how many on fine-tuning pays; takes about twice as long.
    estimate : {'auto', 'test', 'cv'}, default 'auto'
        How performance is estimated: on the test split, or by cross-validation, each fold
        predicted by a model trained without it. By default: test if there is one, else cv.
    folds : int, optional
        Number of folds. By default: as in the baseline run, else 5.
    by : str or sequence of str
        Also show every value of this: a column of the manifest, group, split, a field of EXIF
        such as exif:Model, or a part of the path as ``group_from`` names it, such as folder:0;
        may be a list.
    scoring : str, optional
        One of 'balanced_accuracy', 'accuracy', 'f1_macro', 'f1_weighted', 'roc_auc_ovr',
        'neg_log_loss'. Score to report. By default: as in the baseline run, else
        balanced_accuracy.
    seed : int, optional
        Random seed. By default: as in the baseline run, else 0.
    memory_mb : int, default 2048
        Memory for decoded images, in MB; the rest are decoded each time.
    tensorboard : path, optional
        Folder for curves in TensorBoard's format, written after each epoch.
    checkpoint_s : float, default 60.0
        Seconds between checkpoints; each epoch ends with one too.
    jobs : int, optional
        Threads of the head's search. By default: CPU cores.
    name : str, optional
        Name of the run. By default: data set and time.
    runs : path, default 'runs'
        Folder for runs.
    overwrite : bool, default False
        Replace a run of the same name.
    mlflow : str, optional
        Also log the finished run to MLflow: the address of a server or database, or a folder.
        By default: no.
    report : bool, default True
        Write report.html into the run.
    heat_maps : bool, default True
        Show heat maps of what a linear head's decisions come from.

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``: the fine-tuned one or, where fine-tuning ended
        below its own warm start, the frozen one.

    Raises
    ------
    UsageError
        An option is invalid, the run exists, or ``from_run`` was made on other images.
    FitError
        The labels do not allow an honest estimate, or are too few for a validation part.
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
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
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
    resize: Literal["shortest", "squash", "auto"] | None = None,
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
    protocol: Literal["dinov2", "dinov3", "clip", "vtab"] | None = None,
    race: str | os.PathLike[str] | None = None,
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
    estimate: Literal[
        "auto", "holdout", "test", "cv", "nested", "repeated", "leave-one-group-out", "sites"
    ] = "auto",
    by: str | Sequence[str] = (),
    group_answer: str = "mean",
    tabular: str | Sequence[str] = (),
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
    """Search a classifier on cached embeddings, estimate it honestly, and save it.

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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. For fit also auto: those on
        this machine race first. By default: $FEATX_BACKBONE, else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto lets fit choose among
        the stages, the pre-logits and several concatenated. By default: pre-logits.
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
    resize : {'shortest', 'squash', 'auto'}, optional
        shortest keeps the aspect and crops; squash does not; auto lets fit choose between the
        weights' own and squash. By default: weights' own; auto with ``layer`` auto.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        Values shown as black and white in images of more than 8 bits: full, LOW-HIGH, or auto
        (from the training images); part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    views : int, default 0
        Augmented views of each image that is not in the test split.
    augment : {'light', 'medium', 'strong'}, default 'medium'
        How much views differ from their image.
    upright : bool, default True
        ``upright=False`` also rotates views by quarter turns, for images that have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.
    head : str or sequence of str, default 'logreg'
        Classifier to try; may be a list.
    protocol : {'dinov2', 'dinov3', 'clip', 'vtab'}, optional
        Linear-probe protocol of a paper: sets head, values of C, tolerance and scaling; C is
        chosen on the val split where there is a test split too. By default: none.
    race : path, optional
        Folder of a finished `featx race`: fit on what won it. Images that it drew are trained
        on and not evaluated on. By default: no race.
    concat : bool, default False
        Also try the concatenated embeddings of all named backbones.
    sampler : str or sequence of str, default 'none'
        Resampling inside the folds; may be a list. none is always tried too.
    pca : {'none'} or int or float or sequence of {'none'} or int or float, default 'none'
        Principal components of the scaled embeddings, fitted inside the folds: none, a number
        of them, or enough for a share of the variance, such as 0.95; may be a list.
    class_weight : {'auto', 'none', 'balanced'}, default 'auto'
        balanced also tries each head with classes weighted by 1/frequency; auto does so once
        beside samplers, for comparison; none never does.
    param_grid : dict, default {}
        Values to search instead of a head's own, as {head: {parameter: [values]}}.
    search : str, default 'grid'
        grid tries every value and extends a range whose end is best; random and bayes draw
        ``trials`` points from a head's space; halving tries all on few images first.
    trials : int, optional
        Points to draw for each row of candidates; without it, halving tries the grid. By
        default: 30 for random and bayes.
    budget : str, optional
        Time limit for the search and the nested searches that evaluate it, such as 5m, 90s or
        2h30m; what is tried then depends on the machine. By default: no limit.
    ensemble : {'vote', 'stack'} or sequence of {'vote', 'stack'}
        Also try ensembles of the candidates: vote averages their probabilities, stack weighs
        them by logistic regression; may be a list.
    members : int, optional
        Number of candidates in an ensemble, the best first. By default: all.
    seeds : int, default 1
        Copies of each seed-dependent candidate, with different seeds; all vote.
    resume : bool, default True
        Keep scores in RUNS/.searches and reuse them instead of fitting again; ``resume=False``
        does neither.
    cv : int, default 5
        Number of folds of the search.
    scoring : str, default 'balanced_accuracy'
        One of 'balanced_accuracy', 'accuracy', 'f1_macro', 'f1_weighted', 'roc_auc_ovr',
        'neg_log_loss'. Score that the search maximises.
    select : {'best', '1se'}, default 'best'
        best takes the highest mean score, 1se the simplest candidate within one standard error
        of it.
    estimate : str, default 'auto'
        One of 'auto', 'holdout', 'test', 'cv', 'nested', 'repeated', 'leave-one-group-out',
        'sites'. How performance is estimated: the test split, a share held out where there is
        none, nested cross-validation, the same repeated, the same with every group left out by
        itself (sites for short), or the search's own folds (too high on average; a note says
        so). By default: test if there is one, else nested.
    by : str or sequence of str
        Also show every value of this: a column of the manifest, group, split, a field of EXIF
        such as exif:Model, or a part of the path as ``group_from`` names it, such as folder:0;
        may be a list.
    group_answer : str, default 'mean'
        How the images of a group give its answer: mean (of their probabilities), vote,
        max:CLASS or noisy-or:CLASS (one image of CLASS makes the group positive); auto chooses
        out of fold. What is set is kept in the model.
    tabular : str or sequence of str
        Also fit on this column beside the embedding (age, depth, month): of the manifest, or a
        field of EXIF; NAME:number or NAME:category says what it holds; may be a list.
    holdout : float, default 0.2
        Share of images that ``estimate`` holdout sets aside.
    repeats : int, default 5
        Number of partitions of ``estimate`` repeated.
    calibrate : {'none', 'temperature', 'sigmoid', 'isotonic', 'auto'}, default 'none'
        How scores become probabilities, fitted out of fold; auto selects the smallest log loss;
        none changes nothing, except a temperature for heads without probabilities.
    threshold : str, optional
        Predict CLASS if its probability reaches a cutoff: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. Chosen out of
        fold. By default: the likeliest class.
    prevalence : float, optional
        Prevalence of the target class where the model will be used, such as 0.01; precision,
        predictive values and false alarms are computed for it. By default: its share of the
        images.
    costs : path, optional
        CSV file of costs, true classes in rows and predicted classes in columns: predict the
        class of least expected cost. By default: the likeliest class.
    learning_curve : bool, default False
        Also train the chosen classifier on fewer images and forecast the gain from labelling
        more.
    coverage : float, default 0.9
        Share of images whose prediction set holds the true class.
    coverage_over : {'images', 'classes'}, default 'images'
        Whether ``coverage`` holds over all images or for each class.
    sets : {'lac', 'aps', 'raps'}, default 'lac'
        Prediction sets: lac gives the smallest; aps larger ones for hard images, smaller for
        easy; raps is aps without long tails of many classes.
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
        Folder for runs.
    overwrite : bool, default False
        Replace a run of the same name.
    mlflow : str, optional
        Also log the finished run to MLflow: the address of a server or database, or a folder.
        By default: no.
    report : bool, default True
        Write report.html into the run.
    heat_maps : bool, default False
        Show heat maps of what a linear head's decisions come from. `featx report` can add them
        later.

    Returns
    -------
    Run
        With ``folder``, ``results`` and ``model``.

    Raises
    ------
    UsageError
        An option is invalid, or the run exists and ``overwrite`` is not set.
    FitError
        The labels do not allow an honest estimate (one class, too few images of a class ...).
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
    protocol: Literal["dinov2", "dinov3", "clip", "vtab"] | None = None,
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
    estimate: Literal[
        "auto", "holdout", "test", "cv", "nested", "repeated", "leave-one-group-out", "sites"
    ] = "auto",
    by: str | Sequence[str] = (),
    group_answer: str = "mean",
    tabular: str | Sequence[str] = (),
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
    rows are found and kept together: no copy of a test row is trained on.

    Parameters
    ----------
    X : array-like of shape (n_rows, n_features), frame or path
        A NumPy array, a pandas or polars frame, a torch tensor, or a file: ``.npz``, ``.npy``,
        ``.h5``, ``.parquet`` or ``.csv``. Numbers are used as float32.
    y : array-like of shape (n_rows,), or str, optional
        Labels: text or whole numbers. A text is the name of a column of a frame or a file. By
        default the column ``y``, ``label`` or the like. Rows without a label are left out.
    groups : array-like of shape (n_rows,), or str, optional
        Group of each row (patient, plot, camera); a group stays in one fold.
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
    protocol : {'dinov2', 'dinov3', 'clip', 'vtab'}, optional
        Linear-probe protocol of a paper: sets head, values of C, tolerance and scaling; C is
        chosen on the val split where there is a test split too. By default: none.
    sampler : str or sequence of str, default 'none'
        Resampling inside the folds; may be a list. none is always tried too.
    pca : {'none'} or int or float or sequence of {'none'} or int or float, default 'none'
        Principal components of the scaled embeddings, fitted inside the folds: none, a number
        of them, or enough for a share of the variance, such as 0.95; may be a list.
    class_weight : {'auto', 'none', 'balanced'}, default 'auto'
        balanced also tries each head with classes weighted by 1/frequency; auto does so once
        beside samplers, for comparison; none never does.
    param_grid : dict, default {}
        Values to search instead of a head's own, as {head: {parameter: [values]}}.
    search : str, default 'grid'
        grid tries every value and extends a range whose end is best; random and bayes draw
        ``trials`` points from a head's space; halving tries all on few images first.
    trials : int, optional
        Points to draw for each row of candidates; without it, halving tries the grid. By
        default: 30 for random and bayes.
    budget : str, optional
        Time limit for the search and the nested searches that evaluate it, such as 5m, 90s or
        2h30m; what is tried then depends on the machine. By default: no limit.
    ensemble : {'vote', 'stack'} or sequence of {'vote', 'stack'}
        Also try ensembles of the candidates: vote averages their probabilities, stack weighs
        them by logistic regression; may be a list.
    members : int, optional
        Number of candidates in an ensemble, the best first. By default: all.
    seeds : int, default 1
        Copies of each seed-dependent candidate, with different seeds; all vote.
    resume : bool, default True
        Keep scores in RUNS/.searches and reuse them instead of fitting again; ``resume=False``
        does neither.
    cv : int, default 5
        Number of folds of the search.
    scoring : str, default 'balanced_accuracy'
        One of 'balanced_accuracy', 'accuracy', 'f1_macro', 'f1_weighted', 'roc_auc_ovr',
        'neg_log_loss'. Score that the search maximises.
    select : {'best', '1se'}, default 'best'
        best takes the highest mean score, 1se the simplest candidate within one standard error
        of it.
    estimate : str, default 'auto'
        One of 'auto', 'holdout', 'test', 'cv', 'nested', 'repeated', 'leave-one-group-out',
        'sites'. How performance is estimated: the test split, a share held out where there is
        none, nested cross-validation, the same repeated, the same with every group left out by
        itself (sites for short), or the search's own folds (too high on average; a note says
        so). By default: test if there is one, else nested.
    by : str or sequence of str
        Also show every value of this: a column of the manifest, group, split, a field of EXIF
        such as exif:Model, or a part of the path as ``group_from`` names it, such as folder:0;
        may be a list.
    group_answer : str, default 'mean'
        How the images of a group give its answer: mean (of their probabilities), vote,
        max:CLASS or noisy-or:CLASS (one image of CLASS makes the group positive); auto chooses
        out of fold. What is set is kept in the model.
    tabular : str or sequence of str
        Also fit on this column beside the embedding (age, depth, month): of the manifest, or a
        field of EXIF; NAME:number or NAME:category says what it holds; may be a list.
    holdout : float, default 0.2
        Share of images that ``estimate`` holdout sets aside.
    repeats : int, default 5
        Number of partitions of ``estimate`` repeated.
    calibrate : {'none', 'temperature', 'sigmoid', 'isotonic', 'auto'}, default 'none'
        How scores become probabilities, fitted out of fold; auto selects the smallest log loss;
        none changes nothing, except a temperature for heads without probabilities.
    threshold : str, optional
        Predict CLASS if its probability reaches a cutoff: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. Chosen out of
        fold. By default: the likeliest class.
    prevalence : float, optional
        Prevalence of the target class where the model will be used, such as 0.01; precision,
        predictive values and false alarms are computed for it. By default: its share of the
        images.
    costs : path, optional
        CSV file of costs, true classes in rows and predicted classes in columns: predict the
        class of least expected cost. By default: the likeliest class.
    learning_curve : bool, default False
        Also train the chosen classifier on fewer images and forecast the gain from labelling
        more.
    coverage : float, default 0.9
        Share of images whose prediction set holds the true class.
    coverage_over : {'images', 'classes'}, default 'images'
        Whether ``coverage`` holds over all images or for each class.
    sets : {'lac', 'aps', 'raps'}, default 'lac'
        Prediction sets: lac gives the smallest; aps larger ones for hard images, smaller for
        easy; raps is aps without long tails of many classes.
    ood_rate : float, default 0.01
        Share of ordinary images flagged as out of distribution.
    seed : int, default 0
        Seed of folds, samplers and heads.
    jobs : int, optional
        Threads of the search. By default: CPU cores.
    search_device : str, default 'cpu'
        Where the search fits logistic regressions: cpu, cuda or cuda:N.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.
    name : str, optional
        Name of the run. By default: data set and time.
    runs : path, default 'runs'
        Folder for runs.
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
        An option is invalid, a column does not exist, or the run exists.
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
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
) -> Inspection:
    """Count, measure and check the images of a data set.

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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.

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

def next_images(
    source: Model | Run | str | os.PathLike[str],
    folder: str | os.PathLike[str],
    *,
    n: int = 100,
    random_share: float = 0.25,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
    seed: int = 0,
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
    resize: Literal["shortest", "squash", "auto"] | None = None,
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
) -> list[LabelSuggestion]:
    """Choose the images of a folder whose labels would help most.

    Parameters
    ----------
    source : Model, Run or path
        What is known: a model, a run, or a file of labels of some of the images (of `featx label`,
        a manifest, ``corrections.csv``, an export of Label Studio or CVAT).
    folder : path
        Images, in subfolders or not; or a manifest file.
    n : int, default 100
        Number of images to choose.
    random_share : float, default 0.25
        Share of them drawn at random; an estimate needs these.
    output : path, optional
        Also write the list to this .csv, .jsonl or .parquet file.
    overwrite : bool, default False
        Replace existing output.
    seed : int, default 0
        Seed of what is drawn at random.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. For fit also auto: those on
        this machine race first. By default: $FEATX_BACKBONE, else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto lets fit choose among
        the stages, the pre-logits and several concatenated. By default: pre-logits.
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
    resize : {'shortest', 'squash', 'auto'}, optional
        shortest keeps the aspect and crops; squash does not; auto lets fit choose between the
        weights' own and squash. By default: weights' own; auto with ``layer`` auto.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        Values shown as black and white in images of more than 8 bits: full, LOW-HIGH, or auto
        (from the training images); part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    views : int, default 0
        Augmented views of each image that is not in the test split.
    augment : {'light', 'medium', 'strong'}, default 'medium'
        How much views differ from their image.
    upright : bool, default True
        ``upright=False`` also rotates views by quarter turns, for images that have no up.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.

    Returns
    -------
    list of LabelSuggestion
        ``id``, ``path``, ``reason``, ``y_pred`` and ``proba``. Reasons are ``doubt`` (the model
        hesitates between two classes), ``rare`` (likely a rare class), ``spread`` (unlike anything
        labelled) and ``random``.

    Raises
    ------
    UsageError
        An option is invalid, or the output exists.
    DatasetError, ModelError, BackboneError, StoreError
        See `featx.extract` and `featx.score`; also a file of labels that cannot be read, or that
        names no image of the folder.

    Examples
    --------
    >>> for image in featx.next_images("runs/first", "new/", n=20):   # doctest: +SKIP
    ...     print(image.id, image.reason)
    """

def race(
    dataset: str | os.PathLike[str],
    *,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    backbone: str | Sequence[str] = (),
    crop: float | None = None,
    interpolation: Literal["nearest", "box", "bilinear", "hamming", "bicubic", "lanczos"]
    | None = None,
    decode: Literal["reference", "scaled"] = "reference",
    range: str = "full",
    cache: str | os.PathLike[str] | None = None,
    engine: str = "auto",
    device: str = "auto",
    precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
    batch_size: Literal["auto"] | int = "auto",
    workers: int | None = None,
    limit: int | None = None,
    on_error: Literal["skip", "fail"] = "skip",
    offline: bool = False,
    output: str | os.PathLike[str] = "race",
    weights: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    size: int | Sequence[int] = (),
    resize: Literal["shortest", "squash"] | Sequence[Literal["shortest", "squash"]] = (),
    rounds: int | Sequence[int] = (200, 1000),
    keep: float = 0.75,
    apart: float = 0.5,
    budget: str | None = None,
    scoring: Literal[
        "balanced_accuracy", "accuracy", "f1_macro", "f1_weighted", "roc_auc_ovr", "neg_log_loss"
    ] = "balanced_accuracy",
    cv: int = 5,
    seed: int = 0,
    overwrite: bool = False,
) -> FinishedRace:
    """Screen backbones, input sizes, layers and poolings on few images.

    Parameters
    ----------
    dataset : path
        A labelled data set; see `featx.extract`. A test split takes no part.
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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. For fit also auto: those on
        this machine race first. By default: $FEATX_BACKBONE, else featx:lite0.
    crop : float, optional
        Fraction the centre crop keeps. By default: weights' own.
    interpolation : {'nearest', 'box', 'bilinear', 'hamming', 'bicubic', 'lanczos'}, optional
        Resampling filter. By default: weights' own.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        Values shown as black and white in images of more than 8 bits: full, LOW-HIGH, or auto
        (from the training images); part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    output : path, default 'race'
        Folder for race.html, race.json and race.csv.
    weights : path or sequence of path
        Local file of weights that enters the race too, as FILE or BACKBONE=FILE; may be a list.
    size : int or sequence of int
        Input size in pixels; may be a list. By default: half of the weights' own, their own,
        half as much again.
    resize : {'shortest', 'squash'} or sequence of {'shortest', 'squash'}
        shortest keeps the aspect and crops; squash does not; may be a list. By default: both.
    rounds : int or sequence of int, default (200, 1000)
        Images of each round; may be a list. Fewer in proportion where fewer may be drawn.
    keep : float, default 0.75
        Share of the forward passes that each round keeps at most.
    apart : float, default 0.5
        Share of the images that a race may use at most where there is no test split: the others
        evaluate its choice.
    budget : str, optional
        Time limit for the race, such as 5m; what is tried then depends on the machine. By
        default: no limit.
    scoring : str, default 'balanced_accuracy'
        One of 'balanced_accuracy', 'accuracy', 'f1_macro', 'f1_weighted', 'roc_auc_ovr',
        'neg_log_loss'. Score that decides the race.
    cv : int, default 5
        Number of folds in each round.
    seed : int, default 0
        Seed of the images drawn and of folds.
    overwrite : bool, default False
        Replace existing output.

    Returns
    -------
    FinishedRace
        With ``folder`` and ``results``.

    Raises
    ------
    UsageError
        An option is invalid, or the output exists and ``overwrite`` is not set.
    FitError
        Too few images or classes.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.

    Examples
    --------
    >>> featx.race("photos/", output="race").results["winner"]           # doctest: +SKIP
    >>> featx.fit("photos/", race="race")                                # doctest: +SKIP
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
    by: str | Sequence[str] = (),
    heat_maps: bool = True,
    overwrite: bool = False,
) -> Path:
    """Write a finished run as one self-contained page.

    Parameters
    ----------
    run : path or Run
        A folder that `featx.fit` or `featx.finetune` wrote, or what it gave back.
    output : path, optional
        File for the page. By default: report.html in the run.
    figures : path, optional
        Folder for the figures as SVG and PNG and the tables as CSV.
    dataset : path, optional
        Present location of the images. By default: where the run found them.
    cache : path, optional
        Cache folder. By default: the run's.
    threshold : str, optional
        Predict CLASS if its probability reaches a cutoff: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. likeliest uses no
        cutoff. By default: the run's.
    prevalence : float, optional
        Prevalence of the target class where the model will be used, such as 0.01; precision,
        predictive values and false alarms are computed for it. By default: its share of the
        images.
    by : str or sequence of str
        Also show every value of this: a column of the manifest, group, split, a field of EXIF
        such as exif:Model, or a part of the path as ``group_from`` names it, such as folder:0;
        may be a list.
    heat_maps : bool, default True
        Show heat maps of what a linear head's decisions come from.
    overwrite : bool, default False
        Replace existing output.

    Returns
    -------
    Path
        Of the page.

    Raises
    ------
    UsageError
        The folder is not a run, or output exists and ``overwrite`` is not set. The page in
        the run itself is made from the run alone, and is always replaced.
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
    by_group: str | None = None,
    group_answer: str | None = None,
    sort_into: str | os.PathLike[str] | None = None,
    sort_mode: Literal["link", "copy"] = "link",
    sort_unsure: bool = True,
    report: str | os.PathLike[str] | None = None,
    history: str | os.PathLike[str] | None = None,
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
        Cache, device and the like. Settings of the embedding come from the model, except
        ``weights`` (a file that has moved since the model was fitted).
    top_k : int, default 1
        Number of likeliest classes in each row.
    proba : bool, default False
        One column per class with its probability.
    average_views : int, default 0
        Average the probabilities over each image and this many augmented views.
    threshold : str, optional
        Predict CLASS if its probability reaches a cutoff: CLASS:recall=0.95,
        CLASS:precision=0.9, CLASS:false-alarms=10/1000 or CLASS:cutoff=0.05. likeliest uses no
        cutoff. By default: the model's.
    prevalence : float, optional
        Prevalence of the target class where the model will be used, such as 0.01; precision,
        predictive values and false alarms are computed for it. By default: its share of the
        images.
    abstain_below : float, optional
        Abstain if the predicted class is less probable than this.
    by_group : str, optional
        Also answer once for each group of images (patient, specimen, lot): the groups of the
        data set, or those of a column of the manifest, or of the path, by a rule such as
        ``group_from`` takes.
    group_answer : str, optional
        How the images of a group give its answer: mean (of their probabilities), vote,
        max:CLASS or noisy-or:CLASS (one image of CLASS makes the group positive). By default:
        the model's.
    sort_into : path, optional
        Folder to sort the images into by class.
    sort_mode : {'link', 'copy'}, default 'link'
        How ``sort_into`` places files.
    sort_unsure : bool, default True
        ``sort_into`` puts images that the model abstains from, or that are out of distribution,
        into _unsure; ``sort_unsure=False`` puts them with their predicted class.
    report : path, optional
        File for a page about the images: classes, confidence, pictures, drift.
    history : path, optional
        JSON Lines file to append a summary of this scoring to: date, model, rows, shares,
        drift.
    fail_on : str, optional
        Exit with code 4 on these findings, after writing all output: drift, ood, abstained and
        quarantined, each at its warning level or above a share such as ood=0.2,abstained=0.5;
        drift=0.01 is a p-value.
    all_files : bool, default False
        Also write a row, with the reason, for each file that is not an image or not read.
    overwrite : bool, default False
        Replace existing output.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.

    Returns
    -------
    Scores

    Raises
    ------
    UsageError
        An option is invalid, or something that exists would be overwritten.
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

def similar(
    images: str | os.PathLike[str] | Sequence[str | os.PathLike[str]],
    dataset: str | os.PathLike[str],
    *,
    model: Model | Run | str | os.PathLike[str] | None = None,
    root: str | os.PathLike[str] | None = None,
    path_column: str | None = None,
    label_column: str | None = None,
    group_column: str | None = None,
    split_column: str | None = None,
    columns: str | Sequence[str] = (),
    labels: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    exclude: str | os.PathLike[str] | Sequence[str | os.PathLike[str]] = (),
    group: str | os.PathLike[str] | None = None,
    group_from: str | None = None,
    neighbours: int = 10,
    output: str | os.PathLike[str] | None = None,
    overwrite: bool = False,
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
    resize: Literal["shortest", "squash", "auto"] | None = None,
    decode: Literal["reference", "scaled"] = "reference",
    range: str = "full",
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
) -> Similar:
    """List the images of a data set that look most like given ones, with their labels.

    Parameters
    ----------
    images : path or sequence of path
        Image files.
    dataset : path
        Where to search; see `featx.extract`. What is in the cache is not embedded again.
    model : Model, Run or path, optional
        A model, or what `featx.load_model` takes, whose backbone embeds the images.
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
        Numeric columns of a file of arrays to fit on: names, or patterns such as f*; may be a
        list. By default: X, else all numeric columns.
    labels : path or sequence of path
        Corrections that a page of featx downloaded: labels to change, images to leave out or to
        keep together; may be a list.
    exclude : path or sequence of path
        File of images to leave out, as `featx audit` writes it: a table with a column path, or
        one path a line; may be a list.
    group : path, optional
        Table with columns path and group: images of a group stay in one fold; merged with
        existing groups.
    group_from : str, optional
        Where in its path the group of an image is: name:0 (first field of the file's name),
        folder:1 (second folder), or a regular expression with one group, such as
        'patient([0-9]+)'; joined with the groups that there are.
    neighbours : int, default 10
        Number of neighbours of each image.
    output : path, optional
        Output file: .csv, .jsonl or .parquet.
    overwrite : bool, default False
        Replace existing output.
    backbone : str or sequence of str
        timm:NAME, torchvision:NAME or featx:NAME; may be a list. For fit also auto: those on
        this machine race first. By default: $FEATX_BACKBONE, else featx:lite0.
    weights : path, optional
        Local safetensors, .pt or .pth file for the backbone (with one backbone only).
    pretrained : bool, default True
        ``pretrained=False`` gives random weights.
    layer : str or sequence of str
        Named layer to take; may be a list. stages takes every stage; auto lets fit choose among
        the stages, the pre-logits and several concatenated. By default: pre-logits.
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
    resize : {'shortest', 'squash', 'auto'}, optional
        shortest keeps the aspect and crops; squash does not; auto lets fit choose between the
        weights' own and squash. By default: weights' own; auto with ``layer`` auto.
    decode : {'reference', 'scaled'}, default 'reference'
        scaled shrinks large JPEG files while decoding: faster, nearly the same pixels; part of
        the fingerprint.
    range : str, default 'full'
        Values shown as black and white in images of more than 8 bits: full, LOW-HIGH, or auto
        (from the training images); part of the fingerprint.
    cache : path, optional
        Cache folder. By default: $FEATX_CACHE, else ./cache.
    engine : str, default 'auto'
        torch or openvino. By default: openvino on x86 processors, torch elsewhere.
    device : str, default 'auto'
        auto, cpu, cuda, cuda:N, mps, or several GPUs as cuda:0,cuda:1.
    precision : {'auto', 'fp32', 'bf16', 'fp16'}, default 'auto'
        Precision of the forward pass; part of the fingerprint. By default: bf16 if the
        processor or GPU supports it natively, else fp32.
    batch_size : {'auto'} or int, default 'auto'
        Images in a batch, or auto.
    workers : int, optional
        Threads for decoding and, on a CPU, for embedding. By default: CPU cores; with a GPU 2
        more for each.
    limit : int, optional
        Only the first N images.
    on_error : {'skip', 'fail'}, default 'skip'
        skip quarantines an unreadable image; fail stops at the first.
    offline : bool, default False
        Never contact a model hub.
    cluster : str, optional
        ray runs the work on a Ray cluster. By default: this machine.
    address : str, optional
        HOST:PORT of the cluster, or auto for the one this machine belongs to. By default: a
        new, local one.

    Returns
    -------
    Similar
        ``queries`` has a `Query` for each image that could be read, with its ``neighbours`` by
        falling cosine of embeddings (exact) and the shares of their ``classes``. The image itself
        is not its own neighbour; other copies of it are.

    Raises
    ------
    UsageError
        An option is invalid, or an image does not exist.
    DatasetError
        The data set fails, or none of the images can be read.
    BackboneError, StoreError
        See `featx.extract`.

    Examples
    --------
    >>> found = featx.similar("odd.jpg", "photos/", neighbours=5)    # doctest: +SKIP
    >>> found.queries[0].classes                                     # doctest: +SKIP
    {'Monocyte': 0.8, 'Lymphocyte': 0.2}
    """
