"""Crafted models: nothing runs, the reason is named, and it costs neither memory nor time."""

from __future__ import annotations

import io
import json
import os
import pickle
import re
import stat
import tracemalloc
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import skops.io
from sklearn.pipeline import Pipeline
from sklearn.preprocessing import FunctionTransformer, StandardScaler
from sklearn.svm import SVC
from sklearn.tree import DecisionTreeClassifier

from featx.artifact import Model, load_model, save_model
from featx.artifact.document import _digest
from featx.artifact.head import dump_head, load_head
from featx.errors import ModelError


@pytest.fixture
def bomb(tmp_path: Path) -> Path:
    """The file that a payload would create."""
    return tmp_path / "executed"


class Payload:
    """Creates a file when unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return os.system, (f"touch {self.path}",)


def forge(folder: Path, head: bytes | None = None, **changes: Any) -> None:
    """Replace parts of a saved model and make every digest fit, as a forger would."""
    import hashlib

    values = json.loads((folder / "model.json").read_bytes())
    values.pop("sha256")
    if head is not None:
        (folder / "head.skops").write_bytes(head)
        entry = {"size_bytes": len(head), "sha256": hashlib.sha256(head).hexdigest()}
        values["files"]["head.skops"] = entry
    values.update(changes)
    values["sha256"] = _digest(values)
    (folder / "model.json").write_text(json.dumps(values))


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


@contextmanager
def little_memory() -> Iterator[None]:
    """Fail when the block allocates more than 20 MB at once."""
    tracemalloc.start()
    try:
        yield
        assert tracemalloc.get_traced_memory()[1] < 20e6
    finally:
        tracemalloc.stop()


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    """A model folder to tamper with."""
    save_model(model, tmp_path / "m")
    return tmp_path / "m"


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


def test_types_that_skops_trusts_but_featx_never_writes_are_refused() -> None:
    X, y = np.zeros((4, 2)), [0, 1, 0, 1]
    for step in (FunctionTransformer(np.exp), FunctionTransformer()):
        pipeline = Pipeline([("scaler", step), ("head", SVC())]).fit(X, y)
        assert skops.io.loads(skops.io.dumps(pipeline)) is not None
        with pytest.raises(ModelError, match=r"not trust: .*FunctionTransformer"):
            load_head(skops.io.dumps(pipeline), source="m")
    with pytest.raises(ModelError, match=r"not trust: .*DecisionTreeClassifier"):
        dump_head(DecisionTreeClassifier().fit(X, y))


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


def test_a_declared_size_is_not_allocated(saved: Path) -> None:
    forge(saved, files={"head.skops": {"size_bytes": 1 << 33, "sha256": "0" * 64}})
    with little_memory(), pytest.raises(ModelError, match="SHA-256 differs"):
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


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("_n_support", np.array([1000, 1000, 1000], np.int32)),
        ("_n_support", np.array([30, 30, -30], np.int32)),
        ("_dual_coef_", np.zeros((2, 1))),
        ("_intercept_", np.zeros(1)),
        ("support_vectors_", np.zeros((1, 12))),
        ("_probA", np.zeros(1)),
        ("kernel", "precomputed"),
        ("_impl", "one_class"),
    ],
)
def test_numbers_that_compiled_code_would_follow_are_checked(
    make_model: Callable[..., Model], attribute: str, value: Any
) -> None:
    pipeline = make_model(head=SVC(break_ties=True)).pipeline
    setattr(pipeline.named_steps["head"], attribute, value)
    with pytest.raises(ModelError, match="the head's arrays contradict each other"):
        load_head(dump_head(pipeline), source="m")


def test_neighbours_out_of_range_are_refused(make_model: Callable[..., Model]) -> None:
    from featx.heads.knn import build

    pipeline = make_model(head=build(None, 0)).pipeline
    pipeline.named_steps["head"]._y = np.full(30, 10**9)
    with pytest.raises(ModelError, match="the head's arrays contradict each other"):
        load_head(dump_head(pipeline), source="m")


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": "cat"}, "classes: input should be a valid list, got 'cat'"),
        ({"classes": ["cat", 3, "owl"]}, "classes.1: input should be a valid string, got 3"),
        ({"classes": ["cat", "cat", "owl"]}, "names a class twice"),
        ({"classes": ["cat"]}, "classes: list should have at least 2 items"),
        ({"classes": ["cat", "dog", "fox"]}, "the head knows 3 classes, which are not the 3"),
        ({"extractors": None}, "extractors"),
        ({"extractors": []}, "extractors: list should have at least 1 item"),
        ({"extractors": [{"fingerprint": "0" * 64, "document": {}}]}, "request: field required"),
        (
            {"extractors": [{"fingerprint": "0" * 64, "document": {}, "request": {}}]},
            "fingerprint differ",
        ),
        (
            {"extractors": [{"fingerprint": "0" * 64, "document": {}, "request": []}]},
            "request: input should be a valid dictionary",
        ),
        ({"format_version": 1}, "extractors.0: input should be a valid dictionary"),
        ({"format_version": 1, "extractor": {}}, "extractors.0.fingerprint: field required"),
        ({"temperature": "hot"}, "temperature: input should be a valid number, got 'hot'"),
        ({"temperature": 0}, "temperature: input should be greater than 0"),
        ({"metrics": None}, "metrics"),
        ({"versions": {"scikit-learn": 1}}, "versions.scikit-learn"),
        ({"files": {}}, "must declare just the file 'head.skops'"),
        ({"files": {"../../etc/passwd": {"size_bytes": 1, "sha256": "0" * 64}}}, "must declare"),
        ({"files": {"head.skops": {"size_bytes": -1, "sha256": "0" * 64}}}, "files.head.skops"),
        ({"files": {"head.skops": {"size_bytes": 1, "sha256": "0" * 64}}}, "larger than it may be"),
        ({"clases": []}, r"unknown key 'clases' \(like 'classes'\)"),
        ({"format": "zip"}, "is not featx's: its format is 'zip'"),
    ],
)
def test_hostile_values_of_model_json(saved: Path, changes: Any, message: str) -> None:
    forge(saved, **changes)
    with pytest.raises(ModelError, match=message):
        load_model(saved)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "is not JSON"),
        ("[]", "must hold an object. Got list"),
        ('{"format": NaN}', "NaN is not a JSON number"),
        ("[" * 100_000, "nested too deeply"),
        ("\xff", "is not JSON"),
        ('{"format": "featx-model", "format_version": 1, "classes": 1e999}', "was altered"),
        ('{"format": "featx-model", "format_version": 9' + "9" * 5000 + "}", "is not JSON"),
        ("{}" + " " * (1 << 26), r"larger than it may be \(67108864 bytes\)"),
    ],
)
def test_hostile_text_of_model_json(saved: Path, text: str, message: str) -> None:
    (saved / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=message):
        load_model(saved)


def test_a_pipe_in_a_files_place_does_not_hang(saved: Path) -> None:
    (saved / "head.skops").unlink()
    os.mkfifo(saved / "head.skops")
    with pytest.raises(ModelError, match=r"head\.skops is not a plain file"):
        load_model(saved)


def entry(name: str, *, mode: int = 0, flags: int = 0) -> zipfile.ZipInfo:
    info = zipfile.ZipInfo(name)
    info.external_attr = mode << 16
    info.flag_bits |= flags
    return info


@pytest.mark.parametrize(
    ("extra", "message"),
    [
        (entry("../evil"), r"the entry '../evil' leads out of the archive"),
        (entry("/etc/passwd"), r"the entry '/etc/passwd' leads out of the archive"),
        (entry("a/../../evil"), "leads out of the archive"),
        (entry("..\\evil"), "not portable"),
        (entry("C:evil"), "not portable"),
        (entry("link", mode=stat.S_IFLNK | 0o777), "the entry 'link' is a symbolic link"),
        (entry("sub/file"), "is not at the top level"),
        (entry("folder/"), "is not at the top level"),
        (entry("README"), "holds a file that is not declared: README"),
        (entry("head.skops"), "two entries of the same name"),
    ],
)
@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_hostile_entries_of_an_archive(
    model: Model, tmp_path: Path, extra: zipfile.ZipInfo, message: str
) -> None:
    path = tmp_path / "in" / "m.featx"
    save_model(model, path)
    with zipfile.ZipFile(path, "a") as archive:
        archive.writestr(extra, b"payload")
    before = sorted(tmp_path.rglob("*"))
    with pytest.raises(ModelError, match=message):
        load_model(path)
    assert sorted(tmp_path.rglob("*")) == before  # nothing is ever unpacked


def test_a_zip_bomb_is_refused_without_expanding(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.featx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(saved / "model.json", "model.json")
        archive.writestr("head.skops", bytes(200_000_000))
    with little_memory(), pytest.raises(ModelError, match=r"would expand to 2000\d+; that is no"):
        load_model(path)


def test_a_zip_that_lies_about_its_sizes_is_refused(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.featx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(saved / "model.json", "model.json")
        archive.writestr("head.skops", bytes(50_000_000))
        archive.getinfo("head.skops").file_size = 1000  # written into the directory at the end
    with pytest.raises(ModelError, match=r"head\.skops"):
        load_model(path)


def test_too_many_entries(tmp_path: Path) -> None:
    with zipfile.ZipFile(tmp_path / "m.featx", "w") as archive:
        for i in range(257):
            archive.writestr(f"{i}", b"")
    with pytest.raises(ModelError, match="has 257 entries; at most 256"):
        load_model(tmp_path / "m.featx")


@pytest.mark.parametrize("seed", range(4))
def test_garbled_bytes_only_ever_raise_model_errors(saved: Path, tmp_path: Path, seed: int) -> None:
    rng = np.random.default_rng(seed)
    head = (saved / "head.skops").read_bytes()
    whole = tmp_path / "whole.featx"
    with zipfile.ZipFile(whole, "w") as archive:
        for name in ("model.json", "head.skops"):
            archive.write(saved / name, name)
    refused = {"head": 0, "archive": 0}
    for _ in range(25):
        garbled = bytearray(head)
        start = len(head) - 3000 if rng.random() < 0.5 else 0  # the zip's directory is at the end
        for at in rng.integers(start, len(head), rng.integers(1, 6)):
            garbled[at] = rng.integers(256)
        forge(saved, bytes(garbled))
        refused["head"] += not loads(saved)
        data = bytearray(whole.read_bytes())
        for at in rng.integers(len(data) - 250, len(data), rng.integers(1, 6)):
            data[at] = rng.integers(256)
        (tmp_path / "m.featx").write_bytes(data)
        refused["archive"] += not loads(tmp_path / "m.featx")
    assert min(refused.values()) > 0


def loads(path: Path) -> bool:
    """Whether it is a model; any error but a `ModelError` is the test's."""
    try:
        load_model(path)
    except ModelError:
        return False
    return True


def test_a_scaler_of_another_width_is_refused(saved: Path) -> None:
    def change(schema: dict[str, Any]) -> None:
        attributes(schema, 0)["n_features_in_"]["content"] = "10000000000000"

    forge(saved, reschema((saved / "head.skops").read_bytes(), change))
    with pytest.raises(ModelError, match="the head takes 10000000000000 features"):
        load_model(saved)


def test_no_code_of_featx_unpickles() -> None:
    import featx

    sources = Path(featx.__file__).parent.rglob("*.py")
    for source in sources:
        text = source.read_text("utf-8")
        assert not re.search(r"pickle\.loads?\(|Unpickler|joblib\.load|from pickle", text), source
        assert "load" not in re.findall(r"from joblib import (.*)", text), source
        for line in text.splitlines():
            assert "torch.load(" not in line or "weights_only=True" in line, source


def test_scaler_stays_trusted() -> None:
    assert isinstance(load_head(dump_head(StandardScaler().fit(np.eye(2))), source="m"),
                      StandardScaler)  # fmt: skip
