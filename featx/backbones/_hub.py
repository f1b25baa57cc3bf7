"""Where pretrained weights lie on this machine, and fetching them once where a network allows."""

from __future__ import annotations

import hashlib
import os
import re
import urllib.request
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

from featx import console
from featx.errors import BackboneError, WeightsNotFoundError

_HF_FILES = ("model.safetensors", "pytorch_model.bin")
_TIMEOUT_S = 5
_CHUNK_BYTES = 1 << 20


def cached_hf(repository: str, filename: str | None = None) -> Path | None:
    """The weights file of a Hugging Face repository in the local cache, or None.

    Parameters
    ----------
    repository : str
        ``owner/name``, perhaps with ``@revision``.
    filename : str, optional
        The file, where it is not one of the usual names.
    """
    from huggingface_hub import try_to_load_from_cache

    repository, _, revision = repository.partition("@")
    for name in (filename,) if filename else _HF_FILES:
        found = try_to_load_from_cache(repository, name, revision=revision or None)
        if isinstance(found, str):
            return Path(found)
    return None


def fetch_hf(repository: str, filename: str | None, *, what: str, offline: bool) -> Path:
    """The weights file of a Hugging Face repository, downloaded if need be.

    Parameters
    ----------
    repository, filename
        As for `cached_hf`.
    what : str
        The backbone's name, for messages.
    offline : bool
        Look only on this machine, as ``HF_HUB_OFFLINE`` does.

    Raises
    ------
    WeightsNotFoundError
        Not here and not to be had; says what to fetch and where to put it.
    """
    found = cached_hf(repository, filename)
    if found is not None:
        return found
    from huggingface_hub import constants

    files = (filename,) if filename else _HF_FILES
    if offline or constants.HF_HUB_OFFLINE:
        raise _missing_hf(what, repository, files[0], "the run is offline")
    reasons = []
    for name in files:
        try:
            return _download_hf(repository, name)
        except OSError as error:  # huggingface_hub's and httpx' errors, with or without network
            reasons.append(str(error).splitlines()[0])
        except Exception as error:  # httpx' errors have no base in the standard library
            reasons.append(f"{type(error).__name__}: {error}".splitlines()[0])
            break
    raise _missing_hf(what, repository, files[0], reasons[0])


def _download_hf(repository: str, filename: str) -> Path:
    """Download one file; an unreachable hub fails at once instead of after minutes of retries."""
    from huggingface_hub import get_hf_file_metadata, hf_hub_download, hf_hub_url
    from huggingface_hub.utils import disable_progress_bars

    repository, _, revision = repository.partition("@")
    revision = revision or "main"
    get_hf_file_metadata(hf_hub_url(repository, filename, revision=revision), timeout=_TIMEOUT_S)
    console.log(f"Downloading {filename} of {repository} from the Hugging Face hub …")
    if console.verbosity() < 0:
        disable_progress_bars()
    with console.elsewhere():  # the hub's client shows how far it is
        return Path(hf_hub_download(repository, filename, revision=revision))


def _missing_hf(what: str, repository: str, filename: str, reason: str) -> WeightsNotFoundError:
    from huggingface_hub import constants

    repository = repository.partition("@")[0]
    folder = Path(constants.HF_HUB_CACHE) / f"models--{repository.replace('/', '--')}"
    return _missing(
        what,
        reason,
        f"Hugging Face hub {repository!r}, file {filename!r}",
        f"On a machine with a network: hf download {repository} {filename}\n"
        f"then copy its cache folder to {folder},\nor copy the file anywhere",
    )


def _missing(what: str, reason: str, where: str, how: str) -> WeightsNotFoundError:
    return WeightsNotFoundError(
        f"The weights of {what} are not on this machine and could not be fetched ({reason}): "
        f"{where}.",
        hint=f"{how} and run with --weights FILE; --no-pretrained gives random weights.",
    )


def _torch_hub_file(url: str) -> Path:
    """Where torch.hub keeps the file of ``url``; no folder is made."""
    import torch.hub

    return Path(torch.hub.get_dir()) / "checkpoints" / Path(urlparse(url).path).name


def cached_url(url: str) -> Path | None:
    """The file of ``url`` in torch.hub's folder, or None; its hash is not read here."""
    path = _torch_hub_file(url)
    return path if path.is_file() else None


def fetch_url(url: str, *, what: str, offline: bool) -> Path:
    """The weights file of ``url`` in torch.hub's folder, downloaded if need be, its hash checked.

    Raises
    ------
    WeightsNotFoundError
        Not here and not to be had; says what to fetch and where to put it.
    BackboneError
        The file's content does not match its name.
    """
    path = _torch_hub_file(url)
    if not path.is_file():
        if offline or os.environ.get("HF_HUB_OFFLINE", "").upper() in {"1", "TRUE", "YES", "ON"}:
            raise _missing_url(what, url, path, "the run is offline")
        try:
            _download(url, path, what)
        except OSError as error:
            raise _missing_url(what, url, path, str(getattr(error, "reason", error))) from None
    else:
        _check_hash(path, what, where=path)
    return path


def _check_hash(file: Path, what: str, *, where: Path) -> None:
    """Compare a file with the beginning of the SHA-256 that its published name carries."""
    match = re.search(r"-([a-f0-9]{8,})\.", where.name)
    if match is None:
        return
    with file.open("rb") as stream:
        found = hashlib.file_digest(stream, "sha256").hexdigest()
    if not found.startswith(match[1]):
        raise BackboneError(
            f"{where} is not what was published for {what}: "
            f"its SHA-256 begins {found[: len(match[1])]}, not {match[1]}.",
            hint="Delete it if it exists and run again, or copy it here again.",
        )


def _download(url: str, path: Path, what: str) -> None:
    """Write ``url`` to ``path``, whole and right or not at all."""
    console.log(f"Downloading {url} …")
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        with (
            urllib.request.urlopen(url, timeout=_TIMEOUT_S) as reply,
            part.open("wb") as file,
            console.progress(_size_of(reply), f"Downloading {path.name}, bytes") as bar,
        ):
            while chunk := reply.read(_CHUNK_BYTES):
                file.write(chunk)
                bar.advance(len(chunk))
        _check_hash(part, what, where=path)
        part.replace(path)
    finally:
        part.unlink(missing_ok=True)


def _size_of(reply: Any) -> int | None:
    """Bytes to come, as far as the server says."""
    size = reply.headers.get("Content-Length") if hasattr(reply, "headers") else None
    return int(size) if size and size.isdecimal() else None


def _missing_url(what: str, url: str, path: Path, reason: str) -> WeightsNotFoundError:
    return _missing(
        what,
        reason,
        f"{url}, file {path.name!r}",
        f"On a machine with a network, download {url}\nthen copy it to {path},\n"
        "or copy it anywhere",
    )
