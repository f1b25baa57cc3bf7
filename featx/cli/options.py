"""Command-line flags made from the configuration's fields, so that the two cannot differ."""

from __future__ import annotations

import functools
import types
import typing
from collections.abc import Callable
from typing import Any, Literal

import click
from pydantic import BaseModel
from pydantic.fields import FieldInfo

from featx.cli._layout import argument, option
from featx.cli._names import HEADING_OF, SECTION_HEADING
from featx.cli._values import Closed, Count, Fraction, Named, YamlValue
from featx.config import DatasetConfig, parse_config

_SHORT = {"output": "-o", "jobs": "-j", "n": "-n", "from_run": "--from", "import_from": "--import"}
_NUMBERS: dict[type, click.ParamType] = {int: Count(), float: Fraction()}

as_json = option(
    "--json", "as_json", is_flag=True, help="Print the result as one JSON document on stdout."
)
strict = option("--strict", is_flag=True, help="Exit with code 3 when any file was quarantined.")


def config_options(
    model: type[BaseModel], *, leave_out: frozenset[str] = frozenset()
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Give a command one flag per field of ``model`` and pass it the validated section.

    The section arrives as keyword ``data``, ``extract``, ``fit``, ``finetune``, ``evaluate``,
    ``score``, ``compare`` and so on: as in a configuration file. A required field becomes a
    positional argument. A flag left out keeps the configuration's own default. A field that
    several sections of one command have is one flag, given to each of them.
    """
    section = "data" if model is DatasetConfig else model.__name__.removesuffix("Config").lower()
    fields = {k: f for k, f in model.model_fields.items() if k not in leave_out}

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        below = {p.name for p in getattr(function, "__click_params__", ())}

        @functools.wraps(function)
        def command(**given: Any) -> Any:
            values = {k: given[k] if k in below else given.pop(k) for k in fields}
            values = {k: list(v) if isinstance(v, tuple) else v for k, v in values.items()}
            values = {k: v for k, v in values.items() if v is not None and v != []}
            parsed = parse_config(model, values, source="command line")
            return function(**{section: parsed}, **given)

        decorated: Callable[..., Any] = command
        for name, field in reversed(fields.items()):
            if name not in below:
                decorated = _option(name, field, section)(decorated)
        return decorated

    return decorate


def _option(name: str, field: FieldInfo, section: str) -> Callable[..., Any]:
    """The click argument or option of one field."""
    if field.is_required():
        return argument(name)
    heading = HEADING_OF.get(name, SECTION_HEADING[section])
    kind = _without_none(field.annotation)
    flag = f"--{name.replace('_', '-')}"
    text = field.description or ""
    default = field.get_default(call_default_factory=True)
    extra = field.json_schema_extra if isinstance(field.json_schema_extra, dict) else {}
    if "choices_are_flags" in extra:
        return _flag_for_each(name, typing.get_args(kind), f"{text} [{default}]", heading)
    if kind is bool:
        return _switch(name, text, default, heading)
    multiple = typing.get_origin(kind) is list
    if multiple:
        kind = typing.get_args(kind)[0]
    if default not in (None, [], {}) and "[" not in text:
        shown = ", ".join(map(str, default)) if isinstance(default, list) else default
        text += f" [{shown}]"
    names = ([_SHORT[name]] if name in _SHORT else []) + [flag, name]
    bare: dict[str, Any] = {}
    if "value_if_bare" in extra:
        bare = {"is_flag": False, "flag_value": extra["value_if_bare"]}
    return option(*names, heading=heading, type=_click_type(name, kind), multiple=multiple,
                  default=None, help=text, **bare)  # fmt: skip


def _switch(name: str, text: str, default: bool, heading: str) -> Callable[..., Any]:
    """``--name/--no-name``; help shows the negative one only where it changes something."""
    flag = f"--{name.replace('_', '-')}"
    both = f"{flag}/--no-{flag[2:]}"
    text += " [yes]" if default else ""
    return option(both, name, heading=heading, default=None, help=text, only_positive=not default)


def _flag_for_each(
    name: str, choices: tuple[str, ...], text: str, heading: str
) -> Callable[..., Any]:
    """``--link`` and ``--copy`` for a field that is ``link`` or ``copy``."""

    def decorate(function: Callable[..., Any]) -> Callable[..., Any]:
        for choice in reversed(choices):
            flag = option(
                f"--{choice}", name, heading=heading, flag_value=choice, default=None, type=str,
                help=text,
            )  # fmt: skip
            function = flag(function)
        return function

    return decorate


def _without_none(annotation: Any) -> Any:
    """``X`` of ``X | None``; anything else as it is."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        return rest[0] if len(rest) == 1 else annotation
    return annotation


def _click_type(name: str, kind: Any) -> click.ParamType:
    if typing.get_origin(kind) is Literal:
        return Closed([str(choice) for choice in typing.get_args(kind)])
    if kind is str:
        return Named(name)
    if kind in (int, float):
        return _NUMBERS[kind]
    return YamlValue(name)  # a union such as "auto" or a number
