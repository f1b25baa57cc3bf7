"""What a file that is not read is: by its ending, else by its first bytes.

Kept apart from decoding so that listing a folder needs no Pillow.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from functools import lru_cache

SNIFFED_BYTES = 512


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file.

    Parameters
    ----------
    noun : str
        What one of them is, for instance ``"HEIC"``, ``"video"``, ``".txt"``.
    detail : str
        What tells it from others of the noun, for instance ``".mp4"``.
    image : bool
        Whether it may show what a label or a prediction would be of. Under ``--strict`` such files
        count as quarantined.
    needs : str
        What has to be installed to read it.
    plural : str
        Where ``noun`` is not followed by an ``s``, nor the same for many.
    """

    noun: str
    detail: str = ""
    image: bool = False
    needs: str = ""
    plural: str = ""

    @property
    def name(self) -> str:
        """The key under which they are counted."""
        return f"{self.noun} ({self.detail})" if self.detail else self.noun

    @property
    def reason(self) -> str:
        """Why one of them has no prediction."""
        if self.needs:
            return f"{self.name}, which needs {self.needs}"
        return f"{self.name}, which featx does not read" if self.image else f"not an image: {self}"

    def counted(self, n: int) -> str:
        """``2 videos (.mp4)``, ``6 HEIC (needs featx[heif])``."""
        noun = self.noun if n == 1 else self.plural or self.noun
        notes = [note for note in (self.detail, self.needs and f"needs {self.needs}") if note]
        return f"{n:,} {noun}" + (f" ({', '.join(notes)})" if notes else "")

    def __str__(self) -> str:
        return self.name


def _image(noun: str, detail: str = "", **more: str) -> Kind:
    return Kind(noun, detail, image=True, **more)


HEIC = _image("HEIC", needs="featx[heif]")
NOT_REGULAR = Kind("not a regular file", plural="not regular files")
_NAMELESS = Kind("file without an ending", plural="files without an ending")
_WEB_PAGE = Kind("web page", plural="web pages")
_POINTER = _image("pointer of Git LFS", plural="pointers of Git LFS")

#: Noun -> endings of files that hold images, or films of them, and are not read.
_IMAGES: dict[str, str] = {
    "camera raw": ".3fr .arw .cr2 .cr3 .crw .dcr .dng .erf .gpr .iiq .kdc .mef .mos .mrw .nef .nrw "
    ".orf .pef .raf .raw .rw2 .rwl .sr2 .srf .srw .x3f",
    "video": ".3gp .avi .flv .m2ts .m4v .mkv .mov .mp4 .mpeg .mpg .mts .ogv .webm .wmv",
    "microscopy": ".czi .ims .lif .lsm .mrxs .nd2 .ndpi .oib .oif .scn .svs .vsi",
    "vector drawing": ".ai .emf .eps .ps .wmf",
}
_PLURALS = {"video": "videos", "vector drawing": "vector drawings"}

#: The same where the ending says nothing that the noun does not.
_FORMATS: dict[str, str] = {
    "PSD": ".psb .psd",
    "TGA": ".icb .tga .vda .vst",
    "DICOM": ".dcm .dicom",
    "SVG": ".svg .svgz",
    "PDF": ".pdf",
    "JPEG XL": ".jxl",
    "JPEG-LS": ".jls",
    "OpenEXR": ".exr",
    "Radiance HDR": ".hdr",
    "DDS": ".dds",
    "FITS": ".fit .fits .fts",
    "NIfTI": ".nii",
    "PCX": ".pcx",
    "SGI": ".sgi",
    "XCF": ".xcf",
    "BPG": ".bpg",
}

#: Endings of files that are plainly something else: they are not looked into.
_OTHERS = (
    ".7z .bak .bin .bz2 .c .cfg .cpp .css .csv .cur .db .dbf .doc .docx .geojson .gz .h .h5 .hdf5 "
    ".htm .html .icns .ico .ini .ipynb .js .json .jsonl .kml .lnk .lock .log .lst .mat .md .md5 "
    ".mp3 .names .ndjson .npy .npz .odt .onnx .parquet .pickle .pkl .ppt .pptx .prj .pt .pth .py "
    ".rar .rst .rtf .safetensors .sh .sha256 .shp .shx .sql .sqlite .tar .tfrecord .tgz .toml "
    ".tsv .ttf .txt .url .wav .xls .xlsx .xml .xmp .xz .yaml .yml .zip"
)

_PLAIN = frozenset(_OTHERS.split())
_BY_ENDING: dict[str, Kind] = {
    **dict.fromkeys((".heic", ".heif", ".hif", ".heics", ".heifs"), HEIC),
    **{e: _image(noun) for noun, endings in _FORMATS.items() for e in endings.split()},
    **{
        e: _image(noun, e, plural=_PLURALS.get(noun, ""))
        for noun, endings in _IMAGES.items()
        for e in endings.split()
    },
}


def kind_of(path: str) -> Kind:
    """What the file is; only one whose ending says nothing is opened, for its first bytes.

    Parameters
    ----------
    path : str
        Of a file that does not count as an image by its name.
    """
    ending = os.path.splitext(path)[1].lower()  # noqa: PTH122 - a name, not a path
    if path.lower().endswith(".nii.gz"):
        ending = ".nii"
    if ending in _BY_ENDING:
        return _BY_ENDING[ending]
    if ending in _PLAIN:
        return _other(ending)
    found = sniff(_first_bytes(path))
    if found is None:
        return _other(ending) if ending else _NAMELESS
    if not found.image:
        return found
    return _image(found.noun, f"named {ending}" if ending else "without an ending",
                  needs=found.needs, plural=found.plural)  # fmt: skip


@lru_cache(maxsize=1024)
def _other(ending: str) -> Kind:
    return Kind(ending)


def _first_bytes(path: str) -> bytes:
    """What the file begins with; nothing where it cannot be read, which is reported elsewhere."""
    try:
        with open(path, "rb") as file:  # noqa: PTH123 - a string, one of very many
            return file.read(SNIFFED_BYTES)
    except OSError:
        return b""


#: Where a file has which bytes, and what it then is.
_SIGNATURES: tuple[tuple[int, bytes, Kind], ...] = (
    (0, b"\xff\xd8\xff", _image("JPEG")),
    (0, b"\x89PNG\r\n\x1a\n", _image("PNG")),
    (0, b"GIF8", _image("GIF")),
    (8, b"WEBP", _image("WebP")),
    (8, b"AVI ", _image("video", "AVI", plural="videos")),
    (0, b"\0\0\0\x0cjP  ", _image("JPEG 2000")),
    (0, b"\xff\x4f\xff\x51", _image("JPEG 2000")),
    (0, b"\0\0\0\x0cJXL ", _image("JPEG XL")),
    (0, b"\xff\x0a", _image("JPEG XL")),
    (8, b"CR\x02", _image("camera raw", "CR2")),
    (0, b"FUJIFILMCCD-RAW", _image("camera raw", "RAF")),
    (0, b"IIRO", _image("camera raw", "ORF")),
    (0, b"IIRS", _image("camera raw", "ORF")),
    (0, b"IIU\0", _image("camera raw", "RW2")),
    (0, b"II*\0", _image("TIFF")),
    (0, b"MM\0*", _image("TIFF")),
    (0, b"8BPS", _image("PSD")),
    (0, b"%PDF", _image("PDF")),
    (0, b"\x76\x2f\x31\x01", _image("OpenEXR")),
    (0, b"\x1a\x45\xdf\xa3", _image("video", "Matroska", plural="videos")),
    (0, b"SIMPLE  =", _image("FITS")),
    (128, b"DICM", _image("DICOM")),
    (0, b"version https://git-lfs", _POINTER),
    (0, b"PK\x03\x04", Kind("zip archive", plural="zip archives")),
    (0, b"\x1f\x8b", Kind("gzip archive", plural="gzip archives")),
    (0, b"PAR1", Kind("Parquet")),
    (0, b"\x89HDF", Kind("HDF5")),
    (0, b"SQLite format 3", Kind("SQLite")),
    (0, b"\xd0\xcf\x11\xe0", Kind("old Office document", plural="old Office documents")),
)


def sniff(data: bytes) -> Kind | None:
    """What the bytes that a file begins with say that it is; None where they say nothing.

    Formats that featx reads are among the answers.
    """
    if data[4:8] == b"ftyp":
        return _media(data)
    for at, signature, kind in _SIGNATURES:
        if data[at : at + len(signature)] == signature:
            return kind
    start = data[:SNIFFED_BYTES].lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    if start.startswith(b"<svg") or (start.startswith(b"<?xml") and b"<svg" in start):
        return _image("SVG")
    return _WEB_PAGE if start.startswith((b"<!doctype html", b"<html", b"<head")) else None


def _media(data: bytes) -> Kind:
    """The brands of an ISO base media file: HEIC, AVIF, camera raw and films share the format."""
    size = int.from_bytes(data[:4], "big")
    brands = [data[i : i + 4] for i in (8, *range(16, min(size, len(data), 256), 4))]
    if any(brand in (b"avif", b"avis") for brand in brands):
        return _image("AVIF")
    if any(brand[:3] in (b"hei", b"hev", b"mif", b"msf") for brand in brands):
        return HEIC
    if brands[0] == b"crx ":
        return _image("camera raw", "CR3")
    brand = brands[0].decode("ascii", "replace").strip()
    return _image("video", brand if brand.isalnum() else "MP4", plural="videos")
