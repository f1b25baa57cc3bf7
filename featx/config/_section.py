"""What sections share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict

from featx.durations import read_seconds

__all__ = ["ADDRESS", "CLUSTER", "MLFLOW", "Number", "Section", "duration"]


Number = bool | int | float | str | None

CLUSTER = "ray computes on the machines of a Ray cluster. [this machine]"
ADDRESS = "The cluster's HOST:PORT, or auto for the one this machine is in. [its own, new one]"
MLFLOW = (
    "Also log the finished run to MLflow: the address of a server or database, or a folder. [no]"
)


class Section(BaseModel):
    """Unknown keys and wrong types are errors; values do not change once read."""

    model_config = ConfigDict(extra="forbid", frozen=True, strict=True)


def duration(text: str) -> str:
    """Text that `featx.durations.read_seconds` reads, such as 5m; anything else is a ValueError."""
    read_seconds(text)
    return text
