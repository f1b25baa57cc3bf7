"""Directives that make reference pages out of the code, and a toctree of what is there."""

from __future__ import annotations

import re
import typing
from typing import Any

from docutils import nodes
from docutils.statemachine import StringList
from pydantic import BaseModel
from pydantic.fields import FieldInfo
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

#: Methods that scikit-learn adds to each class link to pages of its own.
OF_A_CLASS = ["   :members:", "   :exclude-members: set_split_request", ""]


class ConfigurationKeys(SphinxDirective):
    """A table of every key of one section of the configuration, from its pydantic class."""

    required_arguments = 1

    def run(self) -> list[nodes.Node]:
        """Give the table."""
        from featx import config

        section: type[BaseModel] = getattr(config, self.arguments[0])
        lines = ["| key | type | default | meaning |", "|---|---|---|---|"]
        lines += [row(name, field) for name, field in section.model_fields.items()]
        container = nodes.container()
        self.state.nested_parse(StringList(lines, self.arguments[0]), 0, container)
        return container.children


def row(name: str, field: FieldInfo) -> str:
    """``| `key` | type | default | meaning |``."""
    default = "required" if field.is_required() else f"`{in_yaml(default_of(field))}`"
    meaning = escaped(field.description or "").rstrip()
    return f"| `{name}` | {escaped(in_words(field.annotation))} | {escaped(default)} | {meaning} |"


def default_of(field: FieldInfo) -> Any:
    """Value of a key that is left out."""
    return field.get_default(call_default_factory=True)


def in_yaml(value: Any) -> str:
    """How a YAML file writes ``value``."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    return f"[{', '.join(map(in_yaml, value))}]" if isinstance(value, list) else str(value)


def in_words(annotation: Any) -> str:
    """``list of text``, ``none \\| balanced``, ``number``: a type as people say it."""
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is typing.Annotated:
        return in_words(arguments[0])
    if origin is typing.Literal:
        return ", ".join(f"`{choice}`" for choice in arguments)
    if origin is list:
        return f"list of {in_words(arguments[0])}"
    if origin is dict:
        return "mapping"
    if arguments:
        return " or ".join(in_words(each) for each in arguments if each is not type(None))
    return {str: "text", int: "whole number", float: "number", bool: "true or false"}.get(
        annotation, getattr(annotation, "__name__", str(annotation))
    )


def escaped(text: str) -> str:
    """Text that Markdown shows as it is: ``NAME``, ``{head: ...}`` and ``|`` are no markup."""
    parts = text.replace("|", "\\|").split("`")
    for i in range(0, len(parts), 2):
        for mark in "*_<[]":
            parts[i] = parts[i].replace(mark, f"\\{mark}")
    return "`".join(parts)


class PublicNames(SphinxDirective):
    """Everything that ``import featx`` offers, with its docstring."""

    def run(self) -> list[nodes.Node]:
        """Give one entry for each name."""
        import featx

        lines = ["```{eval-rst}"]
        for name in featx.__all__:
            if not name.startswith("_"):
                is_class = isinstance(getattr(featx, name), type)
                lines.append(f".. auto{'class' if is_class else 'function'}:: featx.{name}")
                lines += OF_A_CLASS if is_class else [""]
        container = nodes.container()
        self.state.nested_parse(StringList([*lines, "```"], "featx"), 0, container)
        return container.children


def as_restructured(app: Sphinx, context: Any, lines: list[str]) -> None:
    """Help as reStructuredText reads it: ``*`` is no markup, and code has two backticks."""
    for i, line in enumerate(lines):
        if not line.lstrip().startswith(".. "):
            lines[i] = re.sub(r"(?<!`)`([^`]+)`(?!`)", r"``\1``", line.replace("*", r"\*"))


def setup(app: Sphinx) -> dict[str, Any]:
    """Tell Sphinx what is here."""
    app.add_directive("featx-keys", ConfigurationKeys)
    for part in ("description", "options", "arguments", "epilog"):
        app.connect(f"sphinx-click-process-{part}", as_restructured)
    app.add_directive("featx-names", PublicNames)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
