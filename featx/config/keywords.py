"""The keyword arguments of the public functions, made from the configuration's fields.

``inspect.signature``, ``help()`` and notebooks see them, with defaults and meanings, though a
function is written with ``**options``. Editors and type checkers, which run nothing, read the same
in ``featx/__init__.pyi``: ``python -m recipes.signatures`` writes it.
"""

from __future__ import annotations

import functools
import inspect
import os
import re
import textwrap
import types
import typing
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Annotated, Any, Literal, TypeVar

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from featx.config.options import LeaveOut, sections
from featx.config.report import by_default
from featx.errors import UnknownNameError, UsageError
from featx.kinds import PATHS

F = TypeVar("F", bound=Callable[..., Any])

ARRAYS = frozenset({"X", "y", "Y", "x", "target", "labels", "groups", "ids"})
WIDTH = 96


class _Code(str):
    """A type as it is written in code, shown without quotes in a signature."""

    __slots__ = ()

    def __repr__(self) -> str:
        return str(self)


@dataclass(frozen=True)
class Keyword:
    """One keyword argument.

    Parameters
    ----------
    name : str
    code, words : str
        Its type in code, and in a docstring.
    default : Any
    meaning : str
        Sentences.
    """

    name: str
    code: str
    words: str
    default: Any
    meaning: str

    @property
    def parameter(self) -> inspect.Parameter:
        """As a signature has it."""
        return inspect.Parameter(
            self.name,
            inspect.Parameter.KEYWORD_ONLY,
            default=self.default,
            annotation=_Code(self.code),
        )

    def entry(self, indent: str) -> Iterator[str]:
        """The lines of its entry in a docstring."""
        default, meaning, kind = self.default, self.meaning, self.words
        if isinstance(default, tuple) and len(default) == 1:
            default = default[0]
        end = ", optional" if default is None else f", default {default!r}" if default != () else ""
        choices = re.search(r"\{(.+?)\}", kind)
        if choices and len(f"{indent}{self.name} : {kind}{end}") > WIDTH:
            # numpydoc reads a type from one line
            kind, end = kind.replace(choices[0], "str"), end if len(end) < 30 else ""
            meaning = f"One of {choices[1]}. {meaning}"
        yield f"{indent}{self.name} : {kind}{end}"
        inner = f"{indent}    "
        yield from textwrap.wrap(
            meaning, WIDTH, initial_indent=inner, subsequent_indent=inner,
            break_long_words=False, break_on_hyphens=False,
        )  # fmt: skip


def keywords(
    *models: type[BaseModel],
    leave_out: LeaveOut = MappingProxyType({}),
    instead: str = "",
    more: Sequence[Keyword] = (),
) -> Callable[[F], F]:
    """Give a function whose last parameter is ``**options`` the fields of ``models`` by name.

    Its signature and docstring have every field, in the place of ``**options``. A call with an
    option that is none, or with too many positional arguments, is a `featx.errors.UsageError` that
    says what was meant.

    Parameters
    ----------
    *models : type
        Sections of the configuration; a field that several have is one argument.
    leave_out : mapping of type to collection of str
        Fields of a section that the function does not take; as for `featx.config.options.sections`.
    instead : str, default ''
        What is used instead of them, for the message about one that is given.
    more : sequence of Keyword
        Arguments that are no fields.
    """

    def decorate(function: F) -> F:
        own = inspect.signature(function)
        fixed = [
            p.replace(annotation=_Code(p.annotation)) if isinstance(p.annotation, str) else p
            for p in own.parameters.values()
            if p.kind is not p.VAR_KEYWORD
        ]
        left = {p.name for p in fixed}
        made = [*more, *(k for k in _fields(models, leave_out) if k.name not in left)]
        unique = list({keyword.name: keyword for keyword in made}.values())
        other = {name for names in leave_out.values() for name in names} - left
        other -= {k.name for k in unique}
        returns = _Code(own.return_annotation)
        signature = inspect.Signature(
            [*fixed, *(k.parameter for k in unique)], return_annotation=returns
        )

        @functools.wraps(function)
        def checked(*given: Any, **options: Any) -> Any:
            for name in sorted(other & options.keys()):
                end = f": {instead}." if instead else "."
                raise UsageError(f"{name} is not an option of {function.__name__}{end}")
            _check(function.__name__, signature, given, options)
            return function(*given, **options)

        checked.__signature__ = signature  # type: ignore[attr-defined]
        checked.sections = models, leave_out  # type: ignore[attr-defined]
        checked.__doc__ = _documented(function.__doc__, unique)
        return typing.cast(F, checked)

    return decorate


def read_options(function: Callable[..., Any], /, **options: Any) -> list[Any]:
    """The checked sections of the options of a function that `keywords` made.

    Raises
    ------
    UnknownNameError, ConfigError
        See `featx.config.options.sections`.
    """
    models, leave_out = function.sections  # type: ignore[attr-defined]
    return sections(options, *models, leave_out=leave_out)


def _fields(models: Sequence[type[BaseModel]], leave_out: LeaveOut) -> Iterator[Keyword]:
    """A keyword for each field that has a default."""
    for model in models:
        for name, field in model.model_fields.items():
            if not field.is_required() and name not in leave_out.get(model, ()):
                is_path = name in PATHS
                yield Keyword(
                    name,
                    _code(field.annotation, is_path),
                    _words(field.annotation, is_path),
                    _default(field),
                    _meaning(field.description or ""),
                )


def _default(field: FieldInfo) -> Any:
    if field.default_factory is by_default:  # the environment's, which the signature cannot know
        return True
    default = field.get_default(call_default_factory=True)
    return tuple(default) if isinstance(default, list) else default


def _code(annotation: Any, is_path: bool) -> str:
    """A type as code; a list may be given as one value, or as any sequence."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _code(inner[0], is_path)
    if origin is Literal:
        values = ", ".join(f'"{v}"' if isinstance(v, str) else repr(v) for v in inner)
        return f"Literal[{values}]"
    if origin is list:
        one = _code(inner[0], is_path)
        return f"{one} | Sequence[{one}]"
    if origin is dict:
        return f"dict[{', '.join(_inside(each) for each in inner)}]"
    if origin in (types.UnionType, typing.Union):
        return " | ".join(_code(each, is_path) for each in inner)
    if annotation is str and is_path:
        return "str | os.PathLike[str]"
    return "None" if annotation is type(None) else str(annotation.__name__)


def _inside(annotation: Any) -> str:
    """A type inside a dict, where lists are lists."""
    if typing.get_origin(annotation) is list:
        return f"list[{_code(typing.get_args(annotation)[0], False)}]"
    return _code(annotation, False)


def _words(annotation: Any, is_path: bool) -> str:
    """A type as numpydoc writes it."""
    origin, inner = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        return _words(inner[0], is_path)
    if origin is Literal:
        return "{" + ", ".join(repr(v) for v in inner) + "}"
    if origin is list:
        one = _words(inner[0], is_path)
        return f"{one} or sequence of {one}"
    if origin in (types.UnionType, typing.Union):
        return " or ".join(_words(each, is_path) for each in inner if each is not type(None))
    if annotation is str and is_path:
        return "path"
    return "dict" if origin is dict else str(annotation.__name__)


def _meaning(text: str) -> str:
    """The description of a flag as that of an argument."""
    text = re.sub(r"--no-([a-z][a-z-]*)", lambda m: f"``{_name(m[1])}=False``", text)
    text = re.sub(r"--([a-z][a-z-]*)", lambda m: f"``{_name(m[1])}``", text)
    text = text.replace("may be repeated", "may be a list")
    return re.sub(r"\s*\[([^][]+)\]$", r" By default: \1.", text)


def _name(flag: str) -> str:
    return flag.replace("-", "_")


def _documented(doc: str | None, made: Sequence[Keyword]) -> str | None:
    """The docstring with an entry for each keyword in the place of ``**options``."""
    if doc is None:  # python -OO
        return None
    found = re.search(r"^( *)\*\*options\n(?:\1 +.*\n)*", doc, re.MULTILINE)
    if found is None:
        raise AssertionError("the docstring has no **options")
    entries = [line for keyword in made for line in keyword.entry(found[1])]
    return doc[: found.start()] + "\n".join(entries) + "\n" + doc[found.end() :]


def _check(
    name: str, signature: inspect.Signature, given: Sequence[Any], options: dict[str, Any]
) -> None:
    """Refuse a call that the signature does not have, in words.

    Raises
    ------
    UsageError
        Arrays where a path belongs, or more positional arguments than there are.
    UnknownNameError
        An option that is none; the message has the nearest.
    """
    places = [p for p in signature.parameters.values() if p.kind is p.POSITIONAL_OR_KEYWORD]
    several = any(p.kind is p.VAR_POSITIONAL for p in signature.parameters.values())
    images = bool(places) and places[0].name == "dataset"
    arrays = "featx.fit_arrays(X, y) fits on arrays."
    first = given[0] if given else options.get("dataset")
    if images and not isinstance(first, str | os.PathLike | None):
        raise UsageError(
            f"featx.{name} takes the path of a data set of images. Got {type(first).__name__}.",
            hint=arrays,
        )
    if len(given) > len(places) and not several:
        named = ", ".join(p.name for p in places)
        raise UsageError(
            f"featx.{name} takes {named} by position and its options by name, such as "
            f"{list(signature.parameters)[-1]}=... Got {len(given)} values by position.",
            hint=arrays if images else None,
        )
    known = set(signature.parameters)
    for option in options:
        if option in known:
            continue
        if images and option in ARRAYS:
            raise UsageError(f"featx.{name} has no option {option!r}: it reads images.",
                             hint=arrays)  # fmt: skip
        raise UnknownNameError(
            "option", option, known, listed=f"help(featx.{name}) lists all {len(known)}."
        )
