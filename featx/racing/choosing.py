"""A fit on what won a race: one that is finished, or one that runs first."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from featx import console
from featx.config import ExtractConfig, FitConfig, RaceConfig, RunConfig
from featx.console import counted
from featx.data.manifest import Manifest
from featx.errors import ConfigError, UsageError
from featx.extraction.resolving import resolve_range
from featx.extraction.used import check_cache
from featx.racing.document import row_name
from featx.racing.folder import read_race
from featx.racing.running import run_race
from featx.runs.estimates import Estimate
from featx.runs.raced import ForwardPass
from featx.types import AUTO_BACKBONE, BoolArray, IntArray, UInt8Array

CONTENDERS = 6  # embeddings of the winner that a fit chooses among

#: What a race decides, so that no fit on its winner may name it.
_DECIDED = ("weights", "layer", "pooling", "separate", "size", "resize")


@dataclass(frozen=True)
class RaceChoice:
    """What won a race.

    Parameters
    ----------
    extract : ExtractConfig
        Settings that extract it.
    document : dict
        Of the race, as a run has it.
    drawn : frozenset of bytes
        SHA-256 of the images that decided it.
    contenders : list of tuple of str
        Its best embeddings, by the names of their layers' extractions; a fit chooses among them.
    """

    extract: ExtractConfig
    document: Mapping[str, Any]
    drawn: frozenset[bytes]
    contenders: list[tuple[str, ...]]

    def apart(
        self, hashes: UInt8Array, copies: IntArray, groups: NDArray[np.str_] | None
    ) -> BoolArray | None:
        """Which images decided the race, or are in a group or exact copies of one that did.

        Shape (n,), bool; None where none did: the race was on other images.
        """
        drew = np.array([digest.tobytes() in self.drawn for digest in hashes], bool)
        if not drew.any():
            return None
        if groups is not None:
            drew |= np.isin(groups, groups[drew & (groups != "")])
        return np.asarray(np.isin(copies, copies[drew]))

    def note(self, estimate: Estimate, apart: BoolArray | None) -> str:
        """What was chosen, and what that means for the estimate."""
        winner = self.document["winner"]
        chose = (
            f"The search chose among {counted(len(self.contenders), 'embedding')} of one forward "
            f"pass. A race over {counted(len(self.document['rows']), 'forward pass')} chose "
            f"{row_name(winner)} on {counted(len(self.drawn), 'image')}"
        )
        if apart is None:
            return f"{chose}, none of which is in this data set."
        if estimate.method == "cv":
            return f"{chose}. The estimate is on these images too, so it is too high on average."
        if estimate.method == "test":
            return f"{chose}; the test split took no part."
        return (
            f"{chose}, which are trained on but not evaluated on: the estimate is of "
            f"{counted(estimate.n_images, 'image')} that played no part in it."
        )


def asks_for_race(config: RunConfig) -> bool:
    """Whether a race decides what is extracted."""
    return config.fit.race is not None or config.extract.backbone == [AUTO_BACKBONE]


def choose_by_race(manifest: Manifest, config: RunConfig) -> tuple[RunConfig, RaceChoice]:
    """The configuration with its range resolved, and what a race chose for it.

    Raises
    ------
    UsageError
        Options that a race decides are given too, or the folder holds no race.
    FitError, BackboneError, StoreError
        See `featx.racing.run_race`.
    """
    _check(config.extract, config.fit)
    check_cache(manifest, config.extract.cache)
    extract = resolve_range(manifest, config.extract)
    config = config.model_copy(update={"extract": extract})
    plain = extract.model_copy(update={"backbone": []})
    if config.fit.race is not None:
        document = read_race(config.fit.race)
    else:
        rules = RaceConfig(scoring=config.fit.scoring, seed=config.fit.seed)
        source = config.data.dataset
        document = run_race(manifest, plain, rules, source=source)
        console.log(document["summary"][0])
    drawn = frozenset(bytes.fromhex(digest) for digest in document["drawn"])
    kept = {key: value for key, value in document.items() if key not in ("drawn", "schema_version")}
    winner = ForwardPass.model_validate(document["winner"])
    chosen = plain.model_copy(update=winner.settings())
    contenders = [
        tuple(f"{winner.backbone}/{layer}" for layer in embedding.layers)
        for embedding in winner.embeddings[:CONTENDERS]
    ]
    return config, RaceChoice(chosen, kept, drawn, contenders)


def _check(extract: ExtractConfig, fit: FitConfig) -> None:
    """Refuse what contradicts a race."""
    asked = [name for name in _DECIDED if getattr(extract, name)]
    if fit.race is not None and extract.backbone:
        asked.insert(0, "backbone")
    by = "--race" if fit.race is not None else "--backbone auto"
    if asked:
        raise ConfigError(
            f"--{asked[0]} cannot be combined with {by}: the race decides it.",
            hint="Leave it out, or give it to `featx race` and the race's folder to --race.",
        )
    if fit.concat:
        raise UsageError(f"--concat needs several backbones; {by} gives one.")
