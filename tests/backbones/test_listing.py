"""``featx backbones``: rows, filters, layers, JSON, and what every source must offer."""

from __future__ import annotations

import json
import re
import subprocess
import sys

import pytest
from click.testing import CliRunner

from featx.backbones import SOURCES, count_backbones, list_backbones, list_layers
from featx.cli.backbones import command
from featx.errors import UsageError


@pytest.fixture(autouse=True)
def nothing_downloaded(tmp_path, monkeypatch):
    """Whatever this machine's own caches hold."""
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))


def run(*arguments: str):
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return result


@pytest.mark.parametrize("name", SOURCES.names())
def test_every_source_keeps_the_contract(name):
    source = SOURCES.get(name)
    assert source.summary
    names = source.names()
    assert names
    assert len(set(names)) == len(names)
    row = source.info(names[0])
    assert row.name == f"{name}:{names[0]}"
    network = source.sketch(names[0])
    assert network.name == row.name
    assert network.preprocess.size_px == row.size_px
    assert network.architecture["source"] == name
    json.dumps(network.architecture)


def test_rows_tell_width_size_and_parameters():
    (row,) = list_backbones("torchvision:mobilenet_v3_large.IMAGENET1K_V2")
    assert (row.n_features, row.size_px, row.n_parameters) == (1280, (224, 224), 5_483_032)
    (row,) = list_backbones("timm:mobilenetv3_large_100.ra_in1k")
    assert (row.n_features, row.n_parameters) == (1280, 5_483_032)
    (row,) = list_backbones("torchvision:squeezenet1_0*")
    assert row.n_features == 512


def test_filters():
    assert {row.name.partition(":")[0] for row in list_backbones("vgg11_bn")} == {
        "timm",
        "torchvision",
    }
    assert [row.name for row in list_backbones("torchvision:alex")] == [
        "torchvision:alexnet.IMAGENET1K_V1"
    ]
    assert list_backbones("no such thing") == []
    assert len(list_backbones("torchvision:*", limit=3)) == 3


def test_everything_is_listed_without_building_anything():
    rows = list_backbones()
    assert len(rows) > 1000
    assert [r.name for r in rows[:2]] == ["featx:lite0", "featx:mini-v1"]
    assert all(row.n_features is None for row in rows)
    assert all(min(row.size_px) >= 1 for row in rows)


def test_layers_are_listed_in_order_with_shapes():
    rows = {row.name: row.shape for row in list_layers("torchvision:resnet18")}
    assert rows["layer3"] == (256, 14, 14)
    assert list(rows).index("layer1") < list(rows).index("layer4") < list(rows).index("fc")


def test_the_table():
    result = run("torchvision:alex*")
    assert result.stdout.splitlines() == [
        "backbone                           width  input px  parameters  weights here",
        "─────────────────────────────────  ─────  ────────  ──────────  ────────────",
        "torchvision:alexnet.IMAGENET1K_V1  4,096  224×224   61.1 M      no",
    ]


def test_more_rows_than_shown_are_said():
    result = run("torchvision:vgg*", "--limit", "2")
    assert len(result.stdout.splitlines()) == 4
    assert result.stderr == "7 more; narrow the filter, or --limit 0 for all.\n"


def test_json():
    (row,) = json.loads(run("torchvision:alex*", "--json").stdout)
    assert row == {
        "name": "torchvision:alexnet.IMAGENET1K_V1",
        "n_features": 4096,
        "size_px": [224, 224],
        "n_parameters": 61_100_840,
        "on_this_machine": False,
        "origin": "https://download.pytorch.org/models/alexnet-owt-7be5be79.pth",
        "embedded": False,
        "plugin": None,
    }
    layers = json.loads(run("timm:test_vit", "--layers", "--json").stdout)
    assert {"name", "kind", "shape"} == set(layers[0])


def test_layers_need_a_name():
    result = CliRunner().invoke(command, ["--layers"])
    assert result.exit_code == 2
    assert "needs the name of one backbone" in result.output
    with pytest.raises(UsageError, match="has no prefix for its source"):
        list_layers("resnet18")


def test_the_packages_import_neither_torch_nor_a_zoo():
    code = (
        "import sys, featx.backbones, featx.engines, featx.data.preprocess, featx.cli.backbones;"
        "sys.exit(bool({'torch', 'timm', 'torchvision'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


DINOV2 = {
    f"timm:vit_{size}_patch14_{kind}dinov2"
    for size in ("small", "base", "large", "giant")
    for kind in ("", "reg4_")
}


@pytest.mark.parametrize("name", ["dinov2", "DINOv2", "timm:dinov2"])
def test_part_of_a_name_is_answered_with_the_names_that_hold_it(name):
    with pytest.raises(UsageError, match="is part of 8 names: ") as caught:
        list_layers(name)
    listed = str(caught.value).partition("is part of 8 names: ")[2].partition(".")[0]
    assert set(listed.split(", ")) == DINOV2


@pytest.mark.parametrize("name", ["vit_small_dino", "timm:vit_small_dino", "timm:vit-small dino"])
def test_words_of_a_name_are_enough(name):
    with pytest.raises(UsageError, match=r"The words of .* are in [0-9]+ names: ") as caught:
        list_layers(name)
    assert "timm:vit_small_patch14_dinov2, " in str(caught.value)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("resnet50", "names: timm:resnet50, torchvision:resnet50, "),
        ("mini-v1", "is part of 1 name: featx:mini-v1."),
        ("lvd142m", "is part of 8 names: timm:vit_base_patch14_dinov2.lvd142m, "),
        ("torchvision:resnet", "is part of 7 names: torchvision:resnet18, "),
        ("timm:resnet50.a1", "is part of 2 names: timm:resnet50.a1_in1k, timm:resnet50.a1h_in1k."),
        ("featx:lite", "is part of 1 name: featx:lite0."),
    ],
)
def test_names_are_listed_as_they_are_typed_the_name_itself_first(name, said):
    with pytest.raises(UsageError) as caught:
        list_layers(name)
    assert said in caught.value.message
    assert re.search(r" and \d+ more\.", caught.value.message) or "more" not in said


def test_a_name_that_nothing_holds_is_answered_as_before():
    with pytest.raises(
        UsageError, match=r"allowed are featx:NAME, timm:NAME, torchvision:NAME\.\n"
    ):
        list_layers("zzzz")
    with pytest.raises(UsageError, match="Did you mean 'resnet18'"):
        list_layers("timm:resnett18")


def test_words_filter_the_list_where_no_name_holds_them_as_they_stand():
    assert count_backbones("timm:vit_small_dino") == count_backbones("vit_small_dino") > 2
    assert count_backbones("timm:dinov2") == 8
    assert count_backbones("torchvision:dinov2") == 0
    assert count_backbones("vit_small_*no such*") == 0
