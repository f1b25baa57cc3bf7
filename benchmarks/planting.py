"""Faults with known answers, put into images: copies, shortcuts; and volumes that hold no copy."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageEnhance, ImageOps
from scipy.ndimage import gaussian_filter

KINDS = ("exact", "resized", "recompressed", "cropped", "recoloured", "mirrored", "turned")
TURNS = (Image.Transpose.ROTATE_90, Image.Transpose.ROTATE_180, Image.Transpose.ROTATE_270)
MIRRORS = (Image.Transpose.FLIP_LEFT_RIGHT, Image.Transpose.FLIP_TOP_BOTTOM)
FRAME_PX = 4


def alter(data: bytes, kind: str, rng: np.random.Generator) -> bytes:
    """A copy of a file as JPEG: as it is, or changed as `changed` says."""
    if kind == "exact":
        return data
    image = Image.open(io.BytesIO(data)).convert("RGB")
    quality = int(rng.integers(25, 61)) if kind == "recompressed" else 90
    buffer = io.BytesIO()
    changed(image, kind, rng).save(buffer, "JPEG", quality=quality)
    return buffer.getvalue()


def changed(image: Image.Image, kind: str, rng: np.random.Generator) -> Image.Image:
    """50 to 90 % as large, 5 to 12 % cut, other colours, a mirror image, or turned by quarters."""
    if kind == "resized":
        scale = rng.uniform(0.5, 0.9)
        return image.resize([max(1, round(side * scale)) for side in image.size])
    if kind == "cropped":
        kept = 1 - rng.uniform(0.05, 0.12)
        width, height = (round(side * kept) for side in image.size)
        left, top = rng.integers(image.width - width + 1), rng.integers(image.height - height + 1)
        return image.crop((left, top, left + width, top + height))
    if kind == "recoloured":
        for change in (ImageEnhance.Brightness, ImageEnhance.Contrast, ImageEnhance.Color):
            image = change(image).enhance(rng.uniform(0.75, 1.3))
        return image
    turns = {"mirrored": MIRRORS, "turned": TURNS}.get(kind)
    return image if turns is None else image.transpose(turns[rng.integers(len(turns))])


def framed(image: Image.Image) -> Image.Image:
    """The image with a narrow blue frame, as large as before."""
    return ImageOps.expand(ImageOps.crop(image, FRAME_PX), FRAME_PX, fill=(20, 60, 160))


def tagged(image: Image.Image) -> Image.Image:
    """The image with a small label in a corner."""
    ImageDraw.Draw(image).text((5, 5), "SITE 2", fill="white", stroke_width=1, stroke_fill="black")
    return image


def _saved(path: Path, change: Callable[[Image.Image], Image.Image], **more: object) -> None:
    with Image.open(path) as image:
        tables = image.quantization
        plain = change(image.convert("RGB"))
    plain.save(path, "JPEG", **(more or {"qtables": tables}))


def _as_png(path: Path) -> None:
    with Image.open(path) as image:
        image.convert("RGB").save(path.with_suffix(".png"))
    path.unlink()


#: What is done to every file of one class, and the family that is to find it.
SHORTCUTS: dict[str, tuple[str, Callable[[Path], None]]] = {
    "a frame": ("frame", lambda path: _saved(path, framed)),
    "a burnt-in tag": ("mark", lambda path: _saved(path, tagged)),
    "JPEG quality 60": ("metadata", lambda path: _saved(path, lambda i: i, quality=60)),
    "PNG instead of JPEG": ("format", _as_png),
    "one size": ("dimensions", lambda path: _saved(path, lambda i: i.resize((210, 280)))),
    "0.6 times as large": ("size", lambda path: _saved(path, lambda i: ImageOps.scale(i, 0.6))),
}


def phantom(seed: int, *, depth: int, side: int = 160) -> list[np.ndarray]:
    """Slices of a made body, like magnetic resonance: smooth shapes and texture, and noise.

    ``depth`` slices would span the body; those at its ends are left out.
    """
    rng = np.random.default_rng(seed)
    axes = [np.linspace(-1, 1, n, dtype=np.float32) for n in (depth, side, side)]
    z, y, x = np.meshgrid(*axes, indexing="ij")
    size = rng.uniform(0.65, 0.9, 3) * (1.3, 1, 1)
    body = sum((axis / s) ** 2 for axis, s in zip((z, y, x), size, strict=True))
    volume = 110.0 * (body < 1) + 70.0 * ((body < 1) & (body > 0.86))
    for _ in range(14):
        centre, radius = rng.uniform(-0.55, 0.55, 3), rng.uniform(0.08, 0.35, 3) * (1.3, 1, 1)
        places = zip((z, y, x), centre, radius, strict=True)
        organ = sum(((axis - c) / r) ** 2 for axis, c, r in places)
        volume += rng.uniform(-70, 70) * np.clip((1.1 - organ) * 5, 0, 1) * (body < 0.86)
    texture = gaussian_filter(rng.normal(size=volume.shape), (1.5, 4, 4))
    volume += 12 * texture / texture.std() * (body < 0.95)
    volume += rng.normal(0, rng.uniform(1, 6), volume.shape)
    ends = max(1, depth // 8)
    return [each.clip(0, 255).astype(np.uint8) for each in volume[ends:-ends]]


def volumes(folder: Path, n: int, *, named: bool) -> int:
    """Slices of ``n`` volumes of 12 or 24 slices, named by volume and slice or at random."""
    rng = np.random.default_rng(1)
    written = 0
    for number in range(n):
        for i, each in enumerate(phantom(1000 + number, depth=12 * (1 + number % 2))):
            name = f"{rng.integers(2**60):x}".translate(str.maketrans("0123456789", "ghijklmnop"))
            path = folder / (f"volume{number:02}/slice{i:03}.png" if named else f"{name}.png")
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(each).save(path)
            written += 1
    return written


def drawings(folder: Path, n: int) -> int:
    """Shapes on a plain ground that look alike from afar: five of one colour each."""
    folder.mkdir(parents=True, exist_ok=True)
    for seed in range(n):
        rng = np.random.default_rng(seed)
        image = Image.new("RGB", (200, 160), "white")
        draw = ImageDraw.Draw(image)
        for _ in range(5):
            x, y = rng.integers(20, 140, 2)
            w, h = rng.integers(15, 50, 2)
            draw.ellipse((x, y, x + w, y + h), fill=(40, 40, 60))
        image.save(folder / f"{seed * 977 % 7919}-{seed}.png")
    return n


def digits(folder: Path) -> int:
    """The 1,797 handwritten digits of scikit-learn, 8 x 8 pixels."""
    from sklearn.datasets import load_digits

    found = load_digits()
    for i, (pixels, label) in enumerate(zip(found.images, found.target, strict=True)):
        path = folder / f"{label}" / f"{i}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray((pixels * 15.9).astype(np.uint8)).save(path)
    return len(found.images)
