"""Kinds of values on the command line: what help calls them, and how a shell completes them."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import click
from click.shell_completion import CompletionItem

import featx
from featx.cli._names import PLUGINS
from featx.errors import nearest
from featx.kinds import TAKES
from featx.parsing import parse_yaml
from featx.registry import Registry

MOST_RUNS = 200
MOST_IN_METAVAR = 22  # characters of values that stand beside the flag


def plugins(folder: str) -> list[str]:
    """Names of the plug-ins in a folder of the package, of which none is imported."""
    path = Path(featx.__path__[0], *folder.split("."))
    return Registry(f"featx.{folder}", str(path), folder).names()


class Named(click.ParamType):
    """Text that names something: a file, a run, a plug-in, a backbone.

    Parameters
    ----------
    parameter : str
        Name of the option or argument, which says what is named; see `featx.cli._names`.
    """

    name = "text"

    def __init__(self, parameter: str) -> None:
        self.kind = TAKES.get(parameter, "")
        self.parameter = parameter

    @property
    def values(self) -> list[str]:
        """The values that there are, where they are plug-ins."""
        return plugins(PLUGINS[self.parameter]) if self.parameter in PLUGINS else []

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """The text as it is; the configuration checks it."""
        return value

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """What help calls a value."""
        return None if isinstance(param, click.Argument) else self.kind or None

    def shell_complete(
        self, ctx: click.Context, param: click.Parameter, incomplete: str
    ) -> list[CompletionItem]:
        """What the value may be: names that are known, and files where it is one."""
        known = _COMPLETED.get(self.parameter) or _COMPLETED.get(self.kind)
        found = self.values or (list(known(ctx, incomplete)) if known else [])
        items = [CompletionItem(name) for name in found if name.startswith(incomplete)]
        if self.kind in _FILES or self.parameter in _FILES:
            if "/" in incomplete:  # shells know the way into folders, also to runs
                items = []
            items.append(CompletionItem(incomplete, type="file"))
        elif self.kind == "FOLDER":
            items.append(CompletionItem(incomplete, type="dir"))
        return items


#: Kinds, and arguments, that are files or folders.
_FILES = {"FILE", "RUN", "model", "run", "runs", "config"}


def _runs(ctx: click.Context, incomplete: str) -> Iterator[str]:
    """Runs in the folder ``runs``."""
    folder = Path("runs")
    with suppress(OSError):
        found = sorted(path.parent for path in folder.glob("*/results.json"))
        yield from (path.as_posix() for path in found[:MOST_RUNS])


def _extractors(ctx: click.Context) -> Iterator[dict[str, Any]]:
    """``extractor.json`` of each extractor in the cache, and its ``folder``."""
    from featx.store import cache_folder

    with suppress(OSError, ValueError):
        for path in sorted(cache_folder(ctx.params.get("cache")).glob("*/extractor.json")):
            yield {"folder": path.parent.name, **json.loads(path.read_text("utf-8"))}


def _backbones(ctx: click.Context, incomplete: str) -> Iterable[str]:
    """Those that come with featx, those it recommends, and those in the cache."""
    folder = Path(featx.__path__[0], "backbones")  # read as files: importing it takes seconds
    own = [f"featx:{name.stem}" for name in sorted(folder.glob("weights/*.json"))]
    rows = json.loads((folder / "recommended.json").read_text("utf-8"))["rows"]
    used = [str(found.get("backbone", "")) for found in _extractors(ctx)]
    return dict.fromkeys([*own, *(row["name"] for row in rows), *filter(None, used)])


def _outputs(ctx: click.Context, incomplete: str) -> Iterator[str]:
    """``new.csv`` and the like, once ``new.`` is there, for what is written by its ending."""
    endings = {"score": plugins("formats"), "export": ["h5", "npz", "parquet"]}
    stem, dot, _ = incomplete.rpartition(".")
    inside = ctx.parent is not None and ctx.parent.command.name == "cache"
    if stem and dot and (ctx.command.name == "score" or inside):
        yield from (f"{stem}.{ending}" for ending in endings[str(ctx.command.name)])


_COMPLETED: dict[str, Callable[[click.Context, str], Iterable[str]]] = {
    "RUN": _runs,
    "model": _runs,
    "run": _runs,
    "runs": _runs,
    "BACKBONE": _backbones,
    "filter": _backbones,
    "output": _outputs,
    "EXTRACTOR": lambda ctx, _: [found["folder"] for found in _extractors(ctx)],
    "DEVICE": lambda ctx, _: ["auto", "cpu", "cuda", "cuda:0", "mps"],
    "METRIC": lambda ctx, _: ["accuracy", "balanced_accuracy", "f1_macro", "roc_auc_ovr"],
    "LAYER": lambda ctx, _: ["auto", "stages"],
}


class Closed(click.Choice[str]):
    """One of a few values; a mistyped one is answered with the nearest."""

    @property
    def values(self) -> list[str]:
        """What help lists, where it does not fit beside the flag."""
        text = "|".join(self.choices)
        return list(self.choices) if len(text) > MOST_IN_METAVAR else []

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """The values, or what they are."""
        if isinstance(param, click.Argument) or not self.values:
            return super().get_metavar(param, ctx)
        return TAKES.get(str(param.name), "VALUE")

    def get_invalid_choice_message(self, value: Any, ctx: click.Context | None) -> str:
        """What is allowed, and what may have been meant."""
        guess = nearest(str(value), self.choices)
        text = f"{str(value)!r} is not one of {', '.join(self.choices)}."
        return f"{text} Did you mean {guess!r}?" if guess else text


class Count(click.types.IntParamType):
    """A whole number."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """What help calls a value."""
        return "N"


class Fraction(click.types.FloatParamType):
    """A number."""

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """What help calls a value."""
        return "X"


class YamlValue(click.ParamType):
    """A value written as YAML, for flags that take more than one type."""

    name = "value"

    def __init__(self, parameter: str) -> None:
        self.kind = TAKES.get(parameter)

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str | None:
        """What help calls a value."""
        return self.kind

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        """Parse ``value``; anything that is not YAML is a usage error."""
        if not isinstance(value, str):
            return value
        try:
            return parse_yaml(value)
        except ValueError as error:
            self.fail(f"not valid YAML: {error}", param, ctx)
