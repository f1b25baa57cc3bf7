"""Files that are given as weights: known by content, named for what they are, never run."""

from __future__ import annotations

import argparse
import contextlib
import io
import os
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image
from safetensors.torch import save, save_file
from torch import nn

from featx import console
from featx.backbones._files import read_weights
from featx.errors import BackboneError, WeightsNotFoundError

STATE = {"conv.weight": torch.arange(12.0).view(3, 4), "conv.bias": torch.zeros(3)}
OTHER = {k: v + 1 for k, v in STATE.items()}


@pytest.fixture
def said(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """What was logged."""
    lines: list[str] = []
    monkeypatch.setattr(console, "log", lines.append)
    return lines


def saved(value: Any, **options: Any) -> bytes:
    stream = io.BytesIO()
    torch.save(value, stream, **options)
    return stream.getvalue()


def same(found: dict[str, torch.Tensor], wanted: dict[str, torch.Tensor]) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


def image(kind: str) -> bytes:
    stream = io.BytesIO()
    Image.fromarray(np.zeros((8, 8, 3), np.uint8)).save(stream, kind)
    return stream.getvalue()


def zipped(**files: bytes) -> bytes:
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in files.items():
            archive.writestr(name.replace("__", "/").replace("_0_", "."), content)
    return stream.getvalue()


def scripted() -> bytes:
    stream = io.BytesIO()
    archive = zipfile.ZipFile(stream, "w")
    for name in ("net/data.pkl", "net/code/__torch__.py", "net/constants.pkl"):
        archive.writestr(name, b"x")
    archive.close()
    return stream.getvalue()


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:aa\nsize 4990000\n"
NOT_WEIGHTS = {
    "Git LFS": (LFS, "is a pointer of Git LFS.*\n.*git lfs pull"),
    "a page": (b"\n<!DOCTYPE html><html>404</html>", "is a web page"),
    "a page without a type": (b"\xef\xbb\xbf<HTML><body>Sign in</body></HTML>", "is a web page"),
    "an error of a bucket": (b"<?xml version='1.0'?><Error>AccessDenied</Error>", "is an XML text"),
    "JSON": (b'{"error": "gated"}', "is a JSON text"),
    "text": (b"Entry not found", "is a text, not weights; it begins 'Entry not found'"),
    "UTF-16": ("Access denied".encode("utf-16"), "is a text"),
    "nothing": (b"", r"is empty \(0 bytes\)"),
    "zeros": (bytes(5000), "the first of them all zeros"),
    "noise": (bytes(range(255, 0, -1)), "begins with the bytes ff fe"),
    "Keras": (b"\x89HDF\r\n\x1a\n" + bytes(100), "is an HDF5 file, as Keras"),
    "new Keras": (zipped(model_0_weights_0_h5=b"", config_0_json=b"{}"), "is a Keras model"),
    "NumPy": (b"\x93NUMPY" + bytes(100), "is an array of NumPy"),
    "npz": (zipped(a_0_npy=b"x", b_0_npy=b"x"), r"NumPy arrays \(.npz\)"),
    "zip": (zipped(readme_0_txt=b"x"), r"is a zip archive \(of readme.txt\)"),
    "gzip": (b"\x1f\x8b\x08" + bytes(100), r"is compressed \(gzip\)\.\nUnpack it first"),
    "tar": (bytes(257) + b"ustar" + bytes(300), "is a tar archive"),
    "ONNX": (b"\x08\x08\x12\x07pytorch\x1a\x052.1.0" + bytes(50), "is an ONNX model"),
    "GGUF": (b"GGUF\x03" + bytes(100), "is a GGUF file"),
    "JPEG": (image("JPEG"), "is a JPEG image"),
    "PNG": (image("PNG"), "is a PNG image"),
    "WebP": (image("WEBP"), "is a WebP image"),
    "TorchScript": (scripted(), "is a TorchScript archive.*\n.*torch.jit.load"),
}


@pytest.mark.parametrize("ending", [".pth", ".safetensors", ""])
@pytest.mark.parametrize("case", NOT_WEIGHTS)
def test_files_that_are_no_weights_are_named_for_what_they_are(
    case: str, ending: str, tmp_path: Path
) -> None:
    content, message = NOT_WEIGHTS[case]
    path = tmp_path / f"weights{ending}"
    path.write_bytes(content)
    with pytest.raises(BackboneError, match=message) as caught:
        read_weights(path)
    assert str(path) in str(caught.value)
    assert "run code" not in str(caught.value)


@pytest.mark.parametrize("name", ["model_best.pth.tar", "last.ckpt", "w.onnx", "weights", "a.txt"])
@pytest.mark.parametrize("way", ["safetensors", "zip", "legacy"])
def test_weights_are_known_by_their_content(name: str, way: str, tmp_path: Path) -> None:
    content = {
        "safetensors": lambda: save(STATE),
        "zip": lambda: saved({"state_dict": STATE, "epoch": 1}),
        "legacy": lambda: saved(STATE, _use_new_zipfile_serialization=False),
    }[way]()
    (tmp_path / name).write_bytes(content)
    assert same(read_weights(tmp_path / name), STATE)


@settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(data=st.data(), way=st.sampled_from(["safetensors", "zip", "legacy"]))
def test_a_cut_or_altered_file_is_an_error_or_the_same_names(
    data: st.DataObject, way: str, tmp_path: Path
) -> None:
    content = {
        "safetensors": save(STATE),
        "zip": saved(STATE),
        "legacy": saved(STATE, _use_new_zipfile_serialization=False),
    }[way]
    cut = data.draw(st.integers(0, len(content) - 1))
    altered = data.draw(st.booleans())
    path = tmp_path / "w.pth"
    path.write_bytes(content[:cut] + (b"?" + content[cut + 1 :] if altered else b""))
    with contextlib.suppress(BackboneError):  # nothing else may come out
        found = read_weights(path)
        assert altered or way == "legacy"
        assert all(isinstance(v, torch.Tensor) for v in found.values())


def test_settings_beside_the_weights_are_passed_over(tmp_path: Path) -> None:
    beside = {
        "args": argparse.Namespace(lr=0.1, opt=argparse.Namespace(name="sgd")),
        "best": np.float64(0.5),
        "curve": np.arange(3.0),
        "file": Path("x") / "y",
        "epoch": 3,
        "optimizer": {"state": {0: {"step": torch.zeros(1)}}, "param_groups": []},
    }
    (tmp_path / "a.pth").write_bytes(saved({"state_dict": STATE, **beside}))
    assert same(read_weights(tmp_path / "a.pth"), STATE)


class Payload:
    def __init__(self, function: Any, *arguments: Any) -> None:
        self.function, self.arguments = function, arguments

    def __reduce__(self) -> Any:
        return self.function, self.arguments


@pytest.mark.parametrize("zipped_way", [True, False])
def test_code_hidden_among_settings_is_refused(zipped_way: bool, tmp_path: Path) -> None:
    marker = tmp_path / "executed"
    for payload in (Payload(os.mkdir, str(marker)), Payload(eval, f"open({str(marker)!r}, 'w')")):
        content = {"args": argparse.Namespace(a=payload), "state_dict": STATE}
        data = saved(content, _use_new_zipfile_serialization=zipped_way)
        (tmp_path / "a.pth").write_bytes(data)
        with pytest.raises(BackboneError, match="more than tensors and was not loaded"):
            read_weights(tmp_path / "a.pth")
        assert not marker.exists()


@pytest.mark.parametrize("zipped_way", [True, False])
def test_a_whole_network_is_named(zipped_way: bool, tmp_path: Path) -> None:
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    data = saved({"model": network}, _use_new_zipfile_serialization=zipped_way)
    (tmp_path / "net.pth").write_bytes(data)
    with pytest.raises(BackboneError, match=r"whole pickled network.*\n.*state_dict"):
        read_weights(tmp_path / "net.pth")


@pytest.mark.parametrize(
    ("sets", "taken"),
    [
        (("state_dict", "state_dict_ema"), "state_dict_ema"),
        (("model", "model_ema"), "model_ema"),
        (("state_dict", "ema"), "state_dict"),
        (("student", "teacher"), "teacher"),
    ],
)
def test_of_several_sets_the_one_that_timm_takes_is_taken_and_said(
    sets: tuple[str, str], taken: str, tmp_path: Path, said: list[str]
) -> None:
    values = {name: STATE if name == taken else OTHER for name in sets}
    torch.save(values, tmp_path / "a.pth")
    assert same(read_weights(tmp_path / "a.pth"), STATE)
    [line] = said
    assert "2 sets of weights" in line
    assert f"{taken!r} is used" in line
    if taken in ("state_dict_ema", "model_ema"):
        from timm.models import load_state_dict

        assert same(load_state_dict(str(tmp_path / "a.pth")), STATE)


def test_sets_that_nobody_can_tell_apart_are_refused(tmp_path: Path) -> None:
    torch.save({"generator": STATE, "critic": OTHER}, tmp_path / "a.pth")
    with pytest.raises(BackboneError, match=r"holds 2 sets of tensors \(generator, critic\)"):
        read_weights(tmp_path / "a.pth")


def test_a_folder_is_read_where_it_holds_the_usual_file(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    with pytest.raises(BackboneError, match=r"is a folder.* it holds config.json"):
        read_weights(tmp_path)
    save_file(STATE, tmp_path / "model.safetensors")
    assert same(read_weights(tmp_path), STATE)


def test_links_pipes_and_locked_files(tmp_path: Path) -> None:
    (tmp_path / "link.pth").symlink_to(tmp_path / "gone.pth")
    with pytest.raises(WeightsNotFoundError, match=r"is a link to '.*gone.pth', which does not"):
        read_weights(tmp_path / "link.pth")
    os.mkfifo(tmp_path / "pipe.pth")
    with pytest.raises(BackboneError, match="is not a regular file"):
        read_weights(tmp_path / "pipe.pth")


def test_tensors_without_numbers_or_of_odd_kinds_are_refused(tmp_path: Path) -> None:
    for odd in (torch.empty(3, device="meta"), torch.eye(3).to_sparse(), torch.ones(3) * 1j):
        torch.save({**STATE, "odd": odd}, tmp_path / "a.pth")
        with pytest.raises(BackboneError, match="odd"):
            read_weights(tmp_path / "a.pth")
