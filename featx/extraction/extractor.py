"""One backbone on one engine, built when first needed, with the stores of its outputs."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from featx import console
from featx.config import ExtractConfig
from featx.engines import Engine, EnginePlan, plan_engine
from featx.errors import ModelError
from featx.extraction.earlier import EarlierRows, up_to_date
from featx.extraction.overlay import OverlayStore
from featx.extraction.samples import read_samples
from featx.files import printable
from featx.types import BackboneRequest, ExtractorSpec, Preprocess


class Extractor:
    """What `run_extractors` drives: specifications, preprocessing, stores and a lazy engine.

    Build one with `from_request` (what is known of the backbone decides the specification) or
    with `from_spec` (the specification is known from a saved model; the backbone on this machine
    must match it, which is found out only when an image is not in the cache).
    """

    def __init__(
        self,
        names: list[str],
        specs: tuple[ExtractorSpec, ...],
        request: BackboneRequest,
        preprocess: Preprocess,
        config: ExtractConfig,
        plan: EnginePlan | None = None,
        paths: Sequence[str] = (),
    ) -> None:
        self.names = names
        self.specs = specs
        self.request = request
        self.preprocess = preprocess
        self.config = config
        self.setup_s = 0.0
        self.stores: list[OverlayStore] = []
        self.earlier: EarlierRows | None = None
        self._chosen = plan
        self._paths = paths

    @classmethod
    def from_request(
        cls,
        request: BackboneRequest,
        config: ExtractConfig,
        paths: Sequence[str] = (),
        *,
        name: str | None = None,
    ) -> Extractor:
        """Find out what the backbone that ``request`` names gives on this machine.

        Parameters
        ----------
        request : BackboneRequest
            The backbone.
        config : ExtractConfig
            Engine, device, precision and manners.
        paths : sequence of str
            Images; a few of them check an engine that has not run this backbone before.
        name : str, optional
            What its embeddings are called; by default the backbone's name.

        Raises
        ------
        BackboneError, UnknownNameError, WeightsNotFoundError
            It cannot be built as asked.
        """
        started = time.perf_counter()
        with console.stage(f"Preparing {printable(request.name)}"):
            plan, preprocess = _plan(request, config, paths)
        outputs = [output.name for output in plan.backbone.outputs]
        several = len(outputs) > 1
        name = name or request.name
        names = [f"{name}/{o}" if several else name for o in outputs]
        extractor = cls(names, plan.specs, request, preprocess, config, plan)
        extractor.setup_s = time.perf_counter() - started
        return extractor

    @classmethod
    def from_spec(
        cls,
        spec: ExtractorSpec,
        request: BackboneRequest,
        config: ExtractConfig,
        paths: Sequence[str] = (),
    ) -> Extractor:
        """Stand for an extractor known by its specification, without looking at the backbone.

        One of an earlier decoding policy gets today's: it differs only where that one misread.
        """
        spec = up_to_date(spec)
        preprocess = Preprocess.from_document(spec.document["preprocess"])
        return cls([request.name], (spec,), request, preprocess, config, paths=paths)

    def unbuilt(self, samples: Sequence[str]) -> Extractor:
        """The same extractor, for another process to build; small and picklable.

        What this process has chosen is asked for by name, so that no other choice can be made.

        Parameters
        ----------
        samples : sequence of str
            Images that the other process may check an engine on.
        """
        chosen = dict(self.specs[0].document["numerics"])
        if self._chosen is not None:
            chosen["batch_size"] = self._chosen.choice.batch_size
        weights = self.request.weights
        request = replace(self.request, weights=weights and str(Path(weights).absolute()))
        config = self.config.model_copy(
            update={k: v for k, v in chosen.items() if k in ExtractConfig.model_fields}
        )
        return Extractor(
            self.names, self.specs, request, self.preprocess, config, paths=list(samples)
        )

    def open_stores(self, cache: Path, *, allow_memory: bool) -> None:
        """Open one store per output under ``cache``."""
        self.stores = [OverlayStore(cache, s, allow_memory=allow_memory) for s in self.specs]
        self.earlier = EarlierRows(cache, self.specs)

    def open_memory(self) -> None:
        """Keep the embeddings of each output in memory, without a cache."""
        self.stores = [OverlayStore(None, s, allow_memory=True) for s in self.specs]
        self.earlier = None

    @property
    def plan(self) -> EnginePlan:
        """What runs the backbone.

        Raises
        ------
        ModelError
            The backbone on this machine is not the one the specification describes.
        """
        if self._chosen is None:
            started = time.perf_counter()
            plan, _ = _plan(self.request, self.config, self._paths)
            fingerprints = {s.fingerprint for s in plan.specs}
            if not fingerprints >= {s.fingerprint for s in self.specs}:
                raise _mismatch(self.specs[0], plan.specs[0])
            self._chosen = plan
            self.setup_s += time.perf_counter() - started
        return self._chosen

    @property
    def waiting_threads(self) -> int:
        """Threads that use no core at a time: they wait for a GPU."""
        if self.specs[0].document["numerics"]["device"] == "cpu":
            return 0
        return self._chosen.choice.streams if self._chosen is not None else 2

    def start(self) -> Engine:
        """The engine, built now if it was not yet; its time counts as setting up."""
        started = time.perf_counter()
        engine = self.plan.engine
        self.setup_s += time.perf_counter() - started
        return engine

    def columns(self) -> list[int]:
        """Which of the engine's outputs belong to ``specs``, in order."""
        order = [s.fingerprint for s in self.plan.specs]
        return [order.index(s.fingerprint) for s in self.specs]


def _plan(
    request: BackboneRequest, config: ExtractConfig, paths: Sequence[str]
) -> tuple[EnginePlan, Preprocess]:
    from featx.backbones import open_backbone

    backbone = open_backbone(request, offline=config.offline)
    plan = plan_engine(
        config.engine,
        backbone,
        device=config.device,
        precision=backbone.precision if config.precision == "auto" else config.precision,
        batch_size=config.batch_size,
        samples=lambda: read_samples(paths, backbone.preprocess),
    )
    return plan, backbone.preprocess


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
        f"The backbone {found.backbone!r} on this machine differs from the one the model was "
        f"fitted with. {details}.",
        hint="Give the original weights with --weights FILE and the same --precision and "
        "--device, or fit the model again here.",
    )
