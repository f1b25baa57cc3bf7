"""``featx backbones --recommended``: every row can be used as it stands, and says where from."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import CliRunner
from timm.models import get_pretrained_cfg

from featx.backbones import SOURCES, Recommendation, list_backbones, measured_on, recommended
from featx.cli.backbones import command
from featx.types import DEFAULT_BACKBONE, SMALL_BACKBONE

ROWS = recommended()
RESULTS = Path(__file__).parents[2] / "benchmarks" / "results" / "recommended.json"


def ids(row: Recommendation) -> str:
    return row.name


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_a_recommended_backbone_is_one_that_can_be_named(row: Recommendation) -> None:
    (info,) = [found for found in list_backbones(row.name) if found.name == row.name]
    assert (row.n_features, row.size_px, row.n_parameters) == (
        info.n_features,
        info.size_px,
        info.n_parameters,
    )


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_the_licence_is_the_one_that_the_zoo_states(row: Recommendation) -> None:
    source, _, name = row.name.partition(":")
    if source == "timm":
        assert row.license.casefold() == get_pretrained_cfg(name).license
    elif source == "featx":
        assert row.license == "Apache-2.0"
    assert row.license


@pytest.mark.parametrize("row", ROWS, ids=ids)
def test_a_published_figure_says_what_it_is_and_where_it_stands(row: Recommendation) -> None:
    if row.published is not None:
        assert 50 < row.published.percent < 100
        assert row.published.metric.startswith("ImageNet-1k top-1")
        assert row.published.source
        assert row.published.url.startswith("https://")


def test_figures_that_the_zoo_itself_knows_agree() -> None:
    (row,) = recommended("torchvision:resnet50")
    assert row.published is not None
    weights = SOURCES.get("torchvision")
    assert weights.info("resnet50.IMAGENET1K_V2").name == row.name
    from torchvision.models import ResNet50_Weights

    meta = ResNet50_Weights.IMAGENET1K_V2.meta["_metrics"]["ImageNet-1K"]
    assert row.published.percent == meta["acc@1"]


def test_images_a_second_are_the_ones_that_were_measured() -> None:
    result = json.loads(RESULTS.read_text("utf-8"))
    assert {row.name: row.images_per_s for row in ROWS} == {
        name: found["images_per_s"] for name, found in result["rows"].items()
    }
    assert result["machine"]["processor"] in measured_on()
    assert sum(row.images_per_s is not None for row in ROWS) >= 4


def test_the_purposes_are_different_and_the_default_comes_first() -> None:
    assert 8 <= len(ROWS) <= 14
    assert len({row.purpose for row in ROWS}) == len(ROWS)
    assert [row.name for row in ROWS[:2]] == [DEFAULT_BACKBONE, SMALL_BACKBONE]


def run(*arguments: str, code: int = 0) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == code, result.output
    return result.stdout


def test_the_table_names_sources_and_notes() -> None:
    text = run("--recommended")
    for row in ROWS:
        assert row.name in text
        assert row.note in text
        assert row.published is None or row.published.url in text
    assert "[1] " in text


def test_rows_of_one_purpose() -> None:
    text = run("--recommended", "microscopy")
    assert "dinov2" in text
    assert "featx:mini-v1 " not in text
    document = json.loads(run("--recommended", "laptop", "--json"))
    assert [row["name"] for row in document["rows"]] == [row.name for row in recommended("LAPTOP")]
    assert document["images_per_s_measured_on"] == measured_on()


def test_all_of_it_as_json() -> None:
    document = json.loads(run("--recommended", "--json"))
    assert document["rows"] == json.loads(json.dumps([row.document() for row in ROWS]))


def test_nothing_found_and_two_lists_are_refused() -> None:
    result = CliRunner().invoke(command, ["--recommended", "cooking"])
    assert "'cooking'" in str(result.exception)
    assert CliRunner().invoke(command, ["--recommended", "--layers"]).exit_code == 2
