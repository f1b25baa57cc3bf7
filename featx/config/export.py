"""The section of `featx export`."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section


class ExportConfig(Section):
    """A model as one network of another library."""

    to: str = Field("onnx", description="Format: onnx or openvino.")
    output: str | None = Field(None, description="File to write. [MODEL.onnx or MODEL.xml]")
    images: str | None = Field(
        None, description="Images to check the export on. [the data set of the fit]"
    )
    n_images: int = Field(16, ge=1, le=10000, description="Number of images to check.")
    tolerance: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Largest accepted difference from featx's probabilities.",
    )
    overwrite: bool = Field(False, description="Replace existing output.")
