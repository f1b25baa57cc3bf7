"""Crafted heads of formats 1 and 2, which are skops data: nothing runs, and the reason is named."""

from __future__ import annotations

import io
import json
import pickle
import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer
from sklearn.svm import SVC

from featx.artifact import load_model
from featx.artifact.format_1 import read_head
from featx.errors import ModelError
from tests.artifact import payload
from tests.artifact.payload import Payload, little_memory

skops_io = pytest.importorskip("skops.io")
FIXTURES = Path(__file__).parent / "format-1"


def forge(folder: Path, head: bytes) -> None:
    """Replace the head; every digest fits."""
    payload.forge(folder, files={"head.skops": head})


def reschema(head: bytes, change: Callable[[dict[str, Any]], None], **arrays: bytes) -> bytes:
    """Rewrite the schema (and arrays) of skops data."""
    result = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(head)) as old, zipfile.ZipFile(result, "w") as new:
        for name in old.namelist():
            data = arrays.get(name, old.read(name))
            if name == "schema.json":
                schema = json.loads(data)
                change(schema)
                data = json.dumps(schema).encode()
            new.writestr(name, data)
    return result.getvalue()


@pytest.fixture
def saved(tmp_path: Path) -> Path:
    """A model folder of featx 0.1 to tamper with: linear discriminant analysis."""
    return Path(shutil.copytree(FIXTURES / "old", tmp_path / "m"))


def attributes(schema: dict[str, Any], step: int) -> dict[str, Any]:
    """Attributes of the scaler (0) or head (1) in a pipeline's schema."""
    steps = schema["content"]["content"]["steps"]["content"]
    found: dict[str, Any] = steps[step]["content"][1]["content"]["content"]
    return found


def test_a_pickle_in_the_heads_place_is_refused_by_name(saved: Path, bomb: Path) -> None:
    forge(saved, pickle.dumps(Payload(bomb)))
    with pytest.raises(ModelError, match="looks like a pickle, which can run code"):
        load_model(saved)
    assert not bomb.exists()


def test_a_pickled_array_is_refused(saved: Path, bomb: Path) -> None:
    stream = io.BytesIO()
    np.save(stream, np.array([Payload(bomb)], dtype=object), allow_pickle=True)
    head = (saved / "head.skops").read_bytes()
    name = next(n for n in zipfile.ZipFile(io.BytesIO(head)).namelist() if n.endswith(".npy"))
    forge(saved, reschema(head, lambda schema: None, **{name: stream.getvalue()}))
    with pytest.raises(ModelError, match=f"the array {name} of the head is not what its header"):
        load_model(saved)
    assert not bomb.exists()


def node(kind: str, module: str, name: str, **fields: Any) -> dict[str, Any]:
    return {"__loader__": kind, "__module__": module, "__class__": name, "__id__": 1, **fields}


JSON_NODE = node("JsonNode", "builtins", "str", content="null", is_json=True)


@pytest.mark.parametrize(
    ("crafted", "named"),
    [
        (node("FunctionNode", "posix", "system"), "posix.system"),
        (node("TypeNode", "subprocess", "Popen"), "subprocess.Popen"),
        (node("ObjectNode", "http.server", "HTTPServer", content=None), "http.server.HTTPServer"),
        (node("ObjectNode", "sklearn.preprocessing._function_transformer", "FunctionTransformer",
              content=None), "FunctionTransformer"),
        (node("OperatorFuncNode", "operator", "methodcaller", attrs=JSON_NODE), "methodcaller"),
        (node("PartialNode", "functools", "partial", content={}), "functools.partial"),
        (node("MethodNode", "builtins", "str", content={}), "builtins.str"),
        (node("TreeNode", "sklearn.tree._tree", "Tree", content={}), "sklearn.tree._tree.Tree"),
        (node("ConstructorFromReduceNode", "builtins", "eval"), "builtins.eval"),
        (node("NoSuchNode", "builtins", "dict"), "builtins.dict"),
        ({"__class__": "system", "__module__": "os"}, "os.system"),
        (node("JsonNode", "builtins", "str\x1b[31m", content="1"), r"str\\x1b\[31m"),
        (node(["ObjectNode"], "os", "system"), "os.system"),  # type: ignore[arg-type]
    ],
)  # fmt: skip
def test_untrusted_types_are_refused_by_name(
    saved: Path, crafted: dict[str, Any], named: str
) -> None:
    def change(schema: dict[str, Any]) -> None:
        attributes(schema, 1)["C"] = crafted

    forge(saved, reschema((saved / "head.skops").read_bytes(), change))
    with pytest.raises(ModelError, match=f"types featx does not trust: .*{named}"):
        load_model(saved)


def test_types_that_skops_trusts_but_featx_never_wrote_are_refused() -> None:
    X, y = np.zeros((4, 2)), [0, 1, 0, 1]
    pipeline = Pipeline([("scaler", FunctionTransformer(np.exp)), ("head", SVC())]).fit(X, y)
    data = skops_io.dumps(pipeline)
    assert skops_io.loads(data) is not None
    with pytest.raises(ModelError, match=r"not trust: .*FunctionTransformer"):
        read_head(data, source="m")


@pytest.mark.parametrize("protocol", [0, 1, 3, -1, True, "2", None])
def test_other_protocols_are_refused(saved: Path, protocol: Any) -> None:
    head = reschema(
        (saved / "head.skops").read_bytes(), lambda schema: schema.update(protocol=protocol)
    )
    forge(saved, head)
    with pytest.raises(ModelError, match="skops protocol"):
        load_model(saved)


@pytest.mark.parametrize(
    ("descr", "shape"),
    [
        ("<f8", (1 << 40,)),  # promises what is not there
        ("<U0", (1 << 40,)),  # no bytes at all, and endless
        ("<f8", (1 << 40, 0)),
        ("<f8", (-1, -1)),
        ("|O", (0,)),
    ],
)
def test_arrays_that_lie_are_refused_without_allocating(
    saved: Path, descr: str, shape: tuple[int, ...]
) -> None:
    head = (saved / "head.skops").read_bytes()
    name = next(n for n in zipfile.ZipFile(io.BytesIO(head)).namelist() if n.endswith(".npy"))
    stream = io.BytesIO()
    header = {"descr": descr, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(stream, header)
    forge(saved, reschema(head, lambda schema: None, **{name: stream.getvalue()}))
    with (
        little_memory(),
        pytest.raises(ModelError, match=f"array {name} of the head is not what its header says"),
    ):
        load_model(saved)


@pytest.mark.parametrize(
    "head",
    [
        b"",
        b"PK\x05\x06" + bytes(18),  # an empty zip
        b"not a zip at all",
    ],
)
def test_what_is_no_skops_data_says_so(saved: Path, head: bytes) -> None:
    forge(saved, head)
    with pytest.raises(ModelError, match="the head is not skops data"):
        load_model(saved)


@pytest.mark.parametrize(
    "schema",
    [b"[]", b"null", b"{", b"[" * 100_000, b'{"protocol": 2}', b'{"protocol": 2, "__id__": {}}'],
)
def test_a_broken_schema_is_refused(saved: Path, schema: bytes) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        archive.writestr("schema.json", schema)
    forge(saved, stream.getvalue())
    with pytest.raises(ModelError, match="the head"):
        load_model(saved)


def test_a_compressed_head_is_refused(saved: Path) -> None:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("schema.json", b" " * 50_000_000)
    forge(saved, stream.getvalue())
    with pytest.raises(ModelError, match="the head is compressed"):
        load_model(saved)


def fitted(name: str, tmp_path: Path) -> Any:
    """The pipeline of a fixture, as skops rebuilds it."""
    with zipfile.ZipFile(FIXTURES / f"{name}.featx") as archive:
        data = archive.read("head.skops")
    return skops_io.loads(data, trusted=skops_io.get_untrusted_types(data=data))


@pytest.mark.parametrize(
    ("name", "attribute", "value"),
    [
        ("svm-rbf-3", "_n_support", np.array([1000, 1000, 1000], np.int32)),
        ("svm-rbf-3", "_n_support", np.array([30, 30, -30], np.int32)),
        ("svm-rbf-3", "dual_coef_", np.zeros((2, 1))),
        ("svm-rbf-3", "intercept_", np.zeros(1)),
        ("svm-rbf-3", "support_vectors_", np.zeros((1, 12))),
        ("svm-rbf-3", "kernel", "precomputed"),
        ("svm-rbf-3", "_gamma", -1.0),
        ("knn-3", "_y", np.full(24, 10**9)),
        ("knn-3", "_y", np.zeros(3, int)),
        ("knn-3", "n_neighbors", 10**9),
        ("logreg-3", "coef_", np.full((3, 5), np.nan)),
        ("logreg-3", "coef_", np.zeros((2, 5))),
        ("mlp-3", "activation", "sigmoid"),
        ("mlp-3", "coefs_", [np.zeros((5, 4), np.float32)]),
        ("hist-gradient-boosting-3", "left_", np.zeros(3)),
        ("dummy-3", "class_prior_", np.zeros(1)),
    ],
)
def test_arrays_that_contradict_each_other_are_refused(
    name: str, attribute: str, value: Any, tmp_path: Path
) -> None:
    pipeline = fitted(name, tmp_path)
    setattr(pipeline[-1], attribute, value)
    with zipfile.ZipFile(FIXTURES / f"{name}.featx") as archive:
        archive.extractall(tmp_path / "m")
    forge(tmp_path / "m", skops_io.dumps(pipeline))
    with pytest.raises(ModelError):
        load_model(tmp_path / "m")


def test_a_scaler_of_another_width_is_refused(saved: Path) -> None:
    def change(schema: dict[str, Any]) -> None:
        attributes(schema, 0)["n_features_in_"]["content"] = "10000000000000"

    forge(saved, reschema((saved / "head.skops").read_bytes(), change))
    with pytest.raises(ModelError, match="the head takes 10000000000000 features"):
        load_model(saved)
