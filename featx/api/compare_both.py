"""Is unfreezing worth it? The frozen baseline and the fine-tune, one after the other."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from featx.api.finetune import finetune_dataset
from featx.api.fit import fit_dataset
from featx.config import CompareConfig, RunConfig, make_config
from featx.errors import UsageError
from featx.outputs import claimed
from featx.runs import run_folder, run_output

__all__ = ["frozen_and_finetuned", "refuse_training_options"]


def frozen_and_finetuned(
    datasets: list[str], config: CompareConfig, overrides: tuple[str, ...]
) -> list[str]:
    """Fit a head on frozen embeddings, then fine-tune the backbone on the same folds.

    Parameters
    ----------
    datasets : list of str
        The one data set.
    config : CompareConfig
        ``backbone``, ``weights``, ``name`` and ``overwrite`` are for the runs.
    overrides : tuple of str
        ``section.key=value`` for the sections ``data``, ``extract``, ``fit`` and ``finetune``.

    Returns
    -------
    list of str
        The run folders, the frozen one first.

    Raises
    ------
    UsageError
        There are several data sets, a baseline is named, or one of the runs exists.
    FeatxError
        As `featx.fit` and `featx.finetune` do.
    """
    if len(datasets) != 1 or config.baseline is not None:
        raise UsageError(
            "--finetune takes one data set and makes both runs itself, the baseline too.",
            hint="featx compare DATASET --finetune --backbone NAME",
        )
    frozen, tuned = _configs(datasets[0], config, overrides)
    assert tuned.finetune is not None
    sections = (frozen.fit, tuned.finetune)  # either may exist: say so before anything is spent
    with claimed([run_output(run_folder(datasets[0], each), each) for each in sections]):
        pass
    baseline = fit_dataset(frozen)
    section = tuned.finetune.model_copy(update={"from_run": str(baseline.folder)})
    finished = finetune_dataset(tuned.model_copy(update={"finetune": section}))
    return [str(baseline.folder), str(finished.folder)]


def _configs(
    dataset: str, config: CompareConfig, overrides: tuple[str, ...]
) -> tuple[RunConfig, RunConfig]:
    """Of the frozen run, and of the fine-tune, which takes the backbone from the frozen one."""
    name = config.name or Path(dataset).stem

    def section(kind: str) -> dict[str, Any]:
        return {"name": f"{name}-{kind}", "overwrite": config.overwrite}

    values: dict[str, Any] = {
        "data": {"dataset": dataset},
        "extract": {
            "backbone": [config.backbone] if config.backbone else [],
            "weights": config.weights,
        },
        "fit": section("frozen"),
        "finetune": section("finetuned"),
    }
    both = make_config(values, overrides=overrides, source="command line")
    frozen = both.model_copy(update={"finetune": None})
    extract = both.extract.model_copy(update={"backbone": [], "weights": None, "views": 0})
    return frozen, both.model_copy(update={"extract": extract})


def refuse_training_options(config: CompareConfig, overrides: tuple[str, ...]) -> None:
    """Options that finished runs leave nothing for.

    Raises
    ------
    UsageError
        One of them is given.
    """
    given = {
        "--backbone": config.backbone,
        "--weights": config.weights,
        "--name": config.name,
        "--set": overrides,
    }
    for flag, value in given.items():
        if value:
            raise UsageError(
                f"{flag} is for runs that are still to be made; these are finished.",
                hint="With a data set in their place, add --finetune.",
            )
