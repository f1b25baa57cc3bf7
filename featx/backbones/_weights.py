"""Weights: fitting a file's tensors into a network so that nothing else is in it; their digest."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace

import torch
from torch import Tensor, nn

from featx.backbones._base import Fitted
from featx.backbones._building import emptied
from featx.backbones._prefixes import under_prefixes
from featx.console import first_few
from featx.errors import BackboneError

State = dict[str, Tensor]
MOST_NAMED = 6
_COUNTER = "num_batches_tracked"  # not used when frozen; files of old torch versions lack it


@dataclass
class _Form:
    """A file's tensors under the names that they might have in the network."""

    state: State
    prefix: str = ""
    others: list[str] = field(default_factory=list)  # names without the prefix
    dropped: list[str] = field(default_factory=list)  # heads that the file lacks
    missing: list[str] = field(default_factory=list)
    unexpected: list[str] = field(default_factory=list)
    unlike: list[str] = field(default_factory=list)

    @property
    def n_faults(self) -> int:
        return len(self.missing) + len(self.unexpected) + len(self.unlike)


def fit_weights(
    module: nn.Module,
    state: Mapping[str, Tensor],
    *,
    heads: tuple[str, ...],
    what: str,
    convert: Callable[[State, nn.Module], State] | None = None,
    convert_first: bool = False,
    lenient: bool = False,
) -> Fitted:
    """Put ``state`` into ``module``, tolerating only another, or no, classifier head.

    Every tensor that the module would save is taken away first, so that what is in it afterwards
    came from ``state``.

    Parameters
    ----------
    module : torch.nn.Module
        Takes over the tensors of ``state``.
    state : mapping of str to Tensor
        What `read_weights` returned. One prefix before the names (``model.``, ``module.backbone.``)
        is taken off where the tensors then fit; where several would do, they are refused.
    heads : tuple of str
        Names of the modules that classify. One with another number of classes is taken as it is;
        one that the file lacks is replaced by the identity.
    what : str
        ``"FILE does not fit NAME"``, the start of the message.
    convert : callable, optional
        From the tensors and the module to the tensors in the module's layout; tried where they do
        not fit as they are, or before that with ``convert_first``.
    lenient : bool, default False
        Tolerate tensors that the network has no place for, and missing ones of the head.

    Raises
    ------
    BackboneError
        Anything else differs; missing, unexpected and misshapen tensors are named.
    """
    tolerated = {k: v.clone() for k, v in _of_head(module, heads).items()} if lenient else {}
    emptied(module)
    wanted = module.state_dict()
    tried: list[_Form] = []
    groups = _groups(module, dict(state), wanted, heads, convert, convert_first)
    for group in groups:
        tried += group
        fitting = [form for form in group if not form.n_faults]
        if fitting:
            return _take(module, fitting, what)
    for form in tried if lenient else []:
        if not form.unlike and tolerated.keys() >= set(form.missing):
            form = replace(form, others=form.others + form.unexpected)
            form.state = {k: v for k, v in form.state.items() if k not in form.unexpected}
            form.state |= {k: tolerated[k] for k in form.missing}
            return replace(_take(module, [form], what), absent=tuple(form.missing))
    raise _misfit(min(tried, key=lambda form: len(form.missing) + len(form.unlike)), what)


def _groups(
    module: nn.Module,
    state: State,
    wanted: State,
    heads: tuple[str, ...],
    convert: Callable[[State, nn.Module], State] | None,
    convert_first: bool,
) -> Iterator[list[_Form]]:
    """Forms of a file's tensors, the plainest first; of a group just one may fit."""
    plain = [_Form(state)]
    prefixed = [_Form(*form) for form in under_prefixes(state, wanted, heads)]
    raw = [plain, prefixed]
    if convert is None:
        converted: list[list[_Form]] = []
    else:
        converted = [[f for form in g if (f := _converted(form, convert, module))] for g in raw]
    for group in (*converted, *raw) if convert_first else (*raw, *converted):
        yield [_compared(form, wanted, heads) for form in group]


def _converted(
    form: _Form, convert: Callable[[State, nn.Module], State], module: nn.Module
) -> _Form | None:
    """The form in the module's layout; None where the zoo cannot make it of such tensors."""
    try:
        return replace(form, state=convert(form.state, module))
    except Exception:  # filters of zoos expect their own families' files and stumble in any way
        return None


def _compared(form: _Form, wanted: State, heads: tuple[str, ...]) -> _Form:
    """The form with everything that keeps it from fitting."""
    state = {k: torch.tensor(0) for k in wanted if k.endswith(_COUNTER)} | form.state
    dropped = [h for h in heads if _under(h, wanted) and not _under(h, state)]
    left = [k for k in wanted if not _is_under(k, dropped)]
    unlike = [
        f"{k} (file {_shape(state[k])}, network {_shape(wanted[k])})"
        for k in left
        if k in state and not _is_like(state[k], wanted[k], is_head=_is_under(k, heads))
    ]
    return replace(
        form,
        state=state,
        dropped=dropped,
        missing=[k for k in left if k not in state],
        unexpected=[k for k in state if k not in wanted],
        unlike=unlike,
    )


def _is_under(key: str, modules: Iterable[str]) -> bool:
    return any(key.startswith(f"{module}.") for module in modules)


def _under(module: str, keys: Iterable[str]) -> bool:
    return any(_is_under(key, [module]) for key in keys)


def _is_like(theirs: Tensor, mine: Tensor, *, is_head: bool) -> bool:
    """Whether a file's tensor can stand where the network's is; a head's first size is free."""
    start = 1 if is_head else 0
    return (
        theirs.ndim == mine.ndim
        and theirs.shape[start:] == mine.shape[start:]
        and theirs.is_floating_point() == mine.is_floating_point()
        and theirs.device.type != "meta"  # a filter put the network's own there
    )


def _shape(tensor: Tensor) -> str:
    kind = "" if tensor.is_floating_point() else f" {str(tensor.dtype).removeprefix('torch.')}"
    return f"{tuple(tensor.shape)}{kind}"


def _of_head(module: nn.Module, heads: tuple[str, ...]) -> State:
    """Tensors of the parts of a network that its classifiers lie in: ``head`` of ``head.fc``."""
    tops = tuple(f"{head.partition('.')[0]}." for head in heads)
    return {k: v for k, v in module.state_dict().items() if k.startswith(tops)} if tops else {}


def _take(module: nn.Module, fitting: list[_Form], what: str) -> Fitted:
    """Put the one form that fits into the module."""
    form = fitting[0]
    for other in fitting[1:]:
        if any(not torch.equal(form.state[k], other.state[k]) for k in form.state):
            names = " and ".join(repr(f.prefix) for f in fitting[:3])
            raise BackboneError(
                f"{what} in one way only: it holds {len(fitting)} sets of weights that fit, under "
                f"the prefixes {names}.",
                hint="Save the tensors of only one of them, without the prefix.",
            )
    for head in form.dropped:
        module.set_submodule(head, nn.Identity())
    for key, tensor in form.state.items():
        owner_name, _, name = key.rpartition(".")
        owner = module.get_submodule(owner_name)
        if name in owner._parameters:
            owner._parameters[name] = nn.Parameter(tensor, requires_grad=False)
        else:
            owner._buffers[name] = tensor
    empty = [k for k, v in module.state_dict().items() if v.device.type == "meta"]
    if empty:
        raise BackboneError(f"{what}: no tensor of the file is {first_few(empty, MOST_NAMED)}.")
    return Fitted(without=tuple(form.dropped), message=_message(form))


def _message(form: _Form) -> str:
    parts = []
    if form.prefix:
        parts.append(f"the prefix {form.prefix!r} was taken off the names of its tensors")
    if form.others:
        left = "1 other was" if len(form.others) == 1 else f"{len(form.others)} others were"
        parts.append(f"{left} left out: {first_few(form.others, MOST_NAMED)}")
    return "; ".join(parts)


def _misfit(form: _Form, what: str) -> BackboneError:
    """Name what is missing, unexpected or unlike."""
    faults = "; ".join(
        f"{len(names)} {kind}: {first_few(names, MOST_NAMED)}"
        for kind, names in (
            ("missing", form.missing),
            ("unexpected", form.unexpected),
            ("of another shape or type", form.unlike),
        )
        if names
    )
    off = f" (without the prefix {form.prefix!r})" if form.prefix else ""
    return BackboneError(
        f"{what}{off}: {faults}.",
        hint="Name the architecture that the file was saved from; `featx backbones` lists all.",
    )


def digest(module: nn.Module) -> str:
    """SHA-256 over the sorted names, dtypes, shapes and bytes of the network's tensors."""
    sha = hashlib.sha256()
    for name, tensor in sorted(module.state_dict().items()):
        sha.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        flat = tensor.detach().cpu().contiguous().flatten()
        sha.update(memoryview(flat.view(torch.uint8).numpy()))
    return sha.hexdigest()
