"""From the tensors of a file alone to the architecture that they belong to.

``architectures.json`` holds a signature of every architecture with published weights: a digest of
the names and shapes of its tensors but those of its classifier. ``benchmarks/architectures.py``
writes it. Where an installed zoo has come to name its tensors otherwise, nothing is recognised, or
the file is refused when it is read into the network: every tensor is compared there again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from featx.console import first_few
from featx.errors import UsageError

if TYPE_CHECKING:
    from torch import Tensor

INDEX = Path(__file__).parent / "architectures.json"
_COUNTER = "num_batches_tracked"  # files of old torch versions lack it
_SHOWN = 12


def recognise_backbone(path: str | Path) -> str:
    """Name the backbone whose tensors are those of a file of weights.

    Parameters
    ----------
    path : str or Path
        As `featx.backbones._files.read_weights` takes it.

    Returns
    -------
    str
        What ``--backbone`` takes, without a tag: preprocessing is that of its default weights.

    Raises
    ------
    UsageError
        The tensors are those of no architecture that is known, or of several, which are named.
    WeightsNotFoundError, BackboneError
        The file cannot be read.
    """
    from featx.backbones._files import read_weights

    state = read_weights(path)
    names = _architectures_of(state)
    if len(names) == 1:
        return names[0]
    if names:
        raise UsageError(
            f"The tensors of {str(path)!r} are those of {len(names)} backbones, which compute or "
            f"preprocess differently: {first_few(names, _SHOWN)}.",
            hint=f"Name the one that the file was saved from, for instance --backbone {names[0]}",
        )
    raise UsageError(
        f"The {len(state)} tensors of {str(path)!r} do not match, by name and shape, any "
        "backbone that featx recognises.",
        hint="Name the architecture that the file was saved from with --backbone; "
        "`featx backbones` lists all.",
    )


def signature(shapes: Mapping[str, Iterable[int]], heads: Iterable[str]) -> str:
    """16 hexadecimal digits that stand for the names and shapes of tensors without heads."""
    starts = tuple(f"{head}." for head in heads)
    lines = [
        f"{name} {tuple(shape)}"
        for name, shape in sorted(shapes.items())
        if not name.startswith(starts) and not name.endswith(_COUNTER)
    ]
    return hashlib.sha256("\n".join(lines).encode()).hexdigest()[:16]


def _architectures_of(state: Mapping[str, Tensor]) -> list[str]:
    """Every backbone whose tensors these are, perhaps under one prefix."""
    from featx.backbones._prefixes import under_prefixes

    index: dict[str, dict[str, list[str]]] = json.loads(INDEX.read_text("utf-8"))
    forms = [dict(state), *(found for found, _, _ in under_prefixes(state, (), ()))]
    names: set[str] = set()
    for form in forms:
        shapes = {name: tensor.shape for name, tensor in form.items()}
        for heads, by_signature in index.items():
            names.update(by_signature.get(signature(shapes, heads.split()), ()))
    return sorted(names)
