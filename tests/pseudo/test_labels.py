import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.config import LabelConfig
from tagseg.data.dataset import IGNORE
from tagseg.pseudo.labels import cam_to_label, cam_to_score, highest, refined_label
from tagseg.pseudo.labels_plain import plain_refined_label

CONFIG = LabelConfig(refine_iterations=3, refine_dilations=(1, 2))


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


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000), st.lists(st.booleans(), min_size=8, max_size=8))
def test_only_present_classes_are_ever_labelled(seed, present):
    generator = torch.Generator().manual_seed(seed)
    cam, image = torch.rand(2, 4, 8, 8, generator=generator), torch.rand(2, 3, 8, 8, generator=generator)
    tags = torch.tensor(present).view(2, 4).float()
    for label in (
        cam_to_label(cam, tags, 0.7, 0.25),
        cam_to_score(cam, tags, 0.5),
        refined_label(image, cam, tags, CONFIG),
    ):
        for one, own in zip(label, tags, strict=True):
            assert set(one.unique().tolist()) <= {0, IGNORE, *(own.nonzero().flatten() + 1).tolist()}


@pytest.mark.parametrize("tags", [[[0, 0, 0]], [[0, 0, 0], [0, 0, 0]]])
def test_images_without_tags_are_all_background(tags):
    tags = torch.tensor(tags).float()
    cam, image = torch.rand(len(tags), 3, 9, 8), torch.rand(len(tags), 3, 9, 8)
    for label in (cam_to_label(cam, tags, 0.7, 0.25), cam_to_score(cam, tags, 0.5)):
        assert not label.any()
    assert not refined_label(image, cam, tags, CONFIG).any()


def test_an_image_without_tags_beside_one_with_tags_is_all_background():
    tags = torch.tensor([[0.0, 0.0], [1.0, 1.0]])
    label = refined_label(torch.rand(2, 3, 16, 16), torch.rand(2, 2, 16, 16), tags, CONFIG)
    assert not label[0].any()
    assert label[1].any()


def test_a_batch_gives_what_its_images_give_alone():
    generator = torch.Generator().manual_seed(0)
    image, cam = torch.rand(4, 3, 21, 18, generator=generator), torch.rand(4, 3, 21, 18, generator=generator)
    tags = torch.tensor([[1, 0, 1], [0, 0, 0], [0, 1, 0], [1, 1, 1]]).float()
    together = refined_label(image, cam, tags, CONFIG)
    assert together.shape == (4, 21, 18)
    for index in range(4):
        one = slice(index, index + 1)
        alone = refined_label(image[one], cam[one], tags[one], CONFIG)
        assert (alone == together[one]).float().mean() > 0.999


def test_a_sure_cam_is_kept_and_between_the_thresholds_pixels_are_ignored():
    image = torch.zeros(1, 3, 24, 24)
    image[..., 8:16] = 0.5
    image[..., 16:] = 1.0
    cam = torch.zeros(1, 2, 24, 24)
    cam[:, 1, :, 8:16] = 0.45
    cam[:, 1, :, 16:] = 1.0
    label = refined_label(image, cam, torch.tensor([[0.0, 1.0]]), CONFIG)[0]
    assert (label[:, 2:6] == 0).all()
    assert (label[:, 10:14] == IGNORE).all()
    assert (label[:, 18:22] == 2).all()


def test_the_highest_channel_is_that_of_argmax_and_the_first_of_equal_ones():
    maps = torch.randint(0, 4, (3, 5, 6, 7), generator=torch.Generator().manual_seed(0)).float()
    labels = torch.tensor([[1, 2, 3, 4, 5], [9, 8, 7, 6, 5], [0, 2, 4, 6, 8]])
    value, label = highest(maps, labels)
    index = torch.from_numpy(maps.numpy().argmax(1))  # numpy promises the first
    assert torch.equal(value, maps.amax(1))
    assert torch.equal(label, labels.gather(1, index.flatten(1)).view_as(index))


@settings(deadline=None, max_examples=20, derandomize=True)
@given(
    seed=st.integers(0, 1000),
    tags=st.lists(st.lists(st.booleans(), min_size=3, max_size=3), min_size=1, max_size=4),
    size=st.sampled_from([(16, 16), (21, 34), (40, 9)]),
)
def test_refined_labels_equal_those_of_the_plain_form(seed, tags, size):
    """But for ties between float32 roundings."""
    generator = torch.Generator().manual_seed(seed)
    tags = torch.tensor(tags).float()
    image = torch.rand(len(tags), 3, *size, generator=generator)
    cam = torch.rand(len(tags), 3, *size, generator=generator)
    config = LabelConfig(high=0.6, low=0.4)
    ours, plain = (form(image, cam, tags, config) for form in (refined_label, plain_refined_label))
    assert (ours != plain).sum() <= max(1, 1e-3 * ours.numel())


def test_the_plain_form_treats_a_sure_cam_alike():
    """With 0, a class and 255 in it, so that the two forms cannot agree on nothing."""
    generator = torch.Generator().manual_seed(0)
    image = torch.rand(1, 3, 24, 24, generator=generator)
    cam = torch.rand(1, 2, 24, 24, generator=generator) * torch.linspace(0, 2, 24)
    ours, plain = (f(image, cam.clamp(0, 1), torch.ones(1, 2), CONFIG) for f in (refined_label, plain_refined_label))
    assert {0, IGNORE} < set(plain.unique().tolist())
    assert torch.equal(ours, plain)
