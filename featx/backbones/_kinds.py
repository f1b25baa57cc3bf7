"""What a file that was given as weights really is, seen from its first bytes, never its name."""

from __future__ import annotations

import re
import zipfile
from pathlib import Path

SAFETENSORS = "safetensors"
TORCH_ZIP = "a file of torch.save"
PICKLE = "a pickle"

#: The first bytes of files that hold no tensors by name for torch, and what to say of them.
_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89HDF\r\n\x1a\n", "an HDF5 file, as Keras and TensorFlow write"),
    (b"\x93NUMPY", "an array of NumPy"),
    (b"GGUF", "a GGUF file of a language model"),
    (b"\xff\xd8\xff", "a JPEG image"),
    (b"\x89PNG", "a PNG image"),
    (b"GIF8", "a GIF image"),
    (b"II*\0", "a TIFF image"),
    (b"MM\0*", "a TIFF image"),
    (b"BM", "a BMP image"),
    (b"%PDF", "a PDF document"),
    (b"\x7fELF", "a program"),
    (b"MZ", "a program"),
)
#: Compressed files and archives, and the program that opens them.
_PACKED: tuple[tuple[bytes, str, str], ...] = (
    (b"\x1f\x8b", "gzip", "gunzip (or tar -xzf)"),
    (b"BZh", "bzip2", "bunzip2 (or tar -xjf)"),
    (b"\xfd7zXZ\0", "xz", "unxz (or tar -xJf)"),
    (b"\x28\xb5\x2f\xfd", "zstd", "unzstd"),
    (b"7z\xbc\xaf\x27\x1c", "7-Zip", "7z x"),
    (b"Rar!", "RAR", "unrar x"),
)
_HEAD_BYTES = 4096
_SAVE = "Save the network's weights in the program that made it: torch.save(net.state_dict(), FILE)"


def kind_of(path: Path) -> str:
    """``SAFETENSORS``, ``TORCH_ZIP`` or ``PICKLE``; any other text means that it is neither."""
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    size = path.stat().st_size
    if head[:4] == b"PK\x03\x04":
        return _zip_kind(path)[0]
    header_bytes = int.from_bytes(head[:8], "little")
    if head[8:9] == b"{" and 2 <= header_bytes <= max(size, 100 << 20):
        return SAFETENSORS
    if head[:1] == b"\x80" and head[1:2] in (b"\x02", b"\x03", b"\x04", b"\x05"):
        return PICKLE
    return not_weights(path)[0]


def not_weights(path: Path) -> tuple[str, str | None]:
    """What a file is that is neither safetensors nor written by torch.save, and what to do.

    Parameters
    ----------
    path : Path
        A file.

    Returns
    -------
    tuple of (str, str or None)
        The words after "FILE is", and the hint.
    """
    with path.open("rb") as file:
        head = file.read(_HEAD_BYTES)
    size = path.stat().st_size
    if not head:
        return "empty (0 bytes)", "Download or copy it again."
    if head[:4] == b"PK\x03\x04":
        return _zip_kind(path)
    for magic, name, program in _PACKED:
        if head.startswith(magic):
            return f"compressed ({name})", f"Unpack it first: {program} {path.name}"
    if head[257:262] == b"ustar":
        return "a tar archive", f"Unpack it first: tar -xf {path.name}"
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return f"{name}, not weights for torch", None
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "a WebP image, not weights for torch", None
    if head[4:8] == b"TFL3":
        return "a TensorFlow Lite model, not weights for torch", None
    if head[:1] == b"\x08" and re.search(rb"pytorch|onnx|tf2onnx|skl2onnx|\x12[\x01-\x20]", head):
        return "an ONNX model, or another protocol buffer, not weights for torch", _SAVE
    if not head.strip(b"\0"):
        return f"{size:,} bytes, the first of them all zeros", (
            "Its download or copy was interrupted; download or copy it again."
        )
    return _text(head) or (
        f"not a weights file: it begins with the bytes {head[:8].hex(' ')}",
        "Give --weights a file written by torch.save or safetensors.",
    )


def _zip_kind(path: Path) -> tuple[str, str | None]:
    """What a zip archive is."""
    try:
        with zipfile.ZipFile(path) as archive:
            names = archive.namelist()
    except (zipfile.BadZipFile, ValueError, OSError, EOFError):
        return (
            f"cut short or damaged (it is {path.stat().st_size:,} bytes long, and the table at "
            "its end is missing)",
            "Download or copy it again.",
        )
    inner = {name.partition("/")[2] or name for name in names}
    if "constants.pkl" in inner or any(name.startswith("code/") for name in inner):
        return "a TorchScript archive: a program with its weights", (
            f"Take the weights out: torch.save(torch.jit.load({path.name!r}).state_dict(), FILE)"
        )
    if "data.pkl" in inner:
        return TORCH_ZIP, None
    if any(name.endswith(".h5") for name in names):
        return "a Keras model, not weights for torch", None
    if names and all(name.endswith(".npy") for name in names):
        return "an archive of NumPy arrays (.npz), not weights for torch", None
    if any(name.startswith("archive/") or name.startswith("models/") for name in names):
        return "a zip archive without the weights of torch.save", None
    some = ", ".join(names[:3]) or "nothing"
    return f"a zip archive (of {some})", "Unpack it first and give the file of weights inside."


def _text(head: bytes) -> tuple[str, str | None] | None:
    """What a text file is; None where it is no text."""
    try:
        text = head.decode("utf-16" if head[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig")
    except UnicodeDecodeError as error:
        if error.start < len(head) - 3:  # else a letter is cut in two at the end
            return None
        text = head[: error.start].decode("utf-8", "ignore")
    if not all(c.isprintable() or c in "\r\n\t\f" for c in text):
        return None
    start = text.lstrip().lower()
    if start.startswith("version https://git-lfs"):
        return "a pointer of Git LFS, not the weights themselves", (
            "Fetch them where the repository is: git lfs pull"
        )
    if start.startswith(("<!doctype html", "<html", "<head", "<!--", "<script", "<body")):
        return "a web page, not weights", (
            "The address may need a login, or may be a page about the file; download the file "
            "itself."
        )
    if start.startswith("<"):
        return "an XML text, not weights", None
    if start.startswith(("{", "[")):
        return "a JSON text, not weights", None
    first = " ".join(text.split())[:80]
    return f"a text, not weights; it begins {first!r}", None
