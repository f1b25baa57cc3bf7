"""`featx.race`: which backbone, input size, layer and pooling a data set should be fitted on."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from featx import console
from featx.config import DatasetConfig, ExtractConfig, RaceConfig
from featx.config.keywords import keywords, read_options
from featx.config.race import OF_RACES
from featx.data.opening import open_data
from featx.extraction.resolving import resolve_range
from featx.extraction.used import check_cache, used_by
from featx.files import printable
from featx.fitting.gathering import labelled
from featx.outputs import Output, Used, claimed
from featx.racing import run_race
from featx.racing.folder import RACE, write_race
from featx.reporting.race_page import race_page
from featx.system_errors import writing


@dataclass(frozen=True)
class FinishedRace:
    """A finished race.

    Attributes
    ----------
    folder : Path
        With ``race.html``, ``race.json`` and ``race.csv``.
    results : dict
        The content of ``race.json``; ``results["winner"]`` has ``backbone``, ``weights``,
        ``size_px``, ``resize`` and ``layers``.
    """

    folder: Path
    results: dict[str, Any]

    def __repr__(self) -> str:
        winner = self.results["winner"]
        return printable(
            f"FinishedRace {str(self.folder)!r}: {winner['backbone']}, {winner['size_px']} px, "
            f"{winner['resize']}, {','.join(winner['layers'])}"
        )


@keywords(DatasetConfig, ExtractConfig, RaceConfig, leave_out={ExtractConfig: OF_RACES})
def race(dataset: str | os.PathLike[str], **options: Any) -> FinishedRace:
    """Screen backbones, input sizes, layers and poolings on few images.

    Parameters
    ----------
    dataset : path
        A labelled data set; see `featx.extract`. A test split takes no part.
    **options

    Returns
    -------
    FinishedRace
        With ``folder`` and ``results``.

    Raises
    ------
    UsageError
        An option is invalid, or the output exists and ``overwrite`` is not set.
    FitError
        Too few images or classes.
    DatasetError, BackboneError, StoreError
        See `featx.extract`.

    Examples
    --------
    >>> featx.race("photos/", output="race").results["winner"]           # doctest: +SKIP
    >>> featx.fit("photos/", race="race")                                # doctest: +SKIP
    """
    data, extract, config = read_options(race, dataset=dataset, **options)
    return race_dataset(data, extract, config)


def race_dataset(data: DatasetConfig, extract: ExtractConfig, config: RaceConfig) -> FinishedRace:
    """`race` from checked configurations."""
    output = Output(config.output, "-o", RACE, config.overwrite)
    files = [Used("the file of --weights", name.partition("=")[2] or name)
             for name in config.weights]  # fmt: skip
    with claimed([output], [*used_by(data, extract), *files]) as claims:
        folder = claims.place(config.output)
        manifest = labelled(open_data(data))
        claims.spare("the images", manifest.paths)
        check_cache(manifest, extract.cache)
        extract = resolve_range(manifest, extract)
        document = run_race(manifest, extract, config, source=data.dataset)
        with writing("the race", folder, kept="What is in the cache is kept."):
            write_race(folder, document, race_page(document))
    console.log(f"Race written to {printable(str(folder))}")
    return FinishedRace(folder, document)
