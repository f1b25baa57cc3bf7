"""Groups in names: many conventions, counters and classes that are none, and --group-from."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from featx.config import DatasetConfig
from featx.data.curation import curate
from featx.data.manifest import Manifest, Row
from featx.data.name_groups import name_suggestions, number_groups
from featx.data.name_parts import moment_in, name_fields
from featx.errors import UsageError

CONVENTIONS = [
    "patient_{g:03}_slide_1_tile_{i:02}.png",
    "P{g:02}_IMG_{i:04}.jpg",
    "sub-{g:02}_ses-01_slice-{i:03}.png",
    "TCGA-A7-{g:04}-01Z_x{i}_y{i}.png",
    "{g:05}_idx5_x{i}_y1251.png",
    "cam{g:02}-frame{i:06}.jpg",
    "plate{g}_A{i:02}_w1.tif",
    "flight{g:03}/DJI_{i:04}.JPG",
    "BloodImage_{g:05}_{i}.jpg",
]


@pytest.mark.parametrize("convention", CONVENTIONS)
@settings(max_examples=5, deadline=None)
@given(n_groups=st.integers(6, 15), n_images=st.integers(3, 7), first=st.integers(1, 40))
def test_groups_are_suggested_by_names_of_many_conventions(
    convention: str, n_groups: int, n_images: int, first: int
) -> None:
    owners = [g + first for g in range(n_groups) for _ in range(n_images)]
    names = [convention.format(g=g, i=k % n_images + 1) for k, g in enumerate(owners)]
    labels = ["sick" if k % 2 else "well" for k in range(len(owners))]
    ids = [f"{label}/{name}" for label, name in zip(labels, names, strict=True)]
    truth = number_groups([str(g) for g in owners])
    found = [each for each in name_suggestions(ids, labels) if each.trouble is None]
    assert any((each.codes == truth).all() for each in found)


def test_what_is_no_group_says_why() -> None:
    labels = ["cat", "dog"] * 20
    ids = [f"{label}/{label}.{k // 2}.jpg" for k, label in enumerate(labels)]
    troubles = {each.rule: each.trouble for each in name_suggestions(ids, labels)}
    assert troubles["name:0"] == "it follows the class"
    assert troubles["name:1"] == "it numbers the images of each class"
    assert all(troubles.values())
    once = [f"{label}/IMG_{k}.jpg" for k, label in enumerate(labels)]
    reasons = {each.rule: each.trouble for each in name_suggestions(once, labels)}
    assert reasons["name:0"] == "it puts every image, or nearly, into one group"
    assert reasons["number img"] == "it gives each image, or nearly, a group of its own"


def manifest(*ids: str) -> Manifest:
    return Manifest("/", "made", tuple(Row(id, f"/{id}") for id in ids))


@pytest.mark.parametrize(
    ("rule", "groups"),
    [
        ("name:0", ["P1", "P1", "P2"]),
        ("name:-1", ["a", "b", "a"]),
        ("folder:1", ["x", "x", "y"]),
        ("folder:-1", ["x", "x", "y"]),
        (r"P(\d)", ["1", "1", "2"]),
        (r"(c)/(?P<group>\w)", ["x", "x", "y"]),
    ],
)
def test_groups_are_taken_from_paths(rule: str, groups: list[str]) -> None:
    images = manifest("c/x/P1_a.png", "c/x/P1_b.png", "c/y/P2_a.png")
    done = curate(images, DatasetConfig(dataset="made", group_from=rule), labelled=True)
    assert done.groups == groups
    alone = curate(images, DatasetConfig(dataset="made", group_from=rule), labelled=False)
    assert alone.groups == [None] * 3


@pytest.mark.parametrize("rule", ["name:x", "folder:9", "P(", "P", "(a)(b)", "(nowhere)"])
def test_rules_that_find_nothing_are_refused(rule: str) -> None:
    with pytest.raises(UsageError, match="--group-from"):
        curate(manifest("a/1.png"), DatasetConfig(dataset="m", group_from=rule), labelled=True)


def test_parts_of_names() -> None:
    assert name_fields("a/00d94e21-5891-492e-be0e-792e7338c077_x1.jpg") == [
        "00d94e215891492ebe0e792e7338c077", "x1"
    ]  # fmt: skip
    assert moment_in("IMG_20150918_170850") == moment_in("2015:09:18 17:08:50") == 1442596130
    assert moment_in("20151399_170850") is None
