"""SMOTE: new embeddings between neighbours of one class."""

from __future__ import annotations

import functools
from typing import Any

import numpy as np

from featx.samplers._sampler import Counts, Sampler, describe_neighbourhood, fit_neighbourhood

CHECKED = 64  # rows


def build(counts: Counts, random_state: int) -> Any:
    """Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 2002."""
    k, strategy = fit_neighbourhood(counts)
    sampler, neighbours = _classes()
    return sampler(
        sampling_strategy=strategy,
        random_state=random_state,
        k_neighbors=neighbours(n_neighbors=k + 1),  # of itself too
    )


@functools.cache
def _classes() -> tuple[Any, Any]:
    """imbalanced-learn's SMOTE, which also reports what each new row was made of.

    After ``fit_resample`` its ``mixture_``, a sparse matrix of shape (n_resampled, n), float32,
    times the rows given is the rows returned: ``1 - step`` of a row and ``step`` of a neighbour.
    It is None where that cannot be told.
    """
    from imblearn.over_sampling import SMOTE
    from sklearn.neighbors import NearestNeighbors

    class RememberedNeighbours(NearestNeighbors):
        def kneighbors(self, *args: Any, **options: Any) -> Any:
            found = super().kneighbors(*args, **options)
            self.found_ = [*getattr(self, "found_", []), found]
            return found

    class SMOTEWithMixture(SMOTE):
        def fit_resample(self, X: Any, y: Any, **params: Any) -> Any:
            resampled, labels = super().fit_resample(X, y, **params)
            self.mixture_ = _mixture(self, np.asarray(X), np.asarray(y), resampled)
            return resampled, labels

    return SMOTEWithMixture, RememberedNeighbours


def _mixture(sampler: Any, X: Any, y: Any, resampled: Any) -> Any:
    """What each row of ``resampled`` is made of, by drawing again what ``sampler`` drew."""
    from scipy.sparse import csr_array, eye_array, vstack

    parts = [eye_array(len(y), format="csr")]
    wanted = [(label, n) for label, n in sampler.sampling_strategy_.items() if n]
    found = getattr(sampler.nn_k_, "found_", [])
    if len(found) != len(wanted):
        return None
    for (label, n), neighbours in zip(wanted, found, strict=True):
        # each class begins with the same seed, and draws pairs before the steps between them
        generator = np.random.RandomState(sampler.random_state)
        others = neighbours[:, 1:]
        rows, ranks = np.divmod(generator.randint(others.size, size=n), others.shape[1])
        steps = generator.uniform(size=n)
        own = np.flatnonzero(y == label)
        columns = np.concatenate([own[rows], own[others[rows, ranks]]])
        places = np.tile(np.arange(n), 2)
        shares = np.concatenate([1.0 - steps, steps])
        parts.append(csr_array((shares, (places, columns)), shape=(n, len(y))))
    mixture = vstack(parts, format="csr").astype(np.float32)
    if mixture.shape[0] != len(resampled):
        return None
    # another version may draw otherwise, which any few rows show: then nothing is claimed
    few = np.linspace(0, len(resampled) - 1, CHECKED).astype(int)
    return mixture if np.allclose(mixture[few] @ X, resampled[few], rtol=1e-4, atol=1e-4) else None


PLUGIN = Sampler(
    name="smote",
    summary="interpolates between neighbours of smaller classes",
    build=build,
    describe=describe_neighbourhood,
)
