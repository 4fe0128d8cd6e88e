"""The method ``frozen`` from tags to a saved network: features once, the same network each time."""

import copy
import logging
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

import tagseg
from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.config import DataConfig
from tagseg.data.images import read_image
from tagseg.data.loaders import WholeImages
from tagseg.errors import NonFiniteLoss, TagsegError
from tagseg.metrics.segmentation import SegmentationScore
from tagseg.model.checkpoint import load_network, read_about, save_network
from tagseg.model.network import Network
from tagseg.presets import DEMO_WEIGHTS, PRESETS
from tagseg.training import frozen as frozen_file
from tagseg.training.frozen import fit_frozen, frozen_device
from tagseg.training.train import train

from ..conftest import CLASSES, make_folder
from .conftest import CONV, frozen_config, weights_equal


@pytest.fixture
def config(tagged_folder, tmp_path):
    return frozen_config(tagged_folder, tmp_path / "runs" / "a")


def test_what_a_run_leaves(config):
    result = train(replace(config, run={"validate_every": 0.1}))
    assert {path.name for path in result.folder.iterdir()} == {
        "config.yaml", "data.json", "last.safetensors", "progress.jsonl", "logs"
    }  # fmt: skip
    assert result.network == result.folder / "last.safetensors"
    assert result.steps == 6
    names = {"val/frozen/segmentation", "val/frozen/segmentation_accuracy", "val/frozen/tag_f1"}
    assert result.scores.keys() == names
    assert all(0 <= score <= 1 for score in result.scores.values())
    about = read_about(result.network)
    assert about["step"] == 6
    assert about["scores"] == result.scores
    assert len(list((result.folder.parent / "features").iterdir())) == 1, "beside the run, for the next"


def test_the_network_is_an_ordinary_one(config):
    result = train(config)
    network = load_network(result.folder)
    assert network.config.decoder == "conv"
    assert network.classes == CLASSES
    again = load_network(_saved(network, result.folder / "copy.safetensors"))
    image = torch.rand(2, 3, 32, 32)
    with torch.no_grad():
        assert torch.equal(again.segment_logits(image), network.segment_logits(image))
        assert torch.equal(network(image).segmentation, network.segment_logits(image))


def test_the_tag_prior_is_fitted_saved_and_used(config):
    network = load_network(train(replace(config, network={"tag_prior": True})).folder)
    without = load_network(train(replace(config, run={"output": f"{config.run.output}_without"})).folder)
    assert network.tag_prior is not None
    assert without.tag_prior is None
    sample = sources.load(config.data, "train", masks=False).samples[0]
    pixels = torch.from_numpy(read_image(sample.image)).permute(2, 0, 1)[None]
    image = network.normalise(pixels[:, :, :32, :32])
    with torch.no_grad():
        features, logits = network.encoder(image), without.segment_logits(image)
        maps = torch.cat([features.patches, features.auxiliary], dim=1)
        assert torch.equal(network.segment_logits(image), network.tag_prior(logits, maps))
        assert not torch.equal(network.segment_logits(image), logits)


def _saved(network, path):
    save_network(network, path)
    return path


def test_the_encoder_stays_as_it_was(config):
    torch.manual_seed(config.run.seed)
    before = Network(config.network, CLASSES).encoder.state_dict()
    after = load_network(train(config).folder).encoder.state_dict()
    assert all(torch.equal(value, before[name]) for name, value in after.items())


def test_a_rerun_is_equal_bit_by_bit_and_computes_no_feature(config, encoded):
    first = train(config)
    assert sum(encoded) == 6
    encoded.clear()
    torch.rand(7)
    second = train(replace(config, run={"output": str(first.folder.parent / "b")}))
    assert encoded == []
    assert weights_equal(first.folder, second.folder)
    other = train(replace(config, run={"output": str(first.folder.parent / "c"), "seed": 1}))
    assert not weights_equal(first.folder, other.folder)


def test_an_interruption_keeps_the_features_and_the_rerun_is_equal(config, encoded, monkeypatch):
    whole = train(replace(config, run={"output": str(Path(config.run.output).parent / "b" / "whole")}))
    config = replace(config, run={"val_batch": 2})
    real, calls = Network.normalise, []

    def interrupted(self, batch):
        calls.append(1)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return real(self, batch)

    with monkeypatch.context() as patch:
        patch.setattr(Network, "normalise", interrupted)
        told = r"^stopped \(features, 4 of 6\): features are kept, go on with --resume"
        with pytest.raises(KeyboardInterrupt, match=told):
            train(config)
    encoded.clear()
    assert {path.name for path in Path(config.run.output).iterdir()} == {
        "config.yaml", "data.json", "progress.jsonl"
    }  # fmt: skip
    result = train(config)
    assert encoded == [2], "four of six were kept"
    assert weights_equal(result.folder, whole.folder)


def test_features_may_be_kept_elsewhere(config, tmp_path, encoded):
    config = replace(config, features={"folder": str(tmp_path / "elsewhere")})
    result = train(config)
    assert not (result.folder.parent / "features").exists()
    assert len(list((tmp_path / "elsewhere").iterdir())) == 1


def test_another_decoder_is_refused_before_anything_is_computed(config, encoded):
    with pytest.raises(TagsegError, match=r"network\.decoder is 'largefov', expected conv with the method frozen"):
        train(replace(config, network={"decoder": "largefov"}))
    assert encoded == []


def test_a_start_gives_the_encoder(config, tmp_path):
    torch.manual_seed(5)
    start = Network(CONV, CLASSES)
    save_network(start, tmp_path / "start.safetensors")
    result = train(replace(config, network={"start": str(tmp_path / "start.safetensors")}))
    encoder = load_network(result.folder).encoder.state_dict()
    assert all(torch.equal(value, encoder[name]) for name, value in start.encoder.state_dict().items())


def test_a_loss_that_is_not_finite_leaves_no_network(config, monkeypatch):
    real = frozen_file.standardise

    def broken(decoder, features):
        real(decoder, features)
        decoder[0].mean[0] = float("nan")

    monkeypatch.setattr(frozen_file, "standardise", broken)
    with pytest.raises(NonFiniteLoss, match="step 0 of the decoder"):
        train(config)
    assert not (Path(config.run.output) / "last.safetensors").exists()


def test_a_single_photo_can_be_trained_on(tmp_path):
    root = make_folder(tmp_path / "photos", train=2)  # the last photo of a folder shows none
    table = (root / "labels.csv").read_text().splitlines()
    (root / "labels.csv").write_text("\n".join(line for line in table if "train1" not in line))
    weights = load_network(train(frozen_config(root, tmp_path / "run")).folder).state_dict()
    assert all(value.isfinite().all() for value in weights.values())


def test_photos_without_any_tag_are_refused(tmp_path):
    root = make_folder(tmp_path / "photos", train=1)
    with pytest.raises(TagsegError, match="no photo is tagged with any class, so nothing can be learnt: add tags"):
        train(frozen_config(root, tmp_path / "run"))


def test_photos_that_are_all_the_same_colour_give_a_finite_network(tmp_path):
    root = make_folder(tmp_path / "photos", train=4)
    for path in (root / "images").iterdir():
        Image.new("RGB", (48, 40), (90, 90, 90)).save(path)
    network = load_network(train(frozen_config(root, tmp_path / "run")).folder)
    assert all(value.isfinite().all() for value in network.state_dict().values())


def test_scores_are_those_of_the_saved_network(config):
    config = replace(config, run={"validate_every": 0.1, "val_batch": 2})
    result = train(config)
    images = sources.load(config.data, "val").with_masks()
    network, confusion = load_network(result.folder), SegmentationScore(4)
    for image, sample in zip(_resized(images), images.samples, strict=True):
        assert sample.mask is not None
        mask = torch.from_numpy(np.array(sample.mask()))
        logits = network.segment_logits(network.normalise(image[None]))
        full = torch.nn.functional.interpolate(logits, mask.shape, mode="bilinear", align_corners=False)
        confusion.update(full.argmax(dim=1)[0], mask)
    assert result.scores["val/frozen/segmentation"] == pytest.approx(confusion.compute().mean_iou)


def _resized(images):
    return [image for image, _ in (WholeImages(images, 32)[index] for index in range(len(images)))]


def test_only_the_first_images_are_scored_where_there_is_a_limit(config, caplog):
    with caplog.at_level(logging.INFO, "tagseg"):
        train(replace(config, run={"validate_every": 0.1, "val_limit": 1}))
    assert "1 images scored: segmentation" in caplog.text


def test_the_device_is_the_one_that_was_asked_for(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    assert frozen_device("auto") == frozen_device("cpu") == torch.device("cpu")
    for accelerator in ("gpu", "cuda"):
        with pytest.raises(TagsegError, match=f"run.accelerator is '{accelerator}', but there is no GPU"):
            frozen_device(accelerator)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: True)
    assert frozen_device("auto") == frozen_device("gpu") == frozen_device("cuda") == torch.device("cuda")
    assert frozen_device("cpu") == torch.device("cpu")


def test_the_configuration_that_is_given_is_not_changed(config):
    before = copy.deepcopy(config)
    training = sources.load(config.data, "train", masks=False)
    fit_frozen(config, training, None)
    assert config == before


@pytest.mark.slow
def test_from_the_preset_to_masks_and_scores(tmp_path):
    """Drawn scenes and the demo's pretrained encoder: the whole way, and what it learns is better than background."""
    demo = PRESETS["demo"]().network
    config = replace(
        PRESETS["frozen"](),
        data=vars(DataConfig(source="scenes", root=str(tmp_path / "scenes"), scenes=60)),
        network={
            "encoder": demo.encoder, "encoder_options": demo.encoder_options, "weights": str(DEMO_WEIGHTS),
            "aux_layer": -2, "decoder_width": 32, "projector_width": 32, "projector_bottleneck": 16, "prototypes": 32,
        },
        features={"size": 128},
        run={"output": str(tmp_path / "run"), "accelerator": "cpu", "workers": 0},
    )  # fmt: skip
    result = tagseg.train(config)
    assert result.steps == 200, "by the number of photos"
    scored = tagseg.evaluate(result.network, config.data, scales=(1.0,), mirror=False, size=128)
    images = sources.load(config.data, config.data.val_split)
    confusion = SegmentationScore(len(images.classes) + 1)
    for sample in images.with_masks().samples:
        assert sample.mask is not None
        mask = torch.from_numpy(np.array(sample.mask()))
        confusion.update(torch.zeros_like(mask, dtype=torch.long), mask)
    background = confusion.compute().mean_iou
    assert result.scores["val/frozen/segmentation"] > 1.5 * background
    assert scored.result.mean_iou == pytest.approx(result.scores["val/frozen/segmentation"], abs=0.01)
    tagseg.predict(result.network, [sample.image for sample in images.samples[:2]], tmp_path / "masks")
    assert len(list((tmp_path / "masks" / "masks").iterdir())) == 2
