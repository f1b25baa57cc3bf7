"""Pooling by hand-made tensors: every layout, every pooling, every refusal."""

from __future__ import annotations

import pytest
import torch

from featx.backbones._pooling import TokenLayout, n_places, pool
from featx.errors import BackboneError

CNN = TokenLayout(1.0, 0, False, "avg", False, "timm:cnn")
VIT = TokenLayout(1.0, 1, True, "cls", False, "timm:vit")
REGISTERS = TokenLayout(1.0, 5, True, "avg", False, "timm:vit_reg4")
SWIN = TokenLayout(1.0, 0, False, "avg", True, "timm:swin")


def test_maps_average_and_maximum():
    x = torch.arange(2 * 3 * 4 * 4.0).view(2, 3, 4, 4)
    torch.testing.assert_close(pool(x, "avg", CNN, what="l"), x.mean((2, 3)))
    torch.testing.assert_close(pool(x, "own", CNN, what="l"), x.mean((2, 3)))
    torch.testing.assert_close(pool(x, "max", CNN, what="l"), x.amax((2, 3)))
    both = torch.cat([x.mean((2, 3)), x.amax((2, 3))], 1)
    torch.testing.assert_close(pool(x, "avg+max", CNN, what="l"), both)
    torch.testing.assert_close(pool(x, "flatten", CNN, what="l"), x.flatten(1))


@pytest.mark.parametrize("layout", [CNN, SWIN], ids=["hint NCHW", "hint NHWC"])
def test_channels_last_is_seen_from_the_shape(layout):
    x = torch.randn(2, 7, 7, 96)
    torch.testing.assert_close(pool(x, "max", layout, what="l"), x.amax((1, 2)))
    y = torch.randn(2, 96, 7, 7)
    torch.testing.assert_close(pool(y, "max", layout, what="l"), y.amax((2, 3)))


def test_where_the_shape_leaves_it_open_the_network_decides():
    x = torch.randn(2, 7, 7, 7)
    torch.testing.assert_close(pool(x, "max", CNN, what="l"), x.amax((2, 3)))
    torch.testing.assert_close(pool(x, "max", SWIN, what="l"), x.amax((1, 2)))


def test_channels_last_of_an_oblong_image():
    tall = TokenLayout(2.0, 0, False, "avg", False, "timm:tall")
    x = torch.randn(1, 8, 4, 5)
    torch.testing.assert_close(pool(x, "avg", tall, what="l"), x.mean((1, 2)))
    y = torch.randn(1, 5, 8, 4)
    torch.testing.assert_close(pool(y, "avg", tall, what="l"), y.mean((2, 3)))


def test_class_and_register_tokens_take_no_part_in_averages():
    x = torch.randn(2, 5 + 16, 8)
    torch.testing.assert_close(pool(x, "avg", REGISTERS, what="l"), x[:, 5:].mean(1))
    torch.testing.assert_close(pool(x, "max", REGISTERS, what="l"), x[:, 5:].amax(1))
    torch.testing.assert_close(pool(x, "cls", REGISTERS, what="l"), x[:, 0])


def test_layers_that_hold_only_patches_keep_them_all():
    x = torch.randn(2, 16, 8)
    torch.testing.assert_close(pool(x, "avg", VIT, what="patch_embed"), x.mean(1))
    torch.testing.assert_close(pool(x, "own", VIT, what="patch_embed"), x.mean(1))
    with pytest.raises(BackboneError, match="has no class token"):
        pool(x, "cls", VIT, what="patch_embed")


def test_tokens_pool_as_the_network_itself_does():
    x = torch.randn(2, 17, 8)
    torch.testing.assert_close(pool(x, "own", VIT, what="l"), x[:, 0])


@pytest.mark.parametrize("pooling", ["flatten", "cls", "avg", "max"])
def test_the_result_outlives_what_it_was_taken_from(pooling):
    x = torch.randn(2, 17, 8)
    vector = pool(x, pooling, VIT, what="l")
    before = vector.clone()
    x.zero_()
    torch.testing.assert_close(vector, before)


def test_refusals_name_the_layer_and_what_to_do():
    with pytest.raises(BackboneError, match=r"'cls' of layer 'layer4' of timm:cnn: it is a map"):
        pool(torch.randn(2, 8, 4, 4), "cls", CNN, what="layer4")
    with pytest.raises(BackboneError, match="already one vector of 8"):
        pool(torch.randn(2, 8), "max", CNN, what="fc")
    with pytest.raises(BackboneError, match="4 dimensions an image"):
        pool(torch.randn(2, 2, 2, 2, 2), "avg", CNN, what="odd")


def test_places_are_counted_in_either_layout():
    assert n_places((1, 512, 1, 1), CNN) == 1
    assert n_places((1, 7, 7, 96), CNN) == 49
    assert n_places((1, 96, 7, 7), CNN) == 49
    assert n_places((1, 197, 8), VIT) == 197
