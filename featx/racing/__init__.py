"""Which backbone, input size, layer and pooling: screened on few images before all are embedded."""

from featx.racing.rounds import RaceOutcome, race
from featx.racing.runners import Rules
from featx.racing.running import run_race

__all__ = ["RaceOutcome", "Rules", "race", "run_race"]
