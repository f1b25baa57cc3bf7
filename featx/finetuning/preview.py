"""A contact sheet: images, and beside each what augmentation makes of it in some steps."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np

from featx import console
from featx.config import DatasetConfig, ExtractConfig, FinetuneConfig
from featx.data.hashing import content_hash, read_bytes
from featx.data.manifest import Manifest
from featx.data.opening import open_data
from featx.errors import DecodeError, UsageError
from featx.extraction.resolving import resolve_extract
from featx.extraction.used import used_by
from featx.files import atomic_path, printable
from featx.ours import FileKind
from featx.outputs import Output, claimed
from featx.system_errors import writing
from featx.types import UInt8Array

N_IMAGES, N_VIEWS = 8, 7
SOFTWARE, SIGNATURE = 0x0131, "featx finetune --preview"  # a tag of Exif, and its value
GAP_PX = 4
ENDINGS = (".png", ".jpg", ".jpeg", ".webp")


def preview(
    path: str | os.PathLike[str],
    data: DatasetConfig,
    extract: ExtractConfig,
    config: FinetuneConfig,
) -> int:
    """Write a contact sheet of training images as the network will see them.

    Parameters
    ----------
    path : path
        A ``.png``, ``.jpg`` or ``.webp`` file; one that featx wrote is replaced.
    data : DatasetConfig
        Eight images that can be read are shown, of as many classes as possible.
    extract : ExtractConfig
        Its backbone decides the size.
    config : FinetuneConfig
        ``augment`` and ``seed``.

    Returns
    -------
    int
        Images shown, one a row: as it is, then seven views.

    Raises
    ------
    UsageError
        The file has another ending, exists and is not a contact sheet, or is one of the images.
    DatasetError, BackboneError
        As `featx.finetune`; also where no image can be read.
    """
    target = Path(path)
    if target.suffix.lower() not in ENDINGS:
        raise UsageError(
            f"--preview {printable(str(target))!r} has the ending {target.suffix!r}; allowed are "
            f"{', '.join(ENDINGS)}."
        )
    output = Output(target, "--preview", SHEET, overwrite=True)
    with claimed([output], used_by(data, extract)) as claims:
        manifest = open_data(data)
        claims.spare("the images", manifest.paths)
        rows = _rows(manifest, extract, config)
        target = claims.place(target)
        _write(target, rows)
    console.log(
        f"{console.counted(len(rows), 'image')} and {N_VIEWS} views of each written to {target}"
    )
    return len(rows)


def _write(target: Path, rows: list[UInt8Array]) -> None:
    """All pictures on one sheet, signed so that it may be replaced."""
    from PIL import Image

    gap = (0, GAP_PX)
    padded = np.pad(np.stack(rows), ((0, 0), (0, 0), gap, gap, (0, 0)), constant_values=255)
    n, n_pictures, height, width, _ = padded.shape
    sheet = padded.swapaxes(1, 2).reshape(n * height, n_pictures * width, 3)[:-GAP_PX, :-GAP_PX]
    image = Image.fromarray(np.ascontiguousarray(sheet))
    exif = Image.Exif()
    exif[SOFTWARE] = SIGNATURE
    with writing("the contact sheet", target), atomic_path(target) as temporary:
        image.save(temporary, format=_format(target), exif=exif)


def _is_sheet(path: Path) -> bool:
    from PIL import Image

    with Image.open(path, formats=["PNG", "JPEG", "WEBP"]) as image:
        return image.getexif().get(SOFTWARE) == SIGNATURE


SHEET = FileKind("a contact sheet", _is_sheet)


def _format(target: Path) -> str:
    ending = target.suffix.lower().removeprefix(".")
    return "JPEG" if ending in {"jpg", "jpeg"} else ending.upper()


def _rows(manifest: Manifest, extract: ExtractConfig, config: FinetuneConfig) -> list[UInt8Array]:
    """Pictures of each image, shape (1 + n_views, height, width, 3)."""
    from featx.backbones import open_backbone
    from featx.finetuning.augmenting import augmenter
    from featx.finetuning.images import ImageBank

    extract = resolve_extract(manifest, extract)
    preprocess = open_backbone(extract.requests()[0], offline=extract.offline).preprocess
    found: list[UInt8Array] = []
    for path in _spread(manifest):
        try:
            sha = np.frombuffer(content_hash(read_bytes(path)), np.uint8)[None]
            bank = ImageBank([path], sha, preprocess, memory_bytes=10**9)
            pictures = [bank.plain(np.zeros(1, np.int64))]
            for step in range(N_VIEWS):
                if config.augment == "none":
                    pictures.append(pictures[0])
                    continue
                augment = augmenter(config.augment, upright=extract.upright)
                only = np.zeros(1, np.int64)
                pictures.append(
                    bank.augmented(only, augment, step=step, seed=int(config.seed or 0))
                )
            bank.close()
        except DecodeError as error:
            console.warn(f"{printable(path)} is left out: {error.message}")
            continue
        found.append(np.concatenate(pictures))
        if len(found) == N_IMAGES:
            break
    if not found:
        raise UsageError(f"{printable(manifest.source)!r} has no image that can be read.")
    return found


def _spread(manifest: Manifest) -> list[str]:
    """Paths of images that may be trained on, one of each class in turn."""
    seen: dict[str | None, int] = {}
    ranked = []
    for row in manifest.rows:
        if row.split != "test":
            rank = seen.get(row.label, 0)
            seen[row.label] = rank + 1
            ranked.append((rank, row.path))
    return [path for _, path in sorted(ranked, key=lambda item: item[0])]
