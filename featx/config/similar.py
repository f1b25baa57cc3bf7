"""How the images most like given ones are listed."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section


class SimilarConfig(Section):
    """Which neighbours are listed, and where."""

    neighbours: int = Field(10, ge=1, description="Number of neighbours of each image.")
    model: str | None = Field(
        None, description="Run or model whose backbone to use, also a fine-tuned one."
    )
    output: str | None = Field(None, description="Output file: .csv, .jsonl or .parquet.")
    overwrite: bool = Field(False, description="Replace existing output.")
