"""Configuration: strict, explains YAML traps, round-trips, and every flag has its key."""

from __future__ import annotations

from pathlib import Path

import click
import pytest
from hypothesis import given
from hypothesis import strategies as st

from featx.cli.options import config_options
from featx.config import (
    CompareConfig,
    DatasetConfig,
    ExtractConfig,
    FitConfig,
    RunConfig,
    ScoreConfig,
    dump_config,
    load_config,
    parse_config,
)
from featx.errors import ConfigError


def load(tmp_path: Path, text: str, *overrides: str) -> RunConfig:
    path = tmp_path / "c.yaml"
    path.write_text(text, "utf-8")
    return load_config(str(path), overrides=overrides)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "data: {dataset: x}\nextract: {backbon: [a]}",
            "extract.backbon'; did you mean 'backbone'",
        ),
        ("data: {dataset: x}\nfitt: {}", "unknown key 'fitt'; did you mean 'fit'"),
        ("data: {dataset: x}\nextract: {crop: 1e-1}", "YAML reads 1e-1 as text; write it as 0.1"),
        ("data: {dataset: x}\nfit: {name: no}", "fit.name: .*YAML reads no, off as False"),
        ("data: {dataset: x}\nfit: {cv: '5'}", "fit.cv: .*Got '5'.*write it as 5 without quotes"),
        ("data: {dataset: x}\nfit: {cv: 1}", "fit.cv: .*greater than or equal to 2. Got 1"),
        (
            "data: {dataset: x}\nfit: {scoring: acc}",
            "fit.scoring: .*'balanced_accuracy'.*Got 'acc'",
        ),
        ("extract: {}", "data: this key is required"),
        ("- a", "expected a mapping of sections, got list"),
        ("a: [", "not valid YAML"),
    ],
)
def test_faults_name_the_key_the_value_and_what_is_allowed(
    tmp_path: Path, text: str, message: str
) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load(tmp_path, text)
    assert caught.value.exit_code == 2


def test_all_faults_are_reported_at_once(tmp_path: Path) -> None:
    with pytest.raises(ConfigError) as caught:
        load(tmp_path, "data: {dataset: x}\nextract: {sizes: 3, crop: 2.0}\nfit: {cv: 0}")
    for key in ("extract.sizes", "extract.crop", "fit.cv"):
        assert key in str(caught.value)


def test_a_missing_file_is_a_usage_error() -> None:
    with pytest.raises(ConfigError, match=r"Cannot read configuration 'nowhere.yaml'"):
        load_config("nowhere.yaml")


def test_overrides_win_over_the_file(tmp_path: Path) -> None:
    config = load(tmp_path, "data: {dataset: x}\nfit: {seed: 1}", "fit.seed=7", "extract.crop=0.5")
    assert config.fit.seed == 7
    assert config.extract.crop == 0.5
    with pytest.raises(ConfigError, match="not of the form"):
        load(tmp_path, "data: {dataset: x}", "fit.seed")
    with pytest.raises(ConfigError, match="'dataset' is not a section"):
        load(tmp_path, "data: {dataset: x}", "data.dataset.x=1")


@given(
    st.fixed_dictionaries(
        {"data": st.fixed_dictionaries({"dataset": st.text(min_size=1)})},
        optional={
            "extract": st.fixed_dictionaries(
                {},
                optional={
                    "backbone": st.lists(st.text()),
                    "crop": st.floats(0.01, 1),
                    "batch_size": st.just("auto") | st.integers(1, 9),
                    "pretrained": st.booleans(),
                },
            ),
            "fit": st.fixed_dictionaries(
                {},
                optional={
                    "seed": st.integers(0, 2**32 - 1),
                    "param_grid": st.dictionaries(
                        st.text(),
                        st.dictionaries(
                            st.text(), st.lists(st.none() | st.booleans() | st.floats(1e-9, 1e9))
                        ),
                    ),
                },
            ),
        },
    )
)
def test_the_resolved_configuration_reads_back_to_itself(values: dict) -> None:
    import yaml

    config = parse_config(RunConfig, values, source="test")
    text = dump_config(config)
    again = parse_config(RunConfig, yaml.safe_load(text), source="test")
    assert again == config
    assert dump_config(again) == text


@pytest.mark.parametrize(
    "model", [DatasetConfig, ExtractConfig, FitConfig, ScoreConfig, CompareConfig]
)
def test_every_key_has_its_flag(model: type) -> None:
    def body(**sections: object) -> None:
        assert len(sections) == 1

    command = click.command()(config_options(model)(body))
    assert {p.name for p in command.params} == set(model.model_fields)
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help
            choices = {f"--{parameter.flag_value}"} if parameter.flag_value else set()
            assert {f"--{parameter.name.replace('_', '-')}", *choices} & set(parameter.opts)


def test_flags_left_out_mean_the_configured_defaults() -> None:
    seen = {}

    def body(fit: FitConfig) -> None:
        seen["fit"] = fit

    command = click.command()(config_options(FitConfig)(body))
    command.main([], standalone_mode=False)
    assert seen["fit"] == FitConfig()
    command.main(
        ["--head", "lda", "--param-grid", "{lda: {shrinkage: [auto, null]}}", "--overwrite"],
        standalone_mode=False,
    )
    assert seen["fit"].head == ["lda"]
    assert seen["fit"].overwrite is True
    assert seen["fit"].param_grid == {"lda": {"shrinkage": ["auto", None]}}
