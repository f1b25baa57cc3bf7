"""One backbone on one engine, loaded when first needed, with the stores of its outputs."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

from featx import console
from featx.config import ExtractConfig
from featx.engines import Engine, build_engine
from featx.errors import ModelError
from featx.extraction.overlay import OverlayStore
from featx.types import BackboneRequest, ExtractorSpec, Preprocess

__all__ = ["Extractor"]


class Extractor:
    """What `run_extractors` drives: specifications, preprocessing, stores and a lazy engine.

    Build one with `from_request` (loads the backbone, which decides the specification) or with
    `from_spec` (the specification is known from a saved model; the backbone is loaded only when
    an image is not in the cache, and must then match).
    """

    def __init__(
        self,
        names: list[str],
        specs: tuple[ExtractorSpec, ...],
        request: BackboneRequest,
        preprocess: Preprocess,
        config: ExtractConfig,
        engine: Engine | None,
    ) -> None:
        self.names = names
        self.specs = specs
        self.request = request
        self.preprocess = preprocess
        self.config = config
        self.setup_s = 0.0
        self.stores: list[OverlayStore] = []
        self._engine = engine

    @classmethod
    def from_request(cls, request: BackboneRequest, config: ExtractConfig) -> Extractor:
        """Load the backbone that ``request`` names.

        Raises
        ------
        BackboneError, UnknownNameError, WeightsNotFoundError
            It cannot be built as asked.
        """
        started = time.perf_counter()
        engine, preprocess, outputs = _load(request, config)
        several = len(engine.specs) > 1
        names = [f"{request.name}/{o}" if several else request.name for o in outputs]
        extractor = cls(names, engine.specs, request, preprocess, config, engine)
        extractor.setup_s = time.perf_counter() - started
        return extractor

    @classmethod
    def from_spec(
        cls, spec: ExtractorSpec, request: BackboneRequest, config: ExtractConfig
    ) -> Extractor:
        """Stand for an extractor known by its specification, without loading it yet."""
        values: dict[str, Any] = {
            k: tuple(v) if isinstance(v, list) else v
            for k, v in spec.document["preprocess"].items()
        }
        return cls([request.name], (spec,), request, Preprocess(**values), config, None)

    def open_stores(self, cache: Path, *, allow_memory: bool) -> None:
        """Open one store per output under ``cache``."""
        self.stores = [OverlayStore(cache, s, allow_memory=allow_memory) for s in self.specs]

    @property
    def engine(self) -> Engine:
        """The engine, loaded now if it was not yet.

        Raises
        ------
        ModelError
            The backbone on this machine is not the one the specification describes.
        """
        if self._engine is None:
            started = time.perf_counter()
            engine, _, _ = _load(self.request, self.config)
            fingerprints = {s.fingerprint for s in engine.specs}
            if not fingerprints >= {s.fingerprint for s in self.specs}:
                raise _mismatch(self.specs[0], engine.specs[0])
            self._engine = engine
            self.setup_s += time.perf_counter() - started
        return self._engine

    @property
    def batch_size(self) -> int:
        """Images in one batch; 16, a guess, while the engine is not loaded."""
        return 16 if self._engine is None else self._engine.batch_size

    def columns(self) -> list[int]:
        """Which of the engine's outputs belong to ``specs``, in order."""
        order = [s.fingerprint for s in self.engine.specs]
        return [order.index(s.fingerprint) for s in self.specs]


def _load(request: BackboneRequest, config: ExtractConfig) -> tuple[Engine, Preprocess, list[str]]:
    from featx.backbones import load_backbone

    backbone = load_backbone(request, offline=config.offline)
    engine = build_engine(
        config.engine,
        backbone,
        device=config.device,
        precision=config.precision,
        batch_size=config.batch_size,
    )
    console.detail(f"{request.name} on {engine.device}, {engine.precision}")
    return engine, backbone.preprocess, [output.name for output in backbone.outputs]


def _mismatch(wanted: ExtractorSpec, found: ExtractorSpec) -> ModelError:
    keys = sorted(
        k
        for k in {*wanted.document, *found.document}
        if wanted.document.get(k) != found.document.get(k)
    )
    details = "; ".join(
        f"{k}: model {wanted.document.get(k)!r}, here {found.document.get(k)!r}" for k in keys
    )
    return ModelError(
        f"The backbone {found.backbone!r} on this machine is not the one the model was fitted "
        f"with. {details}.",
        hint="Give the original weights with --weights FILE and the same --precision and "
        "--device, or fit the model again here.",
    )
