"""The student's pass over the cores: tokens and gradients of the plain encoder, whatever depth drops."""

import copy
import dataclasses
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.model import student
from tagseg.model.student import encode_student

from ..conftest import TINY, tiny_network


def encoder_of(rate=0.5, **options):
    options = {**TINY.encoder_options, **options}
    encoder = tiny_network(config=dataclasses.replace(TINY, drop_path=rate, encoder_options=options)).encoder
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for parameter in encoder.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=generator))
    return encoder.train()


def inputs(count, masked=True):
    generator = torch.Generator().manual_seed(count)
    images = torch.randn(count, 3, 32, 48, generator=generator)
    mask = torch.rand(count, 4, 6, generator=generator) < 0.4
    return images, mask if masked else None, list(range(count))


def outcome(encode, encoder, given):
    """Maps, token and gradients."""
    encoder.zero_grad()
    features = encode(encoder, *given)
    found = {"patches": features.patches, "auxiliary": features.auxiliary, "token": features.token}
    weights = torch.Generator().manual_seed(3)
    total = sum((value * torch.randn(value.shape, generator=weights)).sum() for value in found.values())
    total.backward()
    gradients = {name: p.grad for name, p in encoder.named_parameters() if p.grad is not None}
    return {name: value.detach() for name, value in found.items()}, gradients


def assert_agree(encoder, given):
    ours, our_gradients = outcome(encode_student, encoder, given)
    theirs, their_gradients = outcome(lambda e, *rest: e(*rest), copy.deepcopy(encoder), given)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-4)
    assert set(our_gradients) == set(their_gradients)
    largest = max(gradient.norm() for gradient in their_gradients.values())
    for name, gradient in their_gradients.items():
        assert (our_gradients[name] - gradient).norm() <= 1e-5 * largest, name


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


VARIANTS = {
    "plain": {},
    "no depth": {"rate": 0.0},
    "registers": {"reg_tokens": 2},
    "layer scale": {"init_values": 0.5},
    "normalised queries": {"qk_norm": True},
    "no biases": {"qkv_bias": False},
}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_it_agrees_with_the_encoder(threads, options):
    assert_agree(encoder_of(**options), inputs(6))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_images_and_no_mask(threads, count):
    assert_agree(encoder_of(), inputs(count, masked=False))


@settings(deadline=None, max_examples=10, derandomize=True)
@given(rate=st.floats(0.01, 0.95), half=st.integers(1, 3), first=st.integers(0, 1000))
def test_whatever_is_dropped(rate, half, first):
    images, mask, _ = inputs(2 * half)
    assert_agree(encoder_of(rate), (images, mask, list(range(first, first + 2 * half))))


def test_a_branch_that_everyone_drops_still_has_a_gradient_of_zero():
    """AdamW decays weights that have a gradient alone."""
    encoder = encoder_of(0.9)
    given = next(
        (images, mask, [seed, seed + 1])
        for seed in range(1000)
        for images, mask, _ in [inputs(2)]
        if not student.draw_kept(encoder.depths, [seed, seed + 1])[-1, 0].any()
    )
    _, gradients = outcome(encode_student, encoder, given)
    weight = gradients[f"blocks.{len(encoder.blocks) - 1}.attn.qkv.weight"]
    assert not weight.any()


def test_images_meet_on_two_cores_forward_and_backward(monkeypatch):
    """Each part waits for the other: in the forward pass and, by a hook, in the backward pass."""
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    meeting = threading.Barrier(2, timeout=30)
    run = student._run

    def meet(_):
        meeting.wait()

    def waiting(encoder, part):
        meeting.wait()
        tokens, auxiliary = run(encoder, part)
        tokens.register_hook(meet)
        return tokens, auxiliary

    monkeypatch.setattr(student, "_run", waiting)
    try:
        encode_student(encoder_of(), *inputs(4)).tokens.sum().backward()
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("why", ["evaluation", "checkpoints", "autocast", "another block"])
def test_where_it_does_not_fit_it_is_the_encoder(why, monkeypatch):
    encoder = encoder_of()
    monkeypatch.setattr(student, "trained_on_each_core", None)
    if why == "evaluation":
        encoder.eval()
    if why == "checkpoints":
        encoder.checkpointing = True
    if why == "another block":
        encoder.blocks[0] = type("Other", (type(encoder.blocks[0]),), {})(encoder.width, 2).train()
        encoder.depths[0] = []
    with torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"):
        assert torch.isfinite(encode_student(encoder, *inputs(2)).tokens).all()
