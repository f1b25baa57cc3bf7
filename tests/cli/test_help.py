"""Help as a person reads it, and what a mistyped word is answered with."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator

import click
import pytest

from featx.cli._names import _COMMANDS, _OPTIONS, HEADINGS, WORK, command_hint, option_hint
from featx.cli.main import featx as root
from tests.cli.conftest import Featx


def walk(command: click.Command, context: click.Context) -> Iterator[tuple[str, click.Context]]:
    yield context.command_path, context
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            assert below is not None
            yield from walk(below, click.Context(below, context, info_name=name))


CONTEXTS = dict(walk(root, click.Context(root, info_name="featx")))


def help_of(name: str, width: int) -> str:
    context = CONTEXTS[name]
    context.terminal_width = width
    return context.command.get_help(context)


@pytest.mark.parametrize("width", [60, 100])
@pytest.mark.parametrize("name", CONTEXTS)
def test_help_fits_and_stands_under_headings_in_their_order(name: str, width: int) -> None:
    text = help_of(name, width - 2)
    assert [line for line in text.splitlines() if len(line) > width] == []
    headings = re.findall(r"^(\w[\w ]*):$", text, re.MULTILINE)
    options = [heading for heading in headings if heading in HEADINGS]
    assert options == [heading for heading in HEADINGS if heading in options]
    assert options[-1] == "General"


@pytest.mark.parametrize("name", CONTEXTS)
def test_two_examples_that_the_command_takes(name: str) -> None:
    context = CONTEXTS[name]
    examples = getattr(context.command, "examples", ())
    assert len(examples) >= 2
    for example in examples:
        words = shlex.split(example, comments=True)
        if "completion" in example:
            continue  # inside another command
        start = name.split()
        assert words[: len(start)] == start
        if isinstance(context.command, click.Group):
            continue
        context.command.make_context(name, words[len(start) :], resilient_parsing=False).close()


def test_examples_that_are_too_long_can_still_be_pasted() -> None:
    shown = help_of("featx compare", 50)
    example = next(e for e in CONTEXTS["featx compare"].command.examples if "--finetune" in e)
    begin = shown.index("featx compare photos/")
    pasted = shown[begin : shown.index("\n\n", begin)].replace("\\\n", " ")
    assert shlex.split(pasted) == shlex.split(example)


@pytest.mark.parametrize("name", CONTEXTS)
def test_every_closed_option_lists_its_values(name: str) -> None:
    context = CONTEXTS[name]
    n_closed = 0
    for parameter in context.command.get_params(context):
        record = parameter.get_help_record(context)
        values = getattr(parameter.type, "choices", None) or getattr(parameter.type, "values", ())
        if isinstance(parameter, click.Option) and not parameter.is_flag and record and values:
            n_closed += 1
            assert [v for v in values if str(v) not in " ".join(record)] == [], parameter.name
    assert n_closed > 10 or name != "featx fit"


def test_commands_stand_in_the_order_of_work(featx: Featx) -> None:
    shown = re.findall(r"^  ([a-z]+)  ", featx("--help").out.split("General")[0], re.MULTILINE)
    order = [name for names in WORK.values() for name in names]
    assert shown == [name for name in order if name in shown]
    assert shown.index("inspect") < shown.index("extract") < shown.index("fit")


@pytest.mark.parametrize(
    ("typed", "meant"),
    [
        ("fitt", "featx fit"),
        ("train", "featx fit"),
        ("Trian", "featx fit"),
        ("predict", "featx score"),
        ("tune", "featx finetune"),
        ("fine-tune", "featx finetune"),
        ("embed", "featx extract"),
        ("classify", "featx score"),
        ("check", "featx audit"),
        ("insepct", "featx inspect"),
    ],
)
def test_a_command_that_is_not_there_is_answered_with_the_nearest(
    featx: Featx, typed: str, meant: str
) -> None:
    result = featx(typed, "photos")
    assert result.code == 2
    first = result.err.splitlines()[0]
    assert first == f"Error: No such command {typed!r}. Did you mean {meant}?"
    assert result.out == ""


def test_what_is_like_nothing_gets_no_guess(featx: Featx) -> None:
    assert featx("qqqq").err.startswith("Error: No such command 'qqqq'.\nUsage: featx ")
    assert "featx fit --help" in featx("help", "fit").err


def test_evaluate_is_meant_as_soon_as_it_is_there() -> None:
    assert command_hint("test", {"fit", "score"}) == " Did you mean featx score?"
    assert command_hint("test", {"fit", "score", "evaluate"}) == " Did you mean featx evaluate?"


@pytest.mark.parametrize(
    ("typed", "meant"),
    [("--hed", "--head"), ("--model", "--backbone"), ("--n_jobs", "--jobs"), ("--folds", "--cv")],
)
def test_an_option_that_is_not_there_is_answered_too(featx: Featx, typed: str, meant: str) -> None:
    result = featx("fit", "photos", typed, "x")
    assert result.code == 2
    assert result.err.startswith(f"Error: No such option '{typed}'. Did you mean {meant}?\n")


def test_a_value_that_is_not_there_is_answered_with_all_and_the_nearest(featx: Featx) -> None:
    said = featx("fit", "photos", "--scoring", "acuracy").err.splitlines()[0]
    assert said.endswith("neg_log_loss. Did you mean 'accuracy'?")


def test_synonyms_mean_something_that_there_is() -> None:
    commands = {path.split()[1] for path in CONTEXTS if " " in path}
    assert all(commands & set(meant) for meant in _COMMANDS.values())
    assert not commands & set(_COMMANDS)
    flags = {
        flag
        for context in CONTEXTS.values()
        for parameter in context.command.get_params(context)
        for flag in parameter.opts
    }
    assert all(flags & set(meant) for meant in _OPTIONS.values())
    assert option_hint("--zzz", flags) == ""
