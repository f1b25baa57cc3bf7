"""A finished run: typed records, one writer, one reader."""

from featx.runs.finished import LEVELS, Run, again_command, load_run
from featx.runs.predictions import Predictions, PredictionTable
from featx.runs.tables import RunTable
from featx.runs.writing import RUN, run_folder, run_output, write_run

__all__ = [
    "LEVELS",
    "RUN",
    "PredictionTable",
    "Predictions",
    "Run",
    "RunTable",
    "again_command",
    "load_run",
    "run_folder",
    "run_output",
    "write_run",
]
