"""What the method ``frozen`` trains on: labels from tags alone, proposals, or masks where they are asked for."""

import logging
from dataclasses import replace as with_fields

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.errors import TagsegError
from tagseg.training import frozen as frozen_file
from tagseg.training.train import train

from ..conftest import make_folder
from .conftest import frozen_config


@pytest.fixture
def config(tagged_folder, tmp_path):
    return frozen_config(tagged_folder, tmp_path / "runs" / "a")


@pytest.fixture
def no_masks(monkeypatch):
    """Reading a mask is an error."""
    real = sources.load

    def load(*arguments, **options):
        images = real(*arguments, **options)
        samples = tuple(with_fields(sample, mask=_unread) for sample in images.samples)
        return TaggedImages(images.source, images.classes, samples, images.tags_from)

    monkeypatch.setattr(sources, "load", load)


def _unread():
    raise AssertionError("a mask was read")


@pytest.mark.usefixtures("no_masks")
def test_spectral_labels_read_no_mask(config):
    assert train(config).scores == {}


def test_masks_teach_the_decoder_where_they_are_asked_for(config, monkeypatch):
    reads: list[str] = []
    real = sources.load

    def load(*arguments, **options):
        images = real(*arguments, **options)
        samples = tuple(with_fields(sample, mask=_noted(sample, reads)) for sample in images.samples)
        return TaggedImages(images.source, images.classes, samples, images.tags_from)

    monkeypatch.setattr(sources, "load", load)
    train(replace(config, labels={"source": "masks"}))
    names = [f"train{index}" for index in range(6)]
    assert sorted(reads) == sorted(2 * names), "once to hold them against the tags, once to train"


def _noted(sample: Sample, reads: list[str]):
    mask = sample.mask
    assert mask is not None
    return lambda: reads.append(sample.name) or mask()


def test_masks_that_are_missing_are_one_line_before_anything_is_computed(tmp_path, encoded):
    root = make_folder(tmp_path / "photos")
    (root / "masks" / "train2.png").unlink()
    config = frozen_config(root, tmp_path / "run", labels={"source": "masks"})
    with pytest.raises(TagsegError, match=r"1 of 6 images.*train2.*--labels.source spectral") as caught:
        train(config)
    assert "\n" not in str(caught.value)
    assert encoded == []


def test_proposals_teach_the_decoder(config, tmp_path, monkeypatch, caplog):
    seen: list[torch.Tensor] = []
    real = frozen_file.train_decoder
    monkeypatch.setattr(frozen_file, "train_decoder", lambda *a: seen.append(a[2]) or real(*a))
    square = np.zeros((40, 48), np.uint8)
    square[10:20, 12:24] = 255
    (tmp_path / "proposals").mkdir()
    for name in ("train0", "train1"):
        Image.fromarray(square).save(tmp_path / "proposals" / f"{name}.png")
    with caplog.at_level(logging.INFO, "tagseg"):
        train(replace(config, labels={"source": "folder", "folder": str(tmp_path / "proposals")}))
    assert caplog.text.count("2 of 6 images have proposals") == 1
    expected = torch.zeros(8, 8, dtype=torch.uint8)
    expected[2:4, 2:4] = 1
    assert torch.equal(seen[0][0], expected)
    assert torch.equal(seen[0][1], expected * 2)


def test_wrong_proposals_are_one_line_before_anything_is_computed(config, tmp_path, encoded):
    (tmp_path / "proposals").mkdir()
    with pytest.raises(TagsegError, match="has proposals for none of 6 images") as caught:
        train(replace(config, labels={"source": "folder", "folder": str(tmp_path / "proposals")}))
    assert "\n" not in str(caught.value)
    with pytest.raises(TagsegError, match=r"labels\.folder is '', expected the folder of masks or proposals"):
        replace(config, labels={"source": "folder"})
    assert encoded == []
