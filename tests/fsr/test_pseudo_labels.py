import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.data.dataset import IGNORE
from tagseg.fast import pseudo_labels as fast
from tagseg.fsr import pseudo_labels as plain
from tagseg.fsr.config import LabelConfig
from tagseg.fsr.pseudo_labels import cam_to_label, cam_to_score

CONFIG = LabelConfig(refine_iterations=3, refine_dilations=(1, 2))
FORMS = pytest.mark.parametrize("pseudo_label", [plain.pseudo_label, fast.pseudo_label], ids=["plain", "fast"])


def cam_of(*values):
    """One image, one pixel per tuple of class values."""
    return torch.tensor(values).T.reshape(1, -1, 1, len(values))


def test_thresholds_of_a_label():
    cam = cam_of((0.0, 0.25), (0.26, 0.1), (0.7, 0.1), (0.1, 0.71), (0.9, 0.95))
    label = cam_to_label(cam, torch.ones(1, 2), 0.7, 0.25)
    assert label.flatten().tolist() == [0, IGNORE, IGNORE, 2, 2]


def test_thresholds_of_a_scored_cam():
    cam = cam_of((0.5, 0.1), (0.51, 0.1), (0.1, 0.9))
    assert cam_to_score(cam, torch.ones(1, 2), 0.5).flatten().tolist() == [0, 1, 2]


@FORMS
@settings(deadline=None, max_examples=30)
@given(seed=st.integers(0, 1000), present=st.lists(st.booleans(), min_size=8, max_size=8))
def test_only_present_classes_are_ever_labelled(pseudo_label, seed, present):
    generator = torch.Generator().manual_seed(seed)
    cam, image = torch.rand(2, 4, 8, 8, generator=generator), torch.rand(2, 3, 8, 8, generator=generator)
    tags = torch.tensor(present).view(2, 4).float()
    for label in (
        cam_to_label(cam, tags, 0.7, 0.25),
        cam_to_score(cam, tags, 0.5),
        pseudo_label(image, cam, tags, CONFIG),
    ):
        for one, own in zip(label, tags, strict=True):
            assert set(one.unique().tolist()) <= {0, IGNORE, *(own.nonzero().flatten() + 1).tolist()}


@FORMS
@pytest.mark.parametrize("tags", [[[0, 0, 0]], [[0, 0, 0], [0, 0, 0]]])
def test_images_without_tags_are_all_background(pseudo_label, tags):
    tags = torch.tensor(tags).float()
    cam, image = torch.rand(len(tags), 3, 9, 8), torch.rand(len(tags), 3, 9, 8)
    for label in (cam_to_label(cam, tags, 0.7, 0.25), cam_to_score(cam, tags, 0.5)):
        assert not label.any()
    assert not pseudo_label(image, cam, tags, CONFIG).any()


@FORMS
def test_an_image_without_tags_beside_one_with_tags_is_all_background(pseudo_label):
    tags = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    label = pseudo_label(torch.rand(2, 3, 16, 16), torch.rand(2, 2, 16, 16), tags, CONFIG)
    assert not label[0].any()
    assert label[1].any()


@FORMS
def test_a_batch_gives_what_its_images_give_alone(pseudo_label):
    generator = torch.Generator().manual_seed(0)
    image, cam = torch.rand(4, 3, 21, 18, generator=generator), torch.rand(4, 3, 21, 18, generator=generator)
    tags = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]).float()
    together = pseudo_label(image, cam, tags, CONFIG)
    assert together.shape == (4, 21, 18)
    for index in range(4):
        one = slice(index, index + 1)
        alone = pseudo_label(image[one], cam[one], tags[one], CONFIG)
        assert (alone == together[one]).float().mean() > 0.999


@FORMS
def test_a_sure_cam_is_kept_and_between_the_thresholds_pixels_are_ignored(pseudo_label):
    image = torch.zeros(1, 3, 24, 24)
    image[..., 8:16] = 0.5
    image[..., 16:] = 1.0
    cam = torch.zeros(1, 2, 24, 24)
    cam[:, 1, :, 8:16] = 0.45
    cam[:, 1, :, 16:] = 1.0
    label = pseudo_label(image, cam, torch.tensor([[0.0, 1.0]]), CONFIG)[0]
    assert (label[:, 2:6] == 0).all()
    assert (label[:, 10:14] == IGNORE).all()
    assert (label[:, 18:22] == 2).all()
