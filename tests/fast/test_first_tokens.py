"""What enters the first block, by products: what convolution and bicubic interpolation give, values and gradient."""

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from tagseg.fast import first_tokens as first_tokens_file
from tagseg.fast.first_tokens import by_products, embed_patches, first_tokens, resize_positions

from .conftest import network_of


def interpolated(positions, grid, to):
    plane = positions.unflatten(1, grid).permute(0, 3, 1, 2)
    return F.interpolate(plane, size=to, mode="bicubic", align_corners=False).flatten(2).transpose(1, 2)


@pytest.mark.parametrize("grid", [(14, 14), (3, 5), (1, 2)])
@pytest.mark.parametrize("to", [(28, 28), (7, 9), (42, 14), (1, 1), (2, 30)])
@pytest.mark.parametrize(("dtype", "near"), [(torch.float32, 1e-5), (torch.float64, 1e-12)])
def test_it_is_bicubic_interpolation_forward_and_gradient(grid, to, dtype, near):
    generator = torch.Generator().manual_seed(0)
    positions = torch.randn(1, grid[0] * grid[1], 6, dtype=dtype, generator=generator).requires_grad_()
    direction = torch.randn(1, to[0] * to[1], 6, dtype=dtype, generator=generator)
    ours, theirs = resize_positions(positions, grid, to), interpolated(positions, grid, to)
    assert ours.dtype == dtype
    torch.testing.assert_close(ours, theirs, rtol=near, atol=near)
    gradients = [torch.autograd.grad((values * direction).sum(), positions)[0] for values in (ours, theirs)]
    torch.testing.assert_close(*gradients, rtol=near, atol=10 * near)


def test_what_is_kept_of_a_prediction_can_be_trained_with():
    first_tokens_file._weights.cache_clear()
    positions = torch.randn(1, 6, 4)
    with torch.inference_mode():
        resize_positions(positions, (2, 3), (4, 5))
    resize_positions(positions.requires_grad_(), (2, 3), (4, 5)).sum().backward()
    assert positions.grad is not None


def test_the_grid_they_were_trained_with_is_left_alone():
    positions = torch.randn(1, 6, 4)
    assert resize_positions(positions, (2, 3), (2, 3)) is positions


def test_half_precision_is_resized_in_float32():
    positions = torch.randn(1, 196, 8, generator=torch.Generator().manual_seed(1)).bfloat16()
    expected = resize_positions(positions.float(), (14, 14), (21, 28)).bfloat16()
    with torch.autocast("cpu", torch.bfloat16):
        ours = resize_positions(positions, (14, 14), (21, 28))
    assert torch.equal(ours, expected)


@pytest.mark.parametrize("bias", [True, False])
@pytest.mark.parametrize(("patch", "size"), [(8, (16, 24)), (14, (28, 14)), (16, (16, 16))])
def test_the_product_equals_the_convolution_forward_and_gradient(bias, patch, size):
    torch.manual_seed(0)
    convolution = nn.Conv2d(3, 10, patch, stride=patch, bias=bias).double()
    images = torch.randn(2, 3, *size, dtype=torch.float64, requires_grad=True)
    ours, theirs = embed_patches(convolution, images), convolution(images).flatten(2).transpose(1, 2)
    assert ours.shape == (2, (size[0] // patch) * (size[1] // patch), 10)
    torch.testing.assert_close(ours, theirs)
    direction = torch.randn_like(ours)
    read = [images, *convolution.parameters()]
    gradients = [torch.autograd.grad((values * direction).sum(), read) for values in (ours, theirs)]
    for one, other in zip(*gradients, strict=True):
        torch.testing.assert_close(one, other)


@pytest.mark.parametrize(
    "options", [{}, {"reg_tokens": 2}, {"pre_norm": True}], ids=["plain", "registers", "norm first"]
)
@pytest.mark.parametrize("masked", [False, True])
@pytest.mark.parametrize("size", [(32, 48), (56, 24)])
def test_tokens_equal_those_of_the_plain_form(options, masked, size):
    encoder = network_of(**options).double().encoder
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(2, 3, *size, dtype=torch.float64, generator=generator)
    mask = torch.rand(2, size[0] // 8, size[1] // 8, generator=generator) < 0.4 if masked else None
    (ours, grid), (theirs, same) = by_products(encoder, images, mask), encoder.first_tokens(images, mask)
    assert grid == same
    torch.testing.assert_close(ours, theirs)
    assert torch.equal(first_tokens(encoder, images, mask)[0], theirs), "on a CPU it is the plain form"
