"""What a search tries: every backbone, head, sampler and class weight, each with its grid."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from featx.config import FitConfig
from featx.errors import ConfigError, UnknownNameError
from featx.heads import HEADS, Head
from featx.types import Components

JOINT = " + "


def backbones_text(names: tuple[str, ...]) -> str:
    """Names of embeddings that lie side by side, as they are shown and written."""
    return JOINT.join(names)


def read_backbones(text: str) -> tuple[str, ...]:
    """The names that `backbones_text` wrote."""
    return tuple(text.split(JOINT))


@dataclass(frozen=True)
class Setup:
    """One row of the results table."""

    backbones: tuple[str, ...]  # whose embeddings lie side by side
    head: str
    sampler: str
    class_weight: str  # "none" or "balanced"
    views: int = 0  # augmented views of each training image, beside the image itself
    pca: Components = "none"
    tabular: tuple[str, ...] = ()  # names of other columns behind the embedding
    scaled: bool = True  # standardised before the head

    @property
    def backbone(self) -> str:
        """The backbones as text."""
        return backbones_text(self.backbones)

    def document(self) -> dict[str, Any]:
        """The row's first columns, as JSON."""
        fields = dict(vars(self))
        del fields["backbones"], fields["scaled"]
        if not fields.pop("tabular"):
            return {"backbone": self.backbone, **fields}
        return {"backbone": self.backbone, **fields, "tabular": list(self.tabular)}

    def __str__(self) -> str:
        words = [self.head, self.backbone, *self.tabular]
        if self.pca != "none":
            words.append(f"PCA {self.pca:g}")
        if self.sampler != "none":
            words.append(self.sampler)
        if self.class_weight != "none":
            words.append("balanced class weights")
        if self.views:
            words.append(f"{self.views} view{'s' if self.views > 1 else ''}")
        return " + ".join(words)


@dataclass(frozen=True)
class Trial:
    """A setup with one point of its grid."""

    setup: Setup
    params: tuple[tuple[str, Any], ...]
    copy: int = 0  # added to the seed of all that is random in its fit


@dataclass(frozen=True)
class EnsembleTrial(Trial):
    """Trials that predict together; nothing is fitted for it but how they are combined."""

    # each member is a trial, or copies of one that differ in their seed. The best one first.
    members: tuple[tuple[Trial, ...], ...] = ()

    @property
    def trials(self) -> list[Trial]:
        """Every trial of every member."""
        return [trial for member in self.members for trial in member]


def plan_setups(
    embeddings: Sequence[tuple[str, ...]],
    config: FitConfig,
    *,
    n_views: int = 0,
    tabular: tuple[str, ...] = (),
) -> tuple[list[Setup], list[str]]:
    """Every combination asked for, beside those without resampling, views and other columns.

    With ``class_weight="auto"`` and any sampler, class weights are tried once for each head,
    without a sampler: the plainest way to the same end.

    Parameters
    ----------
    embeddings : sequence of tuple of str
        What competes: each one backbone, or several side by side.
    config : FitConfig
    n_views : int, default 0
    tabular : tuple of str, default ()
        Names of other columns behind each embedding.

    Returns
    -------
    setups : list of Setup
        In the order asked for, ``none`` first among samplers and class weights; with ``n_views``
        all of them again with so many views of each training image, and with ``tabular`` all of
        these again with the columns.
    notes : list of str
    """
    notes = []
    samplers = ["none", *(s for s in dict.fromkeys(config.sampler) if s != "none")]
    weighted = {
        "none": [],
        "auto": samplers[:1] if len(samplers) > 1 else [],
        "balanced": samplers,
    }[config.class_weight]
    setups = []
    for backbones in embeddings:
        for head in dict.fromkeys(config.head):
            for pca in dict.fromkeys(config.pca):
                setups += [Setup(backbones, head, s, "none", pca=pca) for s in samplers]
                if HEADS.get(head).supports_class_weight:
                    setups += [Setup(backbones, head, s, "balanced", pca=pca) for s in weighted]
    if config.class_weight == "balanced":
        without = [h for h in dict.fromkeys(config.head) if not HEADS.get(h).supports_class_weight]
        if without:
            notes.append(f"Heads without support for class weights: {', '.join(without)}.")
    if n_views:
        setups += [replace(setup, views=n_views) for setup in setups]
    if config.protocol is not None:
        setups = [replace(setup, scaled=False) for setup in setups]
    if tabular:
        setups += [replace(setup, tabular=tabular) for setup in setups]
    return setups, notes


def plan_grids(config: FitConfig) -> dict[str, list[tuple[tuple[str, Any], ...]]]:
    """Every point of each head's grid, in scikit-learn's grid order.

    Parameters
    ----------
    config : FitConfig

    Raises
    ------
    ConfigError, UnknownNameError
        ``param_grid`` names a head that is not tried, a parameter that the head does not have,
        or a value that it does not take.
    """
    from sklearn.model_selection import ParameterGrid

    unused = set(config.param_grid) - set(config.head)
    if unused:
        raise UnknownNameError("head in param_grid", sorted(unused)[0], config.head)
    grids = {}
    for name in dict.fromkeys(config.head):
        head: Head = HEADS.get(name)
        points = list(ParameterGrid({**config.param_grid.get(name, head.param_grid)}))
        for params in points:
            check_params(name, params)
        grids[name] = [tuple(sorted(params.items())) for params in points]
    return grids


def check_params(head: str, params: Mapping[str, Any]) -> None:
    """Refuse what the head's own checks refuse, before anything is fitted."""
    estimator = HEADS.get(head).build(None, 0)
    for name in params:
        if name not in estimator.get_params():
            raise UnknownNameError(f"parameter of {head}", name, estimator.get_params())
    # without images every fit fails; with a parameter that is not taken, for another reason
    expected, fault = _fault(estimator), _fault(estimator.set_params(**params))
    if fault != expected:
        raise ConfigError(f"param_grid.{head}: {fault}")


def _fault(estimator: Any) -> str | None:
    """The error of a fit to no images, before which parameters are checked."""
    try:
        estimator.fit(np.empty((0, 1), np.float32), np.empty(0, np.int64))
    except ValueError as error:
        return str(error)
    return None


def is_number(value: Any) -> bool:
    """Whether a parameter's value is one; True and False are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def shifted(seed: int, trial: Trial) -> int:
    """The seed that ``trial`` is fitted with."""
    return (seed + trial.copy) % 2**32


def build_estimator(trial: Trial, *, n_images: int, seed: int) -> Any:
    """The unfitted head of ``trial`` for so many training images."""
    weight = None if trial.setup.class_weight == "none" else trial.setup.class_weight
    head: Head = HEADS.get(trial.setup.head)
    return head.build(weight, shifted(seed, trial)).set_params(
        **head.limit(dict(trial.params), n_images)
    )
