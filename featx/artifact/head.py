"""The scikit-learn part of a model as skops data, with every type that may be in it listed here.

skops rebuilds objects from named types without running code from the file. It trusts all of
scikit-learn by default; featx writes only scalers and heads, so it reads only those: the file's
schema is walked before skops sees it, and one unlisted type refuses the whole file by name.
"""

from __future__ import annotations

import functools
import io
import math
import warnings
import zipfile
from collections.abc import Callable
from typing import Any

from featx.artifact.linear import PROTOTYPES, ArrayHead, read_linear
from featx.artifact.network import PERCEPTRON, read_network
from featx.artifact.saved import SavedObject, read_steps
from featx.artifact.trees import BOOSTED, read_trees
from featx.artifact.vectors import SVC, read_vectors
from featx.errors import ModelError
from featx.files import printable
from featx.parsing import parse_json

__all__ = ["TRUSTED_TYPES", "dump_head", "load_head"]

#: Estimators that a model may hold. A new head adds its class here.
ESTIMATORS = (
    BOOSTED,
    PERCEPTRON,
    PROTOTYPES,
    "sklearn.decomposition._pca.PCA",
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
    "sklearn.discriminant_analysis.QuadraticDiscriminantAnalysis",
    "sklearn.dummy.DummyClassifier",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.linear_model._ridge.RidgeClassifier",
    "sklearn.naive_bayes.GaussianNB",
    "sklearn.neighbors._classification.KNeighborsClassifier",
    "sklearn.neighbors._nearest_centroid.NearestCentroid",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.MinMaxScaler",
    "sklearn.preprocessing._data.Normalizer",
    "sklearn.preprocessing._data.RobustScaler",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._label.LabelBinarizer",
    "sklearn.svm._classes.LinearSVC",
    "sklearn.svm._classes.SVC",
)
NUMBERS = ("bool", "float32", "float64", "int32", "int64", "str_", "uint8", "uint32", "uint64")

#: What each kind of node in a skops schema may name: nothing else is ever imported.
TRUSTED_TYPES: dict[str, frozenset[str]] = {
    "DictNode": frozenset({"builtins.dict"}),
    "JsonNode": frozenset({"builtins.str"}),
    "ListNode": frozenset({"builtins.list"}),
    "NdArrayNode": frozenset({"numpy.ndarray", *(f"numpy.{name}" for name in NUMBERS)}),
    "ObjectNode": frozenset(ESTIMATORS),
    "TupleNode": frozenset({"builtins.tuple"}),
    "TypeNode": frozenset({"builtins.int", "builtins.str"}),  # types of dictionary keys
}
#: What reads a head for NumPy to compute; `read_linear` for all others.
READERS: dict[str, Callable[[list[SavedObject], Callable[[], Any]], ArrayHead]] = {
    BOOSTED: read_trees,
    PERCEPTRON: read_network,
    SVC: read_vectors,
}
PROTOCOL = 2  # skops 0.13 and later; older ones are laxer, so a file cannot ask for them
MAX_SCHEMA_BYTES = 1 << 26


def dump_head(pipeline: Any) -> bytes:
    """Encode a fitted pipeline of scaler and head.

    Raises
    ------
    ModelError
        It holds something that `load_head` would refuse.
    """
    import skops.io

    try:
        data = skops.io.dumps(pipeline)
    except Exception as error:  # skops raises many kinds for what it cannot express
        raise ModelError(f"This pipeline cannot be saved: {error}") from error
    _audit(data, "this pipeline")
    return data


def load_head(data: bytes, *, source: str) -> Any:
    """Decode a head: by NumPy alone where `featx.artifact.linear` or ``vectors`` computes it.

    Parameters
    ----------
    data : bytes
        What `dump_head` gave.
    source : str
        What to call it in messages.

    Returns
    -------
    ArrayHead or sklearn.pipeline.Pipeline
        Of which the first predicts as the second, which skops builds, would, to rounding.

    Raises
    ------
    ModelError
        It is not skops data, holds a type not in `TRUSTED_TYPES` (named), arrays that are not
        what their headers say, or cannot be rebuilt by the libraries installed.
    """
    schema = _audit(data, source)
    return _read_arrays(data, schema, source) or _build(data, source)


def _read_arrays(data: bytes, schema: Any, source: str) -> ArrayHead | None:
    """The head as arrays; None where it is not one, or not as scikit-learn would have fitted it."""
    rebuild = functools.partial(_build, data, source)
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            steps = read_steps(schema, archive)
            read = READERS.get(steps[-1].class_name, read_linear)
            return read(steps, rebuild)
    except Exception:  # whatever an unknown or crafted file makes it raise: skops is to judge
        return None


def _build(data: bytes, source: str) -> Any:
    """The pipeline of audited data."""
    import skops.io

    trusted = sorted(frozenset.union(*TRUSTED_TYPES.values()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's versions are compared by the caller
            pipeline = skops.io.loads(data, trusted=trusted)
    except Exception as error:  # whatever a crafted or foreign file makes them raise
        raise ModelError(f"{source}: the head cannot be rebuilt: {error}") from error
    _check_indices(pipeline, source)
    return pipeline


def _audit(data: bytes, source: str) -> Any:
    """The schema of data that holds only trusted types and honest arrays; builds nothing."""
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            infos = archive.infolist()
            if any(info.compress_type != zipfile.ZIP_STORED for info in infos):
                raise ModelError(f"{source}: the head is compressed, which featx never does.")
            if sum(info.file_size for info in infos) > len(data):
                raise ModelError(f"{source}: the head's entries overlap.")
            if archive.getinfo("schema.json").file_size > MAX_SCHEMA_BYTES:
                raise ModelError(f"{source}: the head's schema is too large.")
            schema = parse_json(archive.read("schema.json"))
            _audit_schema(schema, source)
            for info in infos:
                if info.filename != "schema.json":
                    _audit_array(archive.read(info), info.filename, source)
            return schema
    except ModelError:
        raise
    except Exception:  # zipfile, json and numpy raise a dozen kinds for bytes that are not theirs
        known = " It looks like a pickle, which can run code and is never loaded."
        raise ModelError(
            f"{source}: the head is not skops data." + (known if data[:1] == b"\x80" else "")
        ) from None


def _audit_schema(schema: Any, source: str) -> None:
    if not isinstance(schema, dict) or schema.get("protocol") != PROTOCOL:
        protocol = schema.get("protocol") if isinstance(schema, dict) else None
        raise ModelError(
            f"{source}: the head has skops protocol {protocol!r}; this featx reads {PROTOCOL}.",
            hint="Use the skops version that model.json names.",
        )
    refused = set()
    waiting = [schema]
    while waiting:  # not recursive: a deep file must not exhaust the stack
        node = waiting.pop()
        if isinstance(node, dict):
            if "__loader__" in node or "__class__" in node:
                name = f"{node.get('__module__')}.{node.get('__class__')}"
                if name not in TRUSTED_TYPES.get(str(node.get("__loader__")), ()):
                    refused.add(printable(name))
            waiting.extend(node.values())
        elif isinstance(node, list):
            waiting.extend(node)
    if refused:
        raise ModelError(
            f"{source}: refused, the head holds types featx does not trust: "
            f"{', '.join(sorted(refused))}.",
            hint="A featx model holds only a scaler and a head of scikit-learn's.",
        )


def _audit_array(data: bytes, name: str, source: str) -> None:
    """Refuse an array whose header promises other than what follows (numpy would allocate it)."""
    from numpy.lib import format as npy

    stream = io.BytesIO(data)
    version = npy.read_magic(stream)
    read_header = {(1, 0): npy.read_array_header_1_0, (2, 0): npy.read_array_header_2_0}[version]
    shape, _, dtype = read_header(stream)
    promised = math.prod(shape) * dtype.itemsize
    # a side longer than the file is one beside a zero: no bytes, but endless to walk along
    sane = dtype.itemsize > 0 and not dtype.hasobject and all(0 <= n <= len(data) for n in shape)
    if not sane or promised != len(data) - stream.tell():
        raise ModelError(
            f"{source}: the array {printable(name)} of the head is not what its header says."
        )


def _check_indices(pipeline: Any, source: str) -> None:
    """Refuse counts and indices that would be followed out of their arrays, or without an end.

    libsvm and the neighbour search trust these numbers; scikit-learn does not check them again.
    """
    head = pipeline
    while getattr(head, "steps", None):
        head = head.steps[-1][1]
    check = {
        "BoostedTreesClassifier": _trees_are_sound,
        "KNeighborsClassifier": _neighbours_are_sound,
        "SVC": _svc_is_sound,
    }
    try:
        sound = check.get(type(head).__name__, lambda head: True)(head)
    except Exception:  # attributes missing or of any type
        sound = False
    if not sound:
        raise ModelError(f"{source}: the head's arrays contradict each other; it was crafted.")


def _svc_is_sound(head: Any) -> bool:
    n_classes, (n_vectors, n_features) = len(head.classes_), head.support_vectors_.shape
    n_pairs = n_classes * (n_classes - 1) // 2
    return bool(
        head._impl == "c_svc"
        and head._sparse is False
        and head.kernel in {"linear", "poly", "rbf", "sigmoid"}
        and head.support_.shape == (n_vectors,)
        and head._n_support.shape == (n_classes,)
        and head._n_support.min() >= 0
        and head._n_support.sum() == n_vectors
        and head._dual_coef_.shape == (n_classes - 1, n_vectors)
        and head._intercept_.shape == (n_pairs,)
        and n_features == head.n_features_in_
        and head._probA.size in {0, n_pairs}
        and head._probB.size == head._probA.size
    )


def _neighbours_are_sound(head: Any) -> bool:
    return bool(
        head._tree is None
        and head._y.shape == (len(head._fit_X),)
        and head._y.min() >= 0
        and head._y.max() < len(head.classes_)
        and head._fit_X.ndim == 2
        and isinstance(head.effective_metric_, str)
    )


def _trees_are_sound(head: Any) -> bool:
    return bool(head.trees_.are_sound(head.n_features_in_, len(head.classes_)))
