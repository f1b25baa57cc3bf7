"""Images for gpu.py: a few photographs packed small, and many files made of them.

Each file of a data set must be another content, since featx computes equal contents once. A comment
of a few bytes behind the first marker of a JPEG file makes another file with the same pixels.
"""

from __future__ import annotations

import io
import tarfile
from pathlib import Path

from extract import make_photographs

MOST_BYTES = 60 << 20  # of a pack
WIDEST = 533, 533  # of a packed photograph, in pixels
_START = b"\xff\xd8"  # of a JPEG file


def pack(folder: Path, target: Path, count: int = 1024) -> int:
    """Write ``count`` of the JPEG files below ``folder`` into one tar; how many there are.

    Larger ones are made smaller; orientation and colour profiles are dropped.
    """
    from PIL import Image

    found = sorted(p for p in folder.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg"})
    if not found:
        raise SystemExit(f"There is no JPEG file below {folder}.")
    packed = size = 0
    with tarfile.open(target, "w") as archive:
        for path in found[:: max(1, len(found) // count)][:count]:
            with Image.open(path) as image:
                small = image.convert("RGB")
            small.thumbnail(WIDEST)
            stream = io.BytesIO()
            small.save(stream, "JPEG", quality=88)
            entry = tarfile.TarInfo(f"{packed:05}.jpg")
            entry.size = stream.tell()
            size += entry.size
            if size > MOST_BYTES:
                break
            stream.seek(0)
            archive.addfile(entry, stream)
            packed += 1
    return packed


def lay_out(source: Path | None, folder: Path, count: int) -> tuple[Path, str]:
    """``count`` files below ``folder/images`` and a manifest of them; says where they come from.

    Parameters
    ----------
    source : Path or None
        A tar from `pack`, or a folder of JPEG files; None makes photographs from noise.
    folder : Path
        Empty, or one that this function filled.
    count : int
        How many files.
    """
    images = folder / "images"
    manifest = folder / f"{count}.csv"
    images.mkdir(parents=True, exist_ok=True)
    contents = _contents(source, folder, count)
    names = [f"{i:06}.jpg" for i in range(count)]
    for i, name in enumerate(names):
        data = contents[i % len(contents)]
        note = i.to_bytes(4, "big")
        comment = b"\xff\xfe" + (2 + len(note)).to_bytes(2, "big") + note
        (images / name).write_bytes(_START + comment + data[2:])
    manifest.write_text("\n".join(["path", *names]) + "\n")
    size = sum(map(len, contents)) / len(contents)
    told = source.name if source else "made from noise"
    return manifest, f"{count} files of {len(contents)} photographs ({told}), {size:.0f} bytes each"


def _contents(source: Path | None, folder: Path, count: int) -> list[bytes]:
    if source is None:
        made = folder / "made"
        if not made.exists():
            make_photographs(made, min(count, 128))
        source = made
    if source.is_dir():
        found = sorted(p for p in source.rglob("*") if p.suffix.lower() in {".jpg", ".jpeg"})
        contents = [path.read_bytes() for path in found[:: max(1, len(found) // count)][:count]]
    else:
        with tarfile.open(source) as archive:
            members = [archive.extractfile(m) for m in archive.getmembers() if m.isfile()]
            contents = [member.read() for member in members if member is not None]
    contents = [data for data in contents if data.startswith(_START)]
    if not contents:
        raise SystemExit(f"There is no JPEG file in {source}.")
    return contents
