"""Multi-scale CAMs, plain and fast; ``tests/fast/test_cam.py`` has what is the fast form's own."""

import copy
import dataclasses
from typing import Any

import pytest
import torch
from torch.nn import functional as F

from tagseg.fast.cam import class_cams
from tagseg.fsr.cam import CamClasses, all_classes, auxiliary_cam, multi_scale_cam, normalise
from tagseg.model.network import evaluating

from ..conftest import TINY, tiny_network


def plain_cams(network, images, scales):
    """Of all classes."""
    return multi_scale_cam(network, images, scales, all_classes(torch.ones(len(images), len(network.classes))))


FORMS = {"plain": plain_cams, "fast": class_cams}


@pytest.fixture(params=FORMS.values(), ids=list(FORMS))
def cams_of(request):
    return request.param


@pytest.fixture
def images():
    return torch.randn(2, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def by_hand(network, image, scales, which):
    """Section 2 of docs/method.md word by word, for one image; every side is a multiple of the patch at every scale."""
    height, width = image.shape[-2:]
    total = torch.zeros(1, len(network.classes), height, width)
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


@pytest.mark.parametrize("scales", [(1.0,), (1.0, 0.5, 1.5), (2.0, 0.5)])
def test_multi_scale_cam_equals_a_loop_over_images(tiny, images, scales, cams_of):
    cams = cams_of(tiny, images, scales)
    for index in range(len(images)):
        image = images[index : index + 1]
        torch.testing.assert_close(cams.final[index], by_hand(tiny, image, scales, 0), rtol=1e-3, atol=1e-4)
        torch.testing.assert_close(cams.auxiliary[index], by_hand(tiny, image, scales, 1), rtol=1e-3, atol=1e-4)


def test_the_auxiliary_cam_alone_is_that_of_both(tiny, images):
    classes = all_classes(torch.ones(2, 3))
    both = multi_scale_cam(tiny, images, (1.0, 0.5), classes)
    assert torch.equal(auxiliary_cam(tiny, images, (1.0, 0.5), classes), both.auxiliary)


def test_values_are_from_0_to_1_at_the_images_size(tiny, images, cams_of):
    cam = cams_of(tiny, images, (1.0,)).final
    assert cam.shape == (2, 3, 32, 48)
    assert cam.amin((2, 3)).eq(0).all()
    assert cam.max() <= 1
    assert cam.max() > 0.5


def test_sizes_are_rounded_to_whole_patches(tiny, cams_of):
    assert cams_of(tiny, torch.randn(1, 3, 24, 40), (0.1, 0.5, 1.3)).final.shape == (1, 3, 24, 40)


def test_a_mirrored_image_has_the_mirrored_cam(tiny, images, cams_of):
    cam = cams_of(tiny, images, (1.0, 0.5)).final
    mirrored = cams_of(tiny, images.flip(3), (1.0, 0.5)).final
    torch.testing.assert_close(mirrored, cam.flip(3), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("training", [True, False])
def test_drop_path_is_off_meanwhile_and_the_mode_is_as_before(images, training, cams_of):
    network = tiny_network().train(training)
    blocks: Any = network.encoder.blocks
    for block in blocks:  # certain to drop if it were on
        block.drop_path1 = copy.deepcopy(blocks[-1].drop_path1)
        block.drop_path1.drop_prob = 0.999
    first = cams_of(network, images, (1.0,)).final
    assert torch.equal(first, cams_of(network, images, (1.0,)).final)
    assert all(module.training == training for module in network.modules())
    assert not first.requires_grad


@pytest.mark.parametrize("training", [True, False])
def test_the_configured_drop_path_is_off_too(images, training, cams_of):
    network = tiny_network(config=dataclasses.replace(TINY, drop_path=0.9)).train(training)
    first = cams_of(network, images, (1.0,)).final
    assert torch.equal(first, cams_of(network, images, (1.0,)).final)
    assert network.training == training


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


def test_classes_select_maps_and_name_labels():
    classes = CamClasses(torch.tensor([[1, 3], [2, 0]]), torch.tensor([[1.0, 1.0], [1.0, 0.0]]))
    maps = torch.arange(8.0).view(2, 4, 1, 1).expand(2, 4, 2, 3)
    assert classes.gather(maps)[:, :, 1, 2].tolist() == [[1, 3], [6, 4]]
    label = torch.tensor([[[0, 1, 2, 255]], [[1, 0, 255, 2]]])
    assert classes.class_label(label).tolist() == [[[0, 2, 4, 255]], [[3, 0, 255, 1]]]


def test_all_classes_leave_maps_and_labels_as_they_are():
    classes = all_classes(torch.tensor([[0.0, 1.0, 0.0], [1.0, 0.0, 1.0]]))
    maps = torch.rand(2, 3, 4, 5)
    label = torch.tensor([[[0, 1, 2, 3, 255]]]).expand(2, 1, 5)
    assert torch.equal(classes.gather(maps), maps)
    assert torch.equal(classes.class_label(label), label)
