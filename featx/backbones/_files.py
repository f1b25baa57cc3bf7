"""Reading the tensors of a file of weights, whatever its name, without running code from it."""

from __future__ import annotations

import pickle
import pickletools
import re
import warnings
import zipfile
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any

import torch
from torch import Tensor

from featx import console
from featx.backbones._kinds import PICKLE, SAFETENSORS, TORCH_ZIP, kind_of, not_weights
from featx.console import first_few
from featx.errors import BackboneError, WeightsNotFoundError

#: Files of a folder that timm and the Hugging Face hub lay out, the first that is there.
_IN_FOLDERS = ("model.safetensors", "pytorch_model.bin")
#: Names of sets of weights in one file, the first that is there is taken: timm's own order, then
#: what other trainers write; of a teacher and its student, DINO's authors take the teacher.
_SETS = (
    *("state_dict_ema", "model_ema", "state_dict", "model", "model_state_dict", "model_state"),
    *("teacher", "student", "net", "network", "backbone", "encoder", "weights", "params"),
)
_DEEPEST = 4  # sets within sets
#: Packages whose objects are settings and counters beside the weights; each is read as an empty
#: stand-in, and nothing of the package is called.
_SETTINGS = {
    *("argparse", "numpy", "omegaconf", "pathlib", "typing", "collections", "datetime", "yacs"),
    *("pytorch_lightning", "lightning", "lightning_fabric", "mmcv", "mmengine", "fvcore"),
    *("addict", "easydict", "ml_collections"),
}
_PLAIN_TYPES = {
    *("dict", "list", "tuple", "set", "int", "float", "complex", "str", "bool", "bytes"),
}
_MOST_PICKLED = 256 << 20  # bytes of a pickle that are looked through for names
_HINT = "Save the weights alone: torch.save(network.state_dict(), FILE)"


class _Value:
    """Stands for an object of no interest; its state is dropped."""

    def __init__(self, *_: Any) -> None:
        pass

    def __setstate__(self, _: Any) -> None:
        pass


class _Settings:
    """Stands for a mapping of no interest."""

    def __new__(cls, *_: Any) -> Any:
        return OrderedDict()


def find_file(path: str | Path) -> Path:
    """The file of weights that ``path`` means: itself, or the one in such a folder.

    Raises
    ------
    WeightsNotFoundError
        There is nothing.
    BackboneError
        It is a folder without one file of weights, or no regular file.
    """
    path = Path(path)
    if path.is_dir():
        return _in_folder(path)
    if path.is_file():
        return path
    if path.is_symlink() and not path.exists():
        raise WeightsNotFoundError(
            f"Weights file {str(path)!r} is a link to {str(path.readlink())!r}, "
            "which does not exist."
        )
    if path.exists():
        raise BackboneError(f"Weights file {str(path)!r} is not a regular file.")
    raise WeightsNotFoundError(
        f"Weights file {str(path)!r} does not exist.",
        hint="Give --weights a .safetensors, .pt or .pth file.",
    )


def _in_folder(folder: Path) -> Path:
    for name in _IN_FOLDERS:
        if (folder / name).is_file():
            return folder / name
    files = sorted(p.name for p in folder.iterdir() if p.is_file())
    raise BackboneError(
        f"{str(folder)!r} is a folder, and none of its files is {' or '.join(_IN_FOLDERS)}; "
        f"it holds {first_few(files, 4) or 'no files'}.",
        hint="Give --weights the file of weights itself.",
    )


def read_weights(path: str | Path) -> dict[str, Tensor]:
    """Read the tensors of a weights file; nothing in the file is executed.

    Parameters
    ----------
    path : str or Path
        A file of safetensors or of ``torch.save``, known by its content; or a folder that holds
        ``model.safetensors`` or ``pytorch_model.bin``. The tensors may lie under ``state_dict``,
        ``model`` and the like; of several sets the one that timm takes is taken, and that is
        printed.

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
    path = find_file(path)
    try:
        kind = kind_of(path)
        if kind == SAFETENSORS:
            state: Any = _read_safetensors(path)
        elif kind in (TORCH_ZIP, PICKLE):
            state = _read_torch(path)
        else:
            what, hint = not_weights(path)
            raise BackboneError(f"Weights file {str(path)!r} is {what}.", hint=hint)
    except OSError as error:
        raise BackboneError(
            f"Weights file {str(path)!r} cannot be read: {error.strerror or error}."
        ) from None
    return _plain(_set_of(state, path), path)


def _read_safetensors(path: Path) -> dict[str, Tensor]:
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        return load_file(path)
    except SafetensorError as error:
        raise _broken(path, str(error)) from None


def _read_torch(path: Path) -> Any:
    """What ``torch.save`` wrote, settings beside the weights as empty stand-ins."""
    try:
        return _load(path)
    except pickle.UnpicklingError:
        names = sorted(set(_globals(path)))
    strangers = [name for name in names if not _is_harmless(name)]
    if strangers:
        raise _more_than_tensors(path, strangers)
    stand_ins: list[Any] = [
        (_Value if name.startswith("numpy.") else _Settings, name)
        for name in names
        if not name.startswith(("torch.", "collections.OrderedDict"))
    ]
    try:
        with torch.serialization.safe_globals(stand_ins):
            return _load(path)
    except pickle.UnpicklingError:
        raise _broken(path, "its pickle holds more than tensors and settings") from None


def _load(path: Path) -> Any:
    try:
        with warnings.catch_warnings():  # about dialects of pickle, each refused below anyway
            warnings.simplefilter("ignore", UserWarning)
            return torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise
    except Exception as error:  # a damaged pickle can stumble anywhere
        reason = str(error).strip().splitlines()[0:1] or [type(error).__name__]
        raise _broken(path, reason[0][:300].rstrip(".")) from None


def _broken(path: Path, reason: str) -> BackboneError:
    return BackboneError(
        f"Weights file {str(path)!r} is broken or cut short ({path.stat().st_size:,} bytes): "
        f"{reason}.",
        hint="Download or copy it again.",
    )


def _is_harmless(name: str) -> bool:
    """Whether a name in a pickle is torch's own for tensors, or of settings."""
    package, _, attribute = name.partition(".")
    if package == "torch":
        return bool(re.match(r"torch(\._utils|\.serialization|\.nn\.parameter)?\.\w+$", name))
    if package == "builtins":
        return attribute in _PLAIN_TYPES
    return package in _SETTINGS or name == "_codecs.encode"


def _globals(path: Path) -> Iterator[str]:
    """Names of functions and classes in a pickle, which is read but not run."""
    try:
        if zipfile.is_zipfile(path):
            with zipfile.ZipFile(path) as archive:
                [info] = [i for i in archive.infolist() if i.filename.endswith("/data.pkl")]
                if info.file_size <= _MOST_PICKLED:
                    with archive.open(info) as stream:
                        yield from _names(stream)
        else:
            with path.open("rb") as stream:
                for _ in range(5):  # torch's own marks come before and after
                    yield from _names(stream)
    except (ValueError, zipfile.BadZipFile, OSError, EOFError, UnicodeDecodeError):
        return


def _names(stream: IO[bytes]) -> Iterator[str]:
    words: list[str] = []
    for operation, argument, _ in pickletools.genops(stream):
        if operation.name == "GLOBAL":
            yield str(argument).replace(" ", ".", 1).replace("__builtin__.", "builtins.", 1)
        elif operation.name == "STACK_GLOBAL" and len(words) > 1:
            yield ".".join(words[-2:])
        elif isinstance(argument, str):
            words.append(argument)


def _more_than_tensors(path: Path, names: list[str]) -> BackboneError:
    if any(name.startswith("torch.nn.modules.") for name in names):
        return BackboneError(
            f"Weights file {str(path)!r} holds a whole pickled network, not just tensors: "
            "reading it would run code from the file.",
            hint=f"In the program that made it: {_HINT}",
        )
    listed = f" ({', '.join(names[:4])}{' …' if len(names) > 4 else ''})" if names else ""
    return BackboneError(
        f"Weights file {str(path)!r} holds more than tensors and was not loaded: "
        f"reading the rest{listed} would run code from the file.",
        hint=f"If you trust it, load it in the program that made it. {_HINT}",
    )


def _is_state(value: Any) -> bool:
    return (
        isinstance(value, Mapping)
        and bool(value)
        and all(isinstance(k, str) and isinstance(v, Tensor) for k, v in value.items())
    )


def _set_of(value: Any, path: Path) -> Mapping[str, Tensor]:
    """The one set of tensors in what a training loop saved; of several, a message names it."""
    for _ in range(_DEEPEST):
        if _is_state(value):
            state: Mapping[str, Tensor] = value
            return state
        sets = [k for k, v in value.items() if _holds_state(v)] if _is_named(value) else []
        known = [name for name in _SETS if name in sets]
        if not sets:
            break
        if not known and len(sets) > 1:
            raise BackboneError(
                f"Weights file {str(path)!r} holds {len(sets)} sets of tensors "
                f"({', '.join(sets[:6])}), none under a name that featx would choose "
                f"({', '.join(_SETS[:4])}, …).",
                hint="Save only the one that you want.",
            )
        taken = (known or sets)[0]
        if len(sets) > 1:
            console.log(
                f"{path} holds {len(sets)} sets of weights ({', '.join(sorted(sets))}); "
                f"{taken!r} is used{_why(taken)}."
            )
        value = value[taken]
    raise BackboneError(
        f"Weights file {str(path)!r} holds no dictionary of tensors, "
        f"neither at the top nor under {', '.join(map(repr, _SETS[:6]))} and the like.",
        hint=_HINT,
    )


def _is_named(value: Any) -> bool:
    return isinstance(value, Mapping) and all(isinstance(k, str) for k in value)


def _holds_state(value: Any, depth: int = _DEEPEST) -> bool:
    """Whether there are named tensors in it, perhaps deeper; an optimizer's have numbers."""
    if _is_state(value):
        return True
    return (
        depth > 0
        and _is_named(value)
        and any(_holds_state(v, depth - 1) for k, v in value.items() if k in _SETS)
    )


def _why(name: str) -> str:
    if name.endswith("_ema"):
        return ", the averaged weights, as timm does"
    return ", as timm does" if name in _SETS[:4] else ""


def _plain(state: Mapping[str, Tensor], path: Path) -> dict[str, Tensor]:
    """The tensors as ordinary ones on the CPU, floats as float32."""
    odd = [k for k, v in state.items() if v.layout != torch.strided or v.device.type == "meta"]
    odd += [k for k, v in state.items() if v.is_quantized or v.is_complex()]
    if odd:
        raise BackboneError(
            f"Weights file {str(path)!r} holds tensors that are sparse, quantized, complex or "
            f"without numbers: {', '.join(odd[:4])}."
        )
    return {
        k: v.detach().float() if v.is_floating_point() else v.detach() for k, v in state.items()
    }
