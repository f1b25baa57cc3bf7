"""Commands that featx prints: pasted into a shell, they ask for the same again."""

from __future__ import annotations

import ast
import os
import re
import shlex
import shutil
import subprocess
from pathlib import Path
from typing import Any

import click
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import featx as package
from featx.cli.options import config_options
from featx.config import (
    AuditConfig,
    CompareConfig,
    DatasetConfig,
    ExportConfig,
    ExtractConfig,
    FinetuneConfig,
    FitConfig,
    ReportConfig,
    ScoreConfig,
    arguments,
    extract_command,
    fit_command,
    score_command,
)
from featx.runs import again_command
from featx.shell import as_argument, shell_line
from tests.cli.conftest import Featx
from tests.lab import save_pixels

# What a file may be called: no NUL, and bytes that are no UTF-8 as surrogates.
NAMES = st.text(
    st.one_of(
        st.sampled_from(" '\"\\$`!*?~#&;|<>(){}[]\t\n-=éӧ日\u202e\udcff\x1b"),
        st.characters(exclude_characters="\0", exclude_categories=("Cs",)),
    ),
    min_size=1,
    max_size=12,
)

DATA = st.builds(
    DatasetConfig,
    dataset=NAMES.filter(lambda name: not any("\udc80" <= c <= "\udcff" for c in name)),
    root=st.none() | NAMES.filter(str.isprintable),
    path_column=st.none() | st.text(max_size=6).filter(str.isprintable),
    exclude=st.lists(NAMES.filter(str.isprintable), max_size=2),
)
EXTRACT = st.builds(
    ExtractConfig,
    backbone=st.lists(NAMES.filter(str.isprintable), max_size=2),
    weights=st.none() | NAMES.filter(str.isprintable),
    pretrained=st.booleans(),
    pooling=st.lists(st.sampled_from(["avg", "max", "avg+max"]), max_size=2),
    size=st.none() | st.integers(1, 8192),
    crop=st.none() | st.floats(1e-9, 1),
    cache=st.none() | NAMES.filter(str.isprintable),
    batch_size=st.just("auto") | st.integers(-3, 99),
    views=st.integers(0, 100),
    upright=st.booleans(),
    offline=st.booleans(),
)


@click.command()
@config_options(DatasetConfig)
@config_options(ExtractConfig)
def asked(data: DatasetConfig, extract: ExtractConfig) -> tuple[DatasetConfig, ExtractConfig]:
    """What the command line makes of its words."""
    return data, extract


@given(data=DATA, extract=EXTRACT)
def test_a_printed_command_asks_for_the_same(data: DatasetConfig, extract: ExtractConfig) -> None:
    words = arguments(data) + arguments(extract)
    line = shell_line(*words)
    assert line.isprintable()
    got = asked.main(words, standalone_mode=False)
    expected = data.model_copy(update={"dataset": as_argument(data.dataset)})
    assert got == (expected, extract)
    assert os.path.normpath(got[0].dataset) == os.path.normpath(data.dataset)
    for command, verb in ((fit_command, "fit"), (extract_command, "extract")):
        assert command(data, extract) == f"featx {verb} {line}"


@given(words=st.lists(NAMES.filter(str.isprintable), min_size=1, max_size=4))
def test_words_that_print_are_read_back_by_any_posix_shell(words: list[str]) -> None:
    assert shlex.split(shell_line(*words)) == words


@pytest.mark.skipif(shutil.which("bash") is None, reason="bash is not here")
@settings(max_examples=5)  # each starts a process
@given(names=st.lists(NAMES, min_size=50, max_size=300))
def test_bash_reads_back_every_name_to_the_byte(names: list[str]) -> None:
    line = shell_line(*names)
    assert line.isprintable()
    script = f"printf '%s\\0' {line}\n".encode()
    done = subprocess.run(["bash"], input=script, capture_output=True, check=True)
    assert done.stdout == b"".join(os.fsencode(name) + b"\0" for name in names)


def every(model: type[Any]) -> list[str]:
    return [name for name, field in model.model_fields.items() if not field.is_required()]


@pytest.mark.parametrize(
    "section",
    [
        FitConfig(
            head=["svm-rbf", "logreg"],
            pca=["none", 0.00001, 12],
            param_grid={"logreg": {"C": [1e-05, 1, "a b", None, True]}},
            threshold="NO:recall=0.9",
            budget="5m",
            ensemble=["vote"],
            resume=False,
            coverage=0.5,
        ),
        FinetuneConfig(from_run="-runs/x", unfreeze="last-1", tune=["epochs"], lora=2, ema=1e-7),
        ScoreConfig(output="-o.csv", sort_into="a b", sort_mode="copy", proba=True, top_k=3),
        AuditConfig(output="it's"),
        ReportConfig(figures="$HOME", heat_maps=False),
        ExportConfig(to="openvino", tolerance=1e-06),
        CompareConfig(baseline="--x"),
    ],
    ids=lambda section: type(section).__name__,
)
def test_every_kind_of_flag_is_written_as_it_is_read(section: Any) -> None:
    @click.command()
    @config_options(type(section))
    def command(**sections: Any) -> Any:
        return sections

    (got,) = command.main(arguments(section), standalone_mode=False).values()
    assert got == section


def test_a_score_of_new_images_keeps_the_cache_and_leaves_what_was_of_the_fit() -> None:
    extract = ExtractConfig(cache="my cache", weights="w.pt", size=99, limit=3, offline=True)
    assert score_command("-runs/x", extract) == (
        "featx score ./-runs/x NEW_IMAGES -o scores.csv --cache 'my cache' --offline"
    )


def test_a_run_is_made_again_whatever_its_folder_is_called() -> None:
    assert again_command(Path("-my runs/it's"), "fit") == (
        """featx run './-my runs/it'"'"'s/config.yaml' --set fit.overwrite=true"""
    )
    assert again_command(Path("a\nb\udcff"), "finetune") == (
        "featx run $'a\\x0ab\\xff/config.yaml' --set finetune.overwrite=true"
    )


def printed(err: str, start: str = "Next: ") -> list[str]:
    """The words of the command that was printed last, without the program's name."""
    (line,) = [line for line in err.splitlines() if line.startswith(start)]
    program, *words = shlex.split(line.removeprefix(start))
    assert program == "featx"
    return words


def test_what_extract_and_inspect_print_next_finds_everything_cached(
    featx: Featx, workspace: Path, tmp_path: Path
) -> None:
    odd = tmp_path / "it's a -set"
    shutil.copytree(workspace / "photos", odd / "photos")
    (odd / "list.csv").write_text(
        "file,kind,patient\n"
        + "".join(
            f"{path.relative_to(odd / 'photos')},{path.parent.name},{number // 2}\n"
            for number, path in enumerate(sorted((odd / "photos").rglob("*.png")))
        )
    )
    columns = ["--path-column", "file", "--label-column", "kind", "--group-column", "patient"]
    root = ["--root", str(odd / "photos")]
    seen = featx("inspect", odd / "list.csv", *root, *columns)
    more = ["--backbone", "timm:test_resnet", "--no-pretrained", "--size", "48"]
    more += ["--pooling", "max", "--cache", str(odd / "the cache"), "--engine", "torch"]
    extracted = featx(*printed(seen.err), *more)
    assert "28 computed" in extracted.err
    rest = [
        "--runs",
        str(odd / "runs"),
        "--name",
        "a b",
        "-j",
        "1",
        "--cv",
        "2",
        "--estimate",
        "cv",
    ]
    fitted = featx(*printed(extracted.err), *rest)
    assert fitted.code == 0, fitted.err
    assert "28 cached, 0 computed" in fitted.err
    words = printed(fitted.err)
    words[words.index("NEW_IMAGES")] = str(odd / "photos")
    words[words.index("scores.csv")] = str(odd / "scores.csv")
    scored = featx(*words, "--report", str(odd / "page.html"))
    assert scored.code == 0, scored.err
    assert "28 cached, 0 computed" in scored.err


def test_own_weights_are_found_by_every_command_that_is_printed(
    featx: Featx, workspace: Path, tmp_path: Path
) -> None:
    import timm
    from safetensors.torch import save_file

    weights, cache = tmp_path / "my 'weights'.safetensors", tmp_path / "the cache"
    save_file(timm.create_model("test_resnet", pretrained=False).state_dict(), weights)
    network = ["--backbone", "timm:test_resnet", "--weights", weights, "--size", "32"]
    extracted = featx("extract", "photos", *network, "--cache", cache)
    more = ["--runs", tmp_path / "my runs", "--name", "w", "--cv", "2", "--estimate", "cv"]
    fitted = featx(*printed(extracted.err), *more)
    assert "28 cached, 0 computed" in fitted.err
    words = printed(fitted.err)
    words[words.index("NEW_IMAGES")] = "photos"
    words[words.index("scores.csv")] = str(tmp_path / "s.csv")
    scored = featx(*words)
    assert scored.code == 0, scored.err
    assert "28 cached, 0 computed" in scored.err


def test_nothing_is_suggested_where_it_could_only_fail(featx: Featx, tmp_path: Path) -> None:
    for label in ("a", "b"):
        (tmp_path / "broken" / label).mkdir(parents=True)
        (tmp_path / "broken" / label / "1.png").write_bytes(b"no image")
    network = ["--backbone", "timm:test_resnet", "--no-pretrained", "--size", "32"]
    for words in (
        ["inspect", tmp_path / "broken"],
        ["extract", tmp_path / "broken", *network],
        ["extract", "one", *network],  # one class: nothing to fit
        ["extract", "new", *network],  # no labels
    ):
        assert "Next" not in featx(*words).err, words


def test_a_dry_run_suggests_the_run(featx: Featx) -> None:
    network = ["--backbone", "timm:test_resnet", "--no-pretrained", "--size", "32"]
    words = ["extract", "photos", *network, "--cache", "dry"]
    assert printed(featx(*words, "--dry-run").err) == words


def test_an_audit_suggests_a_fit_without_the_copies_it_found(
    featx: Featx, workspace: Path, tmp_path: Path
) -> None:
    photos = shutil.copytree(workspace / "photos", tmp_path / "my photos")
    shutil.copy(photos / "red" / "00.png", photos / "red" / "again.png")
    network = ["--backbone", "timm:test_resnet", "--no-pretrained", "--size", "32"]
    found = featx("audit", photos, *network, "-o", tmp_path / "what is wrong", "--folds", "2")
    words = printed(found.err, "Without the copies: ")
    assert words == [
        "fit", str(photos), "--exclude", str(tmp_path / "what is wrong" / "exclude.csv"), *network
    ]  # fmt: skip
    few = ["--cv", "2", "--estimate", "cv", "--runs", tmp_path / "runs", "--name", "r", "-j", "1"]
    assert featx(*words, *few).code == 0


def test_an_audit_suggests_a_fit_with_the_groups_it_found(featx: Featx, tmp_path: Path) -> None:
    """Files whose names hold eight patients, each with a colour of its own."""
    rng = np.random.default_rng(0)
    for k in range(48):
        path = tmp_path / "cells" / ("sick" if k % 2 else "well") / f"patient{k // 6}_{k}.png"
        colour = np.random.default_rng(k // 6).integers(0, 200, 3)
        save_pixels(path, colour + rng.integers(0, 55, (40, 40, 3)))
    network = ["--backbone", "timm:test_resnet", "--no-pretrained", "--size", "32"]
    found = featx("audit", tmp_path / "cells", *network, "-o", tmp_path / "found", "--folds", "2")
    words = printed(found.err)
    groups = str(tmp_path / "found" / "groups.csv")
    assert words == ["fit", str(tmp_path / "cells"), "--group", groups, *network]
    assert "8 groups were found by the number behind 'patient'" in " ".join(found.out.split())
    few = ["--cv", "2", "--estimate", "cv", "--runs", tmp_path / "runs", "--name", "r", "-j", "1"]
    fitted = featx(*words, *few)
    assert fitted.code == 0, fitted.err


def test_the_command_that_repairs_a_cache_names_it(featx: Featx, tmp_path: Path) -> None:
    cache = tmp_path / "my cache"
    network = ["--backbone", "timm:test_resnet", "--no-pretrained", "--size", "32"]
    featx("extract", "photos", *network, "--cache", cache)
    (shard,) = cache.glob("*/shards/*.h5")
    shard.chmod(0o644)
    shard.write_bytes(shard.read_bytes()[:-1])
    told = featx("cache", "verify", "--cache", cache)
    (line,) = [line for line in told.err.splitlines() if "Drop them with: " in line]
    program, *words = shlex.split(line.partition("Drop them with: ")[2])
    assert program == "featx"
    assert featx(*words).code == 0
    assert featx("cache", "verify", "--cache", cache).code == 0


VERB = re.compile(r"\bfeatx (extract|inspect|audit|fit|finetune|score|compare|report|run|cache)\b")


def test_no_command_is_put_together_without_quoting() -> None:
    """A name inside a printed command goes through `featx.shell.shell_line`."""
    found = []
    for path in Path(package.__path__[0]).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.JoinedStr):
                parts = [p.value if isinstance(p, ast.Constant) else "{}" for p in node.values]
                text = "".join(map(str, parts))
                command = VERB.search(text)
                if command and "{}" in text[command.end() :].split(". ")[0]:
                    found.append(f"{path}:{node.lineno}: {text}")
    assert not found, found
