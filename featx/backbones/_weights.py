"""Weights: reading a file without running code, fitting it into a network, and its digest."""

from __future__ import annotations

import hashlib
import pickle
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from featx.errors import BackboneError, WeightsNotFoundError

__all__ = ["digest", "fit_weights", "random_weights", "read_weights"]

_SAFE = (".safetensors",)
_PICKLED = (".pt", ".pth", ".bin")
_NESTS = ("state_dict", "model", "model_state_dict")
_PREFIXES = ("module.", "_orig_mod.")
_COUNTER = "num_batches_tracked"  # not used when frozen; files of old torch versions lack it
_SEED = 0


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a weights file; nothing in the file is executed.

    Parameters
    ----------
    path : str or Path
        ``.safetensors``; or ``.pt``, ``.pth``, ``.bin``, read with ``weights_only=True``. The
        tensors may lie under ``state_dict`` or ``model``, and behind ``module.`` prefixes.

    Returns
    -------
    dict of str to Tensor
        On the CPU, floats as float32.

    Raises
    ------
    WeightsNotFoundError
        There is no such file.
    BackboneError
        The file is of another kind, broken, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise WeightsNotFoundError(
            f"Weights file {str(path)!r} does not exist.",
            hint="Give --weights a .safetensors, .pt or .pth file.",
        )
    if path.suffix in _SAFE:
        state: Any = _read_safetensors(path)
    elif path.suffix in _PICKLED:
        state = _read_pickled(path)
    else:
        raise BackboneError(
            f"Weights file {str(path)!r} has the ending {path.suffix!r}; "
            f"allowed are {', '.join(_SAFE + _PICKLED)}."
        )
    return _plain_state(state, path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise BackboneError(f"Weights file {str(path)!r} is broken: {error}.") from None


def _read_pickled(path: Path) -> Any:
    try:
        with warnings.catch_warnings():  # about dialects of pickle, each refused below anyway
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise BackboneError(
            f"Weights file {str(path)!r} holds more than tensors and was not loaded: "
            "reading the rest would run code from the file.",
            hint="Where you trust it, load it yourself and save its state_dict as safetensors.",
        ) from None
    except (RuntimeError, EOFError, ValueError, KeyError, OSError) as error:
        raise BackboneError(f"Weights file {str(path)!r} is broken: {error}.") from None


def _plain_state(state: Any, path: Path) -> dict[str, Tensor]:
    """The dictionary of tensors inside what a training loop saved, without wrappers' prefixes."""
    for nest in _NESTS:
        if isinstance(state, Mapping) and isinstance(state.get(nest), Mapping):
            state = state[nest]
    if (
        not isinstance(state, Mapping)
        or not state
        or not all(isinstance(v, Tensor) for v in state.values())
    ):
        raise BackboneError(
            f"Weights file {str(path)!r} holds no dictionary of tensors, "
            f"neither at the top nor under {', '.join(map(repr, _NESTS))}.",
            hint="Save the network's state_dict() alone.",
        )
    plain = {str(k): v.float() if v.is_floating_point() else v for k, v in state.items()}
    for prefix in _PREFIXES:
        if all(k.startswith(prefix) for k in plain):
            plain = {k.removeprefix(prefix): v for k, v in plain.items()}
    return plain


def fit_weights(
    module: nn.Module, state: Mapping[str, Tensor], *, heads: tuple[str, ...], what: str
) -> None:
    """Put ``state`` into ``module``, tolerating only another, or no, classifier head.

    Parameters
    ----------
    module : torch.nn.Module
        May be on the meta device; it takes over the tensors of ``state``.
    state : mapping of str to Tensor
        What `read_weights` returned.
    heads : tuple of str
        Names of the modules that classify. One with another number of classes is taken as it is;
        one that the file lacks is replaced by the identity.
    what : str
        ``"FILE does not fit NAME"``, the start of the message.

    Raises
    ------
    BackboneError
        Anything else differs; missing, unexpected and misshapen tensors are named.
    """
    state = dict(state)
    wanted = module.state_dict()
    state |= {k: torch.tensor(0) for k in wanted if k.endswith(_COUNTER) and k not in state}
    for head in heads:
        keys = [k for k in wanted if k.startswith(f"{head}.")]
        if keys and not any(k in state for k in keys):
            module.set_submodule(head, nn.Identity())
    wanted = module.state_dict()

    def fits(key: str) -> bool:
        mine, theirs = wanted[key].shape, state[key].shape
        is_head = any(key.startswith(f"{head}.") for head in heads)
        return mine[1:] == theirs[1:] and len(mine) == len(theirs) if is_head else mine == theirs

    missing = [k for k in wanted if k not in state]
    unexpected = [k for k in state if k not in wanted]
    misshapen = [k for k in wanted if k in state and not fits(k)]
    if missing or unexpected or misshapen:
        shapes = [
            f"{k} (file {tuple(state[k].shape)}, network {tuple(wanted[k].shape)})"
            for k in misshapen
        ]
        raise BackboneError(
            f"{what}: "
            + "; ".join(
                f"{len(names)} {kind}: {_some(names)}"
                for kind, names in (
                    ("missing", missing),
                    ("unexpected", unexpected),
                    ("of another shape", shapes),
                )
                if names
            )
            + ".",
            hint="Name the architecture that the file was saved from; `featx backbones` lists all.",
        )
    _assign(module, state)


def _assign(module: nn.Module, state: dict[str, Tensor]) -> None:
    """Replace every parameter and buffer of ``module`` that ``state`` names."""
    for key, tensor in state.items():
        owner_name, _, name = key.rpartition(".")
        owner = module.get_submodule(owner_name)
        if name in owner._parameters:
            owner._parameters[name] = nn.Parameter(tensor, requires_grad=False)
        else:
            owner._buffers[name] = tensor


def _some(names: list[str], most: int = 6) -> str:
    more = f", and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


@contextmanager
def random_weights() -> Iterator[None]:
    """Initialise the networks built inside the same way every time, leaving the caller's RNG."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(_SEED)
        yield


def digest(module: nn.Module) -> str:
    """SHA-256 over the sorted names, dtypes, shapes and bytes of the network's tensors."""
    sha = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        sha.update(memoryview(flat.view(torch.uint8).numpy()))
    return sha.hexdigest()
