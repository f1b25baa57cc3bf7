"""How the images to label next are chosen."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section


class NextConfig(Section):
    """The images of a folder whose labels would help most."""

    n: int = Field(100, ge=1, description="Number of images to choose.")
    random_share: float = Field(
        0.25, ge=0, le=1, description="Share of them drawn at random; an estimate needs these."
    )
    output: str | None = Field(
        None, description="Also write the list to this .csv, .jsonl or .parquet file."
    )
    overwrite: bool = Field(False, description="Replace existing output.")
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of what is drawn at random.")
