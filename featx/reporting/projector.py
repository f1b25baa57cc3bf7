"""``featx cache export --to tensorboard``: embeddings for TensorBoard's projector.

Written as the files that the projector reads; neither TensorBoard nor TensorFlow is needed.
https://www.tensorflow.org/tensorboard/tensorboard_projector_plugin
"""

from __future__ import annotations

import io
import json
import math
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from featx.config import DatasetConfig
from featx.exporting.embeddings import AlignedRows, ExportReport, aligned_rows
from featx.extraction.used import kept_in, used_by
from featx.files import atomic_path, file_start, printable, write_atomic
from featx.formats.csv import escape
from featx.ours import FolderKind
from featx.outputs import Output, claimed
from featx.reporting.pictures import small_pictures
from featx.system_errors import writing

CONFIG = "projector_config.pbtxt"  # the name that TensorBoard looks for
VECTORS, METADATA, SPRITE = "vectors.tsv", "metadata.tsv", "sprite.png"
SHEET_PX = 8192  # the widest texture that browsers take everywhere
LARGEST_PX, SMALLEST_PX = 64, 16  # of a thumbnail
ROWS_AT_ONCE = 1024
GREY = (128, 128, 128)


def export_projector(
    cache: str | Path,
    extractor: str,
    output: str | Path,
    *,
    data: DatasetConfig | None = None,
    overwrite: bool = False,
) -> ExportReport:
    """Write a folder that ``tensorboard --logdir FOLDER`` shows under Projector.

    Parameters
    ----------
    cache, extractor, data
        See `featx.exporting.embeddings.export_embeddings`. With a data set there are labels, names
        and, of up to 262,144 images, thumbnails: at most 64 px, smaller beyond 16,384 images.
    output : path
        A folder: ``vectors.tsv`` (float32, to the bit), ``metadata.tsv``, ``sprite.png`` and
        ``projector_config.pbtxt``.
    overwrite : bool, default False
        Replace files of these names in a folder with something in it.

    Raises
    ------
    UsageError
        The output is a file, or a folder with something in it.
    UnknownNameError, DatasetError, StoreError, CorruptStoreError
        See `featx.exporting.embeddings.export_embeddings`.
    """
    folder = Path(output).expanduser()
    used = [*used_by(data), *kept_in(cache)]
    with claimed([Output(folder, "-o", PROJECTOR, overwrite)], used) as claims:
        rows = aligned_rows(cache, extractor, data)
        claims.spare("the images", rows.paths or ())
        with writing("the export", folder):
            _write(folder, rows)
        return ExportReport(folder, len(rows.ids), rows.X.shape[1], rows.missing)


def _write(folder: Path, rows: AlignedRows) -> None:
    write_atomic(folder / METADATA, _metadata(rows))  # first: the rest is recognised by it
    _write_vectors(folder / VECTORS, rows.X)
    size_px = min(LARGEST_PX, SHEET_PX // math.ceil(math.sqrt(max(len(rows.ids), 1))))
    shows = rows.paths is not None and size_px >= SMALLEST_PX
    if rows.paths is not None and shows:
        write_atomic(folder / SPRITE, _sprite(rows.paths, size_px))
    else:
        (folder / SPRITE).unlink(missing_ok=True)
    write_atomic(folder / CONFIG, _config(rows.backbone, size_px if shows else None))


def _is_projector(folder: Path) -> bool:
    """Whether the projector's files are those that featx writes."""
    titles = file_start(folder / METADATA, 100)
    config = file_start(folder / CONFIG) if (folder / CONFIG).exists() else b""
    ours = titles.startswith((b"id\tsha256\n", b"label\tid\tsha256\n"))
    return ours and (not config or f'tensor_path: "{VECTORS}"'.encode() in config)


#: Its files are replaced one by one: others in the folder stay.
PROJECTOR = FolderKind(
    "a projector's folder",
    _is_projector,
    lambda folder: {CONFIG, VECTORS, METADATA, SPRITE}.__contains__,
    room_bytes=1 << 20,
    in_place=True,
)


def _write_vectors(path: Path, X: np.ndarray) -> None:
    """Tab-separated, nine digits: as many as a float32 needs to come back as it was."""
    with atomic_path(path) as temporary, temporary.open("xb") as stream:
        for start in range(0, len(X), ROWS_AT_ONCE):
            np.savetxt(stream, X[start : start + ROWS_AT_ONCE], fmt="%.9g", delimiter="\t")


def _metadata(rows: AlignedRows) -> bytes:
    """One line a row and one of titles; tabs and line breaks in names are escapes."""
    columns = {"id": rows.ids, "sha256": [row.tobytes().hex() for row in rows.hashes]}
    if rows.y is not None:
        columns = {"label": rows.y, **columns}
    lines = ["\t".join(columns)]
    lines += [
        "\t".join(escape(printable(cell)) for cell in line)
        for line in zip(*columns.values(), strict=True)
    ]
    return ("\n".join(lines) + "\n").encode()


def _sprite(paths: Sequence[str], size_px: int) -> bytes:
    """All thumbnails on one square sheet, row by row; those that cannot be read are grey."""
    columns = math.ceil(math.sqrt(len(paths)))
    sheet = Image.new("RGB", (columns * size_px, columns * size_px), GREY)
    for start in range(0, len(paths), ROWS_AT_ONCE):
        pictures = small_pictures(paths[start : start + ROWS_AT_ONCE], size_px)
        for i, picture in enumerate(pictures, start):
            if picture is not None:
                left = i % columns * size_px + (size_px - picture.width) // 2
                top = i // columns * size_px + (size_px - picture.height) // 2
                sheet.paste(picture, (left, top))
    buffer = io.BytesIO()
    sheet.save(buffer, "PNG")
    return buffer.getvalue()


def _config(backbone: str, thumbnail_px: int | None) -> bytes:
    """``ProjectorConfig`` of TensorBoard as protobuf text."""
    lines = [
        "embeddings {",
        f"  tensor_name: {json.dumps(printable(backbone))}",
        f'  tensor_path: "{VECTORS}"',
        f'  metadata_path: "{METADATA}"',
    ]
    if thumbnail_px is not None:
        size = f"single_image_dim: {thumbnail_px} "
        lines.append(f'  sprite {{ image_path: "{SPRITE}" {size}{size}}}')
    return "\n".join([*lines, "}", ""]).encode()
