"""The student's forward pass over the cores: tokens and gradients of the plain encoder, whatever is dropped."""

import copy
import threading

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.fast import student_forward as module
from tagseg.fast.engine import Engine
from tagseg.fast.student_forward import encode_student
from tagseg.fast.threads import Cores
from tagseg.fsr import step as plain
from tagseg.model.encoder import draw_kept

from .conftest import KINDS, network_of

pytestmark = pytest.mark.slow


def student_of(rate=0.5, **options):
    return network_of(rate, **options).train()


def inputs(count, masked=True):
    generator = torch.Generator().manual_seed(count)
    images = torch.randn(count, 3, 32, 48, generator=generator)
    mask = torch.rand(count, 4, 6, generator=generator) < 0.4
    return images, mask if masked else None, list(range(count))


def outcome(encode, student, given):
    """Maps, token and gradients."""
    student.zero_grad()
    features = encode(student, *given)
    values = {"patches": features.patches, "auxiliary": features.auxiliary, "token": features.global_token()}
    weights = torch.Generator().manual_seed(3)
    total = sum((value * torch.randn(value.shape, generator=weights)).sum() for value in values.values())
    total.backward()
    gradients = {name: p.grad for name, p in student.encoder.named_parameters() if p.grad is not None}
    return {name: value.detach() for name, value in values.items()}, gradients


def assert_agree(student, given):
    ours, our_gradients = outcome(encode_student, student, given)
    theirs, their_gradients = outcome(plain.encode_student, copy.deepcopy(student), given)
    for name, value in theirs.items():
        torch.testing.assert_close(ours[name], value, rtol=1e-4, atol=1e-4)
    assert set(our_gradients) == set(their_gradients)
    largest = max(gradient.norm() for gradient in their_gradients.values())
    for name, gradient in their_gradients.items():
        assert (our_gradients[name] - gradient).norm() <= 1e-5 * largest, name


@pytest.fixture(params=[1, 2, 3])
def cores(request, threads):
    threads(request.param)
    return request.param


VARIANTS = KINDS | {"no drop path": {"rate": 0.0}}


@pytest.mark.parametrize("options", VARIANTS.values(), ids=VARIANTS)
def test_it_agrees_with_the_encoder(cores, options):
    assert_agree(student_of(**options), inputs(6))


@pytest.mark.parametrize("count", [1, 2, 5])
def test_any_number_of_images_and_no_mask(cores, count):
    assert_agree(student_of(), inputs(count, masked=False))


@settings(deadline=None, max_examples=10, derandomize=True)
@given(rate=st.floats(0.01, 0.95), half=st.integers(1, 3), first=st.integers(0, 1000))
def test_whatever_is_dropped(rate, half, first):
    images, mask, _ = inputs(2 * half)
    assert_agree(student_of(rate), (images, mask, list(range(first, first + 2 * half))))


def test_a_branch_that_everyone_drops_still_has_a_gradient_of_zero():
    """AdamW decays weights that have a gradient alone."""
    student = student_of(0.9)
    given = next(
        (images, mask, [seed, seed + 1])
        for seed in range(1000)
        for images, mask, _ in [inputs(2)]
        if not draw_kept(student.encoder.drop_paths, [seed, seed + 1])[-1, 0].any()
    )
    _, gradients = outcome(encode_student, student, given)
    weight = gradients[f"blocks.{len(student.encoder.blocks) - 1}.attn.qkv.weight"]
    assert not weight.any()


def test_images_meet_on_two_cores_forward_and_backward(monkeypatch, threads):
    """Each part waits for the other: in the forward pass and, by a hook, in the backward pass."""
    threads(2)
    meeting = threading.Barrier(2, timeout=30)
    run = module._run

    def meet(_):
        meeting.wait()

    def waiting(encoder, part):
        meeting.wait()
        tokens, auxiliary = run(encoder, part)
        tokens.register_hook(meet)
        return tokens, auxiliary

    monkeypatch.setattr(module, "_run", waiting)
    encode_student(student_of(), *inputs(4)).tokens.sum().backward()


@pytest.mark.parametrize("why", ["evaluation", "recomputing", "autocast", "another block"])
def test_where_it_does_not_fit_it_is_the_encoder(why, monkeypatch):
    student = student_of()
    monkeypatch.setattr(Cores, "map_with_gradient", None)
    if why == "evaluation":
        student.eval()
    if why == "another block":
        blocks = student.encoder.blocks
        blocks[0] = type("Other", (type(blocks[0]),), {})(student.encoder.width, 2).train()
        student.encoder.drop_paths[0] = []
    engine, (images, mask, seeds) = Engine(recompute=why == "recomputing"), inputs(2)
    with torch.autocast("cpu", torch.bfloat16, enabled=why == "autocast"):
        assert torch.isfinite(encode_student(student, images, mask, seeds, engine).tokens).all()
