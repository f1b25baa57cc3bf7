"""Where the images are."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section


class DatasetConfig(Section):
    """Where the images are and what is known of each."""

    dataset: str = Field(description="Folder of images, or a CSV, TSV, JSONL or Parquet manifest.")
    root: str | None = Field(
        None, description="Folder that a manifest's paths are relative to. [manifest's folder]"
    )
    path_column: str | None = Field(None, description="Manifest column with the image path. [path]")
    label_column: str | None = Field(None, description="Manifest column with the label. [label]")
    group_column: str | None = Field(
        None, description="Manifest column with the group (patient, plot, camera). [group]"
    )
    split_column: str | None = Field(
        None, description="Manifest column with train, val or test. [split]"
    )
    columns: list[str] = Field(
        default_factory=list,
        description="Numeric columns of a file of arrays to fit on: names, or patterns such as "
        "f*; may be repeated. [X, else all numeric columns]",
    )
    labels: list[str] = Field(
        default_factory=list,
        description="Corrections that a page of featx downloaded: labels to change, images to "
        "leave out or to keep together; may be repeated.",
    )
    exclude: list[str] = Field(
        default_factory=list,
        description="File of images to leave out, as `featx audit` writes it: a table with a "
        "column path, or one path a line; may be repeated.",
    )
    group: str | None = Field(
        None,
        description="Table with columns path and group: images of a group stay in one fold; "
        "merged with existing groups.",
    )
    group_from: str | None = Field(
        None,
        description="Where in its path the group of an image is: name:0 (first field of the file's "
        "name), folder:1 (second folder), or a regular expression with one group, such as "
        "'patient([0-9]+)'; joined with the groups that there are.",
    )
