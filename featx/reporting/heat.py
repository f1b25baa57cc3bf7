"""Heat maps over pictures in grey: vermillion speaks for a class, blue for another."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFilter

from featx.reporting.contents import Heat, Heats

# Of Okabe and Ito ("Color universal design", 2008): told apart by all eyes.
FOR, AGAINST = (213, 94, 0), (0, 114, 178)
STRONGEST = 0.8  # share of colour where the map is largest
SMOOTH = 0.03  # of the picture's side
PALE = 0.65  # how much of what the backbone does not see is washed out
THIRDS = (("upper left", "upper middle", "upper right"), ("left", "middle", "right"),
          ("lower left", "lower middle", "lower right"))  # fmt: skip


def overlay(picture: Image.Image, heat: Heat) -> Image.Image:
    """The picture in grey under its map; what lies outside the crop is pale."""
    left, top, right, bottom = (
        round(share * side) for share, side in zip(heat.box, (*picture.size, *picture.size),
                                                   strict=True)
    )  # fmt: skip
    size = max(right - left, 1), max(bottom - top, 1)
    strength = _strength(heat.values, size)
    grey = np.repeat(np.asarray(picture.convert("L"), np.float64)[:, :, None], 3, axis=2)
    shown = grey + PALE * (235 - grey)
    seen = grey[top : top + size[1], left : left + size[0]]
    strength = strength[: seen.shape[0], : seen.shape[1], None]
    colour = np.where(strength > 0, FOR, AGAINST)
    share = STRONGEST * np.abs(strength)
    shown[top : top + size[1], left : left + size[0]] = (1 - share) * seen + share * colour
    return Image.fromarray(shown.round().clip(0, 255).astype(np.uint8))


def _strength(values: NDArray[np.float64], size: tuple[int, int]) -> NDArray[np.float64]:
    """The map in [-1, 1] at the size of the picture, smoothed: cells are no edges."""
    scaled = values / max(float(np.abs(values).max()), 1e-300)
    image = Image.fromarray(scaled.astype(np.float32)).resize(size, Image.Resampling.BICUBIC)
    array = np.asarray(image, np.float64)
    positive, negative = (
        np.asarray(
            Image.fromarray((np.clip(sign * array, 0, 1) * 255).round().astype(np.uint8)).filter(
                ImageFilter.GaussianBlur(SMOOTH * max(size))
            ),
            np.float64,
        )
        for sign in (1, -1)
    )
    smooth = positive - negative
    return np.asarray(smooth / max(float(np.abs(smooth).max()), 1.0))


def heat_words(heat: Heat, kind: str, y_pred: str, against: str) -> str:
    """What a map shows, for those who do not see it."""
    place = _place(heat.values)
    if kind == "attention":
        return f"Attention of the backbone: most of it to the {place}."
    total = float(heat.values.sum())
    if not (heat.values > 0).any():
        return f"Nothing in the image is evidence for {y_pred} rather than {against}."
    sign = "more" if total > 0 else "less"
    return (
        f"Evidence for {y_pred} rather than {against}: most of it in the {place}; all places "
        f"together are {sign} evidence for {y_pred} than against it."
    )


def _place(values: NDArray[np.float64]) -> str:
    """The third of the image, each way, with most of what is above 0."""
    above = np.maximum(values, 0)
    n_rows, n_columns = above.shape
    sums = np.zeros((3, 3))
    rows = np.arange(n_rows) * 3 // n_rows
    columns = np.arange(n_columns) * 3 // n_columns
    np.add.at(sums, (rows[:, None], columns[None, :]), above)
    i, j = np.unravel_index(int(sums.argmax()), sums.shape)
    return THIRDS[int(i)][int(j)]


def heats_words(heats: Heats) -> str:
    """What stands above the pictures."""
    if heats.missing:
        return f"No heat maps: {heats.missing}. "
    if not heats.of:
        return ""
    fitted = ", which was fitted on these images too," if heats.fitted_on else ""
    if heats.kind == "attention":
        return (
            "Beside each picture is where the backbone attends (attention rollout): it is the same "
            "for every class. What is pale it does not see. "
        )
    return (
        "Beside each picture is where the decision of the model that is saved"
        f"{fitted} comes from (class activation). Red marks evidence for the predicted class, blue "
        "for the class it is compared with, which is the true one or the next likeliest; grey is "
        "for neither, and the backbone does not see what is pale. "
    )
