"""A folder of new images, as a model sees it, as one page."""

from featx.reporting.scored.contents import Drifted, Scored
from featx.reporting.scored.document import write_scored_page

__all__ = ["Drifted", "Scored", "write_scored_page"]
