"""The flags that stand for a configuration: what ``cli/options.py`` reads, written back."""

from __future__ import annotations

import types
import typing
from typing import Any, Literal

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from featx.config.dataset import DatasetConfig
from featx.config.extract import BACKBONE_FIELDS, ExtractConfig
from featx.shell import as_argument, shell_line

#: What belongs to the images of a fit, or to its model, and not to new images.
_OF_THE_FIT = BACKBONE_FIELDS | {"weights", "limit"}


def arguments(section: BaseModel, *, leave_out: frozenset[str] = frozenset()) -> list[str]:
    """The words after a command's name that give it ``section`` again.

    Parameters
    ----------
    section : BaseModel
        A section of the configuration. Its required fields are positional; of the others those
        that differ from their default become flags.
    leave_out : frozenset of str
        Fields that the command does not have.
    """
    words: list[str] = []
    flags: list[str] = []
    for name, field in type(section).model_fields.items():
        value = getattr(section, name)
        if name in leave_out:
            continue
        if field.is_required():
            words.append(as_argument(value))
        elif value != field.get_default(call_default_factory=True):
            flags += _flag(name, field, value)
    return words + flags


def _flag(name: str, field: FieldInfo, value: Any) -> list[str]:
    flag = name.replace("_", "-")
    if isinstance(field.json_schema_extra, dict) and "choices_are_flags" in field.json_schema_extra:
        return [f"--{value}"]
    if value is None:  # a default that None replaces cannot be asked for by a flag
        return []
    if isinstance(value, bool):
        return [f"--{flag}" if value else f"--no-{flag}"]
    values = value if isinstance(value, list) else [value]
    kind = _element(field.annotation)
    return [word for one in values for word in _valued(f"--{flag}", _text(one, kind))]


def _valued(flag: str, text: str) -> list[str]:
    return [f"{flag}={text}"] if text.startswith("-") or not text else [flag, text]


def _element(annotation: Any) -> Any:
    """The type of one value of a flag: without ``None``, of a list its elements'."""
    if isinstance(annotation, types.UnionType) or typing.get_origin(annotation) is typing.Union:
        rest = [a for a in typing.get_args(annotation) if a is not type(None)]
        annotation = rest[0] if len(rest) == 1 else annotation
    return typing.get_args(annotation)[0] if typing.get_origin(annotation) is list else annotation


def _text(value: Any, kind: Any) -> str:
    """``value`` as its flag reads it: plain text, or YAML for flags of more than one type."""
    if kind in (int, float, str) or typing.get_origin(kind) is Literal:
        return str(value)
    import yaml

    text = yaml.safe_dump(value, default_flow_style=True, width=1_000_000)
    return text.removesuffix("...\n").rstrip("\n")


def extract_command(data: DatasetConfig, extract: ExtractConfig | None = None) -> str:
    """``featx extract`` of a data set."""
    more = [] if extract is None else arguments(extract)
    return shell_line("featx", "extract", *arguments(data), *more)


def fit_command(data: DatasetConfig, extract: ExtractConfig) -> str:
    """``featx fit`` on the embeddings that these sections give."""
    return shell_line("featx", "fit", *arguments(data), *arguments(extract))


def score_command(run: str, extract: ExtractConfig, *, rows: bool = False) -> str:
    """``featx score`` of images that are still to be named, with a run fitted under ``extract``.

    Or of ``rows`` of numbers.
    """
    if rows:
        return shell_line("featx", "score", as_argument(run), "NEW_ROWS.npz", "-o", "scores.csv")
    words = arguments(extract, leave_out=_OF_THE_FIT)
    return shell_line("featx", "score", as_argument(run), "NEW_IMAGES", "-o", "scores.csv", *words)
