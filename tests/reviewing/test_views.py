import numpy as np
import pytest
import torch

from tagseg.inference.multi_scale import MultiScale
from tagseg.inference.segment import Sizing, scale_logits, to_input
from tagseg.reviewing.views import photo_views

from ..conftest import tiny_network

SCALES = (1.0, 1.5)


def photo(seed=0, size=(40, 56)):
    return np.random.default_rng(seed).integers(0, 256, (*size, 3), np.uint8)


def multi_scale(mirror=True):
    return MultiScale(SCALES, mirror, Sizing())


def test_their_mean_is_what_prediction_labels_by(tiny):
    pixels = photo()
    (views,) = photo_views(tiny, [pixels], multi_scale())
    predicted = scale_logits(tiny, to_input(tiny, pixels), SCALES, mirror=True)
    assert views.size == (40, 56)
    for own, grid in zip(views.grids, predicted, strict=True):
        assert own.shape == (2, *grid.shape)
        torch.testing.assert_close(own.sum(dim=0), grid)


def test_the_mirror_image_is_mirrored_back(tiny):
    pixels = photo()
    (views,) = photo_views(tiny, [pixels], multi_scale())
    (mirrored,) = photo_views(tiny, [np.ascontiguousarray(pixels[:, ::-1])], multi_scale())
    torch.testing.assert_close(views.grids[0][1], mirrored.grids[0][0].flip(-1))


def test_without_mirror_there_is_one_view(tiny):
    (views,) = photo_views(tiny, [photo()], multi_scale(mirror=False))
    assert [grid.shape[0] for grid in views.grids] == [1, 1]
    assert [plane.shape for plane in views.upsampled((20, 28))] == [(1, 4, 20, 28)] * 2


def test_a_batch_gives_what_its_photos_give_alone(tiny):
    pixels = [photo(0), photo(1)]
    for one, alone in zip(photo_views(tiny, pixels, multi_scale()), pixels, strict=True):
        (expected,) = photo_views(tiny, [alone], multi_scale())
        torch.testing.assert_close(one.grids[1], expected.grids[1])
        torch.testing.assert_close(one.tags, expected.tags)


@pytest.mark.parametrize("prior", [True, False])
def test_tags_are_those_of_the_tag_prior_or_else_of_the_classifier(tiny, prior):
    network = tiny
    if prior:
        from dataclasses import replace

        network = tiny_network(config=replace(tiny.config, tag_prior=True, decoder="conv"))
        assert network.tag_prior is not None
        torch.nn.init.constant_(network.tag_prior.classifier.bias, 2.0)
    (views,) = photo_views(network, [photo()], multi_scale())
    assert views.tags.shape == (3,)
    assert ((views.tags > 0) & (views.tags < 1)).all()
    if prior:
        torch.testing.assert_close(views.tags, torch.full((3,), 2.0).sigmoid())
