"""Labels that are made once, before the first step."""

import shutil

import numpy as np
import pytest
import torch
from PIL import Image

from tagseg.beyond import offline_labels as offline_labels_file
from tagseg.beyond.offline_labels import encoded, ground_truth_labels, offline_labels
from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.loaders import WholeImages
from tagseg.errors import TagsegError
from tagseg.methods.fsr import FSR
from tagseg.training.train import train

from ..conftest import make_folder, tiny_config

pytestmark = pytest.mark.slow

CPU = torch.device("cpu")
BOUNDARY = {"labels": "boundary", "boundary_size": 48}


def config_of(root, output, **changes):
    return replace(tiny_config(root, output, beyond=BOUNDARY), **changes)


def made(config, folder, keep=False):
    images = sources.load(config.data, "train", masks=False)
    torch.manual_seed(0)
    network = FSR(config, images.classes).student
    return offline_labels(network, images, config.beyond, config.run, folder, CPU, keep), network


def arrays(images):
    """Label maps of all images."""
    return [sample.label() for sample in images.samples if sample.label is not None]


def test_every_image_gets_a_label_map_of_its_size_and_of_its_tags(tagged_folder, tmp_path):
    images, _ = made(config_of(tagged_folder, tmp_path), tmp_path / "labels")
    assert [sample.name for sample in images.samples] == [f"train{index}" for index in range(6)]
    for sample in images.samples:
        label = sample.label()
        with Image.open(tmp_path / "labels" / f"{sample.name}.png") as picture:
            assert picture.mode == "P"
            assert np.array_equal(np.array(picture), label)
        assert label.shape == (40, 48)
        assert set(np.unique(label)) <= {0, *(tag + 1 for tag in sample.tags)}
    assert any(sample.label().any() for sample in images.samples)


def test_the_same_images_get_the_same_labels_and_no_mask_is_read(tmp_path):
    root = make_folder(tmp_path / "photos")
    first, _ = made(config_of(root, tmp_path), tmp_path / "a")
    shutil.rmtree(root / "masks")
    second, _ = made(config_of(root, tmp_path), tmp_path / "b")
    for one, other in zip(arrays(first), arrays(second), strict=True):
        assert np.array_equal(one, other)


def test_a_training_that_goes_on_keeps_those_that_are_there_and_makes_missing_ones(tagged_folder, tmp_path, caplog):
    caplog.set_level("INFO", "tagseg")
    config = config_of(tagged_folder, tmp_path)
    before, _ = made(config, tmp_path / "labels")
    assert "its weights are random" in caplog.text
    first = arrays(before)
    (tmp_path / "labels" / "train1.png").unlink()
    Image.fromarray(np.zeros((40, 48), np.uint8)).save(tmp_path / "labels" / "train0.png")
    caplog.clear()
    after, _ = made(config, tmp_path / "labels", keep=True)
    assert "labels of 1 images" in caplog.text
    assert not after.samples[0].label().any()
    assert np.array_equal(after.samples[1].label(), first[1])
    caplog.clear()
    made(config, tmp_path / "labels", keep=True)
    assert caplog.text == ""
    anew, _ = made(config, tmp_path / "labels")
    assert np.array_equal(anew.samples[0].label(), first[0]), "labels of other settings must not stay"


def test_changed_tags_give_new_label_maps_to_a_training_that_goes_on(tmp_path, caplog):
    caplog.set_level("INFO", "tagseg")
    root = make_folder(tmp_path / "photos")
    config = config_of(root, tmp_path / "run", losses={"segmentation_from": 0, "segmentation": 1.0})
    train(config)
    labels = {path.name: path.read_bytes() for path in (tmp_path / "run" / "labels").glob("*.png")}
    table = root / "labels.csv"
    table.write_text(table.read_text().replace("train0.jpg,circle", "train0.jpg,square"))
    caplog.clear()
    train(replace(config, run={"steps": 8}), tmp_path / "run")
    assert "tags of 1 photo changed (train0): its label map is made anew" in caplog.text
    after = {path.name: path.read_bytes() for path in (tmp_path / "run" / "labels").glob("*.png")}
    assert {name for name in labels if labels[name] != after[name]} == {"train0.png"}
    ids = set(np.unique(np.array(Image.open(tmp_path / "run" / "labels" / "train0.png"))))
    assert ids <= {0, 2}
    assert 2 in ids


def test_the_model_is_fitted_to_some_of_a_large_collection(tagged_folder, tmp_path, monkeypatch):
    fitted = []
    true_fit = offline_labels_file.fit_boundary_prior
    monkeypatch.setattr(offline_labels_file, "MOST_IMAGES", 4)

    def fit(features, tags, share):
        fitted.append(features.shape)
        return true_fit(features, tags, share)

    monkeypatch.setattr(offline_labels_file, "fit_boundary_prior", fit)
    images, network = made(config_of(tagged_folder, tmp_path), tmp_path / "labels")
    assert fitted == [(3, network.encoder.width, 6, 6)]
    assert all(sample.label().shape == (40, 48) for sample in images.samples)


def test_the_features_are_the_auxiliary_ones_of_whole_images(tagged_folder, tmp_path):
    config = config_of(tagged_folder, tmp_path, network={"drop_path": 0.5})
    images = sources.load(config.data, "train", masks=False)
    network = FSR(config, images.classes).student.eval()
    parts = list(encoded(network, images, config.beyond, config.run))
    assert torch.cat([tags for _, tags in parts]).tolist() == images.tag_matrix().tolist()
    whole = WholeImages(images, 48)
    batch = torch.stack([whole[index][0] for index in range(6)])
    expected = network.encoder(network.normalise(batch)).auxiliary
    features = torch.cat([features for features, _ in parts])
    assert features.dtype == torch.float16
    torch.testing.assert_close(features.float(), expected, rtol=1e-2, atol=1e-2)


def test_a_training_mode_is_left_as_it_was(tagged_folder, tmp_path):
    config = config_of(tagged_folder, tmp_path, network={"drop_path": 0.5})
    images = sources.load(config.data, "train", masks=False)
    torch.manual_seed(0)
    network = FSR(config, images.classes).student.train()
    with_drop_path = offline_labels(network, images, config.beyond, config.run, tmp_path / "a", CPU)
    assert network.training
    without = offline_labels(network.eval(), images, config.beyond, config.run, tmp_path / "b", CPU)
    for one, other in zip(arrays(with_drop_path), arrays(without), strict=True):
        assert np.array_equal(one, other), "drop path took part"


@pytest.mark.parametrize("step", ["fast", "plain"])
def test_a_training_has_them_from_the_first_step_and_goes_on_with_them(tagged_folder, tmp_path, caplog, step):
    caplog.set_level("INFO", "tagseg")
    losses = {"segmentation_from": 0, "segmentation": 1.0}
    config = config_of(tagged_folder, tmp_path / "run", losses=losses, speed={"step": step})
    train(config)
    assert "GROUND-TRUTH MASKS" not in caplog.text
    assert len(list((tmp_path / "run" / "labels").glob("*.png"))) == 6
    header = next((tmp_path / "run" / "logs").glob("part_*/metrics.csv")).read_text().splitlines()[0]
    assert "train/segmentation" in header
    caplog.clear()
    train(replace(config, run={"steps": 8}), tmp_path / "run")
    assert "making" not in caplog.text


def test_a_photo_that_cannot_be_read_is_one_line(tmp_path):
    root = make_folder(tmp_path / "photos")
    (root / "images" / "train3.jpg").write_bytes(b"no photo")
    with pytest.raises(TagsegError, match=r"train3\.jpg") as caught:
        train(config_of(root, tmp_path / "run"))
    assert "\n" not in str(caught.value)


def test_ground_truth_labels_are_the_masks(tagged_folder, tmp_path):
    images = sources.load(config_of(tagged_folder, tmp_path).data, "train")
    assert not images.has_labels
    labelled = ground_truth_labels(images)
    assert labelled.has_labels
    masks = [sample.mask() for sample in images.samples if sample.mask is not None]
    for label, mask in zip(arrays(labelled), masks, strict=True):
        assert np.array_equal(label, mask)
    assert len(masks) == len(images)


def test_settings_that_cannot_be_are_refused(tagged_folder, tmp_path):
    for name, value in (("boundary_size", 0), ("foreground_share", 0.0), ("foreground_share", 1.0)):
        with pytest.raises(TagsegError, match=rf"beyond\.{name}"):
            tiny_config(tagged_folder, tmp_path, beyond={name: value})
