"""How people name files, with the group that each name stands for."""

from __future__ import annotations

import hashlib
import uuid
from collections.abc import Callable

import numpy as np

CLASSES = ("benign", "malignant", "other")


def digest(*parts: object) -> str:
    return hashlib.md5(repr(parts).encode(), usedforsecurity=False).hexdigest()


def a_uuid(*parts: object) -> str:
    return str(uuid.UUID(digest(*parts)))


def initials(group: int) -> str:
    return "ABCDEFGHIJKLMNOPQRSTUVWXYZ"[group % 26] + "KLMNOPQRSTUVWXYZABCDEFGHIJ"[group % 26]


Namer = Callable[[int, int, str, np.random.Generator], str]
#: Scheme -> number of groups, whether a group has one class only, and the id of image i of group g.
SCHEMES: dict[str, tuple[int, bool, Namer]] = {
    "patient, slide and frame": (
        18, False, lambda g, i, c, r: f"{c}/{1000 + 37 * g}_{i % 2 + 1}_{5 * i + 3:04}.png",
    ),
    "camera, date and counter": (
        10, False,
        lambda g, i, c, r: f"{c}/RCNX{g + 11:04}_201904{i % 12 + 9:02}_{977 * i % 9973:04}.JPG",
    ),
    "camera trap": (
        14, False,
        lambda g, i, c, r: f"{c}/S1_{'BCDEF'[g % 5]}{g:02}_R{i % 2}_PICT{7 * i + 3 * g:04}.JPG",
    ),
    "plate, well and site": (
        30, True,
        lambda g, i, c, r: f"{c}/Week4_27481_{'ABCDEFGH'[g // 12]}{g % 12 + 1:02}_s{i + 1}_w1.tif",
    ),
    "wells of plates": (
        8, False, lambda g, i, c, r: f"{c}/{24277 + 13 * g}_{'ABCDEFGH'[i % 8]}{i // 8 + 1:02}.tif",
    ),
    "subjects of a crowd": (
        40, True, lambda g, i, c, r: f"{c}/subject_{8412300 + 17 * g}_{i}.jpeg",
    ),
    "frames of films with gaps": (
        12, False, lambda g, i, c, r: f"{c}/vid{g:03}_frame{15 * i + g % 9:06}.jpg",
    ),
    "groups numbered anew in each class": (
        30, True, lambda g, i, c, r: f"{c}/v_{c}_g{g // 3 + 1:02}_c{i + 1:02}.jpg",
    ),
    "objects numbered in each class folder": (
        30, True, lambda g, i, c, r: f"{c}/{g // 3 + 1}_{60 * i}.png",
    ),
    "class, object and view, without folders": (
        30, True, lambda g, i, c, r: f"{c}_{g // 3 + 1}_{i + 1}.png",
    ),
    "class and patient in the name": (
        30, True, lambda g, i, c, r: f"{c}/{c}-{1016042 + 91 * g}-{i + 1}.jpeg",
    ),
    "parts of UUIDs": (30, True, lambda g, i, c, r: f"{c}/{a_uuid(g)}_{i}.png"),
    "parts of hashes": (30, True, lambda g, i, c, r: f"{c}/{digest(g)}-{i:02}.png"),
    "augmented by a web service": (
        40, True, lambda g, i, c, r: f"{c}/IMG_{4000 + 3 * g}_jpg.rf.{digest(g, i)}.jpg",
    ),
    "augmented with random numbers": (
        40, True, lambda g, i, c, r: f"{c}/aug_{g}_{r.integers(10_000)}_{i}.jpeg",
    ),
    "tiles of slides": (
        20, True,
        lambda g, i, c, r: f"{c}/TCGA-A{g % 3}-{digest(g)[:3]}{g}-01Z_{256 * i}_{9 * i}.png",
    ),
    "magnification in the name": (
        24, True,
        lambda g, i, c, r: f"{c}/SOB_B-14-{22549 + 31 * g}AB-{(40, 100, 200)[i % 3]}-{i:03}.png",
    ),
    "patient before class": (
        20, False, lambda g, i, c, r: f"{g + 10253}/{c}/{g + 10253}_idx5_x{50 * i}_y{99 * i}.png",
    ),
    "patients as folders": (
        40, False, lambda g, i, c, r: f"{c}/patient{g + 1:05}/study{i // 2}/view{i % 2}.jpg",
    ),
    "left and right": (
        60, False, lambda g, i, c, r: f"{c}/{31 * g + 10}_{('left', 'right')[i % 2]}{i // 2}.jpeg",
    ),
    "a letter behind the number": (
        40, True, lambda g, i, c, r: f"{c}/{g + 1:04}{'abcdefghijklm'[i]}.jpg",
    ),
    "initials before the counter": (12, False, lambda g, i, c, r: f"{c}/{initials(g)}{i:03}.png"),
    "patients numbered anew in each hospital": (
        24, False, lambda g, i, c, r: f"site{'ABC'[g % 3]}/{c}/patient{g // 3 + 1}_{i:03}.png",
    ),
    "words and brackets": (30, True, lambda g, i, c, r: f"{c}/specimen{g + 400} ({i + 1}).png"),
}  # fmt: skip

#: Names of image i that hold no group.
NO_GROUPS: dict[str, Callable[[int, str, np.random.Generator], str]] = {
    "UUIDs": lambda i, c, r: f"{c}/{a_uuid(i)}.jpg",
    "hashes": lambda i, c, r: f"{c}/{digest(i)}.png",
    "counters": lambda i, c, r: f"{c}/{i:06}.jpg",
    "cameras": lambda i, c, r: f"{c}/IMG_{1200 + 3 * i}.JPG",
    "random numbers": lambda i, c, r: f"{c}/DSC{r.integers(10**9):09}.JPG",
    "class and counter": lambda i, c, r: f"{c}/{c}.{i}.jpg",
    "class and counter, without folders": lambda i, c, r: f"{c}_{i:04}.png",
    "counters in each class": lambda i, c, r: f"{c}/{i // 3:04}{c[0]}.jpg",
    "sizes": lambda i, c, r: f"{c}/img{i}_{r.integers(2, 5)}00x{r.integers(2, 5)}00.png",
    "days": lambda i, c, r: f"{c}/IMG-20190{r.integers(1, 10)}{r.integers(10, 29)}-WA{i:04}.jpg",
    "batches": lambda i, c, r: f"batch{i % 4}/{c}/{i}.png",
    "splits": lambda i, c, r: f"{('train', 'test', 'val')[i % 3]}/{c}/{i}.png",
}


def named(scheme: str, seed: int) -> tuple[list[str], list[str], list[int]]:
    """Ids, labels and owners of images, between two and nine of each group."""
    n_groups, pure, name = SCHEMES[scheme]
    rng = np.random.default_rng(seed)
    ids, labels, owners = [], [], []
    for g in range(n_groups):
        for i in range(int(rng.integers(3, 10))):
            label = CLASSES[g % 3] if pure else CLASSES[int(rng.integers(3))]
            ids.append(name(g, i, label, rng))
            labels.append(label)
            owners.append(g)
    return ids, labels, owners


def nameless(scheme: str, n: int, seed: int) -> tuple[list[str], list[str], list[int]]:
    """Ids and labels of images that are alone."""
    rng = np.random.default_rng(seed)
    labels = [CLASSES[int(rng.integers(3))] for _ in range(n)]
    return [NO_GROUPS[scheme](i, c, rng) for i, c in enumerate(labels)], labels, list(range(n))
