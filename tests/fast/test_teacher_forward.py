"""The teacher a few images at a time, masked patches alone: what the plain form projects."""

import copy
import io

import pytest
import torch

from tagseg.fast import teacher_forward as module
from tagseg.fast.engine import Engine
from tagseg.fast.teacher_forward import encode, project_teacher
from tagseg.fsr import distillation as plain
from tagseg.fsr.config import MaskConfig
from tagseg.fsr.masking import masked_places

from .conftest import KINDS, network_of

pytestmark = pytest.mark.slow


def images_of(count, size=(24, 40), seed=0):
    return torch.randn(count, 3, *size, generator=torch.Generator().manual_seed(seed))


def assert_same(ours, theirs):
    torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("count", [1, 2, 5, 12])
@pytest.mark.parametrize("at_once", [1, 3, 100])
@pytest.mark.parametrize("cores", [1, 2])
def test_encoding_gives_the_encoders_tokens_in_order(monkeypatch, threads, cores, count, at_once):
    encoder, images = network_of().encoder, images_of(count)
    monkeypatch.setitem(module.IMAGES_AT_ONCE, "cpu", at_once)
    threads(cores)
    ours = encode(encoder, images, Engine())
    threads(1)
    assert not ours.requires_grad
    with torch.no_grad():
        assert_same(ours, encoder(images).tokens)


@torch.no_grad()
def test_under_autocast_tokens_are_near_those_in_float32():
    encoder, images = network_of().encoder, images_of(2, (32, 32))
    with torch.autocast("cpu", torch.bfloat16):
        half = encode(encoder, images, Engine()).float()
    full = encode(encoder, images, Engine())
    assert (half - full).norm() < 0.05 * full.norm()
    assert not torch.equal(half, full), "it did compute in bfloat16"


def test_a_network_that_was_used_can_be_copied_and_pickled():
    encoder, images = network_of().encoder, images_of(2, (32, 32))
    expected = encode(encoder, images, Engine())
    file = io.BytesIO()
    torch.save(encoder, file)
    file.seek(0)
    for other in (copy.deepcopy(encoder), torch.load(file, weights_only=False)):
        assert_same(encode(other, images, Engine()), expected)


@pytest.mark.parametrize("options", KINDS.values(), ids=KINDS)
@pytest.mark.parametrize("share", [0.0, 0.4, 1.0])
@pytest.mark.parametrize("cores", [1, 2])
def test_projections_equal_those_of_the_plain_form(threads, options, share, cores):
    network = network_of(**options)
    x1, x2 = images_of(2, (32, 48)), images_of(2, (32, 48), seed=1)
    chosen = torch.rand(2, 4, 6, generator=torch.Generator().manual_seed(2)) < share
    masked = masked_places(chosen, (32, 48), 8, MaskConfig())
    threads(cores)
    ours, theirs = (project(network, x1, x2, masked) for project in (project_teacher, plain.project_teacher))
    assert ours.patches.shape == (int(chosen.sum()), 32)
    for name, value in vars(theirs).items():
        assert_same(getattr(ours, name), value)
        assert not getattr(ours, name).requires_grad
