"""The recipe of the embedded backbone: reading, augmenting, and resuming bit for bit."""

from __future__ import annotations

import hashlib
import io
import json
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import asdict, replace
from pathlib import Path

import h5py
import numpy as np
import pytest
import torch
from PIL import Image
from safetensors.torch import save_file
from torchvision.models import squeezenet1_0

RECIPE = Path(__file__).parents[2] / "recipes" / "embedded"
sys.path.insert(0, str(RECIPE))

import augment  # noqa: E402
import data  # noqa: E402
import evaluate  # noqa: E402
import network  # noqa: E402
import probe  # noqa: E402
import teacher  # noqa: E402
import train  # noqa: E402

SHARED = Path(__file__).parents[3] / "shared" / "data" / "tiny-imagenet"
N_TRAIN, N_VAL, N_CLASSES = 48, 8, 4


def encode(pixels: np.ndarray, kind: str = "PNG") -> bytes:
    """Return uint8 ``(64, 64, 3)`` pixels as an image file."""
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, kind)
    return buffer.getvalue()


def noise(n: int, seed: int) -> np.ndarray:
    """Return ``(n, 64, 64, 3)`` uint8 images of noise."""
    return np.random.default_rng(seed).integers(0, 256, (n, 64, 64, 3), dtype=np.uint8)


@pytest.fixture(scope="module")
def hdf5(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A file in the layout of the recipe's data with a few images of noise."""
    path = tmp_path_factory.mktemp("data") / "tiny.h5"
    with h5py.File(path, "w") as file:
        for split, n in (("train", N_TRAIN), ("val", N_VAL)):
            files = [encode(image) for image in noise(n, seed=n)]
            group = file.create_group(split)
            group["bytes"] = np.frombuffer(b"".join(files), np.uint8)
            group["offsets"] = np.cumsum([0] + [len(f) for f in files])
            group["labels"] = np.arange(n) % N_CLASSES
    return path


@pytest.fixture(scope="module")
def teacher_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An untrained teacher."""
    torch.manual_seed(0)
    path = tmp_path_factory.mktemp("teacher") / "squeezenet.safetensors"
    save_file(squeezenet1_0(weights=None).state_dict(), path)
    return path


@pytest.fixture(scope="module")
def cache(hdf5: Path, teacher_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of what a run computes before its first step: the teacher is slow."""
    path = tmp_path_factory.mktemp("cache")
    images = data.load(hdf5, "train", path).images
    data.load(hdf5, "val", path)
    teacher.cache_targets(teacher_file, images, path, torch.device("cpu"))
    return path


def test_hdf5_is_decoded_once_in_order(hdf5: Path, tmp_path: Path) -> None:
    split = data.load(hdf5, "train", tmp_path)
    assert split.images.shape == (N_TRAIN, 3, 64, 64)
    assert split.labels.tolist() == [i % N_CLASSES for i in range(N_TRAIN)]
    expected = noise(N_TRAIN, seed=N_TRAIN).transpose(0, 3, 1, 2)
    np.testing.assert_array_equal(split.images, expected)
    files = [p.name for p in tmp_path.iterdir()]
    assert files == ["train-64px.npy"]


def test_original_folders_give_the_same_as_hdf5(tmp_path: Path) -> None:
    images = noise(3, seed=1)
    for i, wnid in enumerate(("n02", "n01")):
        folder = tmp_path / "source" / "train" / wnid / "images"
        folder.mkdir(parents=True)
        (folder / f"{wnid}_0.JPEG").write_bytes(encode(images[i]))
    val = tmp_path / "source" / "val"
    (val / "images").mkdir(parents=True)
    (val / "images" / "val_0.JPEG").write_bytes(encode(images[2]))
    (val / "val_annotations.txt").write_text("val_0.JPEG\tn02\t0\t0\t62\t62\n")
    train = data.load(tmp_path / "source", "train", tmp_path / "cache")
    assert train.labels.tolist() == [0, 1]
    np.testing.assert_array_equal(train.images, images[[1, 0]].transpose(0, 3, 1, 2))
    assert data.load(tmp_path / "source", "val", tmp_path / "cache").labels.tolist() == [1]


def test_an_image_of_another_size_is_an_error() -> None:
    with pytest.raises(ValueError, match="32x32 px; need 64"):
        data.decode(encode(np.zeros((32, 32, 3), np.uint8)))


def test_offsets_that_do_not_fit_are_an_error(hdf5: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken.h5"
    broken.write_bytes(hdf5.read_bytes())
    with h5py.File(broken, "r+") as file:
        file["train"]["offsets"][-1] += 1
    with pytest.raises(ValueError, match="offsets of train"):
        data.load(broken, "train", tmp_path)


def test_shared_tiny_imagenet_has_its_stated_size() -> None:
    path = SHARED / "tiny-imagenet-64px-webp.h5"
    if not path.exists():
        pytest.skip("Tiny ImageNet is absent: ../shared/data/tiny-imagenet")
    read, labels = data._list_hdf5(path, "train")
    assert np.bincount(labels).tolist() == [425] * 200
    assert data.decode(read(0)).shape == (3, 64, 64)


def test_resizing_agrees_with_pillow() -> None:
    pixels = noise(1, seed=3)[0]
    box = (8, 16, 56, 60)  # left, upper, right, lower
    expected = np.asarray(
        Image.fromarray(pixels).resize((32, 32), Image.Resampling.BILINEAR, box=box), np.float32
    )
    images = torch.from_numpy(pixels.transpose(2, 0, 1)[None].astype(np.float32))
    boxes = torch.tensor([[8 / 64, 16 / 64, 48 / 64, 44 / 64]])
    ours = augment.crop_resize(images, boxes, torch.tensor([False]), 32)[0].permute(1, 2, 0)
    # Pillow does not look outside the box; we do, at its border, where the image goes on.
    np.testing.assert_allclose(ours[2:-2, 2:-2], expected[2:-2, 2:-2], atol=1.0)


def test_draws_stay_inside_and_split_without_change() -> None:
    drawn = augment.draw(1000, torch.Generator().manual_seed(0))
    x0, y0, width, height = drawn.boxes.unbind(dim=1)
    assert min(x0.min(), y0.min()) >= 0
    assert max((x0 + width).max(), (y0 + height).max()) <= 1 + 1e-6
    images = torch.from_numpy(noise(4, seed=4)).permute(0, 3, 1, 2)
    whole = augment.augment(images, drawn.rows(0, 4), 48)
    halves = [augment.augment(images[i : i + 2], drawn.rows(i, i + 2), 48) for i in (0, 2)]
    torch.testing.assert_close(whole, torch.cat(halves), atol=1e-5, rtol=0)


def test_target_of_a_crop_is_the_average_of_what_it_covers() -> None:
    grids = torch.arange(16.0).view(1, 1, 4, 4)
    boxes = torch.tensor([[0.0, 0.0, 1.0, 1.0], [0.5, 0.0, 0.5, 0.25], [0.125, 0.25, 0.25, 0.25]])
    targets = teacher.crop_targets(grids.expand(3, 1, 4, 4), boxes)[:, 0]
    torch.testing.assert_close(targets, torch.tensor([7.5, 2.5, 4.5]))


def test_network_is_small_and_its_embedding_ends_at_the_forward_pass() -> None:
    net = network.build_network().eval()
    assert sum(p.numel() for p in net.parameters()) < 4_000_000
    x = torch.randn(2, 3, 64, 64)
    with torch.inference_mode():
        embedding = network.embed(net, x, (64, 32))
        assert embedding.shape == (2, 2 * (64 + 160 + 320))
        torch.testing.assert_close(embedding[:, 224:544], net(x))


def command(hdf5: Path, teacher_file: Path, out: Path, *extra: str) -> list[str]:
    """Return a tiny run: two epochs of six steps."""
    fixed = [
        "--epochs",
        "2",
        "--decay-epochs",
        "0.5",
        "--batch",
        "8",
        "--log-every",
        "1",
        "--save-every-s",
        "0",
    ]
    script = [sys.executable, str(RECIPE / "pretrain.py"), "--data", str(hdf5)]
    return [*script, "--teacher", str(teacher_file), "--out", str(out), *fixed, *extra]


def kill(arguments: list[str], after_step: int) -> None:
    """Run until a step is logged, and kill the run without notice."""
    with subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout is not None
        for line in process.stdout:
            if line.startswith(f'{{"step": {after_step},'):
                process.kill()
                break
        process.stdout.read()


@pytest.mark.slow
def test_a_killed_run_equals_an_uninterrupted_one(
    hdf5: Path, teacher_file: Path, tmp_path: Path
) -> None:
    whole = command(hdf5, teacher_file, tmp_path / "whole", "--processes", "2")
    cut = command(hdf5, teacher_file, tmp_path / "cut", "--processes", "2")
    subprocess.run(whole, check=True, capture_output=True)
    # Cut off in a longer run than it becomes: before the rate falls, the schedule may change.
    kill([*cut, "--epochs", "3"], after_step=4)
    assert not (tmp_path / "cut" / "mini-v1.safetensors").exists()
    subprocess.run(cut, check=True, capture_output=True)
    weights, again = (tmp_path / name / "mini-v1.safetensors" for name in ("whole", "cut"))
    assert weights.read_bytes() == again.read_bytes()
    assert (tmp_path / "cut" / "log.jsonl").read_text().count('"step"') == 12
    spec = json.loads((tmp_path / "cut" / "mini-v1.json").read_text())
    assert spec["weights"]["sha256"] == hashlib.sha256(weights.read_bytes()).hexdigest()


def make_trainer(hdf5: Path, cache: Path, out: Path, processes: int = 1) -> train.Trainer:
    """Return a trainer of three steps in this process."""
    config = train.Config(epochs=0.5, batch=8, processes=processes)
    shutil.copytree(cache, out / "cache", dirs_exist_ok=True)
    images, val = (data.load(hdf5, split, out / "cache") for split in data.SPLITS)
    return train.Trainer(config, images, val, out, 0, torch.device("cpu"))


@pytest.fixture
def handlers() -> Iterator[None]:
    """Put back the signal handlers that training sets."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("handlers")
def test_sigterm_saves_and_the_rest_follows_bit_for_bit(
    hdf5: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = make_trainer(hdf5, cache, tmp_path / "whole")
    assert whole.run(save_every_s=60, log_every=1)
    cut = make_trainer(hdf5, cache, tmp_path / "cut")
    step = cut.train_step

    def interrupted_step() -> torch.Tensor:
        signal.raise_signal(signal.SIGTERM)
        return step()

    monkeypatch.setattr(cut, "train_step", interrupted_step)
    assert not cut.run(save_every_s=60, log_every=1)
    rest = make_trainer(hdf5, cache, tmp_path / "cut")
    rest.resume()
    assert rest.step == 1
    assert rest.run(save_every_s=60, log_every=1)
    for name, tensor in whole.student.state_dict().items():
        assert torch.equal(tensor, rest.student.state_dict()[name]), name


@pytest.mark.usefixtures("handlers")
def test_a_signal_while_processes_exchange_gradients_is_not_lost(
    hdf5: Path, cache: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    trainer = make_trainer(hdf5, cache, tmp_path, processes=2)
    signals = iter([signal.SIGTERM])

    def all_reduce(flat: torch.Tensor) -> None:
        flat.mul_(2)  # as if the other process had the same gradient
        for number in signals:
            signal.raise_signal(number)

    monkeypatch.setattr(train.dist, "all_reduce", all_reduce)
    assert not trainer.run(save_every_s=60, log_every=1)
    # Not after the first step, whose flag the other process has read already, but after the next.
    assert trainer.step == 2


def test_a_checkpoint_of_other_settings_is_refused() -> None:
    before = train.Config(epochs=10, warmup_epochs=1, decay_epochs=4, grow_at=(5, 8))
    shorter = replace(before, epochs=8, grow_at=(4, 6))

    def rows(config: train.Config, steps: int) -> list[tuple[float, int]]:
        return [train.schedule(config, step, 100) for step in range(steps)]

    assert rows(before, 400) == rows(shorter, 400)
    assert rows(before, 402) != rows(shorter, 402)
    assert train.schedule(before, 999, 100)[0] == pytest.approx(before.lr / 400)
    assert train.schedule(before, 0, 100) == (pytest.approx(before.lr / 100), 32)
    trainer = object.__new__(train.Trainer)
    trainer.config, trainer.steps_per_epoch = shorter, 100
    assert trainer._continues(asdict(before), 400)
    assert not trainer._continues(asdict(before), 402)
    assert not trainer._continues(asdict(replace(before, seed=1)), 0)


def test_probe_finds_classes_that_features_separate() -> None:
    rng = np.random.default_rng(0)
    y = np.repeat(np.array(["a", "b", "c"]), 20)
    x = rng.normal(size=(60, 5)) + 4 * (y[:, None] == np.array(["a", "b", "c", "d", "e"]))
    groups = np.tile(np.arange(10), 6)
    assert probe.cross_validated(x, y, None) > 0.9
    assert probe.cross_validated(x, y, groups) > 0.9
    assert probe.train_validation_test([(x, y)] * 3) > 0.9


def test_embedded_weights_are_what_their_specification_says() -> None:
    path = RECIPE.parents[1] / "featx" / "backbones" / "weights" / "mini-v1.safetensors"
    if not path.exists():
        pytest.skip("the weights are not trained yet")
    weights = path.read_bytes()
    assert len(weights) <= 8_000_000
    spec = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
    assert spec == network.specification(weights)
    net = evaluate.load_network(path)
    size = spec["preprocess"]["size_px"][0]
    with torch.inference_mode():
        assert network.embed(net, torch.randn(1, 3, size, size)).shape == (1, spec["n_features"])
