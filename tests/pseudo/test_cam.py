import copy
import dataclasses

import pytest
import torch
from timm.models.vision_transformer import ResPostBlock
from torch.nn import functional as F

from tagseg.model.onednn import fused_block
from tagseg.pseudo import cam as cam_module
from tagseg.pseudo.cam import evaluating, multi_scale_cam, normalise, present_aux_cam, present_cam
from tagseg.pseudo.cam_plain import plain_multi_scale_cam
from tagseg.pseudo.present import present_classes

from ..conftest import TINY, tiny_network


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def plain_cam(network, image, scales, which):
    """METHOD §2 word by word, for one image; every side is a multiple of the patch at every scale here."""
    height, width = image.shape[-2:]
    total = 0
    for scale in scales:
        scaled = image
        if scale != 1:
            scaled = F.interpolate(image, size=(int(height * scale), int(width * scale)), mode="bilinear")
        own = F.interpolate(network.cams(scaled)[which], size=(height, width), mode="bilinear")
        mirror = F.interpolate(network.cams(scaled.flip(3))[which], size=(height, width), mode="bilinear").flip(3)
        total = total + torch.maximum(own, mirror)
    planes = total[0]
    for plane in planes:
        plane -= plane.min()
        plane /= plane.max() + 1e-5
    return planes


def aux_cam(network, images, scales, tags=None):
    """The auxiliary CAM alone, absent classes 0."""
    count = len(network.classes)
    present = present_classes(torch.ones(len(images), count) if tags is None else tags)
    return present.scatter(present_aux_cam(network, images, scales, present), count)


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 0.5, 1.5), (2.0, 0.5)])
def test_multi_scale_cam_equals_a_plain_loop(tiny, images, scales):
    cams = multi_scale_cam(tiny, images, scales)
    for index in range(len(images)):
        image = images[index : index + 1]
        torch.testing.assert_close(cams.final[index], plain_cam(tiny, image, scales, 0), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(cams.auxiliary[index], plain_cam(tiny, image, scales, 1), rtol=1e-3, atol=1e-4)


def test_the_auxiliary_cam_alone_equals_that_of_both(tiny, images):
    scales = (1.0, 0.5)
    both = multi_scale_cam(tiny, images, scales).auxiliary
    torch.testing.assert_close(aux_cam(tiny, images, scales), both)


def test_with_tags_the_present_classes_are_the_same_and_absent_ones_0(tiny, images):
    tags = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    every, present = multi_scale_cam(tiny, images, (1.0, 0.5)), multi_scale_cam(tiny, images, (1.0, 0.5), tags)
    shown = tags[:, :, None, None]
    torch.testing.assert_close(present.final, every.final * shown)
    torch.testing.assert_close(present.auxiliary, every.auxiliary * shown)
    torch.testing.assert_close(aux_cam(tiny, images, (1.0, 0.5), tags), every.auxiliary * shown)


def test_without_any_tag_all_cams_are_0(tiny, images):
    cams = multi_scale_cam(tiny, images, (1.0,), torch.zeros(2, 3))
    assert not cams.final.any()
    assert not cams.auxiliary.any()


def test_values_are_from_0_to_1_at_the_images_size(tiny, images):
    cam = multi_scale_cam(tiny, images, (1.0,)).final
    assert cam.shape == (2, 3, 32, 48)
    assert cam.amin((2, 3)).eq(0).all()
    assert cam.max() <= 1
    assert cam.max() > 0.5


def test_sizes_are_rounded_to_whole_patches(tiny):
    assert multi_scale_cam(tiny, torch.randn(1, 3, 24, 40), (0.1, 0.5, 1.3)).final.shape == (1, 3, 24, 40)


def test_a_mirrored_image_has_the_mirrored_cam(tiny, images):
    cam = multi_scale_cam(tiny, images, (1.0, 0.5)).final
    mirrored = multi_scale_cam(tiny, images.flip(3), (1.0, 0.5)).final
    torch.testing.assert_close(mirrored, cam.flip(3), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_stochastic_depth_is_off_meanwhile_and_the_mode_is_as_before(images, training):
    network = tiny_network().train(training)
    for block in network.encoder.blocks:  # certain to drop if it were on
        block.drop_path1 = copy.deepcopy(network.encoder.blocks[-1].drop_path1)
        block.drop_path1.drop_prob = 0.999
    first = multi_scale_cam(network, images, (1.0,)).final
    assert torch.equal(first, multi_scale_cam(network, images, (1.0,)).final)
    assert all(module.training == training for module in network.modules())
    assert not first.requires_grad


def test_the_mode_is_restored_after_an_error(tiny):
    network = copy.deepcopy(tiny).train()
    with pytest.raises(RuntimeError), evaluating(network):
        raise RuntimeError
    assert network.training


def test_normalise_treats_each_image_and_class_alone():
    cam = torch.rand(2, 3, 4, 5) * torch.tensor([1.0, 10.0, 1e-3]).view(1, 3, 1, 1) + 2
    result = normalise(cam)
    for b in range(2):
        for k in range(3):
            plane = cam[b, k] - cam[b, k].min()
            torch.testing.assert_close(result[b, k], plane / (plane.max() + 1e-5))


def test_a_flat_cam_normalises_to_zero():
    assert torch.equal(normalise(torch.full((1, 2, 3, 3), 7.0)), torch.zeros(1, 2, 3, 3))


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 0.5, 1.5)])
def test_the_plain_form_equals_a_plain_loop(tiny, images, scales):
    cams = plain_multi_scale_cam(tiny, images, scales)
    for index in range(len(images)):
        image = images[index : index + 1]
        torch.testing.assert_close(cams.final[index], plain_cam(tiny, image, scales, 0), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(cams.auxiliary[index], plain_cam(tiny, image, scales, 1), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_the_plain_form_has_no_stochastic_depth_and_restores_the_mode(images, training):
    network = tiny_network(config=dataclasses.replace(TINY, drop_path=0.9)).train(training)
    first = plain_multi_scale_cam(network, images, (1.0,)).final
    assert torch.equal(first, plain_multi_scale_cam(network, images, (1.0,)).final)
    assert network.training == training


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
    plain = plain_multi_scale_cam(network, images, scales)
    shown = 1 if tags is None else tags[:, :, None, None]
    ours = multi_scale_cam(network, images, scales, tags)
    for mine, theirs in (
        (ours.final, plain.final),
        (ours.auxiliary, plain.auxiliary),
        (aux_cam(network, images, scales, tags), plain.auxiliary),
    ):
        torch.testing.assert_close(mine, theirs * shown, rtol=1e-4, atol=1e-4)


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
def test_packed_cams_equal_the_plain_ones_on_two_threads(tiny, monkeypatch, count):
    monkeypatch.setitem(cam_module.TOKENS_AT_ONCE, "cpu", 1)
    images = torch.randn(count, 3, 24, 40, generator=torch.Generator().manual_seed(0))
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        assert_as_plain(tiny, images, (1.0, 0.5), None)
        with torch.inference_mode():
            assert_as_plain(tiny, images, (1.0, 0.5), None)
    finally:
        torch.set_num_threads(before)


def test_weights_that_were_packed_for_a_cam_are_forgotten(tiny, images):
    multi_scale_cam(tiny, images, (1.0,))
    assert all(fused_block(block) is None for block in tiny.encoder.blocks)


def test_maps_of_the_present_classes_are_those_of_all_side_by_side(tiny, images):
    tags = torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]])
    present = present_classes(tags)
    cams, every = present_cam(tiny, images, (1.0,), present), multi_scale_cam(tiny, images, (1.0,))
    assert cams.final.shape == (2, 2, 32, 48)
    torch.testing.assert_close(cams.final[1], every.final[1, [0, 2]])
    torch.testing.assert_close(cams.final[0, 0], every.final[0, 1])
    torch.testing.assert_close(present_aux_cam(tiny, images, (1.0,), present)[1], every.auxiliary[1, [0, 2]])
