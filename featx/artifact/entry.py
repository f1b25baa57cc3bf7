"""What the parts of ``model.json`` share."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict, SerializerFunctionWrapHandler, model_serializer


class ModelEntry(BaseModel):
    """A part of ``model.json``: unknown keys and other types are refused."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)

    #: Keys that are absent where they hold nothing: versions older than the key refuse it.
    absent: ClassVar[Collection[str]] = ()

    @model_serializer(mode="wrap")
    def _without_absent(self, dump: SerializerFunctionWrapHandler) -> dict[str, Any]:
        return {k: v for k, v in dump(self).items() if v or k not in self.absent}
