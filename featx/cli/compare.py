"""``featx compare``."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from featx.cli._layout import LaidOutCommand, argument, option
from featx.cli.options import config_options
from featx.config import CompareConfig
from featx.errors import UsageError
from featx.files import printable
from featx.reporting.formats import REPORTS


def _report_flags(function: Callable[..., Any]) -> Callable[..., Any]:
    """``--html FILE`` and so on, one for each report format."""
    for name in reversed(REPORTS.names()):
        text = f"Write the comparison as {name.upper()} to FILE; - is stdout."
        function = option(
            f"--{name}", f"report_{name}", is_flag=False, flag_value="-", metavar="FILE", help=text
        )(function)
    return function


@click.command(
    cls=LaidOutCommand,
    name="compare",
    common=("baseline", "metric", "report_html"),
    examples=(
        "featx compare runs/first runs/second",
        "featx compare photos/ --finetune --backbone timm:resnet18",
    ),
)
@argument("runs", metavar="RUN [RUN ...]", nargs=-1, required=True)
@config_options(CompareConfig)
@option(
    "--set", "overrides", multiple=True, help="With --finetune, section.key=value for its runs."
)
@_report_flags
def command(
    runs: tuple[str, ...],
    compare: CompareConfig,
    overrides: tuple[str, ...],
    **flags: str | None,
) -> None:
    """Compare finished runs fairly: paired differences, intervals, prices, and a verdict."""
    from featx.api.compare import compare_folders
    from featx.reporting.summaries.comparison import print_comparison

    reports = {name.removeprefix("report_"): path for name, path in flags.items() if path}
    for name, path in reports.items():
        if Path(path).is_dir():
            raise UsageError(
                f"--{name} takes the next argument as its file, but {printable(path)!r} is a "
                "folder.",
                hint=f"Put --{name} after the runs, or write --{name}=FILE.",
            )
    comparison = compare_folders(list(runs), compare, reports, overrides=overrides)
    if "-" not in reports.values():
        print_comparison(
            comparison.document, page=reports.get("html"), disagreements=compare.disagreements
        )
