"""Every setting featx has: name, type, default and meaning, one file a section.

Command-line flags are made from these fields (``cli/options.py``), YAML files are read into
them, and the resolved values are written into every run. A flag left out means the value here.
"""

from featx.config.arguments import arguments, extract_command, fit_command, score_command
from featx.config.audit import AuditConfig
from featx.config.compare import CompareConfig, frozen_and_finetuned
from featx.config.dataset import DatasetConfig
from featx.config.evaluate import EvaluateConfig
from featx.config.export import ExportConfig
from featx.config.extract import BACKBONE_FIELDS, ExtractConfig, default_backbone
from featx.config.finetune import FinetuneConfig
from featx.config.fit import FitConfig
from featx.config.label import LabelConfig, OpenConfig
from featx.config.next import NextConfig
from featx.config.reading import dump_config, load_config, make_config, parse_config
from featx.config.report import ReportConfig
from featx.config.run import RunConfig
from featx.config.score import ScoreConfig, ScoreTarget

__all__ = [
    "BACKBONE_FIELDS",
    "AuditConfig",
    "CompareConfig",
    "DatasetConfig",
    "EvaluateConfig",
    "ExportConfig",
    "ExtractConfig",
    "FinetuneConfig",
    "FitConfig",
    "LabelConfig",
    "NextConfig",
    "OpenConfig",
    "ReportConfig",
    "RunConfig",
    "ScoreConfig",
    "ScoreTarget",
    "arguments",
    "default_backbone",
    "dump_config",
    "extract_command",
    "fit_command",
    "frozen_and_finetuned",
    "load_config",
    "make_config",
    "parse_config",
    "score_command",
]
