"""Both zoos, the smallest network of each family: what fits, what is refused, what is pooled.

All networks: benchmarks/networks.py.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import timm
import torch
import torchvision
from timm.models import is_model_in_modules
from torch import Tensor, nn

from featx.backbones import torchvision as torchvision_source
from featx.backbones._building import hollow_network
from featx.backbones._timm_filter import build_unloaded
from featx.backbones._weights import fit_weights
from featx.errors import BackboneError

State = dict[str, Tensor]


def words(text: str) -> list[str]:
    """The words of a list that is long."""
    return text.split()


JUNK = {
    name: torch.zeros(3, 3)
    for name in ("conv1.weight", "patch_embed.proj.weight", "pos_embed", "cls_token", "head.weight")
}
#: By timm's module; where it has another or a new family, that one's first network is taken.
SMALLEST = words("""
    test_vit test_byobnet beit_base_patch16_224 halonet_h1 poolformerv2_s12 cait_xxs24_224 coat_tiny
    test_coatnet convit_tiny convmixer_768_32 test_convnext cpubone_nano crossvit_tiny_240
    cs3darknet_focus_s csatv2 cspnext_tiny davit_tiny deit_tiny_patch16_224 densenet121 dla46x_c
    test_nfnet dpn48b ese_vovnet19b_slim_dw test_resnet edgenext_xx_small efficientformer_l1
    efficientformerv2_s0 test_efficientnet efficientvim_m1 efficientvit_b0 efficientvit_m0
    vit_tiny_patch16_dinov3_qkvb fasternet_t0 fastvit_t8 mobilenetv3_small_050 focalnet_tiny_srf
    gcvit_xxtiny gemma4_vit_167m ghostnet_050 gmlp_ti16_224 hardcorenas_b hgnetv2_b0 hiera_tiny_224
    sam2_hiera_tiny hrnet_w18_small iformer_t inception_next_atto inception_resnet_v2 inception_v3
    inception_v4 lcnetv2_small legacy_seresnet18 legacy_xception levit_128s lowformer_b0
    test_mambaout mobilenetv5_base mobilevit_xxs mvitv2_tiny naflexvit_base_patch16_parfac_gap
    nasnetalarge nest_tiny nextvit_small pit_ti_224 pnasnet5large pvt_v2_b0 qwen3_vit_88m
    deepseek_vit_412m rdnet_tiny regnetx_002 repghostnet_050 repvit_m1 res2next50 resnest14d
    resnetv2_18 rexnet_100 samvit_base_patch16_224 selecsls42 sequencer2d_s shvit_s1 skresnet18
    starnet_s050 swiftformer_xs swin_tiny_patch4_window7_224 swinv2_tiny_window8_256
    swinv2_cr_tiny_224 test_vit_relpos tiny_vit_5m_224 tnt_s_legacy_patch16_224 tresnet_m
    twins_svt_small vgg11 visformer_tiny vit_tiny_r_s16_p8_224 vitamin_small_224 volo_d1_224
    xception41p xcit_nano_12_p8_224
""")  # fmt: skip
OF_TORCHVISION = words("""
    alexnet convnext_tiny densenet121 efficientnet_b0 efficientnet_v2_s googlenet inception_v3
    maxvit_t mnasnet0_5 mobilenet_v2 mobilenet_v3_small regnet_x_400mf regnet_y_400mf resnet18
    resnext50_32x4d shufflenet_v2_x0_5 squeezenet1_1 swin_t swin_v2_t vgg11 vit_b_32
    wide_resnet50_2
""")  # fmt: skip


def families() -> list[str]:
    """One network of timm a family, and what else is new."""
    known = {name for name in SMALLEST if timm.is_model(name)}
    names = sorted(known)
    for module in timm.list_modules():
        if not any(is_model_in_modules(name, [module]) for name in known):
            names += timm.list_models(module=module)[:1]
    return [f"timm:{n}" for n in names] + [f"torchvision:{n}" for n in OF_TORCHVISION]


def to_fill(name: str) -> tuple[nn.Module, Callable[[State], Any]]:
    """A network without numbers, and what puts a file's tensors into it, as its source does."""
    source, _, rest = name.partition(":")
    module: Any
    if source == "timm":
        module, loading = build_unloaded(rest, {})
        classifier = module.pretrained_cfg.get("classifier") or ()
        heads = (classifier,) if isinstance(classifier, str) else tuple(classifier)
        options: dict[str, Any] = {
            "convert": lambda state, module: loading.convert(state, module, heads),
            "lenient": loading.lenient,
        }
    else:
        weights = torchvision.models.get_model_weights(rest).DEFAULT
        network = torchvision_source._network(rest, weights, None, name, hollow_network)
        module, heads, options = network.module, network.heads, {}
    return module, lambda state: fit_weights(module, state, heads=heads, what=name, **options)


@pytest.mark.parametrize("name", families())
def test_junk_is_refused_and_a_file_that_fits_fills_all(name: str) -> None:
    module, fit = to_fill(name)
    with pytest.raises(BackboneError, match=r"missing: \w+.*unexpected: \w+"):
        fit(JUNK)
    made: dict[int, Tensor] = {}  # one tensor may have two names
    state = {}
    for key, tensor in module.state_dict(keep_vars=True).items():
        value = torch.zeros((), dtype=tensor.dtype).expand(tensor.shape)  # takes no memory
        state[key] = made.setdefault(id(tensor), value)
    fit(state)
    theirs = module.state_dict()
    assert theirs.keys() == state.keys()
    assert all(theirs[k].data_ptr() == state[k].data_ptr() for k in state)
    assert not any(buffer.is_meta for buffer in module.buffers())


#: Networks whose own features are pooled here: every layout, and every way to end.
POOLED = words("""
    test_vit test_vit2 test_vit3 test_byobnet test_coatnet test_convnext test_nfnet test_resnet
    test_efficientnet test_mambaout test_vit_relpos ghostnet_050 repghostnet_050
    inception_next_atto lcnetv2_small starnet_s050 efficientvit_b0
    mobilenetv3_small_050 regnetx_002 levit_128s
    pit_ti_224 pvt_v2_b0 cpubone_nano deit_tiny_distilled_patch16_224
    gmlp_ti16_224 swiftformer_xs lowformer_b0 coat_lite_tiny
""")  # fmt: skip
#: The same at 128 pixels.
POOLED_SMALL = words("""
    xcit_nano_12_p8_224 cspnext_tiny dla46x_c poolformerv2_s12 ese_vovnet19b_slim_dw
    fastvit_t8 mobilevit_xxs
""")  # fmt: skip


def own_places(module: Any, x: Tensor) -> Tensor:
    """Places of a timm network's features, taken without featx: (n, places, channels)."""
    features = module.forward_features(x)
    if features.ndim == 4:
        is_last = getattr(module, "output_fmt", "NCHW") == "NHWC"
        return features.flatten(1, 2) if is_last else features.flatten(2).mT  # type: ignore[no-any-return]
    maps = module.forward_intermediates(x, indices=1)[1][-1]
    n_places = maps.shape[2] * maps.shape[3]
    if features.shape[1] < n_places:  # class tokens alone
        return maps.flatten(2).mT  # type: ignore[no-any-return]
    return features[:, features.shape[1] - n_places :]  # type: ignore[no-any-return]


def check_pooled(backbone: Any, own: Callable[[Any, Tensor], Tensor]) -> None:
    x = torch.randn(2, 3, *backbone.preprocess.size_px, generator=torch.Generator().manual_seed(5))
    with torch.inference_mode():
        backbone.network(x)  # the second pass may end early
        average, maximum = backbone.network(x)
        places = own(backbone.network.module, x)
    torch.testing.assert_close(average, places.mean(1), rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(maximum, places.amax(1), rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("name", POOLED + POOLED_SMALL)
def test_timm_pools_its_own_features(name: str, random_backbone: Any) -> None:
    size = 128 if name in POOLED_SMALL else None
    options = {"poolings": ("avg", "max"), "separate": True, "size_px": size}
    check_pooled(random_backbone(f"timm:{name}", **options), own_places)


#: What torchvision's classifiers, or the pooling before them, are given.
OWN: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "alexnet": lambda m, x: m.avgpool(m.features(x)),
    "convnext_tiny": lambda m, x: m.features(x),
    "densenet121": lambda m, x: m.features(x).relu(),
    "efficientnet_b0": lambda m, x: m.features(x),
    "mnasnet0_5": lambda m, x: m.layers(x),
    "mobilenet_v2": lambda m, x: m.features(x),
    "mobilenet_v3_small": lambda m, x: m.features(x),
    "regnet_x_400mf": lambda m, x: m.trunk_output(m.stem(x)),
    "resnet18": lambda m, x: nn.Sequential(*list(m.children())[:-2])(x),
    "shufflenet_v2_x0_5": lambda m, x: nn.Sequential(*list(m.children())[:-1])(x),
    "squeezenet1_1": lambda m, x: m.features(x),
    "swin_t": lambda m, x: m.norm(m.features(x)).permute(0, 3, 1, 2),
}


@pytest.mark.parametrize("name", OWN)
def test_torchvision_pools_what_its_classifier_is_given(name: str, random_backbone: Any) -> None:
    options = {"poolings": ("avg", "max"), "separate": True, "size_px": 64}
    backbone = random_backbone(f"torchvision:{name}", **options)
    check_pooled(backbone, lambda module, x: OWN[name](module, x).flatten(2).mT)


@pytest.mark.parametrize("name", ["googlenet", "inception_v3"])
def test_inceptions_pool_what_their_classifier_is_given(name: str, random_backbone: Any) -> None:
    options = {"layers": ("pre-logits",), "size_px": 96}
    pooled = random_backbone(f"torchvision:{name}", poolings=("avg",), size_px=96)
    own = random_backbone(f"torchvision:{name}", **options)
    x = torch.randn(2, 3, 96, 96)
    with torch.inference_mode():
        torch.testing.assert_close(pooled.network(x)[0], own.network(x)[0])


@pytest.mark.parametrize(
    ("name", "pooling", "width"),
    [("pit_ti_224", "cls", 256), ("coat_lite_tiny", "cls", 320), ("test_vit", "cls", 64)],
)
def test_class_tokens_are_the_networks_own(
    name: str, pooling: str, width: int, random_backbone: Any
) -> None:
    backbone = random_backbone(f"timm:{name}", poolings=(pooling,))
    x = torch.randn(2, 3, *backbone.preprocess.size_px)
    with torch.inference_mode():
        (vectors,) = backbone.network(x)
        features = backbone.network.module.forward_features(x)
    assert vectors.shape == (2, width)
    torch.testing.assert_close(vectors, features[:, 0])


@pytest.mark.parametrize(
    ("name", "pooling", "reason"),
    [
        ("crossvit_tiny_240", "avg", "2 tensors"),
        ("coat_tiny", "max", "3 tensors"),
        ("efficientvim_m1", "avg", "4 tensors"),
        ("test_resnet", "cls", "a map without a class token"),
        ("gmlp_ti16_224", "cls", "no class token among them"),
    ],
)
def test_what_cannot_be_pooled_is_refused_by_name(
    name: str, pooling: str, reason: str, random_backbone: Any
) -> None:
    with pytest.raises(BackboneError, match=rf"'{pooling}' of timm:{name}/random .*{reason}"):
        random_backbone(f"timm:{name}", poolings=(pooling,))


def test_embeddings_that_were_right_keep_their_names(random_backbone: Any) -> None:
    """Right ones of earlier versions are known by the module that gives the features."""
    names = {
        "timm:test_resnet": "layer4",
        "timm:test_vit": "norm",
        "timm:pit_ti_224": "transformers",
        "torchvision:resnet18": "layer4",
        "torchvision:alexnet": "avgpool",
        "torchvision:swin_t": "permute",
        "torchvision:densenet121": "last-features",  # was the map before its ReLU
        "timm:test_vit3": "last-features",  # was one number a head
    }
    for name, layer in names.items():
        [output] = random_backbone(name, poolings=("avg",)).outputs
        assert output.name == f"{layer}:avg", name


def test_listed_layers_of_networks_that_compute_while_they_are_built() -> None:
    from featx.backbones import list_layers

    for name, layer in (
        ("torchvision:regnet_x_400mf", "trunk_output"),
        ("timm:coat_lite_tiny", "norm4"),
    ):
        assert layer in [row.name for row in list_layers(name)]
