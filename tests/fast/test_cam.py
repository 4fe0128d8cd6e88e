"""CAMs of packed inputs and of present classes alone equal the plain ones."""

import dataclasses

import pytest
import torch
from timm.models.vision_transformer import ResPostBlock

from tagseg.fast import cam as cam_module
from tagseg.fast.cam import auxiliary_cam, class_cams, multi_scale_cam
from tagseg.fast.engine import Engine
from tagseg.fast.prepared import prepare
from tagseg.fast.present_classes import present_classes, to_all_classes
from tagseg.fsr import cam as plain
from tagseg.fsr.cam import all_classes

from ..conftest import TINY, tiny_network

pytestmark = pytest.mark.slow


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


def aux_cam(network, images, scales, tags=None):
    """The auxiliary CAM alone, absent classes 0."""
    count = len(network.classes)
    present = present_classes(torch.ones(len(images), count) if tags is None else tags)
    return to_all_classes(auxiliary_cam(network, images, scales, present), present, count)


def test_the_auxiliary_cam_alone_equals_that_of_both(tiny, images):
    scales = (1.0, 0.5)
    both = class_cams(tiny, images, scales).auxiliary
    torch.testing.assert_close(aux_cam(tiny, images, scales), both)


def test_with_tags_the_present_classes_are_the_same_and_absent_ones_0(tiny, images):
    tags = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    every, present = class_cams(tiny, images, (1.0, 0.5)), class_cams(tiny, images, (1.0, 0.5), tags)
    shown = tags[:, :, None, None]
    torch.testing.assert_close(present.final, every.final * shown)
    torch.testing.assert_close(present.auxiliary, every.auxiliary * shown)
    torch.testing.assert_close(aux_cam(tiny, images, (1.0, 0.5), tags), every.auxiliary * shown)


def test_without_any_tag_all_cams_are_0(tiny, images):
    cams = class_cams(tiny, images, (1.0,), torch.zeros(2, 3))
    assert not cams.final.any()
    assert not cams.auxiliary.any()


ENCODERS = {
    "plain": {},
    "registers": {"reg_tokens": 2},
    "a block that is not timm's plain one": {"block_fn": ResPostBlock},
    "layer scale": {"init_values": 0.5},
    "normalised queries": {"qk_norm": True},
}
TAGS = {
    "every class": None,
    "mixed": [[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1], [1, 0, 0]],
    "no class": [[0, 0, 0]] * 5,
}


def assert_as_plain(network, images, scales, tags):
    theirs = plain.multi_scale_cam(network, images, scales, all_classes(torch.ones(len(images), 3)))
    shown = 1 if tags is None else tags[:, :, None, None]
    ours = class_cams(network, images, scales, tags)
    for mine, expected in (
        (ours.final, theirs.final),
        (ours.auxiliary, theirs.auxiliary),
        (aux_cam(network, images, scales, tags), theirs.auxiliary),
    ):
        torch.testing.assert_close(mine, expected * shown, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("options", ENCODERS.values(), ids=ENCODERS)
@pytest.mark.parametrize("tags", TAGS.values(), ids=TAGS)
@pytest.mark.parametrize("at_once", [1, 100, 100_000])
def test_packed_cams_equal_the_plain_ones(monkeypatch, options, tags, at_once):
    """Whether the images go through the encoder one by one, a few or all together."""
    monkeypatch.setitem(cam_module.TOKENS_AT_ONCE, "cpu", at_once)
    network = tiny_network(config=dataclasses.replace(TINY, encoder_options={**TINY.encoder_options, **options}))
    images = torch.randn(5, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    assert_as_plain(network, images, (1.0, 0.5, 1.5), None if tags is None else torch.tensor(tags).float())


@pytest.mark.parametrize("size", [(32, 32), (8, 56), (48, 16)])
@pytest.mark.parametrize("scales", [(1.0, 0.1), (2.0, 1.3), (1.0, 1.0)])
def test_packed_cams_equal_the_plain_ones_at_any_size(tiny, size, scales):
    assert_as_plain(tiny, torch.randn(2, 3, *size, generator=torch.Generator().manual_seed(1)), scales, None)


@pytest.mark.parametrize("count", [1, 3, 4])
def test_packed_cams_equal_the_plain_ones_on_two_threads(tiny, monkeypatch, count, threads):
    monkeypatch.setitem(cam_module.TOKENS_AT_ONCE, "cpu", 1)
    images = torch.randn(count, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    threads(2)
    assert_as_plain(tiny, images, (1.0, 0.5), None)
    with torch.inference_mode():
        assert_as_plain(tiny, images, (1.0, 0.5), None)


@torch.no_grad()
def change_weights(network):
    for block in network.encoder.blocks:
        block.mlp.fc1.weight.mul_(-2)


def test_weights_that_were_packed_for_a_cam_are_forgotten(images):
    """The next one packs those of now."""
    network = tiny_network()
    before = class_cams(network, images, (1.0,)).final
    change_weights(network)
    assert not torch.allclose(class_cams(network, images, (1.0,)).final, before, rtol=1e-3, atol=1e-3)
    assert_as_plain(network, images, (1.0,), None)


@pytest.mark.skipif(not torch.backends.mkldnn.is_available(), reason="PyTorch without oneDNN")
def test_a_prepared_encoder_that_is_given_is_used(images):
    network, engine = tiny_network(), Engine()
    classes = present_classes(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]))
    ready = prepare(network.encoder, images, engine)
    expected = multi_scale_cam(network, images, (1.0,), classes)
    change_weights(network)  # the packed ones are from before
    ours = multi_scale_cam(network, images, (1.0,), classes, engine, ready)
    assert torch.equal(ours.final, expected.final)
    assert torch.equal(ours.auxiliary, expected.auxiliary)
    assert torch.equal(auxiliary_cam(network, images, (1.0,), classes, engine, ready), expected.auxiliary)


def test_maps_of_the_present_classes_are_those_of_all_side_by_side(tiny, images):
    tags = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    present = present_classes(tags)
    cams, every = multi_scale_cam(tiny, images, (1.0,), present), class_cams(tiny, images, (1.0,))
    assert cams.final.shape == (2, 2, 32, 48)
    torch.testing.assert_close(cams.final[1], every.final[1, [0, 2]])
    torch.testing.assert_close(cams.final[0, 0], every.final[0, 1])
    torch.testing.assert_close(auxiliary_cam(tiny, images, (1.0,), present)[1], every.auxiliary[1, [0, 2]])
