"""The package that docs/plugins.md builds, installed into a folder as an installer would."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Mapping
from pathlib import Path

PAGE = Path(__file__).resolve().parents[2] / "docs" / "plugins.md"


def files_of_page() -> dict[str, str]:
    """The files that the page shows, by name."""
    blocks = re.findall(r"^`([\w./]+)`\n\n```\w+\n(.*?)^```", PAGE.read_text(), re.M | re.S)
    return dict(blocks)


def install(
    site: Path,
    files: Mapping[str, str],
    *,
    name: str = "acme-featx",
    version: str = "1.0",
    groups: Mapping[str, Mapping[str, str]],
) -> None:
    """Put a package and its metadata where Python finds installed ones."""
    for path, text in files.items():
        (site / path).parent.mkdir(parents=True, exist_ok=True)
        (site / path).write_text(text)
    folder = site / f"{name.replace('-', '_')}-{version}.dist-info"
    folder.mkdir(parents=True)
    (folder / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
    lines = [
        f"[{group}]\n" + "".join(f"{key} = {value}\n" for key, value in entries.items())
        for group, entries in groups.items()
    ]
    (folder / "entry_points.txt").write_text("\n".join(lines))


def install_page(site: Path) -> None:
    """Install the package of the page."""
    files = files_of_page()
    project = tomllib.loads(files.pop("pyproject.toml"))["project"]
    install(
        site,
        {"acme_featx/__init__.py": "", **files},
        name=project["name"],
        version=project["version"],
        groups=project["entry-points"],
    )
