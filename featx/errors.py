"""The errors featx raises on purpose, as one small tree.

::

    FeatxError                    exit code 1: the work could not be done
    ├── UsageError                exit code 2: the request is invalid
    │   ├── UnknownNameError      a name that no plug-in, column or key has
    │   └── ConfigError           a configuration file or value is wrong
    ├── MissingExtraError         an optional dependency is not installed
    ├── PluginError               a plug-in of an installed package cannot be used
    ├── DatasetError              the data set cannot be read as asked
    ├── DecodeError               one image cannot be decoded (quarantines that image only)
    ├── BackboneError             a backbone cannot be built or run
    │   └── WeightsNotFoundError  pretrained weights are not on this machine
    ├── StoreError                the embedding store cannot do what was asked
    │   ├── CorruptStoreError     a shard or index is not what was written
    │   └── StoreLockedError      another process holds the lock
    ├── ClusterError              the machines that were to share the work cannot
    ├── FitError                  no honest classifier can be fitted to these data
    ├── RunError                  a finished run cannot be read
    │   └── NoRunError            there is no run (a UsageError too: exit code 2)
    ├── ComparisonError           these runs cannot be compared
    ├── AuditError                under --strict: the data hold something serious
    ├── ModelError                a saved model cannot be read or does not match
    ├── OutputLostError           standard output cannot be written
    ├── QuarantinedError          exit code 3: finished under --strict, but files were quarantined
    └── AlarmError                exit code 4: finished, and what --fail-on names was found

``featx.cli.main`` is the one place that turns them into a message and an exit code.
Messages say, in this order: what was wrong, the offending value, what is allowed, what to do next.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from typing import Any


class FeatxError(Exception):
    """Base of every error that featx raises on purpose.

    Parameters
    ----------
    message : str
        What was wrong, with the offending value and what is allowed.
    hint : str, optional
        What to do next; printed on its own line.
    """

    exit_code = 1

    def __init__(self, message: str, *, hint: str | None = None) -> None:
        super().__init__(message if hint is None else f"{message}\n{hint}")
        self.message = message
        self.hint = hint

    def __reduce__(self) -> tuple[Any, ...]:
        # As it is, not by calling __init__ again: it may be on its way from another machine.
        return _as_it_was, (type(self), self.args, self.__dict__)


class UsageError(FeatxError):
    """The request is invalid; nothing was started."""

    exit_code = 2


class ConfigError(UsageError):
    """A configuration file or value is wrong."""


class UnknownNameError(UsageError):
    """A name that nothing has; the message lists the choices and the nearest match.

    Where the choices are too many to list, ``listed`` stands in the place of the list.
    """

    def __init__(self, kind: str, name: str, choices: Iterable[str], *, listed: str = "") -> None:
        choices = sorted(choices)
        guess = nearest(name, choices)
        hint = f"Did you mean {guess!r}?" if guess else None
        listed = listed or f"Choose from: {', '.join(choices) if choices else 'none'}."
        super().__init__(f"Unknown {kind} {name!r}. {listed}", hint=hint)


class MissingExtraError(FeatxError):
    """An optional dependency is needed and not installed."""

    def __init__(self, what: str, extra: str) -> None:
        super().__init__(f"{what} needs the extra {extra!r}.", hint=f"pip install 'featx[{extra}]'")


class PluginError(FeatxError):
    """A plug-in that an installed package brings cannot be used; the message names the package."""


class DatasetError(FeatxError):
    """The data set cannot be read as asked."""


class DecodeError(FeatxError):
    """One image cannot be decoded; its row is quarantined and the run goes on."""


class BackboneError(FeatxError):
    """A backbone cannot be built or run."""


class WeightsNotFoundError(BackboneError):
    """Pretrained weights are not on this machine and cannot be fetched."""


class StoreError(FeatxError):
    """The embedding store cannot do what was asked."""


class CorruptStoreError(StoreError):
    """A shard or the index is not what was written; it was not used."""


class StoreLockedError(StoreError):
    """Another process holds the store's lock."""


class ClusterError(FeatxError):
    """The machines that were to share the work cannot be reached or do not do it."""


class FitError(FeatxError):
    """No honest classifier can be fitted to these data as asked."""


class RunError(FeatxError):
    """A finished run cannot be read: a file of it is missing, damaged, or of a newer version."""


class NoRunError(RunError, UsageError):
    """There is no run where one was named."""

    exit_code = 2


class ComparisonError(FeatxError):
    """These runs cannot be compared: they were not evaluated on the same images in the same way."""


class AuditError(FeatxError):
    """The audit finished, but under ``--strict`` something serious in the data is a failure."""


class ModelError(FeatxError):
    """A saved model cannot be read, was altered, or does not match."""


class OutputLostError(FeatxError):
    """Standard output is closed, full, or read by nobody any more."""

    def __init__(self, why: str) -> None:
        super().__init__(
            f"Standard output cannot be written: {why}.",
            hint="What the command wrote to files is kept.",
        )


class QuarantinedError(FeatxError):
    """The run finished, but under ``--strict`` quarantined files make it a failure."""

    exit_code = 3


class AlarmError(FeatxError):
    """The command finished, but found what ``--fail-on`` names."""

    exit_code = 4


def _as_it_was(kind: type[FeatxError], args: tuple[Any, ...], state: dict[str, Any]) -> FeatxError:
    error = kind.__new__(kind, *args)
    error.__dict__.update(state)
    return error


def nearest(name: str, choices: Iterable[str], *, cutoff: float = 0.5) -> str | None:
    """Return the choice most like ``name``, or None when none is like it by ``cutoff`` (0 to 1)."""
    matches = difflib.get_close_matches(name, list(choices), n=1, cutoff=cutoff)
    return matches[0] if matches else None
