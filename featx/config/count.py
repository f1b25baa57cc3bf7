"""How the classes of new images are counted."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section


class CountConfig(Section):
    """A model and new images to the number of images of each class."""

    by: list[str] = Field(
        default_factory=list,
        description="Also count in every value of this: a column of the manifest, group, a field "
        "of EXIF such as exif:Model, or a part of the path as --group-from names it, such as "
        "folder:0; may be repeated.",
    )
    audit: int | None = Field(
        None,
        ge=10,
        description="Draw this many images for a person to label, those that make the intervals "
        "shortest, and write them to --audit-file.",
    )
    audit_file: str = Field("audit.csv", description="CSV file that --audit writes.")
    audited: str | None = Field(
        None,
        description="The file of --audit with its column label filled in: corrects the counts.",
    )
    labelled: list[str] = Field(
        default_factory=list,
        description="Labels that some of the images have: a file of featx label, a manifest, "
        "corrections.csv, or what Label Studio or CVAT exported. These images count as labelled; "
        "may be repeated.",
    )
    new_class: list[str] = Field(
        default_factory=list,
        description="Label that is a class of its own, although it is spelled almost as a class of "
        "the model; may be repeated.",
    )
    seed: int = Field(0, ge=0, le=2**32 - 1, description="Seed of the draws.")
    output: str | None = Field(None, description="Output file: .csv, .jsonl or .parquet.")
    report: str | None = Field(None, description="File for a page with the counts.")
    overwrite: bool = Field(False, description="Replace existing output.")
