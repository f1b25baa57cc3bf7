"""`featx.ImageEmbedder`: embeddings as a transformer of scikit-learn."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray
from sklearn.base import BaseEstimator, ClassNamePrefixFeaturesOutMixin, TransformerMixin

from featx.adapters._inputs import images_manifest, refuse_failures
from featx.adapters._kept import KeptExtractors, kept_extractors
from featx.config import ExtractConfig, default_backbone
from featx.config.options import sections
from featx.errors import ConfigError
from featx.extraction import Extractor


class ImageEmbedder(ClassNamePrefixFeaturesOutMixin, TransformerMixin, BaseEstimator):
    """Embed images with a frozen backbone in a pipeline, with the values of `featx.extract`.

    It learns nothing: ``fit`` checks the parameters, and ``transform`` may be called without it.
    Embeddings are computed once for each image and setting: kept in the cache where one is given,
    else in the memory of the process, where copies of the transformer (``sklearn.base.clone``,
    cross-validation, searches) share them.

    Parameters
    ----------
    backbone : str, optional
        ``featx:NAME``, ``timm:NAME`` or ``torchvision:NAME``. Default None is featx's default.
    layer : str or sequence of str, optional
        Modules whose output is taken (``featx backbones NAME --layers`` lists them), or
        ``"stages"``. Default None is the pre-logits.
    pooling : str or sequence of str, optional
        ``avg``, ``max``, ``avg+max``, ``cls`` or ``flatten``. Default None is the backbone's own.
    cache : path, optional
        Folder of cached embeddings, as ``--cache``. Default None keeps them in memory.
    weights : path, optional
        A file of weights instead of the backbone's own.
    pretrained : bool, default True
        False gives seeded random weights.
    size : int, optional
        Input size in pixels. Default None is the weights' own; so for the three below.
    crop : float, optional
        Fraction in (0, 1] that the centre crop keeps.
    interpolation, resize : str, optional
        As ``--interpolation`` and ``--resize``.
    decode : {"reference", "scaled"}, default "reference"
    range : str, default "full"
        ``"full"`` or ``"LOW-HIGH"``: values shown as black and white in images of more than 8 bits.
    engine, device : str, default "auto"
    precision : {"auto", "fp32", "bf16", "fp16"}, default "auto"
    batch_size : int or "auto", default "auto"
    workers : int, optional
        Threads. Default None is the CPU cores.
    offline : bool, default False
        Never ask a model hub.

    Raises
    ------
    ConfigError, UnknownNameError, BackboneError
        By ``fit`` and ``transform``: a parameter is invalid.
    UsageError, DecodeError
        By ``transform``: an input is not an image, or cannot be read; the message names it.

    Examples
    --------
    >>> from sklearn.linear_model import LogisticRegression
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import StandardScaler
    >>> pipe = make_pipeline(ImageEmbedder(), StandardScaler(), LogisticRegression())
    >>> pipe.fit(paths, labels)  # doctest: +SKIP
    """

    def __init__(
        self,
        backbone: str | None = None,
        *,
        layer: str | Sequence[str] | None = None,
        pooling: str | Sequence[str] | None = None,
        cache: str | Path | None = None,
        weights: str | Path | None = None,
        pretrained: bool = True,
        size: int | None = None,
        crop: float | None = None,
        interpolation: str | None = None,
        resize: str | None = None,
        decode: Literal["reference", "scaled"] = "reference",
        range: str = "full",
        engine: str = "auto",
        device: str = "auto",
        precision: Literal["auto", "fp32", "bf16", "fp16"] = "auto",
        batch_size: int | Literal["auto"] = "auto",
        workers: int | None = None,
        offline: bool = False,
    ) -> None:
        self.backbone = backbone
        self.layer = layer
        self.pooling = pooling
        self.cache = cache
        self.weights = weights
        self.pretrained = pretrained
        self.size = size
        self.crop = crop
        self.interpolation = interpolation
        self.resize = resize
        self.decode = decode
        self.range = range
        self.engine = engine
        self.device = device
        self.precision = precision
        self.batch_size = batch_size
        self.workers = workers
        self.offline = offline

    def fit(self, X: Any, y: Any = None) -> ImageEmbedder:
        """Check the parameters and ``X``; nothing is learned and no image is read.

        Parameters
        ----------
        X : sequence of path, PIL.Image.Image or ndarray of shape (height, width, 3), uint8
            Also one array of shape (n, height, width, 3).
        y : ignored

        Returns
        -------
        ImageEmbedder
        """
        images_manifest(X)
        self._kept(self._config())
        return self

    def transform(self, X: Any) -> NDArray[np.float32]:
        """Embed images.

        Parameters
        ----------
        X : as `fit`

        Returns
        -------
        ndarray of shape (n_images, n_features), float32
        """
        manifest, config = images_manifest(X), self._config()
        kept = self._kept(config)
        if not len(manifest):
            return np.empty((0, self._n_features_out), np.float32)
        [extraction] = kept.run(manifest, config, remember=True)
        refuse_failures(extraction.failures, manifest)
        return extraction.X

    @property
    def _n_features_out(self) -> int:
        return self._kept(self._config()).extractors[0].specs[0].n_features

    def __sklearn_is_fitted__(self) -> bool:
        return True

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.no_validation = True
        tags.transformer_tags.preserves_dtype = []  # float32, whatever the images are
        tags.input_tags.two_d_array = False
        tags.input_tags.three_d_array = True  # of four dimensions, for which there is no tag
        tags.input_tags.string = True
        return tags

    def _config(self) -> ExtractConfig:
        options = {k: v for k, v in self.get_params(deep=False).items() if v is not None}
        if self.weights is None:
            options.setdefault("backbone", default_backbone())
        config: ExtractConfig
        [config] = sections(options, ExtractConfig)
        for name in ("layer", "range", "resize"):
            if getattr(config, name) in ("auto", ["auto"]):
                raise ConfigError(
                    f"{name}='auto' is chosen from labelled images by featx.fit.",
                    hint=f"Name one, or search it: GridSearchCV over imageembedder__{name}.",
                )
        return config

    def _kept(self, config: ExtractConfig) -> KeptExtractors:
        def make() -> list[Extractor]:
            from featx.extraction.resolving import resolve_backbone

            [request] = resolve_backbone(config).requests()
            return [Extractor.from_request(request, config)]

        return kept_extractors("embedder" + config.model_dump_json(exclude={"cache"}), make)
