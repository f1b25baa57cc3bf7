"""What ``featx run`` reads."""

from __future__ import annotations

from pydantic import Field

from featx.config._section import Section
from featx.config.dataset import DatasetConfig
from featx.config.evaluate import EvaluateConfig
from featx.config.extract import ExtractConfig
from featx.config.finetune import FinetuneConfig
from featx.config.fit import FitConfig
from featx.config.score import ScoreTarget


class RunConfig(Section):
    """What ``featx run`` reads: one section per stage.

    With ``evaluate``, which names a finished model, nothing is fitted.
    """

    data: DatasetConfig
    extract: ExtractConfig = Field(default_factory=ExtractConfig)
    fit: FitConfig = Field(default_factory=FitConfig)
    finetune: FinetuneConfig | None = None
    evaluate: EvaluateConfig | None = None
    score: ScoreTarget | None = None
