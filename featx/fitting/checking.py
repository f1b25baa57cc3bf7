"""What can be refused before any image is read."""

from __future__ import annotations

from featx.config import FitConfig
from featx.engines import choose
from featx.fitting.candidates import plan_grids
from featx.fitting.strategies import STRATEGIES
from featx.samplers import SAMPLERS


def check_config(config: FitConfig) -> None:
    """Refuse what no data set makes right.

    Raises
    ------
    ConfigError, UnknownNameError
        A head, sampler, way to search or parameter does not exist, or a value is not taken.
    MissingExtraError
        The way to search needs a package that is not installed.
    UsageError
        The device of the search is not on this machine.
    """
    for sampler in config.sampler:
        SAMPLERS.get(sampler)
    if (check := STRATEGIES.get(config.search).check) is not None:
        check()
    plan_grids(config)
    choose("torch", config.search_device, "fp32")
