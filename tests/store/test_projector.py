"""Embeddings for TensorBoard's projector: read back, and by the projector itself."""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from featx.cli.main import main
from featx.config import DatasetConfig
from featx.data.hashing import content_hash
from featx.errors import UsageError
from featx.reporting.projector import export_projector
from featx.store import EmbeddingStore
from featx.types import ExtractorSpec

NAMES = ["a\tb", "c\nd", "=1+1", '"quoted"', "plain"]
SPEC = ExtractorSpec({"backbone": 'timm:"x"', "n_features": 8})


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, np.ndarray]:
    """A cache, a data set of one image a class, and the embeddings in the data set's order."""
    root = tmp_path_factory.mktemp("projector")
    rng = np.random.default_rng(0)
    for i, name in enumerate(NAMES):
        folder = root / "photos" / name
        folder.mkdir(parents=True)
        pixels = rng.integers(0, 256, (30, 40, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{i}.png")
    paths = sorted((root / "photos").rglob("*.png"))
    hashes = [np.frombuffer(content_hash(p.read_bytes()), np.uint8) for p in paths]
    X = rng.normal(size=(len(paths), 8)).astype(np.float32)
    EmbeddingStore.open(root / "cache", SPEC).add(np.stack(hashes), X)
    return root / "cache", root / "photos", X


def written(place: tuple[Path, Path, np.ndarray], folder: Path, **options: Any) -> Path:
    cache, photos, _ = place
    export_projector(cache, SPEC.folder, folder, data=DatasetConfig(dataset=str(photos)), **options)
    return folder


def test_each_image_is_a_row_of_every_file(
    place: tuple[Path, Path, np.ndarray], tmp_path: Path
) -> None:
    folder = written(place, tmp_path / "out")
    vectors = np.loadtxt(folder / "vectors.tsv", delimiter="\t", dtype=np.float32, ndmin=2)
    order = [row.split("\t") for row in (folder / "metadata.tsv").read_text().splitlines()]
    assert order[0] == ["label", "id", "sha256"]
    assert {len(row) for row in order} == {3}
    assert {row[0] for row in order[1:]} == {"a\\tb", "c\\nd", "'=1+1", '"quoted"', "plain"}
    _, photos, X = place
    by_hash = {content_hash(p.read_bytes()).hex(): (p, x)
               for p, x in zip(sorted(photos.rglob("*.png")), X, strict=True)}  # fmt: skip
    sheet = Image.open(folder / "sprite.png")
    assert sheet.size == (3 * 64, 3 * 64)
    for i, (row, vector) in enumerate(zip(order[1:], vectors, strict=True)):
        path, x = by_hash[row[2]]
        np.testing.assert_array_equal(vector, x)
        left, top = i % 3 * 64, i // 3 * 64
        shown = sheet.crop((left, top, left + 64, top + 64))
        own = Image.open(path).convert("RGB")  # 40 × 30: centred, not enlarged
        assert shown.crop((12, 17, 52, 47)).tobytes() == own.tobytes()


def test_the_projector_itself_reads_it(
    place: tuple[Path, Path, np.ndarray], tmp_path: Path
) -> None:
    pytest.importorskip("tensorboard")
    from tensorboard.plugins.base_plugin import TBContext
    from tensorboard.plugins.projector.projector_plugin import ProjectorPlugin
    from werkzeug.test import Client

    folder = written(place, tmp_path / "out")

    class NoRuns:
        def list_runs(self, *_: Any, **__: Any) -> list[Any]:
            return []

    plugin = ProjectorPlugin(TBContext(logdir=str(folder), data_provider=NoRuns()))
    apps = plugin.get_plugin_apps()

    def get(route: str, **query: str) -> bytes:
        answer = Client(apps[route]).get(route, query_string={"run": ".", **query})
        assert answer.status_code == 200, answer.data
        return answer.data

    assert json.loads(get("/runs")) == ["."]
    [info] = json.loads(get("/info"))["embeddings"]
    name = info["tensorName"]
    assert info["tensorShape"] == [5, 8]
    assert info["sprite"]["singleImageDim"] == [64, 64]
    tensor = np.frombuffer(get("/tensor", name=name), np.float32).reshape(5, 8)
    assert {t.tobytes() for t in tensor} == {x.tobytes() for x in place[2]}
    assert get("/metadata", name=name) == (folder / "metadata.tsv").read_bytes()
    assert Image.open(io.BytesIO(get("/sprite_image", name=name))).size == (192, 192)


def test_without_a_data_set_there_are_names_and_no_pictures(
    place: tuple[Path, Path, np.ndarray], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    folder = written(place, tmp_path / "out")
    arguments = ["cache", "export", SPEC.folder, "--to", "tensorboard", "-o", str(folder),
                 "--cache", str(place[0])]  # fmt: skip
    for more, code in (([], 2), (["--overwrite"], 0)):
        with pytest.raises(SystemExit) as ended:
            main([*arguments, *more])
        assert ended.value.code == code
    said = capfd.readouterr().err
    assert "exists already" in said
    assert f"tensorboard --logdir={folder}" in said
    assert not (folder / "sprite.png").exists()
    assert "sprite" not in (folder / "projector_config.pbtxt").read_text()
    assert len((folder / "metadata.tsv").read_text().splitlines()) == 6


def test_a_file_in_the_way_is_refused(place: tuple[Path, Path, np.ndarray], tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(UsageError, match="is a file"):
        written(place, tmp_path / "file", overwrite=True)
