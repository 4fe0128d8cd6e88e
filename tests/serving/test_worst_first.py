"""Where a photo stands: wrong tags come to the front, and are named."""

import dataclasses

import pytest
import torch

from tagseg.frozen.config import DecoderConfig
from tagseg.frozen.decoder import DecoderRun, standardise, train_decoder
from tagseg.frozen.tag_classifiers import fit_tag_classifiers, fit_tag_prior
from tagseg.serving.worst_first import standings, tags_of

from ..conftest import CLASSES, tiny_network
from ..frozen.conftest import cached, objects
from ..training.conftest import CONV


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Features, masks on the patch grid, and a network that learnt them."""
    final, auxiliary, tags, mask = objects(width=48, classes=3)
    features = cached(tmp_path_factory.mktemp("features"), final, auxiliary, tags)
    network = tiny_network(config=dataclasses.replace(CONV, tag_prior=True))
    fit_tag_classifiers(network, features)
    assert network.tag_prior is not None
    fit_tag_prior(network.tag_prior, features)
    standardise(network.decoder, features)
    labels = mask.to(torch.uint8)
    train_decoder(
        network.decoder, features, labels, DecoderConfig(rate=1e-2), DecoderRun(40, 6, 0), torch.device("cpu")
    )
    return network.requires_grad_(False), features, labels


@pytest.mark.parametrize("told", [False, True])
def test_a_wrong_tag_comes_first_and_is_named(trained, told):
    network, features, labels = trained
    tags = features.tags.clone()
    tags[4] = torch.tensor([0, 0, 1])  # is a square
    wrong = dataclasses.replace(features, tags=tags)
    done: list[float] = []
    found = standings(network, wrong, labels if told else None, done.append)
    assert done == [1.0]
    assert max(range(12), key=lambda index: found[index].score) == 4
    assert (
        found[4].why
        == f"prediction and tags differ: {CLASSES[2]} is tagged, not found; {CLASSES[1]} is found, not tagged"
    )
    right = standings(network, features, labels if told else None)
    assert right[4].iou > found[4].iou
    assert [one for index, one in enumerate(found) if index != 4] == [one for i, one in enumerate(right) if i != 4]


def test_labels_that_differ_lower_the_estimate(trained):
    network, features, labels = trained
    with_labels = standings(network, features, labels)
    other = labels.clone()
    other[3] = 3 - other[3]
    assert standings(network, features, other)[3].iou < with_labels[3].iou


def test_likely_tags_with_and_without_a_prior(trained):
    network, features, _ = trained
    maps = features.read(range(12)).float()
    for likely in (tags_of(network, maps), tags_of(tiny_network(config=CONV), maps)):
        assert likely.shape == (12, 3)
        assert ((likely >= 0) & (likely <= 1)).all()
    shown = features.tags.sum(dim=1) > 0
    assert torch.equal(tags_of(network, maps)[shown].argmax(dim=1), features.tags[shown].argmax(dim=1))
