"""Labels that a trained network makes once, before the first step, of each image's tags alone."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch.nn import functional as F

from tagseg.beyond.network_labels import network_labels, tagged_label
from tagseg.data import sources
from tagseg.data.loaders import WholeImages
from tagseg.data.masks import MaskFile

from ..conftest import tiny_config, tiny_network

CPU = torch.device("cpu")


@pytest.fixture
def setting(tagged_folder, tmp_path):
    config = tiny_config(tagged_folder, tmp_path / "run")
    return config, sources.load(config.data, "train", masks=False), tmp_path / "labels"


def made(setting, network, keep=False):
    config, images, folder = setting
    return network_labels(network, images, config.views.size, config.run, folder, CPU, keep)


def test_each_image_has_the_best_of_background_and_its_tags(setting):
    config, images, folder = setting
    network = tiny_network()
    labelled = made(setting, network)
    whole = WholeImages(images, config.views.size)
    found = set()
    for index, sample in enumerate(labelled.samples):
        assert sample.label is not None
        label = sample.label()
        assert np.array_equal(MaskFile(folder / f"{sample.name}.png", sample.image, 3)(), label)
        with torch.no_grad():
            scores = network.segment_logits(network.normalise(whole[index][0][None]))
        large = F.interpolate(scores, label.shape, mode="bilinear", align_corners=False)[0]
        absent = [c for c in range(1, 4) if c - 1 not in sample.tags]
        large[absent] = -torch.inf
        assert (large.argmax(0).numpy() == label).mean() > 0.999
        found |= set(np.unique(label))
        assert sample.tags or not label.any(), "an untagged image is background"
    assert len(found) > 1


def arrays(images):
    return [sample.label() for sample in images.samples if sample.label]


def test_labels_that_are_there_are_kept_on_request_alone(setting):
    _, images, folder = setting
    first = arrays(made(setting, tiny_network()))
    zeros = np.zeros_like(first[1])
    Image.fromarray(zeros).save(folder / f"{images.samples[1].name}.png")
    (folder / f"{images.samples[0].name}.png").unlink()
    kept = arrays(made(setting, tiny_network(), keep=True))
    assert np.array_equal(kept[0], first[0])
    assert np.array_equal(kept[1], zeros)
    anew = arrays(made(setting, tiny_network()))
    assert all(np.array_equal(a, b) for a, b in zip(first, anew, strict=True))


def test_labels_of_another_network_are_made_anew(setting, caplog):
    caplog.set_level("INFO", "tagseg")
    first = arrays(made(setting, tiny_network()))
    made_anew = arrays(made(setting, tiny_network(seed=5), keep=True))
    assert "weights changed since the label maps were made: their label maps are made anew" in caplog.text
    assert not all(np.array_equal(a, b) for a, b in zip(first, made_anew, strict=True))
    caplog.clear()
    made(setting, tiny_network(seed=5), keep=True)
    assert caplog.text == ""


def test_the_network_stays_as_it_was(setting):
    network = tiny_network().train()
    before = {name: value.clone() for name, value in network.state_dict().items()}
    made(setting, network)
    assert network.training
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())


def test_absent_classes_do_not_win_however_high_they_are():
    score = torch.zeros(4, 2, 2)
    score[1], score[2, 0], score[3] = 9.0, 1.0, -1.0
    tags = torch.tensor([0.0, 1.0, 1.0])
    assert tagged_label(score, tags, (2, 2)).tolist() == [[2, 2], [0, 0]]
    assert tagged_label(score, torch.zeros(3), (4, 6)).tolist() == [[0] * 6] * 4
