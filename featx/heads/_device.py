"""Where products of matrices are computed: by NumPy on the processor, or by torch on a GPU.

What the two spell alike (``@``, ``exp``, ``amax``, ``sum``, ``concatenate``, ``linalg.eigh``,
``asarray``) is written once, on `Device.xp`; the rest is here.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from featx.arrays import Array
from featx.types import AnyArray


@dataclass(frozen=True)
class Device:
    """A device and the library that computes there.

    Parameters
    ----------
    xp : module
        numpy or torch.
    device : str
        As torch names it; not used by NumPy.
    """

    xp: Any = np
    device: str = "cpu"

    def put(self, values: AnyArray) -> Array:
        """An array of this device, of the same type."""
        if self.xp is np:
            return values
        return self.xp.asarray(np.ascontiguousarray(values), device=self.device)

    def put_sparse(self, matrix: Any) -> Any:
        """A matrix of scipy's as one that ``@`` takes here; None stays None."""
        if self.xp is np or matrix is None:
            return matrix
        coo = matrix.tocoo()
        at = np.vstack([coo.row, coo.col]).astype(np.int64)
        return self.xp.sparse_coo_tensor(
            at, coo.data, coo.shape, device=self.device, check_invariants=True
        ).coalesce()

    def get(self, values: Array) -> AnyArray:
        """A NumPy array of it."""
        return values if self.xp is np else values.cpu().numpy()


HOST = Device()


def find_device(device: str) -> Device:
    """NumPy for ``cpu``; torch for any other device, and only then is it imported."""
    if device == "cpu":
        return HOST
    import torch

    return Device(torch, device)
