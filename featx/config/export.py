"""The section of `featx export`."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section

__all__ = ["ExportConfig"]


class ExportConfig(Section):
    """A model as one network of another library."""

    to: str = Field("onnx", description="Format: onnx or openvino.")
    output: str | None = Field(None, description="File to write. [MODEL.onnx or MODEL.xml]")
    images: str | None = Field(
        None, description="Images that the export is checked on. [the data set of the fit]"
    )
    n_images: int = Field(16, ge=1, le=10000, description="How many of them.")
    tolerance: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Largest difference of a probability from featx's that is accepted.",
    )
    overwrite: bool = Field(False, description="Replace existing output.")
