"""The network's parts agree with its whole."""

import copy

import pytest
import torch
from torch.nn import functional as F

from tagseg.model.network import Network
from tagseg.model.teacher import make_teacher, update_teacher

from ..conftest import CLASSES, TINY, tiny_network


@pytest.fixture
def images():
    return torch.randn(3, 3, 32, 48, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_shapes_count_background_only_in_the_segmentation(tiny, images):
    output = tiny(images)
    assert output.logits.shape == output.aux_logits.shape == (3, 3)
    assert output.cam.shape == output.aux_cam.shape == (3, 3, 4, 6)
    assert output.segmentation.shape == (3, 4, 4, 6)


@torch.no_grad()
def test_tag_logits_classify_the_maximum_of_each_channel(tiny, images):
    output = tiny(images)
    pooled = F.adaptive_max_pool2d(output.features.patches, 1)
    torch.testing.assert_close(output.logits, tiny.classifier(pooled).flatten(1))
    pooled = F.adaptive_max_pool2d(output.features.auxiliary, 1)
    torch.testing.assert_close(output.aux_logits, tiny.aux_classifier(pooled).flatten(1))


@torch.no_grad()
@pytest.mark.parametrize(("share", "count"), [(0.0, 1), (0.25, 6), (1.0, 24)])
def test_tag_logits_may_classify_the_mean_of_the_highest_values_instead(images, share, count):
    network = Network(TINY, CLASSES, pool=share).eval()
    output = network(images)
    highest = output.features.patches.flatten(2).sort(dim=2, descending=True).values[:, :, :count].mean(2)
    torch.testing.assert_close(output.logits, highest @ network.classifier.weight.flatten(1).T)


@torch.no_grad()
def test_parts_that_are_run_alone_equal_the_whole(tiny, images):
    output = tiny(images)
    torch.testing.assert_close(tiny.segment_logits(images), output.segmentation)
    for ours, whole in zip(tiny.cams(images), (output.cam, output.aux_cam), strict=True):
        torch.testing.assert_close(ours, whole)
    assert output.cam.min() == 0, "ReLU"


@pytest.mark.parametrize("kind", [torch.uint8, torch.float32])
def test_images_are_normalised_like_torchvision_does(tiny, kind):
    from torchvision.transforms import v2

    image = torch.randint(0, 256, (2, 3, 5, 4), dtype=torch.uint8)
    expected = v2.functional.normalize(v2.functional.to_dtype(image, torch.float32, scale=True), [0.485, 0.456, 0.406],
                                       [0.229, 0.224, 0.225])  # fmt: skip
    torch.testing.assert_close(tiny.normalise(image.to(kind)), expected)


def test_the_teacher_starts_as_a_copy_without_gradient(tiny):
    student = copy.deepcopy(tiny).train()
    teacher = make_teacher(student)
    assert not teacher.training
    assert not any(p.requires_grad for p in teacher.parameters())
    for ours, theirs in zip(student.parameters(), teacher.parameters(), strict=True):
        assert torch.equal(ours, theirs)
        assert ours.data_ptr() != theirs.data_ptr()


def test_the_teacher_moves_towards_the_student():
    student, teacher = tiny_network(seed=0), make_teacher(tiny_network(seed=1))
    before = {name: value.clone() for name, value in teacher.named_parameters()}
    update_teacher(teacher, student, 0.75)
    for name, value in student.named_parameters():
        torch.testing.assert_close(teacher.get_parameter(name), 0.75 * before[name] + 0.25 * value)


def test_momentum_one_keeps_the_teacher_and_zero_replaces_it():
    student, teacher = tiny_network(seed=0), make_teacher(tiny_network(seed=1))
    kept = copy.deepcopy(teacher)
    update_teacher(teacher, student, 1.0)
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), kept.parameters(), strict=True))
    update_teacher(teacher, student, 0.0)
    assert all(torch.equal(a, b) for a, b in zip(teacher.parameters(), student.parameters(), strict=True))
