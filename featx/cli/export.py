"""``featx export``."""

from __future__ import annotations

import click

from featx import console
from featx.cli._layout import LaidOutCommand, argument
from featx.cli.options import as_json, config_options
from featx.config import ExportConfig, ExtractConfig
from featx.files import printable

_READ = {"weights", "device", "offline"}


@click.command(
    cls=LaidOutCommand,
    name="export",
    common=(
        "to",
        "output",
        "overwrite",
    ),
    examples=(
        "featx export runs/first -o first.onnx",
        "featx export runs/first --to openvino --images new/",
    ),
)
@argument("model")
@config_options(ExportConfig)
@config_options(ExtractConfig, leave_out=frozenset(ExtractConfig.model_fields) - _READ)
@as_json
def command(model: str, export: ExportConfig, extract: ExtractConfig, as_json: bool) -> None:
    """Write MODEL as one ONNX or OpenVINO network: preprocessing, backbone and head."""
    from featx.api.export import export_model

    done = export_model(model, config=export, extract=extract)
    if as_json:
        console.print_json(done.document())
        return
    console.text(
        f"{printable(done.path)}: {len(done.classes)} classes; over {done.n_images} images "
        f"probabilities differ from featx's by at most {done.largest_difference:.2g}, the "
        f"likeliest class for {done.other_class}; {done.pixels_differing:.2%} of resized pixels "
        f"differ, by at most {done.largest_pixel_difference} of 255."
    )
