"""The ways in which images become a network's square: what ``--resize auto`` embeds."""

from __future__ import annotations

from collections.abc import Sequence

from PIL import Image

from featx.config import ExtractConfig
from featx.extraction.extractor import Extractor
from featx.types import SQUASHED, Preprocess


def build_extractors(config: ExtractConfig, paths: Sequence[str]) -> list[Extractor]:
    """An extractor for each backbone, and for each way to its square.

    Where both ways were asked for, squashing is left out if the weights' own way gives the same
    pixels: it squashes images anyway, or it crops nothing and every image is square.
    Otherwise the two lie at the ends, and backbones with one way between them: everything in its
    own way, and everything squashed where there is a choice, are then columns that follow each
    other.

    Parameters
    ----------
    config : ExtractConfig
        With its backbones named.
    paths : sequence of str
        The images.

    Raises
    ------
    BackboneError, UnknownNameError, WeightsNotFoundError
        A backbone cannot be built as asked.
    """
    requests = config.requests()
    if not config.both_ways:
        return [Extractor.from_request(request, config, paths) for request in requests]
    half = len(requests) // 2
    first, between, last = list[Extractor](), list[Extractor](), list[Extractor]()
    for own, squashed in zip(requests[:half], requests[half:], strict=True):
        extractor = Extractor.from_request(own, config, paths)
        if _squashes(extractor.preprocess, paths):
            between.append(extractor)
            continue
        first.append(extractor)
        name = f"{own.name}{SQUASHED}"
        last.append(Extractor.from_request(squashed, config, paths, name=name))
    return [*first, *between, *last]


def _squashes(own: Preprocess, paths: Sequence[str]) -> bool:
    """Whether asking for squashed images would change no pixel."""
    if own.resize == "squash":
        return True
    height, width = own.size_px
    whole = own.crop == 1.0 and height == width and bool(paths)
    return whole and all(map(_is_square, paths))


def _is_square(path: str) -> bool:
    """Whether an image is known to be square, from its first bytes."""
    try:
        with Image.open(path) as image:
            return bool(image.width == image.height)
    except Exception:  # a file that cannot be read is the extraction's to report
        return False
