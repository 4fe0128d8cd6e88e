"""Encoders on copies of their weights in bfloat16: close to float32, and gradients reach the weights themselves."""

import pytest
import torch

from tagseg.fast.engine import Engine
from tagseg.fast.half_copies import HalfCopies, applies, with_gradient
from tagseg.fast.student_forward import _in_halves

from .conftest import network_of

CPU_ONLY = "ignore:User provided device_type"


def error(ours, expected):
    return float((ours.detach().float() - expected.detach()).norm() / expected.detach().norm())


@pytest.mark.filterwarnings(CPU_ONLY)
@pytest.mark.parametrize("masked", [True, False])
def test_features_and_gradients_are_those_of_float32(masked):
    network = network_of().train()
    generator = torch.Generator().manual_seed(0)
    images = torch.randn(4, 3, 32, 48, generator=generator)
    mask = torch.rand(4, 4, 6, generator=generator) < 0.4 if masked else None
    seeds = [1, 2, 3, 4]
    expected, ours = network.encoder(images, mask, seeds), _in_halves(network.encoder, images, mask, seeds, Engine())
    assert ours.patches.dtype == torch.bfloat16
    direction = torch.randn(expected.patches.shape, generator=generator)
    gradients = []
    for features in (expected, ours):
        network.zero_grad()
        ((features.patches + features.auxiliary) * direction).sum().backward()
        gradients.append({n: p.grad.clone() for n, p in network.encoder.named_parameters() if p.grad is not None})
    assert error(ours.patches, expected.patches) <= 0.02
    assert error(ours.auxiliary, expected.auxiliary) <= 0.02
    assert gradients[0].keys() == gradients[1].keys()
    assert all(gradient.dtype == torch.float32 for gradient in gradients[1].values())
    flat = [torch.cat([gradient.flatten() for gradient in one.values()]) for one in gradients]
    assert error(flat[1], flat[0]) <= 0.03


def test_a_copy_stays_where_it_is_and_follows_the_weights():
    encoder, copies = network_of().train().encoder, HalfCopies()
    copy = copies.of(encoder)
    assert not copy.training
    assert not any(p.requires_grad for p in copy.parameters())
    places = [p.data_ptr() for p in copy.parameters()]
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(1)
    assert copies.of(encoder) is copy
    assert [p.data_ptr() for p in copy.parameters()] == places
    for theirs, ours in zip(copy.parameters(), encoder.parameters(), strict=True):
        assert theirs.equal(ours.bfloat16())
    assert encoder.training, "the encoder itself is left as it is"


def test_a_refresh_between_forward_and_backward_is_no_error():
    weight = torch.randn(3, requires_grad=True)
    half = weight.detach().bfloat16()
    (used,) = with_gradient([half], [weight])
    result = (used * used).sum()
    half.copy_(weight.detach())
    result.backward()
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, 2 * half.float())


def test_they_are_for_a_gpu_under_autocast_alone():
    encoder, images = network_of().encoder, torch.zeros(1, 3, 32, 32)
    assert not applies(encoder, images)
    with torch.autocast("cpu", torch.bfloat16):
        assert not applies(encoder, images)


@pytest.mark.gpu
def test_on_a_gpu_they_follow_autocast_and_precision():
    encoder, images = network_of().cuda().encoder, torch.zeros(1, 3, 32, 32).cuda()
    assert not applies(encoder, images)
    with torch.autocast("cuda", torch.float16):
        assert not applies(encoder, images)
    with torch.autocast("cuda", torch.bfloat16):
        assert applies(encoder, images)
        assert not applies(encoder.double(), images)
