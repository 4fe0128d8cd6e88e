"""Features are computed once a photo, found again by its content, and are what the encoder says."""

import copy
import logging
import shutil
from collections import namedtuple
from dataclasses import replace

import pytest
import torch
from PIL import Image

from tagseg.config import RunConfig
from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.loaders import whole_loader
from tagseg.data.sources import load
from tagseg.errors import TagsegError
from tagseg.frozen import features as features_file
from tagseg.frozen.features import cache_key, frozen_features, side_of
from tagseg.model.network import Network

from ..conftest import CLASSES, TINY, make_folder, tiny_network

CPU = torch.device("cpu")
LOADING = RunConfig(val_batch=4, workers=0)
SIZE = 32
KEPT_OUT = ("aggregation", "mask_token", "class_token")


@pytest.fixture
def images(tagged_folder):
    return load(DataConfig(source="folder", root=str(tagged_folder)), "train", masks=False)


@pytest.fixture
def encoded(monkeypatch):
    """The number of photos in each batch that an encoder was given."""
    counts: list[int] = []
    real = Network.normalise
    monkeypatch.setattr(Network, "normalise", lambda self, batch: counts.append(len(batch)) or real(self, batch))
    return counts


def compute(network, images, folder, size=SIZE):
    return frozen_features(network, images, size, folder, LOADING, CPU)


def plain(network, images, side=SIZE):
    with torch.no_grad():
        batches = [network.encoder(network.normalise(batch)) for batch, _ in whole_loader(images, side, 4, 0)]
    return torch.cat([torch.cat([one.patches, one.auxiliary], dim=1) for one in batches]).half()


def test_what_is_read_is_what_the_encoder_says_in_half_precision(tiny, images, tmp_path):
    features = compute(tiny, images, tmp_path)
    expected = plain(tiny, images)
    assert (len(features), features.width, features.grid) == (6, 48, (4, 4))
    assert torch.equal(features.read(range(6)), expected)
    assert torch.equal(features.read([4, 1]), expected[[4, 1]])
    assert torch.equal(torch.cat(list(features.batches(4))), expected)
    assert torch.equal(features.final(), expected[:, :48])
    assert torch.equal(features.auxiliary(), expected[:, 48:])
    assert torch.equal(features.tags, torch.from_numpy(images.tag_matrix()))


def test_a_second_training_computes_nothing(tiny, images, tmp_path, encoded, caplog):
    first = compute(tiny, images, tmp_path)
    assert encoded == [4, 2]
    with caplog.at_level(logging.INFO, "tagseg"):
        again = compute(tiny, images, tmp_path)
    assert encoded == [4, 2]
    assert torch.equal(first.read(range(6)), again.read(range(6)))
    assert "features of all 6 photos are at hand" in caplog.text


def test_new_photos_alone_are_computed_and_said(tiny, images, tmp_path, encoded, caplog):
    compute(tiny, images.every(2), tmp_path)
    with caplog.at_level(logging.INFO, "tagseg"):
        features = compute(tiny, images, tmp_path)
    assert encoded == [3, 3]
    assert "computing features of 3 photos at 32 px, 3 are at hand: " in caplog.text
    assert torch.equal(features.read(range(6)), plain(tiny, images))


def test_a_renamed_photo_is_found_again_and_a_changed_one_is_not(tiny, tmp_path, encoded):
    root = make_folder(tmp_path / "photos", train=3)
    config = DataConfig(source="folder", root=str(root))
    before = load(config, "train", masks=False)
    compute(tiny, before, tmp_path / "features")
    first, second, third = (sample.image for sample in before.samples)
    moved = first.rename(first.with_name("moved.jpg"))
    Image.new("RGB", (50, 40)).save(second)
    samples = tuple(
        replace(sample, image=path) for sample, path in zip(before.samples, (moved, second, third), strict=True)
    )
    after = TaggedImages(before.source, before.classes, samples, before.tags_from)
    encoded.clear()
    features = compute(tiny, after, tmp_path / "features")
    assert encoded == [1]
    assert torch.equal(features.read(range(3)), plain(tiny, after))


def test_photos_that_are_the_same_are_computed_once_and_keep_their_tags(tiny, tmp_path, encoded, caplog):
    root = make_folder(tmp_path / "photos", train=3)
    images = load(DataConfig(source="folder", root=str(root)), "train", masks=False)
    shutil.copy(images.samples[0].image, images.samples[1].image)
    with caplog.at_level(logging.INFO, "tagseg"):
        features = compute(tiny, images, tmp_path / "features")
    assert encoded == [2]
    assert "features of 2 photos" in caplog.text
    rows = features.read(range(3))
    assert torch.equal(rows[0], rows[1])
    assert not torch.equal(features.tags[0], features.tags[1])
    assert torch.equal(rows, plain(tiny, images))


def test_an_interruption_keeps_what_was_computed(tiny, images, tmp_path, encoded, monkeypatch):
    real = Network.normalise

    def interrupted(self, batch):
        if len(encoded) == 1:
            raise KeyboardInterrupt
        return real(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Network, "normalise", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compute(tiny, images, tmp_path)
    assert encoded == [4]
    assert torch.equal(compute(tiny, images, tmp_path).read(range(6)), plain(tiny, images))
    assert encoded[:2] == [4, 2]


def test_an_unreadable_photo_is_one_line_and_the_others_are_kept(tiny, tmp_path, encoded):
    root = make_folder(tmp_path / "photos", train=6)
    images = load(DataConfig(source="folder", root=str(root)), "train", masks=False)
    images.samples[5].image.write_bytes(b"no photo")
    with pytest.raises(TagsegError, match=r"train5\.jpg cannot be read") as caught:
        compute(tiny, images, tmp_path / "features")
    assert "\n" not in str(caught.value)
    images.samples[5].image.unlink()
    with pytest.raises(TagsegError, match=r"train5\.jpg: cannot be read"):
        compute(tiny, images, tmp_path / "features")
    encoded.clear()
    compute(tiny, images.first(4), tmp_path / "features")
    assert encoded == []


def test_the_network_stays_as_it_was_and_can_learn(images, tmp_path):
    network = tiny_network().train()
    before = copy.deepcopy(network.state_dict())
    inference: list[bool] = []
    real = Network.to
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Network, "to", lambda *a: inference.append(torch.is_inference_mode_enabled()) or real(*a))
        compute(network, images, tmp_path)
    assert network.training
    assert inference == [False, False], "what is moved to a device in inference mode can never learn"
    assert all(torch.equal(value, before[name]) for name, value in network.state_dict().items())
    network.segment_logits(torch.randn(2, 3, 32, 32)).sum().backward()


def test_huge_features_are_finite_in_half_precision(images, tmp_path):
    network = tiny_network()
    with torch.no_grad():
        network.encoder.get_parameter("norm.weight").mul_(1e6)
    features = compute(network, images, tmp_path).read(range(6))
    assert features.isfinite().all()
    assert features.abs().max() == torch.finfo(torch.float16).max


def test_too_little_space_is_one_line_before_anything_is_computed(tiny, images, tmp_path, encoded, monkeypatch):
    usage = namedtuple("usage", "total used free")
    needed = 6 * 2 * 96 * 4 * 4
    asked: list[object] = []
    free = needed
    monkeypatch.setattr(features_file.shutil, "disk_usage", lambda path: asked.append(path) or usage(0, 0, free))
    with pytest.raises(TagsegError, match=r"features of 6 photos take 1 MB.*--features\.folder.*--features\.size") as e:
        compute(tiny, images, tmp_path / "a" / "b")
    assert "\n" not in str(e.value)
    assert asked == [tmp_path], "the nearest folder that exists"
    assert encoded == []
    assert list(tmp_path.iterdir()) == []
    free = 2 * needed
    compute(tiny, images, tmp_path / "a" / "b")


@pytest.mark.parametrize(("size", "patch", "side"), [(320, 16, 320), (320, 14, 322), (17, 8, 16), (12, 8, 16)])
def test_a_size_is_rounded_to_whole_patches(size, patch, side):
    assert side_of(size, patch) == side


@pytest.mark.parametrize("size", [1, 8, 11])
def test_a_single_patch_is_refused(size):
    with pytest.raises(TagsegError, match=f"features.size is {size}, expected two or more patches of 8 pixels"):
        side_of(size, 8)


def test_another_size_has_a_cache_of_its_own(tiny, images, tmp_path, encoded):
    compute(tiny, images, tmp_path)
    assert compute(tiny, images, tmp_path, size=47).grid == (6, 6)
    assert encoded == [4, 2, 4, 2]
    assert len(list(tmp_path.iterdir())) == 2


def test_the_key_is_that_of_equal_encoders_whatever_the_heads():
    key = cache_key(tiny_network(seed=3), 32)
    assert key == cache_key(tiny_network(seed=3), 32)
    other = tiny_network(seed=3)
    with torch.no_grad():
        for name, weights in [*other.named_parameters()]:
            if not name.startswith("encoder.") or name.removeprefix("encoder.").startswith(KEPT_OUT):
                weights.add_(1)
    assert cache_key(other, 32) == key
    heads = tiny_network(("cat",), config=replace(TINY, decoder="conv", decoder_width=8, prototypes=8))
    heads.encoder.load_state_dict(tiny_network(seed=3).encoder.state_dict())
    assert cache_key(heads, 32) == key


def test_what_the_key_leaves_out_changes_no_feature(images, tmp_path):
    network, other = tiny_network(), tiny_network()
    with torch.no_grad():
        for name, weights in other.encoder.named_parameters():
            if name.startswith(KEPT_OUT):
                weights.add_(1)
    assert torch.equal(plain(network, images), plain(other, images))


def test_every_weight_that_a_feature_depends_on_is_in_the_key():
    key = cache_key(tiny_network(), 32)
    names = [name for name, _ in tiny_network().encoder.named_parameters() if not name.startswith(KEPT_OUT)]
    assert len(names) > 40
    for name in names[:: len(names) // 8]:
        other = tiny_network()
        with torch.no_grad():
            weights: torch.Tensor = other.encoder.get_parameter(name)
            weights.flatten()[-1:].add_(1e-3)
        assert cache_key(other, 32) != key, name


OTHERS = {
    "mean": {"mean": (0.5, 0.5, 0.5)},
    "deviation": {"std": (0.5, 0.5, 0.5)},
    "auxiliary layer": {"aux_layer": -2},
    "attention heads": {"encoder_options": {**TINY.encoder_options, "num_heads": 4}},
    "activation": {"encoder": "vit_tiny_patch16_224", "encoder_options": {**TINY.encoder_options, "act_layer": "relu"}},
}


@pytest.mark.parametrize("changes", OTHERS.values(), ids=OTHERS)
def test_settings_that_change_features_of_equal_weights_are_in_the_key(changes):
    network = tiny_network()
    other = Network(replace(TINY, **changes), CLASSES)
    other.encoder.load_state_dict(network.encoder.state_dict())
    assert cache_key(other, 32) != cache_key(network, 32)


def test_the_size_is_in_the_key_and_the_tag_of_the_weights_is_not():
    network = tiny_network()
    assert cache_key(network, 40) != cache_key(network, 32)
    tagged = tiny_network()
    tagged.config = replace(TINY, encoder="vit_tiny_patch16_224.augreg_in21k")
    assert cache_key(tagged, 32) == cache_key(network, 32)
