"""Labelling a folder from nothing: what to label next, what was decided, how good it is.

`LabellingSession` is what the page and the commands stand on.
"""

from featx.labelling.judging import CurvePoint, RandomEstimate
from featx.labelling.log import LabelEvent, LabelLog
from featx.labelling.progress import LabellingProgress
from featx.labelling.session import LabellingSession, LabelSuggestion, log_beside

__all__ = [
    "CurvePoint",
    "LabelEvent",
    "LabelLog",
    "LabelSuggestion",
    "LabellingProgress",
    "LabellingSession",
    "RandomEstimate",
    "log_beside",
]
