"""`featx run`: extract, fit and score as a configuration file declares."""

from __future__ import annotations

from featx import console
from featx.api.fit import fit_dataset
from featx.api.score import score
from featx.config import DatasetConfig, RunConfig
from featx.extraction.used import used_by
from featx.outputs import claimed
from featx.runs import Run
from featx.scoring.folder import outputs_of


def run(config: RunConfig) -> Run:
    """Run every stage that ``config`` declares.

    Parameters
    ----------
    config : RunConfig
        From `featx.config.load_config`. A ``score`` section scores its images with the new model.

    Returns
    -------
    Run
        The fitted run; the resolved configuration is its ``config.yaml``.

    Raises
    ------
    FeatxError
        As `featx.fit` and `featx.score` do.
    """
    if config.evaluate is not None:
        from featx.api.evaluate import evaluate_dataset

        return evaluate_dataset(config)
    images = None
    if config.score is not None:
        images = DatasetConfig(
            dataset=config.score.images,
            root=config.score.root,
            path_column=config.score.path_column,
        )
        used = [*used_by(config.data), *used_by(images, config.extract)]
        with claimed(outputs_of(config.score.output, config.score), used):
            pass  # what cannot be written is known before the fit
    finished = fit_dataset(config) if config.finetune is None else _finetune(config)
    if config.score is not None and images is not None:
        console.log(f"Scoring {config.score.images}")
        score(
            finished.model,
            images,
            output=config.score.output,
            config=config.score,
            extract=config.extract,
        )
    return finished


def _finetune(config: RunConfig) -> Run:
    from featx.api.finetune import finetune_dataset

    return finetune_dataset(config)
