"""Which weights are on this machine, told without importing a zoo."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from featx.backbones import _here, weights_here


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.setenv("TORCH_HOME", str(tmp_path / "torch"))
    return tmp_path


def test_the_cache_of_hugging_face_names_its_networks(hub: Path) -> None:
    whole, begun = (hub / "hub" / f"models--timm--{n}" for n in ("resnet18.a1_in1k", "begun"))
    (whole / "snapshots" / "abc").mkdir(parents=True)
    (whole / "snapshots" / "abc" / "model.safetensors").write_bytes(b"")
    (begun / "snapshots" / "abc").mkdir(parents=True)
    found = weights_here()
    assert "featx:mini-v1" in found
    assert found[-1] == "timm:resnet18.a1_in1k"
    assert "timm:begun" not in found


def test_files_of_torch_hub_are_for_the_zoos_to_name(
    hub: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = hub / "torch" / "hub" / "checkpoints"
    folder.mkdir(parents=True)
    (folder / "x.pth").write_bytes(b"")
    asked = []
    monkeypatch.setattr(_here, "list_backbones", lambda: asked.append(1) or [])
    assert weights_here() == []
    assert asked == [1]


def test_no_zoo_is_imported(hub: Path) -> None:
    code = "import sys; from featx.backbones import weights_here; weights_here()\n"
    code += "print(sorted({'torch', 'timm', 'torchvision'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
