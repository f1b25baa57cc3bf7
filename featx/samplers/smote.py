"""SMOTE: new embeddings between neighbours of one class."""

from __future__ import annotations

from typing import Any

import numpy as np

from featx.samplers._sampler import Counts, Sampler, describe_neighbourhood, fit_neighbourhood


def build(counts: Counts, random_state: int) -> Any:
    """Chawla et al., "SMOTE: synthetic minority over-sampling technique", JAIR 2002."""
    k, strategy = fit_neighbourhood(counts)
    return _remembering()(sampling_strategy=strategy, random_state=random_state, k_neighbors=k)


def _remembering() -> Any:
    """imbalanced-learn's SMOTE, which also says what each new row was made of.

    After ``fit_resample`` its ``mixture_``, a sparse matrix of shape (n_resampled, n), float32,
    times the rows given is the rows returned: ``1 - step`` of a row and ``step`` of a neighbour.
    """
    from imblearn.over_sampling import SMOTE
    from scipy.sparse import csr_array, eye_array, vstack

    class RememberingSMOTE(SMOTE):
        def _fit_resample(self, X: Any, y: Any) -> Any:
            self._made: list[Any] = []
            resampled = super()._fit_resample(X, y)
            parts = [eye_array(len(y), format="csr")]
            for label, rows, neighbours, steps in self._made:
                own = np.flatnonzero(y == label)
                columns = np.concatenate([own[rows], own[neighbours]])
                places = np.tile(np.arange(len(steps)), 2)
                shares = np.concatenate([1.0 - steps, steps])
                shape = (len(steps), len(y))
                parts.append(csr_array((shares, (places, columns)), shape=shape))
            self.mixture_ = vstack(parts, format="csr").astype(np.float32)
            return resampled

        def _generate_samples(
            self, X: Any, nn_data: Any, nn_num: Any, rows: Any, cols: Any, steps: Any, *rest: Any
        ) -> Any:
            self._made.append((rest[0], rows, nn_num[rows, cols], np.ravel(steps)))
            return super()._generate_samples(X, nn_data, nn_num, rows, cols, steps, *rest)

    return RememberingSMOTE


PLUGIN = Sampler(
    name="smote",
    summary="interpolates between neighbours of smaller classes",
    build=build,
    describe=describe_neighbourhood,
)
