"""``featx cache``: look after the stored embeddings."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import click

from featx import console
from featx.cli._layout import LaidOutCommand, LaidOutGroup, argument, option
from featx.cli.options import as_json
from featx.config import DatasetConfig, parse_config
from featx.files import printable
from featx.shell import shell_line

_in_cache = option("--cache", default=None, help="Cache folder. [$FEATX_CACHE, else ./cache]")


@click.group(
    cls=LaidOutGroup,
    name="cache",
    examples=("featx cache ls", "featx cache verify --repair"),
)
def command() -> None:
    """List, check, tidy and export the stored embeddings."""


@command.command(
    "ls",
    cls=LaidOutCommand,
    examples=(
        "featx cache ls",
        "featx cache ls --cache /data/cache --json",
    ),
)
@_in_cache
@as_json
def ls(cache: str | None, as_json: bool) -> None:
    """List the extractors in the cache."""
    from featx.store import cache_folder, list_extractors

    found = list_extractors(cache_folder(cache))
    if as_json:
        console.print_json([info.document() for info in found])
        return
    columns = ("extractor", "backbone", "features", "rows", "shards", "MiB", "problem")
    console.table(
        f"{len(found)} extractors in {cache_folder(cache)}",
        columns if any(info.problem for info in found) else columns[:-1],
        [
            (i.name, i.backbone, i.n_features, i.rows, i.shards, i.size_bytes / 2**20)
            + ((i.problem,) if any(info.problem for info in found) else ())
            for i in found
        ],
    )


@command.command(
    "verify",
    cls=LaidOutCommand,
    examples=(
        "featx cache verify",
        "featx cache verify --repair",
    ),
)
@_in_cache
@option("--repair", is_flag=True, help="Drop damaged rows, which extract computes again.")
@as_json
def verify(cache: str | None, repair: bool, as_json: bool) -> int:
    """Check every byte of every shard; exit with 1 when anything is damaged."""
    from featx.store import cache_folder, list_extractors
    from featx.store.faults import repair_command
    from featx.store.verification import verify as check

    folder = cache_folder(cache)
    n_shards = sum(info.shards for info in list_extractors(folder))
    with console.progress(n_shards, "Verifying") as bar:
        found = check(folder, repair=repair, advance=bar.advance)
    if as_json:
        console.print_json([one.document() for one in found])
    else:
        columns = ("extractor", "good shards", "rows", "damaged")
        console.table("", columns, [(v.name, v.shards, v.rows, len(v.faults)) for v in found])
    for one in found:
        for fault in one.faults:
            console.warn(fault.reason)
    lost = sum(fault.rows_lost for one in found for fault in one.faults)
    unrepaired = [one.name for one in found if one.faults and not one.repaired]
    if any(one.repaired for one in found):
        console.log(
            f"Dropped what is damaged; {console.counted(lost, 'row')} will be computed "
            "again by extract."
        )
    elif unrepaired:
        console.log(
            f"{console.counted(lost, 'row', 'is/are')} damaged. Drop them with: "
            f"{repair_command(folder)}"
        )
    return 1 if unrepaired else 0


@command.command(
    "compact",
    cls=LaidOutCommand,
    examples=(
        "featx cache compact",
        "featx cache compact --cache /data/cache",
    ),
)
@_in_cache
@as_json
def compact(cache: str | None, as_json: bool) -> None:
    """Merge small shards into larger ones."""
    from featx.store import cache_folder
    from featx.store.compaction import compact as merge

    done = merge(cache_folder(cache))
    if as_json:
        console.print_json({name: asdict(compaction) for name, compaction in done.items()})
        return
    rows = [(name, c.shards_before, c.shards_after) for name, c in done.items()]
    console.table("", ("extractor", "shards before", "after"), rows)


@command.command(
    "gc",
    cls=LaidOutCommand,
    examples=(
        "featx cache gc --dry-run",
        "featx cache gc --extractor timm-resnet18-0123456789ab",
    ),
)
@_in_cache
@option("--extractor", "extractors", multiple=True, help="Remove this extractor; may be repeated.")
@option(
    "--older-than",
    default=1.0,
    show_default=True,
    help="Keep unlisted files younger than this many hours.",
)
@option("--dry-run", is_flag=True, help="Only list what would be removed.")
@as_json
def gc(
    cache: str | None, extractors: tuple[str, ...], older_than: float, dry_run: bool, as_json: bool
) -> None:
    """Remove what interrupted runs left, or whole extractors; never an unknown file."""
    from featx.store import cache_folder
    from featx.store.cleaning import gc as clean

    done = clean(
        cache_folder(cache),
        extractors=extractors,
        older_than_s=3600 * older_than,
        dry_run=dry_run,
    )
    if as_json:
        console.print_json(done.document())
    else:
        for removal in done.removed:
            console.text(removal.path)
    for name, reason in done.skipped.items():
        console.warn(f"{name}: {reason}")
    size = sum(removal.size_bytes for removal in done.removed) / 2**20
    verb = "Would remove" if dry_run else "Removed"
    console.log(f"{verb} {console.counted(len(done.removed), 'file')}, {size:.1f} MiB.")


def _dataset_options(function: Callable[..., Any]) -> Callable[..., Any]:
    """Flags of the data set, which here is optional and therefore a flag itself."""
    for name, field in reversed(DatasetConfig.model_fields.items()):
        flag = f"--{name.replace('_', '-')}"
        several = field.annotation == list[str]
        decorator = option(flag, name, multiple=several, default=None, help=field.description)
        function = decorator(function)
    return function


@command.command(
    "export",
    cls=LaidOutCommand,
    examples=(
        "featx cache export timm-resnet18-0123456789ab -o embeddings.npz",
        "featx cache export timm-resnet18-0123456789ab -o photos.parquet --dataset photos/",
    ),
)
@argument("extractor")
@option(
    "-o", "--output", required=True, help="File: .h5, .npz or .parquet; a folder for tensorboard."
)
@option(
    "--to",
    type=click.Choice(["file", "tensorboard"]),
    default="file",
    show_default=True,
    help="tensorboard writes files for its projector; with --dataset also thumbnails.",
)
@_dataset_options
@_in_cache
@option("--overwrite", is_flag=True, help="Replace an existing file.")
@as_json
def export(
    extractor: str,
    output: str,
    to: str,
    cache: str | None,
    overwrite: bool,
    as_json: bool,
    **given: Any,
) -> None:
    """Write the embeddings of EXTRACTOR as X, y, ids, sha256 for other tools.

    With --dataset, one row per image of it, in its order; without, everything in the store.
    """
    from featx.exporting.embeddings import export_embeddings
    from featx.reporting.projector import export_projector
    from featx.store import cache_folder

    values = {
        k: list(v) if isinstance(v, tuple) else v for k, v in given.items() if v not in (None, ())
    }
    data = parse_config(DatasetConfig, values, source="command line") if values else None
    write = export_projector if to == "tensorboard" else export_embeddings
    done = write(cache_folder(cache), extractor, output, data=data, overwrite=overwrite)
    if done.missing:
        console.warn(
            f"{console.counted(len(done.missing), 'image', 'has/have')} no embedding and "
            f"{'is' if len(done.missing) == 1 else 'are'} left out."
        )
    if as_json:
        console.print_json({**asdict(done), "path": str(done.path)})
    console.log(f"{printable(str(done.path))}: X is {done.rows} × {done.n_features}.")
    if to == "tensorboard":
        console.log(f"View it with: {shell_line('tensorboard', f'--logdir={done.path}')}")
