"""A whole classifier as one network in a file of another library: one file here a format.

The only torch outside backbones, engines and training: exporters trace a torch module, and the
whole of featx's arithmetic (resizing, scaler, head, calibration) has to be one for that.
"""

from __future__ import annotations

from featx.exports._base import EXPORTERS, Exporter, NetworkPart

__all__ = ["EXPORTERS", "Exporter", "NetworkPart"]
