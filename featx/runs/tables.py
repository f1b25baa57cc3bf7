"""The tables of a run, by name: what is a list in its documents, as columns and rows."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from featx.errors import UnknownNameError
from featx.formats._frame import to_frame
from featx.runs.curve import CURVE_COLUMNS


@dataclass(frozen=True)
class RunTable:
    """Columns and rows of plain values.

    Parameters
    ----------
    name : str
    columns : list of str
    values : list of list
        None where a cell is empty.
    """

    name: str
    columns: list[str]
    values: list[list[Any]]

    def __len__(self) -> int:
        return len(self.values)

    def __repr__(self) -> str:
        return f"RunTable {self.name!r}: {len(self):,} rows, columns {', '.join(self.columns)}"

    def rows(self) -> Iterator[list[Any]]:
        """One list of plain values for each row."""
        return iter(self.values)

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``; needs the extra ``pandas``."""
        return to_frame(self.columns, self.values)


def table_of(run: Any, name: str) -> RunTable:
    """One table of a `featx.runs.Run`; see its ``table``."""
    results = run.results
    curve = results.learning_curve
    if name == "predictions":
        return RunTable(name, run.predictions.columns, list(run.predictions.rows()))
    if name == "learning_curve":
        rows = [] if curve is None else [list(row) for row in curve.rows()]
        return RunTable(name, list(CURVE_COLUMNS), rows)
    records: dict[str, Iterable[Mapping[str, Any]]] = {
        "candidates": results.candidates,
        "classes": ({"class": k, **v} for k, v in results.estimate.per_class.items()),
        "epochs": run.epochs,
        "failures": (asdict(failure) for failure in run.failures),
        "metrics": (
            {"estimate": kind, "metric": metric, **value}
            for kind, estimate in {"estimate": results.estimate, **results.estimates}.items()
            for metric, value in estimate.metrics.items()
        ),
    }
    if name not in records:
        raise UnknownNameError("table", name, {*records, "predictions", "learning_curve"})
    return _table(name, [_flat(record) for record in records[name]])


def _table(name: str, rows: Sequence[Mapping[str, Any]]) -> RunTable:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    return RunTable(name, columns, [[row.get(key) for key in columns] for row in rows])


def _flat(record: Mapping[str, Any]) -> dict[str, Any]:
    """The plain values of a record; an interval as three, settings as text, no lists."""
    found: dict[str, Any] = {}
    for key, value in record.items():
        if isinstance(value, Mapping) and "value" in value:
            ends = {f"{key}_{end}": value.get(end) for end in ("low", "high")}
            found |= {key: value["value"], **ends}
        elif key == "params":
            found[key] = ", ".join(f"{k}={v}" for k, v in value.items())
        elif not isinstance(value, Mapping | list | tuple):
            found[key] = value
    return found
