"""Labels after the dense CRF: at the photo's edges, and of the photo's own classes alone."""

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.errors import TagsegError
from tagseg.frozen.config import FrozenLabelConfig
from tagseg.frozen.crf_labels import labels_after_crf, resized
from tagseg.frozen.labels import label_of_planes, training_labels

from .conftest import GRID, cached, objects
from .test_labels import photos

SIDE = 6
"""Patches along each side."""


def square(folder, left):
    """A photo of a dark square of 60 pixels on a light ground, 96 pixels wide."""
    pixels = np.full((96, 96, 3), 220, np.uint8)
    pixels[18:78, left : left + 60] = 30
    path = folder / f"{left}.png"
    Image.fromarray(pixels).save(path)
    truth = np.zeros((96, 96), np.uint8)
    truth[18:78, left : left + 60] = 2
    return path, torch.from_numpy(truth)


def coarse(truth):
    """Scores of background and three classes by patch, for the photo's object and weakly for a class it lacks."""
    inside = torch.nn.functional.avg_pool2d((truth > 0).float()[None, None], 16)[0, 0]
    planes = torch.zeros(1, 4, SIDE, SIDE)
    planes[0, 2] = inside - 0.4
    planes[0, 3] = 5.0  # not among the tags
    return planes


def test_labels_follow_the_edges_of_the_photo_and_its_tags(tmp_path):
    path, truth = square(tmp_path, 20)
    planes, tags = coarse(truth), torch.tensor([[0.0, 1.0, 0.0]])
    found = labels_after_crf(planes, tags, [path], (96, 96))
    assert found.dtype == torch.uint8
    assert set(found.unique().tolist()) == {0, 2}
    planes[0, 3] = -1e4
    plain = label_of_planes(planes, (96, 96))[0]
    assert (found[0] != truth).sum() < 0.5 * (plain != truth).sum()


def test_several_photos_are_those_one_by_one(tmp_path):
    made = [square(tmp_path, left) for left in (8, 20, 30)]
    planes = torch.cat([coarse(truth) for _, truth in made])
    tags = torch.tensor([[0.0, 1.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 0.0]])
    paths = [path for path, _ in made]
    together = labels_after_crf(planes, tags, paths, (12, 12))
    alone = [labels_after_crf(planes[i : i + 1], tags[i : i + 1], paths[i : i + 1], (12, 12)) for i in range(3)]
    assert torch.equal(together, torch.cat(alone))
    assert (together[2] == 0).all(), "a photo without tags"


def test_training_labels_take_the_crf_where_asked(tmp_path):
    final, auxiliary, tags, _ = objects(count=8)
    features, images = cached(tmp_path / "cache", final, auxiliary, tags), photos(tmp_path, tags)
    told = []
    labels = training_labels(
        features, images, FrozenLabelConfig(crf=True), note=lambda what, done, total: told.append((what, done, total))
    )
    for label, sample in zip(labels, images.samples, strict=True):
        assert set(label.unique().tolist()) <= {0} | {k + 1 for k in sample.tags}
    assert labels.shape == (8, 2 * GRID, 2 * GRID)
    assert ("labels", 8, 8) in told
    assert not torch.equal(labels, training_labels(features, images, FrozenLabelConfig()))


@pytest.mark.parametrize("source", ["masks", "folder"])
def test_labels_from_elsewhere_take_no_crf(source):
    with pytest.raises(TagsegError, match=r"labels.crf.*labels.source"):
        FrozenLabelConfig(source=source, crf=True, folder="there" if source == "folder" else "")


def test_a_photo_at_its_own_size_is_as_it_was():
    photo = np.random.default_rng(0).integers(0, 256, (32, 48, 3), np.uint8)
    assert (resized(photo, (32, 48)) == photo).all()
