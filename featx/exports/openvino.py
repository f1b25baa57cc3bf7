"""OpenVINO: ``model.xml`` and ``model.bin``, traced without a step over ONNX."""

from __future__ import annotations

import errno
import importlib
import os
import shutil
import sys
import tempfile
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featx.errors import MissingExtraError, ModelError
from featx.files import write_atomic

EXAMPLE = (2, 45, 67, 3)
FULL_BYTES = 1 << 20  # a disk with less left was too small for a network


class OpenvinoExporter:
    """Traced and run by OpenVINO; its telemetry is never loaded."""

    suffix = ".xml"
    companions = (".bin",)

    def require(self) -> None:
        """See `featx.exports.Exporter`."""
        sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]
        try:
            importlib.import_module("openvino")
        except ImportError:
            raise MissingExtraError("An export to OpenVINO", "openvino") from None

    def write(self, network: Any, path: Path, metadata: Mapping[str, str]) -> None:
        """See `featx.exports.Exporter`."""
        model = _trace(network)
        model.inputs[0].get_tensor().set_names({"images"})
        for output, name in zip(model.outputs, ("probabilities", "predicted"), strict=True):
            output.get_tensor().set_names({name})
        for key, value in metadata.items():
            model.set_rt_info(value, ["featx", key])
        with tempfile.TemporaryDirectory(dir=path.parent) as scratch:
            made = Path(scratch) / "model.xml"
            _save(model, made)
            # the weights first: a network without them cannot be opened, the reverse is harmless
            write_atomic(path.with_suffix(".bin"), made.with_suffix(".bin").read_bytes())
            write_atomic(path, made.read_bytes())

    def run(self, path: Path, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """See `featx.exports.Exporter`."""
        import openvino

        exact = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
        compiled = openvino.Core().compile_model(path, "CPU", exact)
        return np.array(compiled({"images": images})["probabilities"], dtype=np.float64)


def _save(model: Any, path: Path) -> None:
    import openvino

    try:
        openvino.save_model(model, path, compress_to_fp16=False)
    except RuntimeError as error:  # what OpenVINO makes of a disk that is full or cannot be written
        code = errno.ENOSPC if shutil.disk_usage(path.parent).free < FULL_BYTES else errno.EIO
        raise OSError(code, os.strerror(code), str(path)) from error


def _trace(network: Any) -> Any:
    import openvino

    try:
        with warnings.catch_warnings(), torch.no_grad():
            warnings.simplefilter("ignore")  # of tracing, about what is constant here
            return openvino.convert_model(
                network,
                example_input=torch.zeros(EXAMPLE, dtype=torch.uint8),
                input=[(-1, -1, -1, 3)],
            )
    except Exception as error:  # the tracer and the converter raise dozens of kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"OpenVINO cannot convert this network: {reason[:300]}.") from error


PLUGIN = OpenvinoExporter()
