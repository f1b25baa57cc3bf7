"""The networks everyone asks for, from both zoos: pre-logits of the right width and values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from featx import console
from featx.backbones import load_backbone
from featx.data.preprocess import preprocess_image
from featx.engines import build_engine
from featx.types import BackboneRequest

FAMILIES = [
    ("vgg16", "vgg16", 64, 4096),
    ("resnet50", "resnet50", 64, 2048),
    ("inception_v3", "inception_v3", 96, 2048),
    ("mobilenetv2_100", "mobilenet_v2", 64, 1280),
    ("mobilenetv3_large_100", "mobilenet_v3_large", 64, 1280),
]


def embedded(backbone, size: int) -> tuple[torch.Tensor, torch.Tensor]:
    x = torch.randn(2, 3, size, size, generator=torch.Generator().manual_seed(0))
    with torch.inference_mode():
        backbone.network(x)
        return backbone.network(x)[0], x


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size", "width"), [(f[0], *f[2:]) for f in FAMILIES])
def test_timm(name, size, width, random_backbone):
    backbone = random_backbone(f"timm:{name}", size_px=size)
    vectors, x = embedded(backbone, size)
    assert backbone.outputs[0].n_features == vectors.shape[1] == width
    module = backbone.network.module
    module.reset_classifier(0)
    with torch.inference_mode():
        torch.testing.assert_close(vectors, module(x))


@pytest.mark.slow
@pytest.mark.parametrize(("name", "size"), [*((f[1], f[2]) for f in FAMILIES), ("swin_t", 64)])
def test_torchvision(name, size, random_backbone):
    backbone = random_backbone(f"torchvision:{name}", size_px=size)
    vectors, x = embedded(backbone, size)
    module = backbone.network.module
    last, linear = [(n, m) for n, m in module.named_modules() if isinstance(m, nn.Linear)][-1]
    assert backbone.outputs[0].n_features == vectors.shape[1] == linear.in_features
    module.set_submodule(last, nn.Identity())
    with torch.inference_mode():
        torch.testing.assert_close(vectors, module(x))


def test_inception_transforms_its_input_as_the_weights_want():
    from featx.backbones.torchvision import PLUGIN

    network = PLUGIN.sketch("inception_v3")
    assert network.module.transform_input
    assert network.module.AuxLogits is None
    assert network.preprocess.size_px == (299, 299)


def test_auxiliary_classifiers_in_a_file_are_left_out(tmp_path):
    import torchvision

    with torch.random.fork_rng(devices=[]), torch.device("cpu"):
        module = torchvision.models.googlenet(weights=None, aux_logits=True, init_weights=False)
    torch.save(module.state_dict(), tmp_path / "googlenet.pth")
    request = BackboneRequest(
        "torchvision:googlenet", weights=str(tmp_path / "googlenet.pth"), size_px=64
    )
    assert load_backbone(request).outputs[0].n_features == 1024


def test_published_densenets_have_the_old_names(tmp_path):
    import torchvision

    from featx.backbones.torchvision import _adapt

    with torch.device("meta"):
        module = torchvision.models.densenet121(weights=None)
    names = set(module.state_dict())
    old = {
        n.replace("norm1", "norm.1").replace("norm2", "norm.2").replace("conv1", "conv.1")
        for n in names
        if "denselayer" in n
    } | {n for n in names if "denselayer" not in n}
    assert old != names
    assert set(_adapt("densenet121", dict.fromkeys(old, torch.zeros(1)), module)) == names


def test_a_vision_transformer_at_another_size(tmp_path):
    import torchvision

    with torch.device("meta"):
        module = torchvision.models.vit_b_32(weights=None)
    state = {k: torch.zeros(v.shape) for k, v in module.state_dict().items()}
    torch.save(state, tmp_path / "vit.pth")
    request = BackboneRequest(
        "torchvision:vit_b_32", weights=str(tmp_path / "vit.pth"), size_px=128
    )
    backbone = load_backbone(request)
    assert backbone.network.module.encoder.pos_embedding.shape[1] == 17
    assert backbone.outputs[0].n_features == 768


def test_a_timm_transformer_at_another_size(tmp_path, monkeypatch):
    import timm
    from safetensors.torch import save_file

    module = timm.create_model("vit_tiny_patch16_224")
    save_file(module.state_dict(), tmp_path / "vit.safetensors")
    request = BackboneRequest(
        "timm:vit_tiny_patch16_224", weights=str(tmp_path / "vit.safetensors"), size_px=96
    )
    backbone = load_backbone(request)
    assert backbone.network.module.pos_embed.shape[1] == 37
    assert backbone.outputs[0].n_features == 192


def test_a_size_that_a_network_cannot_take_is_an_error(random_backbone):
    from featx.errors import BackboneError

    with pytest.raises(BackboneError, match="cannot take images of 20 × 20 px"):
        random_backbone("torchvision:inception_v3", size_px=20)


def test_squeezenet_with_imagenet_weights(shared_weights, monkeypatch):
    """Against torchvision's own network and transform, on a photograph-like picture."""
    import torchvision
    from PIL import Image
    from safetensors.torch import load_file

    monkeypatch.setattr(console, "warn", lambda text: pytest.fail(text))
    backbone = load_backbone(
        BackboneRequest("torchvision:squeezenet1_0", weights=str(shared_weights))
    )
    assert backbone.outputs[0].n_features == 512
    gradient = np.linspace(0, 255, 400 * 300 * 3).reshape(300, 400, 3).astype(np.uint8)
    image = Image.fromarray(gradient)
    (ours,) = build_engine("torch", backbone, device="cpu", precision="fp32").embed(
        preprocess_image(image, backbone.preprocess)[None]
    )
    module = torchvision.models.squeezenet1_0(weights=None).eval()
    module.load_state_dict(load_file(shared_weights))
    transform = torchvision.models.SqueezeNet1_0_Weights.IMAGENET1K_V1.transforms()
    with torch.inference_mode():
        theirs = module.features(transform(image)[None]).mean((2, 3)).numpy()
    np.testing.assert_allclose(ours, theirs, rtol=1e-4, atol=1e-4 * np.abs(theirs).max())
