"""Heads of models that featx 0.1 wrote (formats 1 and 2): scikit-learn's pipeline as skops data.

skops rebuilds objects from named types without running code from the file. The file's schema is
walked before skops sees it, and one type that featx 0.1 did not write refuses the whole file by
name. What is rebuilt is only read: its arrays become those of `featx.heads`, which are checked
before anything is computed. Needs the extra ``v1``, and goes with the next version.
"""

from __future__ import annotations

import io
import math
import warnings
import zipfile
from typing import Any

from featx.errors import MissingExtraError, ModelError
from featx.files import printable
from featx.heads import FittedHead, freeze
from featx.parsing import parse_json

#: Estimators that featx 0.1 wrote.
ESTIMATORS = (
    "featx.heads._boosting.BoostedTreesClassifier",
    "featx.heads._mlp.PerceptronClassifier",
    "featx.heads._prototypes.PrototypeClassifier",
    "sklearn.decomposition._pca.PCA",
    "sklearn.discriminant_analysis.LinearDiscriminantAnalysis",
    "sklearn.dummy.DummyClassifier",
    "sklearn.linear_model._logistic.LogisticRegression",
    "sklearn.linear_model._ridge.RidgeClassifier",
    "sklearn.neighbors._classification.KNeighborsClassifier",
    "sklearn.pipeline.Pipeline",
    "sklearn.preprocessing._data.StandardScaler",
    "sklearn.preprocessing._label.LabelBinarizer",
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
PROTOCOL = 2  # skops 0.13 and later; older ones are laxer, so a file cannot ask for them
MAX_SCHEMA_BYTES = 1 << 26


def read_head(data: bytes, *, source: str) -> FittedHead:
    """The arrays of a head.

    Parameters
    ----------
    data : bytes
        skops data.
    source : str
        What to call it in messages.

    Raises
    ------
    MissingExtraError
        skops is not installed.
    ModelError
        It is not skops data, holds a type not in `TRUSTED_TYPES` (named), arrays that are not
        what their headers say, or cannot be rebuilt by the libraries installed.
    """
    _audit(data, source)
    try:
        import skops.io
    except ImportError:
        raise MissingExtraError("A model that featx 0.1 wrote", "v1") from None
    trusted = sorted(frozenset.union(*TRUSTED_TYPES.values()))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # scikit-learn's versions are compared by the caller
            pipeline = skops.io.loads(data, trusted=trusted)
            return freeze(_with_present_classes(pipeline))
    except ModelError as error:
        raise ModelError(f"{source}: {error.message}") from error
    except Exception as error:  # whatever a crafted or foreign file makes them raise
        raise ModelError(f"{source}: the head cannot be rebuilt: {error}") from error


def _with_present_classes(pipeline: Any) -> Any:
    """Neighbours as the class that fits them now."""
    from featx.heads._neighbours import NearestClassifier

    name, head = pipeline.steps[-1]
    if type(head).__name__ == "KNeighborsClassifier":
        near = NearestClassifier(**head.get_params())
        near.X_, near.y_ = head._fit_X, head._y
        near.classes_, near.n_features_in_ = head.classes_, head.n_features_in_
        pipeline.steps[-1] = name, near
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
            hint="Models of featx 0.1 hold only a scaler and a head of scikit-learn's.",
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
