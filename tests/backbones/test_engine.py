"""Engines: embeddings depend on the image alone, agree with the reference, fail gracefully."""

from __future__ import annotations

import contextlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from featx import console
from featx.backbones import BackboneOutput, load_backbone
from featx.engines import ENGINES, build_engine, choose, measure_agreement
from featx.errors import BackboneError, UnknownNameError, UsageError
from featx.types import BackboneRequest, Preprocess

NETWORKS = [
    ("timm:resnet18", 64),
    ("timm:vit_tiny_patch16_224", 64),
    ("timm:mobilenetv3_small_100", 64),
    ("torchvision:mobilenet_v3_small", 64),
    ("torchvision:squeezenet1_0", 64),
    ("featx:mini-v1", 32),
]
BATCH_TOLERANCE = 5e-6  # of the largest value, between batch sizes, fp32


@dataclass
class Fake:
    """An embedder around any module, with one output."""

    network: nn.Module
    name: str = "test:net"
    preprocess: Preprocess = Preprocess((8, 8))  # noqa: RUF009 - frozen

    @property
    def outputs(self) -> tuple[BackboneOutput, ...]:
        return (BackboneOutput("out", 3, {"backbone": self.name, "n_features": 3}),)


class Means(nn.Module):
    """Channel means, running out of memory above ``limit`` images."""

    def __init__(self, limit: int = 10**9, error: Exception | None = None) -> None:
        super().__init__()
        self.limit, self.error, self.sizes = limit, error, []

    def forward(self, x):
        self.sizes.append(len(x))
        if len(x) > self.limit:
            raise self.error
        return (x.mean((2, 3)),)


def reference(backbone, **options):
    return build_engine("torch", backbone, device="cpu", precision="fp32", **options)


def _numerics_here():
    for engine in ENGINES.names():
        for precision in ("fp32", "bf16"):
            with contextlib.suppress(UsageError):
                choose(engine, "cpu", precision)
                yield engine, precision


NUMERICS = list(_numerics_here())  # every engine and precision that this processor has


@pytest.mark.parametrize(("engine", "precision"), NUMERICS)
@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_an_embedding_depends_on_its_image_alone(
    name, size, engine, precision, random_backbone, pixels
):
    backbone = random_backbone(name, size_px=size)
    engine = build_engine(engine, backbone, device="cpu", precision=precision)
    images = pixels(16, size)
    (together,) = engine.embed(images)
    order = np.random.default_rng(1).permutation(16)
    np.testing.assert_array_equal(engine.embed(images[order])[0], together[order])
    others = pixels(16, size, seed=2)
    for i in (0, 7, 15):
        np.testing.assert_array_equal(engine.embed(images[i : i + 1])[0][0], together[i])
        others[15 - i] = images[i]
    (among_others,) = engine.embed(others)
    for i in (0, 7, 15):
        np.testing.assert_array_equal(among_others[15 - i], together[i])


@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_batch_sizes_agree_within_the_tolerance_that_docs_state(
    name, size, random_backbone, pixels
):
    backbone = random_backbone(name, size_px=size)
    images = pixels(6, size)
    (usual,) = reference(backbone).embed(images)
    for batch_size in (1, 5):
        (other,) = reference(backbone, batch_size=batch_size).embed(images)
        assert np.abs(other - usual).max() <= BATCH_TOLERANCE * np.abs(usual).max()


@pytest.mark.parametrize(("engine", "precision"), NUMERICS)
def test_threads_that_embed_at_once_do_not_meet(engine, precision, random_backbone, pixels):
    backbone = random_backbone("timm:test_resnet", layers=("layer1", "layer3"), size_px=32)
    engine = build_engine(engine, backbone, device="cpu", precision=precision)
    jobs = [pixels(8, 32, seed=i) for i in range(24)]
    alone = [engine.embed(job)[0] for job in jobs]
    with ThreadPoolExecutor(6) as pool:
        together = list(pool.map(lambda job: engine.embed(job)[0], jobs))
    np.testing.assert_array_equal(together, alone)


@pytest.mark.parametrize(("engine", "precision"), NUMERICS)
@pytest.mark.parametrize(("name", "size"), NETWORKS)
def test_engines_agree_with_the_reference(name, size, engine, precision, random_backbone, pixels):
    backbone = random_backbone(name, size_px=size)
    engine = build_engine(engine, backbone, device="cpu", precision=precision)
    agreement = measure_agreement(engine, reference(backbone), pixels(8, size))
    assert agreement.images == 8
    assert agreement.within(precision), str(agreement)


@pytest.mark.parametrize("shift", [0.0, 1e-6, 0.1], ids=str)
def test_agreement_is_cosine_and_relative_error(shift, pixels):
    class Shifted(Means):
        def forward(self, x):
            return (x.mean((2, 3)) * torch.tensor([1.0, 1.0, 1.0 + shift]),)

    images = pixels(8, 8)
    agreement = measure_agreement(reference(Fake(Shifted())), reference(Fake(Means())), images)
    (truth,), (found,) = (reference(Fake(n)).embed(images) for n in (Means(), Shifted()))
    lengths = np.linalg.norm(truth.astype(float), axis=1)
    error = np.linalg.norm(found.astype(float) - truth, axis=1) / lengths
    assert agreement.relative_error == pytest.approx(error.max())
    assert agreement.within("fp32") == (shift < 0.01)


def test_normalisation_is_the_zoos(pixels):
    p = Preprocess((8, 8), mean=(0.4, 0.5, 0.6), std=(0.1, 0.2, 0.3))
    images = pixels(5, 8)
    (means,) = reference(Fake(Means(), preprocess=p)).embed(images)
    expected = ((images / 255.0 - p.mean) / p.std).mean((1, 2))
    np.testing.assert_allclose(means, expected, rtol=1e-5, atol=1e-5)
    assert means.dtype == np.float32


def test_every_batch_has_the_same_size(pixels):
    network = Means()
    engine = reference(Fake(network), batch_size=4)
    for n in (1, 4, 9):
        assert engine.embed(pixels(n, 8))[0].shape == (n, 3)
    assert set(network.sizes) == {4}


@pytest.mark.parametrize(
    "error",
    [
        torch.cuda.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        RuntimeError("[enforce fail at alloc_cpu.cpp:121] DefaultCPUAllocator: not enough memory"),
        RuntimeError("MPS backend out of memory (MPS allocated: 8 GB)"),
    ],
    ids=["cuda", "cpu", "mps"],
)
def test_running_out_of_memory_halves_the_batch(error, pixels, monkeypatch):
    said = []
    monkeypatch.setattr(console, "warn", said.append)
    network = Means(limit=5, error=error)
    engine = reference(Fake(network), batch_size=16)
    images = pixels(20, 8)
    (means,) = engine.embed(images)
    assert engine.batch_size == 4
    assert network.sizes == [16, 8, 4, 4, 4, 4, 4]
    assert [text[-3:] for text in said] == [" 8.", " 4."]
    np.testing.assert_array_equal(means, reference(Fake(Means())).embed(images)[0])
    engine.embed(images)
    assert engine.batch_size == 4  # it is not tried again


def test_when_one_image_does_not_fit_it_is_an_error(pixels, monkeypatch):
    monkeypatch.setattr(console, "warn", lambda text: None)
    network = Means(limit=0, error=torch.cuda.OutOfMemoryError("out of memory"))
    engine = reference(Fake(network), batch_size=4)
    with pytest.raises(BackboneError, match="Not even one image of 8 × 8 px fits") as caught:
        engine.embed(pixels(3, 8))
    assert "--device cpu" in str(caught.value)


def test_other_errors_of_the_network_are_not_taken_for_memory(pixels):
    engine = reference(Fake(Means(limit=0, error=RuntimeError("shape mismatch"))))
    with pytest.raises(RuntimeError, match="shape mismatch"):
        engine.embed(pixels(3, 8))


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_non_finite_embeddings_name_the_backbone(value, pixels):
    class Broken(nn.Module):
        def forward(self, x):
            y = x.mean((2, 3))
            y[1] = value
            return (y,)

    engine = reference(Fake(Broken()))
    with pytest.raises(BackboneError, match="test:net gave NaN or infinity for 1 of 3 images"):
        engine.embed(pixels(3, 8))


@pytest.mark.parametrize(
    "batch",
    [
        np.zeros((2, 8, 8, 3), np.float32),
        np.zeros((2, 8, 9, 3), np.uint8),
        np.zeros((2, 3, 8, 8), np.uint8),
        np.zeros((8, 8, 3), np.uint8),
        np.zeros((0, 8, 8, 3), np.uint8),
    ],
    ids=lambda b: f"{b.dtype}{b.shape}",
)
def test_batches_of_another_shape_are_refused(batch):
    with pytest.raises(BackboneError, match="test:net"):
        reference(Fake(Means())).embed(batch)


def test_read_only_and_strided_batches_are_fine(pixels):
    engine = reference(Fake(Means()))
    images = pixels(6, 8)
    images.flags.writeable = False
    np.testing.assert_array_equal(engine.embed(images)[0][::2], engine.embed(images[::2])[0])


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"device": "cuda:99"}, r"'cuda:99' is not on this machine; there are: auto, .*cpu"),
        ({"device": "gpu"}, "not on this machine"),
        ({"precision": "fp8"}, "allowed are auto, fp32"),
        ({"precision": "fp16", "device": "cpu"}, "slower than fp32 and overflows"),
        ({"batch_size": 0}, "allowed are auto and 1 or more"),
    ],
    ids=str,
)
def test_what_this_machine_cannot_do_is_refused(options: dict[str, Any], message):
    with pytest.raises(UsageError, match=message):
        build_engine("auto", Fake(Means()), **options)


def test_unknown_engines_list_the_choices():
    with pytest.raises(UnknownNameError, match=r"Choose from: .*torch"):
        build_engine("tensorflow", Fake(Means()))


@pytest.mark.parametrize("name", ENGINES.names())
def test_every_engine_keeps_the_contract(name, pixels):
    engine = build_engine(name, Fake(Means()), device="cpu", precision="fp32")
    assert engine.device == "cpu"
    assert engine.precision == "fp32"
    assert engine.batch_size >= 1
    assert engine.streams >= 1
    assert {"engine", "device", "precision"} <= set(engine.numerics)
    assert engine.numerics["engine"] == name
    (spec,) = engine.specs
    assert spec.backbone == "test:net"
    assert spec.n_features == 3
    assert spec.document["numerics"] == engine.numerics
    (vectors,) = engine.embed(pixels(3, 8))
    assert vectors.shape == (3, 3)
    assert vectors.dtype == np.float32


PRECISIONS = ("fp32", "bf16")


def test_precision_is_part_of_the_fingerprint_and_near_fp32(random_backbone, pixels):
    backbone = random_backbone("timm:resnet18", size_px=64)
    try:
        engines = [build_engine("auto", backbone, device="cpu", precision=p) for p in PRECISIONS]
    except UsageError as error:
        if "needs a processor that supports it" not in error.message:
            raise
        pytest.skip(error.message)
    assert engines[0].specs[0].fingerprint != engines[1].specs[0].fingerprint
    images = pixels(4, 64)
    (exact,), (fast,) = (engine.embed(images) for engine in engines)
    assert 0 < np.abs(exact - fast).max() / np.abs(exact).max() < 0.05


def test_everything_that_changes_an_embedding_changes_the_fingerprint(random_backbone):
    base = {"name": "timm:test_resnet"}
    variants = [
        base,
        base | {"size_px": 96},
        base | {"crop": 0.5},
        base | {"interpolation": "lanczos"},
        base | {"resize": "squash"},
        base | {"poolings": ("max",)},
        base | {"layers": ("layer3",)},
        base | {"layers": ("layer3",), "poolings": ("max",)},
        {"name": "timm:test_vit"},
    ]
    specs = [
        build_engine("auto", random_backbone(**options), device="cpu").specs[0]
        for options in variants
    ]
    assert len({spec.fingerprint for spec in specs}) == len(variants)
    again = build_engine("auto", random_backbone(**base), device="cpu").specs[0]
    assert again.fingerprint == specs[0].fingerprint
    assert set(again.document) == {
        "architecture",
        "backbone",
        "decode",
        "format_version",
        "n_features",
        "numerics",
        "output",
        "preprocess",
        "preprocess_version",
        "weights_sha256",
    }


def test_random_weights_are_said_loudly(capsys):
    load_backbone(BackboneRequest("timm:test_resnet", pretrained=False))
    assert "Warning: timm:test_resnet/random has random weights" in capsys.readouterr().err


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device on this machine")
def test_cuda_agrees_with_the_cpu(random_backbone, pixels):
    images = pixels(20, 64)
    vectors = []
    for device in ("cpu", "cuda"):
        backbone = random_backbone("timm:resnet18", size_px=64)
        engine = build_engine("torch", backbone, device=device, precision="fp32")
        vectors.append(engine.embed(images)[0])
    assert np.abs(vectors[0] - vectors[1]).max() / np.abs(vectors[0]).max() < 1e-5
