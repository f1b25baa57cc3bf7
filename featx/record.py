"""What the parts of a document share: attributes for code, keys as in JSON."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from pydantic import BaseModel, ConfigDict

MOST_SHOWN = 6  # fields, in the short form of a record


class Record(BaseModel, Mapping[str, Any]):
    """A part of a document: fields are attributes, and keys as in the JSON document.

    Keys are those that the document has: ``"by_group" in estimate`` is False for a run without
    groups, whose ``estimate.by_group`` is None.
    """

    model_config = ConfigDict(frozen=True, extra="allow", protected_namespaces=())

    def __iter__(self) -> Iterator[str]:  # type: ignore[override]
        for name, field in type(self).model_fields.items():
            if name in self.model_fields_set:
                yield field.alias or name
        yield from self.model_extra or ()

    def __len__(self) -> int:
        return len(self.model_fields_set)

    def __getitem__(self, key: str) -> Any:
        fields = type(self).model_fields
        name = next((name for name, field in fields.items() if field.alias == key), key)
        if name not in self.model_fields_set:
            raise KeyError(key)
        return getattr(self, name)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Mapping) and dict(self.items()) == dict(other.items())

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        parts = []
        for name in type(self).model_fields:
            value = getattr(self, name)
            if name in self.model_fields_set and isinstance(value, str | int | float | None):
                parts.append(f"{name}={repr(value)[:60]}")
        more = ", ..." if len(parts) > MOST_SHOWN or len(parts) < len(self) else ""
        return f"{type(self).__name__}({', '.join(parts[:MOST_SHOWN])}{more})"

    __str__ = __repr__

    def document(self) -> dict[str, Any]:
        """The JSON document: plain dicts, lists, text and numbers."""
        return self.model_dump(mode="json", exclude_unset=True, by_alias=True)
