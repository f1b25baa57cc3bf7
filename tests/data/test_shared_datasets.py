"""The real data sets: counts that are known, and a sample of images decoded."""

from __future__ import annotations

from collections import Counter

import numpy as np

from featx.data.decode import decode
from featx.data.hashing import read_bytes
from featx.data.inspection import inspect_manifest
from featx.data.manifest import Manifest
from featx.data.reader import read_manifest


def decode_some(manifest: Manifest, every: int) -> Counter[tuple[str, str]]:
    """Decode one image in so many; count formats and modes."""
    kinds: Counter[tuple[str, str]] = Counter()
    for row in manifest.rows[::every]:
        decoded = decode(read_bytes(row.path))
        pixels = np.asarray(decoded.image)
        assert pixels.dtype == np.uint8
        assert pixels.shape == (decoded.image.height, decoded.image.width, 3)
        assert pixels.min() < pixels.max()
        kinds[decoded.format, decoded.mode] += 1
    return kinds


def test_clothing(shared_data):
    manifest = read_manifest(str(shared_data / "clothing"), labelled=True)
    assert len(manifest) == 3781
    assert len(manifest.classes) == 10
    assert Counter(manifest.splits) == {"train": 3068, "val": 341, "test": 372}
    assert manifest.ignored == {}
    assert set(decode_some(manifest, 100)) == {("JPEG", "RGB")}


def test_bccd(shared_data):
    manifest = read_manifest(str(shared_data / "bccd.csv"), labelled=True)
    counts = {"Neutrophil": 207, "Eosinophil": 88, "Lymphocyte": 33, "Monocyte": 20, "Basophil": 3}
    assert Counter(manifest.labels) == counts
    found = inspect_manifest(manifest)
    assert found.imbalance_ratio == 69
    assert found.broken == []
    folders = read_manifest(str(shared_data / "bccd"))
    assert Counter(folders.labels) == counts


def test_malaria(shared_data):
    manifest = read_manifest(str(shared_data / "malaria.csv"), labelled=True)
    assert len(manifest) == 9119
    assert len(set(manifest.groups)) == 62
    assert manifest.classes == ["Parasitized", "Uninfected"]
    assert set(decode_some(manifest, 200)) == {("PNG", "L")}


def test_plankton(shared_data):
    manifest = read_manifest(str(shared_data / "plankton"), labelled=True)
    assert (len(manifest), len(manifest.classes)) == (5230, 121)
    assert min(Counter(manifest.labels).values()) == 9
    assert set(decode_some(manifest, 200)) == {("JPEG", "L")}
