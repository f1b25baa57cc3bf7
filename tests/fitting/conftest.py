"""Real data for the tests of fitting."""

from __future__ import annotations

import numpy as np
import pytest
from fit_lab import hashes_of

from featx.fitting import FitData


@pytest.fixture(scope="session")
def digits() -> FitData:
    """Handwritten digits, imbalanced 4:1: 60 images of the even ones and 15 of the odd."""
    from sklearn.datasets import load_digits

    images = load_digits()
    rows = np.concatenate(
        [np.flatnonzero(images.target == c)[: 15 if c % 2 else 60] for c in range(10)]
    )
    X, y = images.data[rows].astype(np.float32), images.target[rows]
    return FitData(
        X={"pixels": X},
        y=np.array([f"digit {c}" for c in y]),
        ids=[f"{i}.png" for i in rows],
        hashes=hashes_of([x.tobytes() for x in X]),
    )
