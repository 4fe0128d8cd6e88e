"""The network and its CAMs give what the published implementation gave with the same weights."""

import pytest
import torch

from tagseg.fast import cam as fast
from tagseg.fast.present_classes import present_classes
from tagseg.fsr import cam as plain
from tagseg.model.published import load_published

from ..conftest import assert_agrees


@pytest.fixture(scope="module")
def values(golden):
    return golden("network_io.npz")


@pytest.fixture(scope="module")
def network(golden_file):
    return load_published(golden_file("network.safetensors"), heads=3).network


@torch.no_grad()
def projections(network, features):
    tokens = torch.cat([features.global_token().unsqueeze(1), features.patch_list()], dim=1)
    return network.project(tokens.flatten(0, 1)).unflatten(0, tokens.shape[:2])


def assert_output_agrees(output, values, kind, images):
    assert_agrees(output.logits[:images], values[f"{kind}_top_cls_out"])
    assert_agrees(output.aux_logits[:images], values[f"{kind}_aux_cls_out"])
    assert_agrees(output.segmentation[:images], values[f"{kind}_seg_out"])
    assert_agrees(output.cam[:images], values[f"{kind}_top_cam"])
    assert_agrees(output.aux_cam[:images], values[f"{kind}_aux_cam"])


def test_every_published_weight_is_used(golden_file):
    loaded = load_published(golden_file("network.safetensors"), heads=3)
    assert loaded.missing == loaded.unexpected == ()


def test_a_pair_of_views_with_the_second_masked(network, values):
    mask = values["mask2"]
    images = torch.cat([values["x1"], values["x2"]])
    with torch.no_grad():
        output = network(images, torch.cat([torch.zeros_like(mask), mask]))
    assert_output_agrees(output, values, "views", len(values["x1"]))
    assert_agrees(projections(network, output.features), values["views_project_out"])


def test_images_without_mask(network, values):
    with torch.no_grad():
        output = network(values["x1"])
    assert_output_agrees(output, values, "single", len(values["x1"]))
    assert_agrees(projections(network, output.features), values["single_project_out"])


def test_an_image_that_is_not_square(network, values):
    with torch.no_grad():
        output = network(values["rect_x"])
    assert_agrees(output.segmentation, values["rect_seg_out"])
    assert_agrees(output.cam, values["rect_top_cam"])


@pytest.mark.parametrize("form", [plain, fast], ids=["plain", "fast"])
def test_multi_scale_cam(network, values, form):
    scales = (1.0, 0.5, 1.5)
    tags = torch.ones(len(values["x1"]), len(network.classes))
    for classes in (plain.all_classes(tags), present_classes(tags)):
        cams = form.multi_scale_cam(network, values["x1"], scales, classes)
        assert_agrees(cams.final, values["ms_cam"])
        assert_agrees(cams.auxiliary, values["ms_aux_cam"])
        assert_agrees(form.auxiliary_cam(network, values["x1"], scales, classes), values["ms_aux_cam"])
    cams = fast.class_cams(network, values["x1"], scales)
    assert_agrees(cams.final, values["ms_cam"])
    assert_agrees(cams.auxiliary, values["ms_aux_cam"])
