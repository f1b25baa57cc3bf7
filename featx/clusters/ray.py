"""The cluster ``ray``: machines joined with ``ray start``, or a Ray of this process's own.

Ray's usage statistics and dashboard are switched off. A Ray that the calling program has
initialised already is used as it is and left running.
"""

from __future__ import annotations

import contextlib
import importlib
import os
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from featx import console
from featx.clusters._base import Prepare
from featx.clusters._ray_pool import RayPool, Slot
from featx.errors import ClusterError, MissingExtraError
from featx.machine import cpu_cores

_KNOCK_S = 5.0
_PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"  # and no settings
_SETTINGS = b"\4"
_LOGGING_ERRORS = 40


class RayCluster:
    """Connects to Ray."""

    @contextmanager
    def connect(self, address: str | None) -> Iterator[RaySession]:
        """Join or start a Ray, and leave or stop it at the end.

        Parameters
        ----------
        address : str or None
            ``HOST:PORT`` of a Ray cluster, ``auto`` for the one this machine belongs to,
            ``local`` for one of this process's own. None is ``$RAY_ADDRESS``, else ``local``.
        """
        os.environ["RAY_USAGE_STATS_ENABLED"] = "0"  # read by Ray when it is imported
        ray = _import_ray()
        if ray.is_initialized():
            yield RaySession(ray)
            return
        address = address or os.environ.get("RAY_ADDRESS") or "local"
        _knock(address)
        with _own_signals():
            _initialise(ray, address)
        try:
            yield RaySession(ray)
        finally:
            ray.shutdown()


PLUGIN = RayCluster()


class RaySession:
    """A connection to Ray."""

    def __init__(self, ray: Any) -> None:
        self._ray = ray

    def pool(self, prepare: Prepare, *, gpus: bool) -> RayPool:
        """One worker for each machine, or with ``gpus`` one for each GPU."""
        slots = self._slots(gpus)
        threads = sum(slot.cpus for slot in slots)
        console.log(f"Ray: {len(slots)} worker(s), {threads} threads in all.")
        return RayPool(self._ray, prepare, slots)

    def share(self, value: Any) -> Callable[[], Any]:
        """Put ``value`` into Ray's object store, once, whatever the number of tasks."""
        return _Shared(self._ray.put(value))

    @contextmanager
    def joblib(self, jobs: int | None) -> Iterator[Any]:
        """A `joblib.Parallel` whose tasks are calls of Ray actors that take one CPU each."""
        import joblib
        from ray.util.joblib import register_ray

        register_ray()
        one_cpu = {"num_cpus": 1, "scheduling_strategy": "SPREAD"}
        with joblib.parallel_config("ray", n_jobs=-1, ray_remote_args=one_cpu):
            parallel = joblib.Parallel(n_jobs=jobs, batch_size=1)
        try:
            with parallel:
                yield parallel
        except self._ray.exceptions.RayError as error:
            raise ClusterError(
                f"A Ray worker failed: {getattr(error, 'cause', None) or error}",
                hint="Is there memory for the embeddings on every machine? The same command "
                "starts the search again.",
            ) from error

    def _slots(self, gpus: bool) -> list[Slot]:
        """One network a machine (or GPU): its threads share it, as in a run without a cluster."""
        slots = []
        for node in self._ray.nodes():
            if not node["Alive"]:
                continue
            cpus = int(node["Resources"].get("CPU", 0))
            n_gpus = int(node["Resources"].get("GPU", 0)) if gpus else 1
            if cpus and n_gpus:
                slot = Slot(node["NodeID"], max(1, cpus // n_gpus), int(gpus))
                slots += [slot] * n_gpus
        if not slots:
            what = "GPU" if gpus else "CPU"
            raise ClusterError(
                f"No machine of the Ray cluster has a {what} to give.",
                hint="See what there is with: ray status",
            )
        return slots


class _Shared:
    """Reads a value from Ray's object store, on whatever machine."""

    def __init__(self, reference: Any) -> None:
        self._reference = reference

    def __call__(self) -> Any:
        return importlib.import_module("ray").get(self._reference)


def _import_ray() -> Any:
    try:
        return importlib.import_module("ray")
    except ImportError:
        raise MissingExtraError("--cluster ray", "ray") from None


def _knock(address: str) -> None:
    """Make sure that something speaks gRPC at ``address``: Ray waits for it without end.

    A server of HTTP/2 (RFC 9113, section 3.4) answers the client's preface with its settings.
    """
    host, colon, port = address.removeprefix("ray://").rpartition(":")
    if not colon or os.environ.get("RAY_USE_TLS", "0") != "0":
        return  # local and auto name no server; through TLS it is not seen from here
    try:
        with socket.create_connection((host.strip("[]"), int(port)), _KNOCK_S) as server:
            server.settimeout(_KNOCK_S)
            server.sendall(_PREFACE)
            answer = server.recv(9)
    except (OSError, ValueError) as error:
        raise _unreachable(address, str(error)) from None
    if answer[3:4] != _SETTINGS:
        raise _unreachable(address, "another service answers there")


def _initialise(ray: Any, address: str) -> None:
    options = {"num_cpus": cpu_cores(), "include_dashboard": False} if address == "local" else {}
    try:
        ray.init(address=address, log_to_driver=False, logging_level=_LOGGING_ERRORS, **options)
    except (Exception, SystemExit) as error:  # Ray ends the process where its server is silent
        raise _unreachable(address, str(error)) from None


def _unreachable(address: str, reason: str) -> ClusterError:
    return ClusterError(
        f"featx cannot use Ray at {address!r}: {reason}",
        hint="Start one with `ray start --head`, or leave out --address to compute here. "
        "A Ray that asks for a token needs RAY_AUTH_MODE=token here too.",
    )


@contextmanager
def _own_signals() -> Iterator[None]:
    """Keep what the program does on SIGTERM, which Ray replaces."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and threading.current_thread() is threading.main_thread():
            with contextlib.suppress(ValueError):
                signal.signal(signal.SIGTERM, before)
