"""Crafted models: nothing runs, the reason is named, and it costs neither memory nor time."""

from __future__ import annotations

import json
import os
import pickle
import re
import stat
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from safetensors.numpy import load, save

from featx.artifact import Model, load_model, save_model
from featx.errors import ModelError
from featx.heads import HEADS
from tests.artifact.payload import Payload, forge, little_memory


@pytest.fixture
def saved(model: Model, tmp_path: Path) -> Path:
    """A model folder to tamper with."""
    save_model(model, tmp_path / "m")
    return tmp_path / "m"


def test_a_pickle_in_the_heads_place_is_refused_by_name(saved: Path, bomb: Path) -> None:
    forge(saved, files={HEAD_FILE: pickle.dumps(Payload(bomb))})
    with pytest.raises(ModelError, match="looks like a pickle, which can run code"):
        load_model(saved)
    assert not bomb.exists()


HEAD_FILE = "head.safetensors"
HEAD = {"head": "logreg", "settings": {}, "parameters": {}}
ENTRY = {"size_bytes": 1, "sha256": "0" * 64}


def test_a_declared_size_is_not_allocated(saved: Path) -> None:
    forge(
        saved,
        lambda values: values.update(
            files={"head.safetensors": {"size_bytes": 1 << 33, "sha256": "0" * 64}}
        ),
    )
    with little_memory(), pytest.raises(ModelError, match="SHA-256 differs"):
        load_model(saved)


@pytest.mark.parametrize("head", [b"", b"\x08", b"not safetensors at all", b"\xff" * 8 + b"{}"])
def test_what_is_not_safetensors_says_so(saved: Path, head: bytes) -> None:
    forge(saved, files={HEAD_FILE: head})
    with pytest.raises(ModelError, match="is not safetensors data"):
        load_model(saved)


def crafted(shape: Any, dtype: str = "F32", n_bytes: int = 0) -> bytes:
    """safetensors data of one array with this header."""
    entry = {"dtype": dtype, "shape": shape, "data_offsets": [0, n_bytes]}
    header = json.dumps({"coef": entry}).encode()
    return len(header).to_bytes(8, "little") + header + bytes(n_bytes)


@pytest.mark.parametrize(
    "head",
    [
        crafted([1 << 40]),  # promises what is not there
        crafted([1 << 40, 0]),  # no bytes at all, and endless
        crafted([1 << 62, 1 << 62]),
        crafted([-1, -1]),
        crafted([1.5]),
        crafted([3, 12], "O", 144),
        crafted([3, 12], "BF16", 72),
        crafted([3, 12], "F32", 144)[:-1],
        (1 << 62).to_bytes(8, "little") + b"{}",
    ],
)
def test_arrays_that_lie_are_refused_without_allocating(saved: Path, head: bytes) -> None:
    forge(saved, files={HEAD_FILE: head})
    with little_memory(), pytest.raises(ModelError, match=r"not safetensors|is malformed"):
        load_model(saved)


Arrays = dict[str, np.ndarray]


def put(**changed: Any) -> Callable[[Arrays], Arrays]:
    """A change of arrays: set, or left out where None."""
    named = {name.replace("__", "."): array for name, array in changed.items()}
    return lambda arrays: {k: a for k, a in {**arrays, **named}.items() if a is not None}


def at(name: str, index: Any, value: Any) -> Callable[[Arrays], Arrays]:
    """A change of one entry."""

    def change(arrays: Arrays) -> Arrays:
        array = arrays[name].copy()
        array[index] = value
        return {**arrays, name: array}

    return change


MALFORMED: list[tuple[str, Callable[[Arrays], Arrays], str]] = [
    ("logreg", put(coef=np.full((3, 12), np.nan, np.float32)), "coef is not finite"),
    ("logreg", put(coef=np.zeros((2, 12), np.float32)), r"coef has the shape \(2, 12\)"),
    ("logreg", put(coef=np.zeros((3, 12), np.int64)), "coef is of type int64"),
    ("logreg", put(coef=None), "coef is missing"),
    ("logreg", put(more=np.zeros(3)), "'more' is no array"),
    ("logreg", put(intercept=np.zeros(1)), "intercept has the shape"),
    ("logreg", put(scaler__mean=np.zeros(9)), "mean has the shape"),
    ("logreg", put(scaler__scale=np.zeros(12)), "numbers that are not positive"),
    ("logreg", put(scaler__scale=np.full(12, np.inf)), "scale is not finite"),
    ("logreg", put(pca__components=np.zeros((3, 12))), "centre is missing"),
    ("svm-rbf", at("counts", 0, 10**12), "contradict"),
    ("svm-rbf", at("counts", 0, -1), "contradict"),
    ("svm-rbf", put(dual=np.zeros((1, 3))), "dual has the shape"),
    ("svm-rbf", put(intercept=np.zeros((1, 1))), "intercept has the shape"),
    ("knn", at("labels", 0, 10**9), "contradict"),
    ("knn", at("labels", 0, -1), "contradict"),
    ("knn", put(labels=np.zeros(3, np.int64)), "labels has the shape"),
    ("knn", put(rows=np.zeros((0, 12)), labels=np.zeros(0, np.int64)), "contradict"),
    ("mlp", put(weights_0=np.zeros((12, 9), np.float32)), "weights_0 has the shape"),
    ("mlp", put(biases_1=np.zeros(3)), "biases_1 is of type float64"),
    ("dummy", put(prior=np.zeros(2)), "prior has the shape"),
    ("prototypes", put(coef=np.zeros((3, 3))), "coef has the shape"),
    ("hist-gradient-boosting", at("left", 0, 10**9), "contradict"),
    ("hist-gradient-boosting", at("left", 0, -1), "contradict"),
    ("hist-gradient-boosting", at("left", 0, 0), "contradict"),
    ("hist-gradient-boosting", at("left", 1, 0), "contradict"),
    ("hist-gradient-boosting", at("feature", 0, 12), "contradict"),
    ("hist-gradient-boosting", at("feature", 0, -1), "contradict"),
    ("hist-gradient-boosting", at("roots", 0, -1), "contradict"),
    ("hist-gradient-boosting", put(roots=np.zeros(1, np.int64)), "contradict"),
    ("hist-gradient-boosting", put(roots=np.zeros((3, 1), np.int64)), "roots has the shape"),
    ("hist-gradient-boosting", put(baseline=np.zeros(2)), "baseline has the shape"),
]
SETTINGS: list[tuple[str, dict[str, Any]]] = [
    ("svm-rbf", {"gamma": -1.0}),
    ("svm-rbf", {"gamma": "scale"}),
    ("svm-rbf", {"gamma": True}),
    ("knn", {"n_neighbors": 10**9}),
    ("knn", {"n_neighbors": 0}),
    ("knn", {"n_classes": 4}),
    ("mlp", {"activation": "sigmoid"}),
    ("mlp", {"hidden": [10**18]}),
    ("mlp", {"hidden": [4] * 1000}),
    ("mlp", {"hidden": 4}),
    ("prototypes", {"unit": "yes"}),
]


def saved_head(name: str, make_model: Callable[..., Model], folder: Path) -> Arrays:
    """Save a model with this head; its arrays."""
    quick: dict[str, dict[str, Any]] = {
        "mlp": {"hidden_layer_sizes": 4, "epochs": 2},
        "hist-gradient-boosting": {"max_iter": 3, "min_samples_leaf": 2},
        "knn": {"n_neighbors": 3},
    }
    save_model(
        make_model(head=HEADS.get(name).build(None, 0).set_params(**quick.get(name, {}))), folder
    )
    return load((folder / "head.safetensors").read_bytes())


@pytest.mark.parametrize(("name", "change", "message"), MALFORMED)
def test_arrays_that_are_not_the_forms_are_refused(
    make_model: Callable[..., Model],
    tmp_path: Path,
    name: str,
    change: Callable[[Arrays], Arrays],
    message: str,
) -> None:
    arrays = saved_head(name, make_model, tmp_path / "m")
    forge(tmp_path / "m", files={HEAD_FILE: save(change(arrays))})
    with little_memory(), pytest.raises(ModelError, match=f"is malformed: .*{message}"):
        load_model(tmp_path / "m")


@pytest.mark.parametrize(("name", "change"), SETTINGS)
def test_settings_that_are_not_the_forms_are_refused(
    make_model: Callable[..., Model], tmp_path: Path, name: str, change: dict[str, Any]
) -> None:
    saved_head(name, make_model, tmp_path / "m")
    heads = json.loads((tmp_path / "m" / "model.json").read_bytes())["heads"]
    heads["head.safetensors"]["settings"].update(change)
    forge(tmp_path / "m", lambda values: values.update(heads=heads))
    with little_memory(), pytest.raises(ModelError, match="is malformed"):
        load_model(tmp_path / "m")


def test_parameters_that_are_none_are_refused_when_the_pipeline_is_built(saved: Path) -> None:
    described = {**HEAD, "parameters": {"c": 1.0}}
    forge(saved, lambda values: values.update(heads={"head.safetensors": described}))
    with pytest.raises(ModelError, match="scikit-learn cannot build the head again"):
        _ = load_model(saved).pipeline


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"classes": "cat"}, "classes: input should be a valid list, got 'cat'"),
        ({"classes": ["cat", 3, "owl"]}, "classes.1: input should be a valid string, got 3"),
        ({"classes": ["cat", "cat", "owl"]}, "names a class twice"),
        ({"classes": ["cat"]}, "classes: list should have at least 2 items"),
        ({"classes": ["cat", "dog"]}, r"coef has the shape \(3, 12\), expected \(1, 12\)"),
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
        ({"format_version": 2}, "must declare just the file 'head.skops'"),
        ({"heads": {}}, "must describe a head for each file"),
        ({"heads": {"head.safetensors": {**HEAD, "head": "../logreg"}}}, "which is not installed"),
        ({"heads": {"head.safetensors": {**HEAD, "head": "_mlp"}}}, "which is not installed"),
        ({"heads": {"head.safetensors": {**HEAD, "head": "ridge "}}}, "which is not installed"),
        ({"heads": {"head.safetensors": {**HEAD, "head": "mlp"}}}, "its settings are"),
        ({"heads": {"head.safetensors": {**HEAD, "settings": {"x": 1}}}}, "its settings are"),
        ({"heads": {"head.safetensors": {**HEAD, "parameters": {"a": [1]}}}}, "parameters.a"),
        ({"heads": {"head.safetensors": {**HEAD, "code": "x"}}}, "unknown key"),
        ({"temperature": "hot"}, "temperature: input should be a valid number, got 'hot'"),
        ({"temperature": 0}, "temperature: input should be greater than 0"),
        ({"metrics": None}, "metrics"),
        ({"versions": {"scikit-learn": 1}}, "versions.scikit-learn"),
        ({"files": {}}, "must declare just the file 'head.safetensors'"),
        ({"files": {"../../etc/passwd": {"size_bytes": 1, "sha256": "0" * 64}}}, "must declare"),
        (
            {"files": {"head.safetensors": {"size_bytes": -1, "sha256": "0" * 64}}},
            "files.head.safetensors",
        ),
        (
            {"files": {"head.safetensors": {"size_bytes": 1, "sha256": "0" * 64}}},
            "larger than the limit",
        ),
        ({"clases": []}, r"unknown key 'clases' \(like 'classes'\)"),
        ({"format": "zip"}, "is not featx's: its format is 'zip'"),
    ],
)
def test_hostile_values_of_model_json(saved: Path, changes: Any, message: str) -> None:
    forge(saved, lambda values: values.update(changes))
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
        ("{}" + " " * (1 << 26), r"larger than the limit \(67108864 bytes\)"),
    ],
)
def test_hostile_text_of_model_json(saved: Path, text: str, message: str) -> None:
    (saved / "model.json").write_bytes(text.encode("latin-1"))
    with pytest.raises(ModelError, match=message):
        load_model(saved)


def test_a_pipe_in_a_files_place_does_not_hang(saved: Path) -> None:
    (saved / "head.safetensors").unlink()
    os.mkfifo(saved / "head.safetensors")
    with pytest.raises(ModelError, match=r"head\.safetensors is not a plain file"):
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
        (entry("head.safetensors"), "two entries of the same name"),
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
        archive.writestr("head.safetensors", bytes(200_000_000))
    with (
        little_memory(),
        pytest.raises(ModelError, match=r"would expand to 2000\d+, too much for a model"),
    ):
        load_model(path)


def test_a_zip_that_lies_about_its_sizes_is_refused(saved: Path, tmp_path: Path) -> None:
    path = tmp_path / "m.featx"
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.write(saved / "model.json", "model.json")
        archive.writestr("head.safetensors", bytes(50_000_000))
        archive.getinfo(
            "head.safetensors"
        ).file_size = 1000  # written into the directory at the end
    with pytest.raises(ModelError, match=r"head\.safetensors"):
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
    head = (saved / "head.safetensors").read_bytes()
    whole = tmp_path / "whole.featx"
    with zipfile.ZipFile(whole, "w") as archive:
        for name in ("model.json", "head.safetensors"):
            archive.write(saved / name, name)
    refused = {"head": 0, "archive": 0}
    for _ in range(25):
        garbled = bytearray(head)
        start, end = (0, 300) if rng.random() < 0.5 else (0, len(head))  # names and shapes first
        for at in rng.integers(start, end, rng.integers(1, 6)):
            garbled[at] = rng.integers(256)
        forge(saved, files={HEAD_FILE: bytes(garbled)})
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


def test_no_code_of_featx_unpickles() -> None:
    import featx

    sources = Path(featx.__file__).parent.rglob("*.py")
    for source in sources:
        text = source.read_text("utf-8")
        assert not re.search(r"pickle\.loads?\(|Unpickler|joblib\.load|from pickle", text), source
        assert "load" not in re.findall(r"from joblib import (.*)", text), source
        for line in text.splitlines():
            assert "torch.load(" not in line or "weights_only=True" in line, source
