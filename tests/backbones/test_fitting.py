"""Fitting tensors into networks: prefixes, leniency of the zoos, and nothing but the file's."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from safetensors.torch import save_file

from featx import console
from featx.backbones import load_backbone
from featx.backbones._building import hollow_network, random_network
from featx.backbones._timm_filter import build_unloaded
from featx.backbones._weights import fit_weights
from featx.errors import BackboneError
from featx.types import BackboneRequest

NAMES = ["timm:test_resnet", "timm:test_vit", "torchvision:squeezenet1_1"]
#: Networks into which timm loads files of which nothing needs to fit.
LENIENT = ["dla46x_c", "inception_v3", "davit_base_fl", "convnextv2_atto.fcmae"]
LENIENT += ["vit_base_patch16_siglip_gap_224"]
State = dict[str, torch.Tensor]


def random_state(name: str) -> State:
    backbone = load_backbone(BackboneRequest(name, pretrained=False, size_px=64))
    generator = torch.Generator().manual_seed(3)
    return {
        k: torch.rand(v.shape, generator=generator) if v.is_floating_point() else v
        for k, v in backbone.network.module.state_dict().items()
    }


@pytest.fixture(scope="module")
def states() -> dict[str, State]:
    """Tensors of small networks."""
    warn, console.warn = console.warn, lambda message: None  # type: ignore[assignment]
    try:
        return {name: random_state(name) for name in NAMES}
    finally:
        console.warn = warn


@pytest.fixture
def load(tmp_path: Path) -> Callable[..., State]:
    """``load(name, state)``: what is in the network after loading such a file."""

    def run(name: str, state: State, **options: Any) -> State:
        save_file(state, tmp_path / "w.safetensors")
        request = BackboneRequest(name, weights=str(tmp_path / "w.safetensors"), **options)
        return load_backbone(request).network.module.state_dict()

    return run


def same(found: State, wanted: State) -> bool:
    return found.keys() == wanted.keys() and all(torch.equal(found[k], wanted[k]) for k in wanted)


@pytest.fixture
def survives(states: dict[str, State], load: Callable[..., State]) -> Callable[..., bool]:
    """Whether a network's own tensors are loaded from under a prefix, with others or without."""

    def run(name: str, prefix: str, beside: bool) -> bool:
        state = {prefix + k: v for k, v in states[name].items()}
        if beside:
            state |= {"projector.weight": torch.ones(3, 4), "queue": torch.ones(8)}
        return same(load(name, state, size_px=64), states[name])

    return run


prefixes = st.lists(
    st.sampled_from(
        ["module", "model", "backbone", "encoder", "net", "_orig_mod", "teacher", "my_own", "0"]
    ),
    min_size=1,
    max_size=4,
).map(lambda parts: ".".join(parts) + ".")


@settings(max_examples=12, deadline=None, suppress_health_check=list(HealthCheck))
@given(prefix=prefixes, name=st.sampled_from(NAMES), beside=st.booleans())
def test_one_prefix_is_taken_off(
    prefix: str, name: str, beside: bool, survives: Callable[[str, str, bool], bool]
) -> None:
    assert survives(name, prefix, beside)


@pytest.mark.parametrize("infix", ["_orig_mod.", "_fsdp_wrapped_module."])
def test_wrappers_within_names_are_taken_off(
    infix: str, states: dict[str, State], load: Callable[..., State]
) -> None:
    state = {
        "module." + k.replace("blocks.0.", f"blocks.0.{infix}"): v
        for k, v in states["timm:test_vit"].items()
    }
    assert same(load("timm:test_vit", state, size_px=64), states["timm:test_vit"])


def test_two_prefixes_that_fit_are_refused(
    states: dict[str, State], load: Callable[..., State]
) -> None:
    own = states[NAMES[0]]
    twice = {f"student.{k}": v for k, v in own.items()}
    equal = twice | {f"teacher.{k}": v.clone() for k, v in own.items()}
    assert same(load(NAMES[0], equal), own)  # one network under two names
    other = twice | {f"teacher.{k}": v + 1 for k, v in own.items()}
    with pytest.raises(BackboneError, match=r"2 sets .* prefixes 'student\.' and 'teacher\.'"):
        load(NAMES[0], other)


@pytest.mark.parametrize("name", NAMES)
def test_under_a_prefix_too_one_tensor_less_is_refused(
    name: str, states: dict[str, State], load: Callable[..., State]
) -> None:
    first = next(k for k, v in states[name].items() if v.ndim == 4)
    state = {f"model.{k}": v for k, v in states[name].items() if k != first}
    with pytest.raises(BackboneError, match=rf"prefix 'model\.'\): 1 missing: {first}"):
        load(name, state, size_px=64)


def test_what_was_left_out_is_said(
    states: dict[str, State], load: Callable[..., State], monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr(console, "log", said.append)
    state = {f"net.{k}": v for k, v in states[NAMES[0]].items()}
    load(NAMES[0], {**state, "projector.weight": torch.ones(2)})
    assert said[0].endswith("'net.' was taken off the names of its tensors; "
                            "1 other was left out: projector.weight.")  # fmt: skip


def test_numbers_of_another_kind_do_not_fit(
    states: dict[str, State], load: Callable[..., State]
) -> None:
    state = {k: v.to(torch.int8) for k, v in states[NAMES[0]].items()}
    with pytest.raises(BackboneError, match=r"of another shape or type: .* int8"):
        load(NAMES[0], state)


@pytest.mark.parametrize("model", LENIENT)
def test_where_timm_is_lenient_nothing_random_is_left(model: str) -> None:
    """Another network's file, one tensor less, one more: only the last is tolerated."""
    module, loading = build_unloaded(model, {})
    assert loading.lenient
    classifier = module.pretrained_cfg.get("classifier") or ()  # type: ignore[union-attr]
    heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)

    def fit(state: State) -> Any:
        return fit_weights(
            module,
            state,
            heads=heads,
            what="it does not fit",
            convert=lambda state, module: loading.convert(state, module, heads),
            lenient=True,
        )

    own = {
        k: torch.zeros((), dtype=v.dtype).expand(v.shape) for k, v in module.state_dict().items()
    }
    body = [k for k, v in own.items() if v.ndim > 1 and not k.startswith(("head", "fc"))]
    for wrong in (
        {"conv1.weight": torch.zeros(3, 3), "fc.weight": torch.zeros(2, 2)},
        {k: v for k, v in own.items() if k != body[0]},
        {k: v for k, v in own.items() if k != body[-1]},
        {f"model.{k}": v for k, v in own.items() if k != body[-1]},
    ):
        with pytest.raises(BackboneError, match=r"it does not fit.*missing: "):
            fit(wrong)
    assert fit({**own, "aux.weight": torch.zeros(2)}).absent == ()
    assert all(v.data_ptr() == own[k].data_ptr() for k, v in module.state_dict().items())


@pytest.mark.parametrize("poolings", [(), ("avg",)])
def test_a_file_without_the_heads_norm_gives_what_lies_before_it(
    poolings: tuple[str, ...], load: Callable[..., State]
) -> None:
    """As the published FCMAE weights, which timm completes with its own numbers."""
    name = "timm:convnextv2_atto.fcmae"
    module = build_unloaded("convnextv2_atto.fcmae", {})[0]
    state = {k: torch.rand(v.shape) for k, v in module.state_dict().items() if "head" not in k}
    if poolings:
        found = load(name, state, size_px=64, poolings=poolings)
        assert all(torch.equal(found[k], v) for k, v in state.items())
    else:
        with pytest.raises(BackboneError, match=r"lacks 2 tensors .*: head\.norm\.weight"):
            load(name, state, size_px=64)


def test_a_filter_that_completes_a_file_with_the_networks_own_is_seen() -> None:
    module = torch.nn.Sequential(torch.nn.Linear(2, 2), torch.nn.Linear(2, 2))

    def complete(state: State, module: torch.nn.Module) -> State:
        return {**module.state_dict(), **state}

    with pytest.raises(BackboneError, match=r"missing|of another shape or type"):
        fit_weights(module, {"0.weight": torch.ones(2, 2)}, heads=(), what="", convert=complete)


@pytest.mark.parametrize("model", ["test_vit3", "swin_tiny_patch4_window7_224", "coat_lite_tiny"])
def test_built_to_be_filled_a_network_computes_as_one_built_with_numbers(model: str) -> None:
    """Masks, indices and tables that no file holds are as they should be."""
    import timm

    real = random_network(lambda: timm.create_model(model)).eval()
    module = hollow_network(lambda: timm.create_model(model)).eval()
    fit_weights(module, real.state_dict(), heads=(), what="it does not fit")
    x = torch.randn(1, *real.pretrained_cfg["input_size"])  # type: ignore[misc,index]
    with torch.inference_mode():
        torch.testing.assert_close(module(x), real(x), rtol=0, atol=0)
