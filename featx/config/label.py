"""How a folder is labelled in a page on this machine."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section

PORT = "Port on this machine, which nothing outside it reaches. [any that is free]"
BROWSER = "Open the page in the browser."


class LabelConfig(Section):
    """From no labels to a labelled data set."""

    folder: str = Field(description="Folder of images, or a manifest.")
    log: str | None = Field(
        None,
        description="File of labels, one line for each decision; it is only ever added to. "
        "[NAME-labels.jsonl here]",
    )
    import_from: list[str] = Field(
        default_factory=list,
        description="Labels that there are: a manifest with labels, corrections.csv, or what Label "
        "Studio or CVAT exported; may be repeated.",
    )
    export: str | None = Field(
        None,
        description="File of the labels to write at the end: .csv, .jsonl or .parquet for a "
        "manifest that featx fit takes, .json for Label Studio, .xml for CVAT.",
    )
    overwrite: bool = Field(False, description="Replace existing output.")
    page: bool = Field(True, description="Serve the page; --no-page only imports and exports.")
    browser: bool = Field(True, description=BROWSER)
    port: int = Field(0, ge=0, le=65535, description=PORT)
    batch: int = Field(20, ge=1, le=1000, description="Images chosen at once.")
    random_share: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Share of each batch that is drawn at random: the estimate rests on it.",
    )
    enough: float = Field(
        0.01,
        ge=0,
        le=1,
        description="Say stop when the next 100 labels surely add less accuracy than this.",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of what is drawn at random.")


class OpenConfig(Section):
    """A finished run as a page on this machine."""

    output: str = Field(
        "corrections.csv",
        description="File of the decisions, written as they are made; featx fit --labels takes it.",
    )
    dataset: str | None = Field(
        None, description="Present location of the images. [where the run found them]"
    )
    cache: str | None = Field(None, description="Cache folder. [the run's]")
    browser: bool = Field(True, description=BROWSER)
    port: int = Field(0, ge=0, le=65535, description=PORT)
