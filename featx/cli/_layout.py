"""How help is laid out: options under headings, commands in the order of work, examples."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Callable, Sequence
from typing import Any

import click

from featx import console
from featx.cli._names import HEADING_OF, HEADINGS, WORK, option_hint
from featx.cli._values import Named

MOST_COLUMNS = 100  # of a line of help, which is hard to read when longer
NARROW = 80
FIRST_COLUMN = {True: 22, False: 30}  # of a list, by whether the terminal is narrow
_HYPHEN = "\N{NON-BREAKING HYPHEN}"
WITHOUT_HEADING = "General"  # what every command has: --help, --json, -v, -q


class GroupedOption(click.Option):
    """An option that knows its heading.

    Parameters
    ----------
    heading : str, optional
        One of `HEADINGS`; by default that of its name.
    only_positive : bool
        Of ``--this/--no-this``, show the first in help.
    """

    def __init__(
        self, *names: Any, heading: str | None = None, only_positive: bool = False, **more: Any
    ) -> None:
        super().__init__(*names, **more)
        self.heading = heading or HEADING_OF.get(str(self.name), WITHOUT_HEADING)
        self.only_positive = only_positive
        if isinstance(self.type, click.types.StringParamType):
            self.type = Named(str(self.name))

    def get_help_record(self, ctx: click.Context) -> tuple[str, str] | None:
        """Its names, and its text with the values that it takes where those are few."""
        record = super().get_help_record(ctx)
        if record is None:
            return None
        names, text = record
        if self.only_positive:
            names = names.partition(" / ")[0]
        values = () if self.is_flag else getattr(self.type, "values", ())
        untold = [value for value in values if not re.search(rf"\b{re.escape(value)}\b", text)]
        if untold:
            said, bracket, default = text.partition(" [")
            text = f"{said} One of: {', '.join(values)}.{bracket}{default}"
        return names, text


def option(*names: str, **more: Any) -> Callable[[Any], Any]:
    """A click option with a heading; see `GroupedOption`."""
    return click.option(*names, cls=GroupedOption, **more)


def argument(name: str, **more: Any) -> Callable[[Any], Any]:
    """A click argument that is completed as what its name takes."""
    return click.argument(name, type=Named(name), **more)


class _Laid(click.Command):
    """What commands and groups of them have in common."""

    def __init__(
        self, *words: Any, common: Sequence[str] = (), examples: Sequence[str] = (), **more: Any
    ) -> None:
        super().__init__(*words, **more)
        self.common, self.examples = common, examples
        self.context_settings.setdefault("max_content_width", MOST_COLUMNS)

    def parse_args(self, ctx: click.Context, args: list[str]) -> list[str]:
        """As click does; an unknown option is answered with the nearest, or a synonym's."""
        before = list(args)  # click takes out what it has read
        try:
            return super().parse_args(ctx, args)
        except click.NoSuchOption as error:
            known = {name for p in self.get_params(ctx) for name in (*p.opts, *p.secondary_opts)}
            hint = option_hint(error.option_name, known)
            raise click.UsageError(f"No such option {error.option_name!r}.{hint}", ctx) from None
        except click.MissingParameter as error:
            if took := self._took_a_value(ctx, before):
                raise click.UsageError(f"{error.format_message()} {took}", ctx) from None
            raise

    def _took_a_value(self, ctx: click.Context, args: Sequence[str]) -> str:
        """Which option that needs no value took what may have been meant for an argument."""
        for option in self.get_params(ctx):
            if isinstance(option, click.Option) and option.flag_value and not option.is_flag:
                for name in set(option.opts) & set(args[:-1]):
                    value = args[list(args).index(name) + 1]
                    return f"{name} took {value!r} as its value: put {name} last."
        return ""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, then the options under their headings, the common ones first."""
        if self.examples:
            with formatter.section("Examples"):
                for example in self.examples:
                    formatter.write(f"  {_continued(example, formatter.width - 2)}\n")
        under: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for parameter in self.get_params(ctx):
            record = parameter.get_help_record(ctx)
            if record is None or isinstance(parameter, click.Argument):
                continue
            common = parameter.name in self.common
            under["Common" if common else _heading(parameter)].append(record)
        self.format_commands(ctx, formatter)
        for heading in HEADINGS:
            if heading in under:
                _write_list(formatter, heading, under[heading])

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """A group lists its commands here."""


class LaidOutCommand(_Laid):
    """A command whose help has headings and examples.

    Parameters
    ----------
    common : sequence of str
        Names of the parameters that stand first.
    examples : sequence of str
        Whole commands.
    """

    def invoke(self, ctx: click.Context) -> Any:
        """Run it, with something that moves where nothing else does."""
        with console.working():
            return super().invoke(ctx)


class LaidOutGroup(_Laid, click.Group):
    """A group of commands, laid out in the same way."""

    def format_options(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Examples, commands, options."""
        _Laid.format_options(self, ctx, formatter)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Every command with its first sentence in full."""
        found = {name: self.get_command(ctx, name) for name in self.list_commands(ctx)}
        write_commands(formatter, "Commands", {k: c for k, c in found.items() if c is not None})


def write_commands(
    formatter: click.HelpFormatter, heading: str, commands: dict[str, click.Command]
) -> None:
    """List commands with the first sentence of the help of each."""
    rows = [(name, command.get_short_help_str(limit=1000)) for name, command in commands.items()]
    if rows:
        _write_list(formatter, heading, rows)


def _heading(parameter: click.Parameter) -> str:
    return getattr(parameter, "heading", WITHOUT_HEADING)


def _write_list(
    formatter: click.HelpFormatter, heading: str, rows: Sequence[tuple[str, str]]
) -> None:
    """A list whose words are not broken at hyphens: they are names to be copied."""
    begun = len(formatter.buffer)
    kept = [(first, second.replace("-", _HYPHEN)) for first, second in rows]
    with formatter.section(heading):
        formatter.write_dl(kept, col_max=FIRST_COLUMN[formatter.width < NARROW - 2])
    formatter.buffer[begun:] = [part.replace(_HYPHEN, "-") for part in formatter.buffer[begun:]]


def _continued(example: str, width: int) -> str:
    """A command in lines of the width, each but the last with the backslash that a shell wants."""
    if len(example) <= width:
        return example
    cut = example.rfind(" -", 0, width - 2)
    if cut < 0:
        return example
    return f"{example[:cut]} \\\n      {_continued(example[cut + 1 :], width - 4)}"


def in_order(names: set[str]) -> dict[str, list[str]]:
    """Commands under their headings, in the order of work; unlisted ones under the last."""
    listed = {name for group in WORK.values() for name in group}
    found = {heading: [n for n in group if n in names] for heading, group in WORK.items()}
    last = next(reversed(found))
    found[last] += sorted(names - listed)
    return {heading: group for heading, group in found.items() if group}
