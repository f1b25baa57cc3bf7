"""Which part of their range the images with more than 8 bits use, and the range that fits them."""

from __future__ import annotations

from collections.abc import Iterable

from featx.data.colour import Values
from featx.data.decode import decode
from featx.data.hashing import read_bytes
from featx.data.pool import map_files
from featx.errors import DecodeError, UsageError
from featx.types import FULL_RANGE, range_text

_BITS = (8, 10, 12, 14, 16)  # that cameras, microscopes and scanners have


def narrow_range(values: Iterable[Values | None]) -> str | None:
    """A sentence where 16-bit files leave most of their range unused; None where they do not.

    Parameters
    ----------
    values : iterable of Values or None
        Of each image; None for those of 8 bits.
    """
    deep = [v for v in values if v is not None and not v.floats]
    bits = _smallest_bits(deep)
    if bits is None or bits == _BITS[-1]:
        return None
    files = "This file holds" if len(deep) == 1 else f"These {len(deep):,} files hold"
    use = "uses" if len(deep) == 1 else "use"
    return (
        f"{files} 16-bit values but {use} only 0..{2**bits - 1} ({bits} bits), so the images come "
        "out dark; use --range auto."
    )


def range_of_files(paths: Iterable[str], *, workers: int | None = None) -> tuple[str, str]:
    """The range that ``--range auto`` means for some files, and a sentence that says why.

    Integers: the smallest of 8, 10, 12, 14 and 16 bits that holds every value, else from the
    smallest to the largest. Floats: from the 0.1st percentile of the image where that is lowest to
    the 99.9th of the one where it is highest, so that single pixels decide nothing.

    Raises
    ------
    UsageError
        Some of the images are of integers with more than 8 bits and some of floats.
    """
    found = map_files(_values, list(paths), label="Reading value ranges", workers=workers)
    deep = [values for values in found if values is not None]
    if not deep:
        return FULL_RANGE, "no training image has more than 8 bits, so it changes nothing"
    if len({values.floats for values in deep}) > 1:
        raise UsageError(
            "--range auto needs images of one type, but some hold floats and some integers.",
            hint="Give a LOW-HIGH that suits all of them, or separate them.",
        )
    if deep[0].floats:
        low, high = (min(v.inner[0] for v in deep), max(v.inner[1] for v in deep))
        why = "the 0.1st to the 99.9th percentile"
    elif (bits := _smallest_bits(deep)) is not None:
        low, high, why = 0.0, 2.0**bits - 1, f"the values fit {bits} bits"
    else:
        low, high = min(v.low for v in deep), max(v.high for v in deep)
        why = "the smallest to the largest value"
    if not low < high or (low, high) == (0, 2 ** _BITS[-1] - 1):
        return FULL_RANGE, f"the values of {len(deep):,} training images need the full range"
    text = range_text(float(f"{low:.6g}"), float(f"{high:.6g}"))
    return text, f"{why}, in {len(deep):,} training images with more than 8 bits"


def _smallest_bits(deep: list[Values]) -> int | None:
    """Of `_BITS`, the first that holds every value; None where none does."""
    if not deep or min(values.low for values in deep) < 0:
        return None
    highest = max(values.high for values in deep)
    return next((bits for bits in _BITS if highest < 2**bits), None)


def _values(path: str) -> Values | None:
    try:
        return decode(read_bytes(path)).values
    except DecodeError:
        return None
