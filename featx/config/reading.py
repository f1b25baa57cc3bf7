"""Configurations read and written, every fault named with its key."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any, TypeVar

import pydantic
from pydantic import BaseModel

from featx.config.run import RunConfig
from featx.errors import ConfigError, nearest
from featx.files import printable
from featx.parsing import parse_yaml

MOST_SHOWN = 200  # characters of a wrong value
MOST_BYTES = 1 << 24  # of a configuration

ModelT = TypeVar("ModelT", bound=BaseModel)


def parse_config(model: type[ModelT], values: dict[str, Any], *, source: str) -> ModelT:
    """Validate ``values`` against ``model``, reporting every fault with its dotted key.

    Raises
    ------
    ConfigError
        Unknown keys (with the nearest match), wrong types (with the YAML trap behind them where
        there is one) and values out of range, all in one message.
    """
    try:
        return model.model_validate(values)
    except pydantic.ValidationError as error:
        lines = [_explain(model, fault) for fault in error.errors(include_url=False)]
        unique = list(dict.fromkeys(lines))
        raise ConfigError(f"{source}: " + "\n".join(unique)) from None


def _explain(model: type[BaseModel], fault: Any) -> str:
    """One fault of pydantic's in featx's words: key, problem, value, what is allowed."""
    key = ".".join(str(part) for part in fault["loc"] if part not in {"int", "literal['auto']"})
    value = fault["input"]
    if fault["type"] == "extra_forbidden":
        known = _keys_at(model, fault["loc"][:-1])
        guess = nearest(str(fault["loc"][-1]), known)
        return f"unknown key {key!r}" + (
            f"; did you mean {guess!r}?" if guess else f"; known keys: {', '.join(sorted(known))}."
        )
    if fault["type"] == "missing":
        return f"{key}: this key is required."
    message = fault["msg"].removeprefix("Value error, ")
    problem = f"{key}: {message[0].lower()}{message[1:]}. Got {_short(value)}"
    return problem + _yaml_trap(value, wants_text=fault["type"] == "string_type") + "."


def _short(value: Any) -> str:
    """The value as it may stand in a sentence, however long it is."""
    text = repr(value)
    return text if len(text) <= MOST_SHOWN else f"{text[:MOST_SHOWN]}..."


def _yaml_trap(value: Any, *, wants_text: bool) -> str:
    """What YAML may have done to the value behind the user's back."""
    if isinstance(value, bool):
        return (
            f" (YAML reads {'yes, on' if value else 'no, off'} as {value}; quote it to mean text)"
        )
    if isinstance(value, int | float | date):
        kind = "a date" if isinstance(value, date) else "a number"
        return f" (YAML reads this as {kind}; quote it to mean text)" if wants_text else ""
    if isinstance(value, str):
        try:
            number = float(value)
        except ValueError:
            return ""
        plain = int(number) if number.is_integer() else number
        return f" (YAML reads {value} as text; write it as {plain} without quotes)"
    return ""


def _keys_at(model: type[BaseModel], location: tuple[Any, ...]) -> list[str]:
    """Names of the fields that the section at ``location`` has."""
    for part in location:
        field = model.model_fields.get(str(part))
        if field is None:
            continue
        for candidate in getattr(field.annotation, "__args__", (field.annotation,)):
            if isinstance(candidate, type) and issubclass(candidate, BaseModel):
                model = candidate
    return list(model.model_fields)


def load_config(path: str, *, overrides: tuple[str, ...] = ()) -> RunConfig:
    """Read a YAML file into a `RunConfig`.

    Parameters
    ----------
    path : str
        The file, UTF-8.
    overrides : tuple of str
        ``"section.key=value"`` pairs that win over the file; values are YAML.

    Raises
    ------
    ConfigError
        The file cannot be read, is not YAML, or holds faults; all are listed with their keys.
    """
    shown = printable(path)
    try:
        with Path(path).open("rb") as file:
            data = file.read(MOST_BYTES + 1)
        if len(data) > MOST_BYTES:
            raise ValueError(f"it is longer than {MOST_BYTES:,} bytes")
        values = parse_yaml(data.decode("utf-8-sig"))
    except OSError as error:
        raise ConfigError(f"Cannot read configuration {shown!r}: {error.strerror}.") from None
    except UnicodeDecodeError as error:
        raise ConfigError(
            f"{shown}: not UTF-8 text: {error.reason} at byte {error.start}."
        ) from None
    except ValueError as error:
        raise ConfigError(f"{shown}: not valid YAML: {printable(str(error))}.") from None
    if not isinstance(values, dict):
        raise ConfigError(
            f"{shown}: expected a mapping of sections, got {_kind(values)}.",
            hint=f"Sections are: {', '.join(RunConfig.model_fields)}.",
        )
    return make_config(values, overrides=overrides, source=shown)


def _kind(value: Any) -> str:
    return "an empty file" if value is None else type(value).__name__


def make_config(
    values: dict[str, Any], *, overrides: tuple[str, ...] = (), source: str
) -> RunConfig:
    """A `RunConfig` of nested ``values``, with ``overrides`` as in `load_config`.

    Raises
    ------
    ConfigError
        See `load_config`; messages begin with ``source``.
    """
    given: dict[str, str] = {}
    for override in overrides:
        _check_against(given, override)
        _apply_override(values, override)
    return parse_config(RunConfig, values, source=source)


def _check_against(given: dict[str, str], override: str) -> None:
    """Refuse an override of what another one of the same command sets; else remember it."""
    dotted, _, text = override.partition("=")
    for other, value in given.items():
        inside = f"{dotted}.".startswith(f"{other}.") or f"{other}.".startswith(f"{dotted}.")
        if inside and (dotted, text) != (other, value):
            raise ConfigError(
                f"--set {override!r} contradicts --set {f'{other}={value}'!r}.",
                hint="Give one of them.",
            )
    given[dotted] = text


def _apply_override(values: dict[str, Any], override: str) -> None:
    """Set ``a.b=value`` in nested ``values``."""
    dotted, equals, text = override.partition("=")
    *parents, last = dotted.split(".")
    if not equals or not all([*parents, last]):
        raise ConfigError(f"--set {override!r} is not of the form section.key=value.")
    for parent in parents:
        below = values.setdefault(parent, {})
        if not isinstance(below, dict):
            raise ConfigError(f"--set {override!r}: {parent!r} is not a section.")
        values = below
    try:
        values[last] = parse_yaml(text)
    except ValueError as error:
        raise ConfigError(f"--set {override!r}: not valid YAML: {error}.") from None


def dump_config(config: BaseModel) -> str:
    """The resolved configuration as YAML that ``load_config`` reads back to the same values."""
    import yaml

    # Escaped, not allow_unicode: PyYAML writes some line breaks (U+0085) that it cannot read back.
    return yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False)
