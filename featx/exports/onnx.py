"""ONNX: ``model.onnx`` for ONNX Runtime and everything else that reads the format."""

from __future__ import annotations

import contextlib
import importlib
import io
import logging
import warnings
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from featx.errors import MissingExtraError, ModelError
from featx.files import atomic_path

OPSET = 18
EXAMPLE = (2, 45, 67, 3)  # no two sides alike, none that a network could take for its own


class OnnxExporter:
    """Traced by torch's exporter, run by ONNX Runtime."""

    suffix = ".onnx"
    companions: tuple[str, ...] = ()

    def require(self) -> None:
        """See `featx.exports.Exporter`."""
        try:
            for name in ("onnx", "onnxscript", "onnxruntime"):
                importlib.import_module(name)
        except ImportError:
            raise MissingExtraError("An export to ONNX", "onnx") from None

    def write(self, network: Any, path: Path, metadata: Mapping[str, str]) -> None:
        """See `featx.exports.Exporter`."""
        program = _trace(network)
        program.model.metadata_props.update(metadata)
        with atomic_path(path) as temporary:
            program.save(temporary, external_data=False)

    def run(self, path: Path, images: NDArray[np.uint8]) -> NDArray[np.float64]:
        """See `featx.exports.Exporter`."""
        import onnxruntime

        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        [proba] = session.run(["probabilities"], {"images": images})
        return np.asarray(proba, dtype=np.float64)


def _trace(network: Any) -> Any:
    logger = logging.getLogger("torch.onnx")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with (
            warnings.catch_warnings(),
            contextlib.redirect_stdout(io.StringIO()),
            contextlib.redirect_stderr(io.StringIO()),
            torch.no_grad(),
        ):
            warnings.simplefilter("ignore")  # of tracing, about what is constant here
            return torch.onnx.export(
                network,
                (torch.zeros(EXAMPLE, dtype=torch.uint8),),
                dynamo=True,
                verbose=False,
                input_names=["images"],
                output_names=["probabilities", "predicted"],
                dynamic_shapes=({0: "n", 1: "height", 2: "width"},),
                opset_version=OPSET,
            )
    except Exception as error:  # the tracer and the converter raise dozens of kinds
        reason = (str(error).strip() or type(error).__name__).splitlines()[0]
        raise ModelError(f"torch cannot export this network to ONNX: {reason[:300]}.") from error
    finally:
        logger.setLevel(level)


PLUGIN = OnnxExporter()
