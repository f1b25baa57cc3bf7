"""OpenVINO without its telemetry, and a backbone's network in its format.

A network is converted once, kept on disk, and verified when it is read.
"""

from __future__ import annotations

import hashlib
import importlib.metadata
import sys
import warnings
from typing import Any

import numpy as np

from featx import console
from featx.engines._base import Embedder
from featx.errors import BackboneError, UsageError
from featx.files import built_files, make_directory
from featx.kept import kept_folder, kept_key, read_kept, write_kept

_CONVERSION = 1  # raised when the same backbone would be converted to another network
_FILES = ("network.xml", "network.bin")


def import_openvino() -> Any:
    """The module ``openvino``.

    Raises
    ------
    UsageError
        It is not installed.
    """
    # Importing OpenVINO sends an event over the network where its telemetry package is installed.
    # With the name barred it uses its own silent stand-in.
    sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
    try:
        import openvino
    except ImportError as error:
        raise UsageError(
            f"Engine 'openvino' needs the package openvino: {error}.",
            hint="pip install 'featx[openvino]'",
        ) from None
    # OpenVINO makes its tables of types at their first use. Two threads that are there at once
    # wait for each other for ever (one holds the interpreter's lock, one the tables'; seen in
    # 2026.4 in half of the starts tried), so this thread uses them before any other can.
    _ = openvino.Tensor(np.zeros(1, np.uint8)).data
    return openvino


def kept_network(backbone: Embedder, batch_size: int, core: Any) -> Any:
    """The network of ``backbone`` for batches of ``batch_size``, as OpenVINO's model.

    Its input is uint8 (batch_size, height, width, 3), normalisation is part of it; its outputs
    are float32 (batch_size, n_features), in the order of the backbone's.

    Raises
    ------
    BackboneError
        The network cannot be converted.
    """
    key = kept_key(
        {
            "outputs": [output.document for output in backbone.outputs],
            "batch_size": batch_size,
            "conversion": _CONVERSION,
            "openvino": importlib.metadata.version("openvino"),
        }
    )
    name = f"openvino/{key}"
    if _digests(name) == (read_kept(name) or {"files": None})["files"]:
        return core.read_model(kept_folder() / name / _FILES[0])
    console.detail(f"converting {backbone.name} for OpenVINO; later runs reuse it")
    model = _convert(backbone, batch_size)
    return _keep(model, name, core)


def _digests(name: str) -> dict[str, str]:
    """SHA-256 of each kept file; empty where one is missing."""
    digests = {}
    for file in _FILES:
        try:
            with (kept_folder() / name / file).open("rb") as stream:
                digests[file] = hashlib.file_digest(stream, "sha256").hexdigest()
        except OSError:
            return {}
    return digests


def _keep(model: Any, name: str, core: Any) -> Any:
    """Save the model and read it back: it then lives in the page cache, shared by processes."""
    folder = kept_folder() / name
    openvino = import_openvino()
    try:
        make_directory(folder)
        with built_files(folder, _FILES) as scratch:
            openvino.save_model(model, scratch / _FILES[0], compress_to_fp16=False)
    except (OSError, RuntimeError) as error:  # OpenVINO raises the second for a full disk
        console.detail(f"the converted network cannot be kept: {error}")
        return model
    write_kept(name, {"files": _digests(name)})
    return core.read_model(folder / _FILES[0])


def _convert(backbone: Embedder, batch_size: int) -> Any:
    """Trace the network with its normalisation folded in."""
    import torch

    class Folded(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.network = backbone.network
            p = backbone.preprocess
            mean, std = (torch.tensor(v).view(1, 3, 1, 1) for v in (p.mean, p.std))
            self.register_buffer("scale", 1 / (255 * std))
            self.register_buffer("shift", mean / std)

        def forward(self, pixels: Any) -> Any:
            x = pixels.permute(0, 3, 1, 2).to(torch.float32) * self.scale - self.shift
            return tuple(vector.float() for vector in self.network(x))

    shape = (batch_size, *backbone.preprocess.size_px, 3)
    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of tracing, about shapes, which are fixed here
            return import_openvino().convert_model(
                Folded().eval(),
                example_input=torch.zeros(shape, dtype=torch.uint8),
                input=[shape],
            )
    except Exception as error:  # the tracer and the converter raise dozens of kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise BackboneError(
            f"OpenVINO cannot convert {backbone.name}: {reason[:300]}.", hint="Use --engine torch."
        ) from error
