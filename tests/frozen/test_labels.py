"""Labels for the decoder: of features and tags, of proposals, of masks; which of them reads what."""

import logging

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.data.dataset import IGNORE, Sample, TaggedImages
from tagseg.data.proposals import Proposals
from tagseg.errors import TagsegError
from tagseg.frozen import foreground as foreground_file
from tagseg.frozen import labels as labels_file
from tagseg.frozen.config import FrozenLabelConfig
from tagseg.frozen.labels import (
    FINER,
    fit_to_some,
    foreground_labels,
    given_proposals,
    label_of_planes,
    nearest,
    training_labels,
    with_cuts,
)
from tagseg.frozen.normalised_cut import normalised_cut

from .conftest import GRID, cached, objects

PIXELS = 4
"""A patch's side in the photos of these tests."""


def unread():
    raise AssertionError("a mask was read")


def photos(folder, tags, mask=lambda index: unread):
    """Photos of the same size as the features' objects."""
    samples = []
    for index, row in enumerate(tags):
        path = folder / "images" / f"{index}.png"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (GRID * PIXELS, GRID * PIXELS)).save(path)
        present = tuple(row.nonzero().flatten().tolist())
        samples.append(Sample(str(index), path, present, mask(index)))
    return TaggedImages("folder (photos), split train", ("cat", "dog"), tuple(samples), "labels.csv")


def pixels(mask, side=PIXELS):
    return mask.repeat_interleave(side, -2).repeat_interleave(side, -1)


@pytest.fixture
def scene(tmp_path):
    final, auxiliary, tags, mask = objects(count=20)
    return cached(tmp_path / "cache", final, auxiliary, tags), photos(tmp_path, tags), mask


def save(path, values):
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.asarray(values, np.uint8)).save(path)


def test_labels_of_features_and_tags_are_the_objects_and_read_no_mask(scene):
    features, images, mask = scene
    labels = training_labels(features, images, FrozenLabelConfig())
    assert labels.shape == (20, FINER * GRID, FINER * GRID)
    assert labels.dtype == torch.uint8
    expected = pixels(mask, FINER)
    for k in (1, 2):
        overlap, union = ((labels == k) & (expected == k)).sum(), ((labels == k) | (expected == k)).sum()
        assert overlap / union > 0.7
    assert (labels[-1] == 0).all(), "a photo without tags"


def test_no_photo_has_the_label_of_a_tag_that_it_lacks(scene):
    features, images, _ = scene
    labels = training_labels(features, images, FrozenLabelConfig(foreground_share=0.6))
    for label, sample in zip(labels, images.samples, strict=True):
        assert set(label.unique().tolist()) <= {0} | {k + 1 for k in sample.tags}


def test_photos_without_any_tag_are_background(tmp_path):
    final, auxiliary, tags, _ = objects()
    features = cached(tmp_path / "cache", final, auxiliary, torch.zeros_like(tags))
    assert (training_labels(features, photos(tmp_path, features.tags), FrozenLabelConfig()) == 0).all()


def test_a_single_photo(tmp_path):
    final, auxiliary, tags, _ = (one[:1] for one in objects())
    labels = training_labels(
        cached(tmp_path / "c", final, auxiliary, tags), photos(tmp_path, tags), FrozenLabelConfig()
    )
    assert set(labels.unique().tolist()) == {0, 1}


def test_a_large_collection_is_fitted_to_some_and_all_get_labels(scene, monkeypatch):
    features, images, mask = scene
    monkeypatch.setattr(labels_file, "MOST_PHOTOS", 9)
    seen = []
    real = labels_file.fit_foreground
    monkeypatch.setattr(labels_file, "fit_foreground", lambda *a: seen.append(a) or real(*a))
    labels = training_labels(features, images, FrozenLabelConfig())
    assert len(seen[0][0]) == 9
    ends = features.read([0, 19])[:, : features.width]
    assert torch.equal(seen[0][0][[0, -1]], ends), "evenly, from the first to the last"
    assert len(labels) == 20
    assert (labels == pixels(mask, FINER)).float().mean() > 0.9


def test_all_photos_are_fitted_to_where_there_are_few(scene):
    features, _, _ = scene
    told: list[str] = []
    foreground = fit_to_some(features, 0.0, told.append)
    assert len(told) == 4
    assert torch.equal(
        foreground_labels(features, foreground, (GRID, GRID)),
        foreground_labels(features, fit_to_some(features, 0.0), (GRID, GRID)),
    )


def test_the_cut_of_a_photo_is_computed_once(scene, monkeypatch):
    features, images, _ = scene
    foreground = fit_to_some(features, 0.0)
    expected = foreground_labels(features, foreground, (FINER * GRID, FINER * GRID))
    photos = []

    def counted(maps):
        photos.append(len(maps))
        return normalised_cut(maps)

    monkeypatch.setattr(labels_file, "normalised_cut", counted)
    monkeypatch.setattr(foreground_file, "normalised_cut", counted)
    assert torch.equal(training_labels(features, images, FrozenLabelConfig()), expected)
    assert sum(photos) == len(features)
    known = with_cuts(features)
    assert with_cuts(known) is known
    monkeypatch.setattr(labels_file, "MOST_PHOTOS", 19)
    assert with_cuts(features) is features, "too many to be kept"


def test_planes_are_interpolated_before_the_argmax():
    planes = torch.zeros(1, 2, 1, 2)
    planes[0, 1, 0] = torch.tensor([3.0, -1.0])
    assert label_of_planes(planes, (1, 8))[0, 0].tolist() == [1, 1, 1, 1, 1, 0, 0, 0]


def test_a_label_map_is_resized_by_the_nearest_pixel():
    label = np.zeros((4, 6), np.uint8)
    label[:, 3:] = IGNORE
    label[0, 0] = 7
    assert nearest(label, (2, 3)).tolist() == [[0, IGNORE, IGNORE]] * 2
    assert torch.equal(nearest(label, (4, 6)), torch.from_numpy(label))
    label.flags.writeable = False
    assert nearest(label, (8, 12))[:2, :2].tolist() == [[7, 7], [7, 7]]


def test_masks_are_ground_truth_at_the_labels_size_and_need_no_features(tmp_path, monkeypatch):
    final, auxiliary, tags, mask = objects()
    monkeypatch.setattr(labels_file, "fit_foreground", unread)
    images = photos(tmp_path, tags, lambda index: lambda: pixels(mask[index]).to(torch.uint8).numpy())
    labels = training_labels(cached(tmp_path / "c", final, auxiliary, tags), images, FrozenLabelConfig(source="masks"))
    assert torch.equal(labels.long(), pixels(mask, FINER))


def test_masks_that_are_missing_are_named(tmp_path):
    final, auxiliary, tags, _ = objects()
    images = photos(tmp_path, tags, lambda index: None)
    with pytest.raises(TagsegError, match=r"0 of folder \(photos\), split train has none.*--labels.source spectral"):
        training_labels(cached(tmp_path / "c", final, auxiliary, tags), images, FrozenLabelConfig(source="masks"))


def folder(path):
    return FrozenLabelConfig(source="folder", folder=str(path))


def test_proposals_of_objects_replace_the_labels_and_take_the_tag(scene, tmp_path, caplog):
    features, images, mask = scene
    own = training_labels(features, images, FrozenLabelConfig())
    for index in range(10):  # boxes of two patches more than the object
        outline = pixels(mask[index] > 0).nonzero()
        (top, left), (bottom, right) = outline.amin(0).tolist(), outline.amax(0).tolist()
        picture = np.zeros((GRID * PIXELS, GRID * PIXELS))
        picture[max(0, top - 2) : bottom + 3, max(0, left - 2) : right + 3] = 255
        save(tmp_path / "proposals" / f"{index}.png", picture)
    with caplog.at_level(logging.INFO, "tagseg"):
        labels = training_labels(features, images, folder(tmp_path / "proposals"))
    assert "10 of 20 images have proposals" in caplog.text
    for index in range(10):
        with Image.open(tmp_path / "proposals" / f"{index}.png") as box:
            expected = nearest((np.array(box) > 0).astype(np.uint8) * np.uint8(index % 2 + 1), (16, 16))
        assert torch.equal(labels[index], expected)
    assert torch.equal(labels[10:], own[10:]), "photos without proposals keep theirs"


def test_segments_of_the_whole_photo_are_told_from_background(scene, tmp_path):
    features, images, mask = scene
    for index in range(20):
        save(tmp_path / "proposals" / f"{index}.png", pixels(mask[index] > 0).numpy() + 1)
    labels = training_labels(features, images, folder(tmp_path / "proposals"))
    assert torch.equal(labels.long(), pixels(mask, FINER))


def test_a_photo_without_tags_is_background_whatever_its_proposals(scene, tmp_path):
    features, images, _ = scene
    save(tmp_path / "proposals" / "19.png", pixels(torch.eye(GRID)).numpy() * 255)
    save(tmp_path / "proposals" / "0.png", pixels(torch.eye(GRID)).numpy() * 255)
    labels = training_labels(features, images, folder(tmp_path / "proposals"))
    assert (labels[19] == 0).all()
    assert (labels[0] == 1).any()


def test_an_empty_proposal_keeps_the_labels(scene, tmp_path):
    features, images, _ = scene
    own = training_labels(features, images, FrozenLabelConfig())
    save(tmp_path / "proposals" / "0.png", np.zeros((GRID * PIXELS, GRID * PIXELS)))
    save(tmp_path / "proposals" / "1.png", np.eye(GRID * PIXELS) * 255)
    labels = training_labels(features, images, folder(tmp_path / "proposals"))
    assert torch.equal(labels[0], own[0])


def test_proposals_that_are_given_are_not_looked_for(scene, monkeypatch, tmp_path):
    features, images, mask = scene
    monkeypatch.setattr(labels_file, "find_proposals", lambda *_: unread())
    given = {"0": Proposals(images.samples[0].image, lambda: pixels(mask[0] > 0).numpy().astype(np.int32), "here")}
    labels = training_labels(features, images, folder(tmp_path), given)
    assert torch.equal(labels[0].long(), pixels(mask[0], FINER))


def test_only_the_source_folder_has_proposals(scene, tmp_path):
    _, images, _ = scene
    assert given_proposals(images, FrozenLabelConfig()) == {}
    with pytest.raises(TagsegError, match="does not exist, expected a folder of masks"):
        given_proposals(images, folder(tmp_path / "none"))


def test_a_source_folder_needs_its_name():
    with pytest.raises(TagsegError, match=r"^labels.folder is '', expected the folder of masks or proposals"):
        FrozenLabelConfig(source="folder")


@pytest.mark.parametrize("settings", [{"folder": "masks"}, {"kind": "saliency"}, {"source": "masks", "folder": "sam"}])
def test_settings_of_proposals_are_refused_where_none_are_read(settings):
    with pytest.raises(TagsegError, match=r"labels\.(folder|kind) is .*, expected .* or labels.source folder"):
        FrozenLabelConfig(**settings)
