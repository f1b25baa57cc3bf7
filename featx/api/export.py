"""`featx.export_model`: a model as one network of another library, checked against featx itself."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

from featx.artifact import Model, load_model
from featx.config import ExportConfig, ExtractConfig
from featx.config.keywords import keywords, read_options
from featx.errors import UsageError
from featx.exporting.network import Exported, check_images_of, network_outputs, write_network
from featx.exports import EXPORTERS
from featx.extraction.given import refuse_arrays
from featx.extraction.used import used_by
from featx.files import printable
from featx.outputs import Used, claimed

#: What of an extraction an export has no use for: it computes no embedding of a data set.
_NOT_READ = ExtractConfig.model_fields.keys() - {"weights", "device", "offline"}


@keywords(ExportConfig, ExtractConfig, leave_out={ExtractConfig: _NOT_READ})
def export_model(
    model: Model | str | os.PathLike[str],
    output: str | os.PathLike[str] | None = None,
    *,
    config: ExportConfig | None = None,
    extract: ExtractConfig | None = None,
    **options: Any,
) -> Exported:
    """Write preprocessing, backbone, head and calibration as one network, and check it.

    The network takes ``images``, uint8 RGB of shape (n, height, width, 3), upright and of any
    size, and gives ``probabilities``, float32 (n, n_classes), and ``predicted``, int64 (n,), the
    index of the class that featx predicts. It is fp32 whatever the model was fitted with.

    Parameters
    ----------
    model : Model or path
        What `featx.load_model` takes.
    output : path, optional
        File to write. Default None is the model's own name with the format's suffix.
    config : ExportConfig, optional
        Format and check.
    extract : ExtractConfig, optional
        ``weights``, ``device`` and ``offline`` are read.
    **options

    Returns
    -------
    Exported

    Raises
    ------
    UsageError
        The output exists, or there are no images to check with.
    MissingExtraError
        A library of the format is not installed.
    ModelError
        The head or the network cannot be exported, or the file's probabilities differ from
        featx's by more than the tolerance; then nothing is left behind.
    """
    given = read_options(export_model, **options)
    config, extract = config or given[0], extract or given[1]
    exporter = EXPORTERS.get(config.to)
    exporter.require()
    loaded = model if isinstance(model, Model) else load_model(model)
    refuse_arrays(loaded)
    target = _target(model, output or config.output, exporter)
    images = check_images_of(loaded, config)
    used = [Used("the images", images)] if images else []
    outputs = network_outputs(target, exporter, overwrite=config.overwrite)
    with claimed(outputs, [*used, *used_by(extract=extract, model=model)]) as claims:
        return write_network(loaded, config, extract, exporter, claims.place(target))


def _target(model: Any, output: str | os.PathLike[str] | None, exporter: Any) -> Path:
    """Where the file goes."""
    if output is None:
        if isinstance(model, Model):
            raise UsageError("A model in memory has no name: give the output file.")
        output = Path(model).absolute().name.removesuffix(".featx") + exporter.suffix
    target = Path(output).absolute()
    if target.suffix != exporter.suffix:
        raise UsageError(
            f"The output {printable(target.name)!r} should end in {exporter.suffix!r}."
        )
    return target
