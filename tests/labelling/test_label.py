"""From tagged photos to a dataset of photos and masks."""

import csv
import json
import logging
import os
import shutil
from dataclasses import replace as with_fields
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

import tagseg
from tagseg.config import replace
from tagseg.data import sources
from tagseg.data.class_file import read_class_file
from tagseg.data.images import read_image
from tagseg.data.palette import palette
from tagseg.frozen.features import frozen_features
from tagseg.frozen.labels import fit_to_some, foreground_labels, foreground_planes
from tagseg.inference.predictor import Predictor
from tagseg.inference.segment import upsample
from tagseg.labelling import making
from tagseg.labelling.label import label
from tagseg.model.network import Network
from tagseg.presets import PRESETS

from ..conftest import CLASSES, TINY, assert_refused, make_folder, tiny_network
from .conftest import label_config


def mask_of(path):
    with Image.open(path) as image:
        return np.asarray(image)


def tags_in(folder):
    with (folder / "labels.csv").open(newline="") as file:
        return {row["image"]: set(row["labels"].split(";")) - {""} for row in csv.DictReader(file)}


def assert_only_tags(result, root):
    """Masks have the size of their photos, and no other labels than background and the photos' tags."""
    tags = tags_in(root)
    for split in result.masks:
        for image, mask in zip(result.images[split], result.masks[split], strict=True):
            labels = mask_of(mask)
            assert labels.shape == read_image(image).shape[:2]
            assert {result.classes[label - 1] for label in np.unique(labels) if label} <= tags[image.name]


def test_what_a_call_leaves(config, tagged_folder, tmp_path, files):
    result = label(config, tmp_path / "out")
    photos = {f"{kind}/train/train{n}{end}" for kind, end in (("images", ".jpg"), ("masks", ".png")) for n in range(6)}
    photos |= {f"{kind}/val/val{n}{end}" for kind, end in (("images", ".jpg"), ("masks", ".png")) for n in range(2)}
    described = {"train.txt", "val.txt", "classes.txt", "data.yaml", "README.txt", "contact_sheet.jpg"}
    assert files(tmp_path / "out") == photos | described | {"data.json", "label.json", "made_from.json"}
    assert len(result) == 8
    assert [path.name for path in result.masks["val"]] == ["val0.png", "val1.png"]
    assert_only_tags(result, tagged_folder)
    assert any(mask_of(path).any() for path in result.masks["train"])
    assert (tmp_path / "out" / "train.txt").read_text().splitlines()[0] == "./images/train/train0.jpg"
    assert read_class_file(tmp_path / "out" / "classes.txt")[0] == ("background", *CLASSES)


def test_masks_have_the_palette_and_photos_are_linked(config, tagged_folder, tmp_path):
    result = label(config, tmp_path / "out")
    with Image.open(result.masks["train"][0]) as mask:
        assert mask.mode == "P"
        colours = np.reshape(np.array(mask.getpalette()), (-1, 3))
        assert np.array_equal(colours, palette()[: len(colours)])
    assert os.path.samefile(result.images["train"][0], tagged_folder / "images" / "train0.jpg")
    copied = label(config, tmp_path / "copied", images="copy")
    assert not os.path.samefile(copied.images["train"][0], tagged_folder / "images" / "train0.jpg")


def test_photos_without_tags_are_background(config, tmp_path):
    result = label(config, tmp_path / "out")
    assert not mask_of(result.masks["train"][5]).any()
    assert not mask_of(result.masks["val"][1]).any()


def test_without_a_run_masks_are_the_labels_of_the_method_frozen_at_the_size_of_the_photo(config, tmp_path):
    result = label(config, tmp_path / "out")
    splits = [sources.load(config.data, split, masks=False) for split in ("train", "val")]
    images = with_fields(splits[0], samples=splits[0].samples + splits[1].samples)
    torch.manual_seed(0)
    network = Network(config.network, images.classes)
    features = frozen_features(network, images, 32, tmp_path / "new", config.run, torch.device("cpu"))
    foreground = fit_to_some(features, 0.0)
    masks = [path for several in result.masks.values() for path in several]
    for index, path in enumerate(masks):
        written = mask_of(path)
        planes = foreground_planes(features, foreground, range(index, index + 1))[0]
        best = upsample(planes, written.shape).topk(2, dim=0)
        clear = (best.values[0] - best.values[1] > 1e-4).numpy()
        assert np.array_equal(written[clear], best.indices[0].numpy()[clear])
    small = foreground_labels(features, foreground, (8, 8))
    assert {int(label) for label in small.unique()} == {
        int(label) for path in masks for label in np.unique(mask_of(path))
    }


def test_a_run_answers_with_the_tags_alone(tagged_folder, tmp_path):
    network = tiny_network()
    result = label(tagged_folder, tmp_path / "out", network, scales=(1.0,))
    assert_only_tags(result, tagged_folder)
    predictor = Predictor(network, scales=(1.0,), scores=True)
    tags, others = tags_in(tagged_folder), 0
    for image, mask in zip(result.images["train"], result.masks["train"], strict=True):
        found, written = predictor(image), mask_of(mask)
        own = [k + 1 for k, name in enumerate(CLASSES) if name in tags[image.name]]
        assert len(own) <= 1
        if own:  # with one tag it is told which foreground is; the softmax of all classes says how much there is
            margin = found.probs[0].astype(np.float32) - 0.5
            clear = np.abs(margin) > 0.02
            assert np.array_equal(written[clear] == 0, margin[clear] > 0)
        others += int((~np.isin(found.mask, [0, *own])).sum())
    assert others, "without the tags it would answer with other classes"


def test_the_tag_prior_of_a_run_is_left_out_and_stays_with_the_network(tagged_folder, tmp_path):
    config = with_fields(TINY, decoder="conv", decoder_width=8, tag_prior=True)
    network = tiny_network(config=config)
    assert network.tag_prior is not None
    torch.nn.init.normal_(network.tag_prior.classifier.weight, std=5)
    prior = network.tag_prior
    first = label(tagged_folder, tmp_path / "prior", network, scales=(1.0,))
    assert network.tag_prior is prior
    network.tag_prior = None
    second = label(tagged_folder, tmp_path / "none", network, scales=(1.0,))
    for a, b in zip(first.masks["train"], second.masks["train"], strict=True):
        assert np.array_equal(mask_of(a), mask_of(b))


def test_classes_of_a_run_are_matched_by_name(tagged_folder, tmp_path):
    data = label_config(tagged_folder).data
    turned = ("triangle", "square", "circle", "oval")
    result = label(with_fields(data, classes=CLASSES), tmp_path / "out", tiny_network(turned), scales=(1.0,))
    assert result.classes == turned
    assert_only_tags(result, tagged_folder)


def test_a_tag_that_the_run_lacks_is_one_clear_line(tagged_folder, tmp_path):
    assert_refused(lambda: label(tagged_folder, tmp_path / "out", tiny_network(CLASSES[:2])), "triangle")
    assert not (tmp_path / "out").exists()


@pytest.mark.slow
def test_the_crf_follows_the_photo(config, tmp_path):
    plain, refined = label(config, tmp_path / "plain"), label(config, tmp_path / "crf", crf=True)
    masks = [[mask_of(path) for path in result.masks["train"]] for result in (plain, refined)]
    assert any((a != b).any() for a, b in zip(*masks, strict=True))
    assert "dense CRF" in (tmp_path / "crf" / "README.txt").read_text()
    assert "dense CRF" not in (tmp_path / "plain" / "README.txt").read_text()


def test_a_second_call_keeps_what_was_made_from_the_same(config, tmp_path, caplog):
    caplog.set_level(logging.INFO, "tagseg")
    first = label(config, tmp_path / "out")
    Image.fromarray(mask_of(first.masks["train"][0]) * 0 + 3).save(first.masks["train"][0])  # corrected by hand
    label(config, tmp_path / "out")
    assert "8 of 8 masks are there already" in caplog.text
    assert (mask_of(first.masks["train"][0]) == 3).all()
    label(replace(config, labels={"foreground_share": 0.5}), tmp_path / "out")
    assert "settings changed since the label maps were made" in caplog.text
    assert not (mask_of(first.masks["train"][0]) == 3).all()


def test_what_is_no_part_of_the_data_any_more_is_removed_and_other_files_stay(tmp_path, files):
    root = make_folder(tmp_path / "photos", train=4)
    network = tiny_network()
    label(root, tmp_path / "out", network, scales=(1.0,))
    (tmp_path / "out" / "mine.txt").write_text("notes")
    lines = (root / "labels.csv").read_text().splitlines()
    (root / "labels.csv").write_text("\n".join(line for line in lines if not line.startswith("train1")))
    result = label(root, tmp_path / "out", network, scales=(1.0,))
    left = files(tmp_path / "out")
    assert "mine.txt" in left
    assert not any("train1" in name for name in left)
    assert len(result) == 5
    assert (root / "images" / "train1.jpg").is_file()


def test_with_other_weights_masks_are_made_anew(tagged_folder, tmp_path, caplog):
    caplog.set_level(logging.INFO, "tagseg")
    first = label(tagged_folder, tmp_path / "out", tiny_network(), scales=(1.0,))
    Image.fromarray(mask_of(first.masks["train"][0]) * 0 + 3).save(first.masks["train"][0])
    label(tagged_folder, tmp_path / "out", tiny_network(seed=5), scales=(1.0,))
    assert "weights changed since the label maps were made" in caplog.text
    assert not (mask_of(first.masks["train"][0]) == 3).all()


def test_ctrl_c_leaves_whole_files_and_the_next_call_goes_on(tagged_folder, tmp_path, monkeypatch, caplog, files):
    caplog.set_level(logging.INFO, "tagseg")
    network, real = tiny_network(), making.masks_of

    def stopped(*arguments):
        for number, found in enumerate(real(*arguments)):
            if number == 4:
                raise KeyboardInterrupt
            yield found

    monkeypatch.setattr(making, "masks_of", stopped)
    with pytest.raises(KeyboardInterrupt, match="are kept, the same command makes the others"):
        label(tagged_folder, tmp_path / "out", network, scales=(1.0,), writers=0)
    assert "data.yaml" not in files(tmp_path / "out")
    assert not any(name.endswith(".tmp") for name in files(tmp_path / "out"))
    monkeypatch.undo()
    assert len(label(tagged_folder, tmp_path / "out", network, scales=(1.0,))) == 8
    assert "4 of 8 masks are there already" in caplog.text


def test_a_broken_photo_does_not_stop_the_others_of_a_run(tmp_path):
    root = make_folder(tmp_path / "photos", train=4)
    whole = (root / "images" / "train1.jpg").read_bytes()
    (root / "images" / "train1.jpg").write_bytes(whole[: len(whole) // 2])
    assert_refused(
        lambda: label(root, tmp_path / "out", tiny_network(), scales=(1.0,)),
        "1 of 6 photos failed, the others are done", "train1.jpg",
    )  # fmt: skip
    listed = (tmp_path / "out" / "train.txt").read_text().split()
    assert listed == [f"./images/train/train{number}.jpg" for number in (0, 2, 3)]
    assert_refused(lambda: label(label_config(root), tmp_path / "frozen"), "train1.jpg")


def test_other_formats_hold_the_same_masks(tagged_folder, tmp_path, files):
    result = label(tagged_folder, tmp_path / "out", tiny_network(), scales=(1.0,), format="coco,yolo")
    content = json.loads((tmp_path / "out" / "coco.json").read_text())
    assert len(content["images"]) == 8
    pixels = {one["id"]: 0 for one in content["images"]}
    for one in content["annotations"]:
        pixels[one["image_id"]] += one["area"]
    masks = {f"{split}/{path.stem}": mask_of(path) for split, paths in result.masks.items() for path in paths}
    for one in content["images"]:
        mask = masks[one["file_name"].removesuffix(".jpg")]
        assert (one["height"], one["width"]) == mask.shape
        assert pixels[one["id"]] == np.count_nonzero(mask)
    assert "yolo/labels/train/train0.txt" in files(tmp_path / "out")
    label(tagged_folder, tmp_path / "out", tiny_network(), scales=(1.0,))
    assert not any(name.startswith(("coco", "yolo")) for name in files(tmp_path / "out"))


def test_photos_that_all_have_no_tags_need_no_features(tmp_path, caplog):
    root = make_folder(tmp_path / "photos", train=2)
    (root / "labels.csv").write_text("image,labels\ntrain0.jpg,\ntrain1.jpg,\n")
    result = label(label_config(root, data={"val_split": ""}), tmp_path / "out")
    assert not any(mask_of(path).any() for path in result.masks["train"])
    assert not (tmp_path / "features").exists()
    assert 'val: "images/train"  # the training photos' in (tmp_path / "out" / "data.yaml").read_text()


@pytest.mark.parametrize("where", ["photos/images/out", "photos/images", "other"])
def test_folders_that_hold_something_else_are_refused(tmp_path, where):
    root = make_folder(tmp_path / "photos", train=2)
    shutil.copytree(root / "masks", tmp_path / "other")
    before = sorted(tmp_path.rglob("*"))
    expected = "it would count as photos" if where.endswith("out") else "holds other files"
    assert_refused(lambda: label(label_config(root), tmp_path / where), expected, "--output")
    assert sorted(tmp_path.rglob("*")) == before


def test_a_file_or_the_dataset_itself_is_no_output(config, tagged_folder, tmp_path):
    (tmp_path / "file").write_text("")
    assert_refused(lambda: label(config, tmp_path / "file"), "is a file")
    label(config, tmp_path / "out")
    rows = ("image,labels", "train0.jpg,circle")
    (tmp_path / "out" / "images" / "train" / "labels.csv").write_text("\n".join(rows))
    again = replace(config, data={"root": str(tmp_path / "out" / "images" / "train"), "val_split": ""})
    assert_refused(lambda: label(again, tmp_path / "out"), "are in the output folder")


@pytest.mark.parametrize(
    ("changes", "arguments", "expected"),
    [
        ({"run": {"steps": 5}}, {}, "run.steps is 5"),
        ({"labels": {"source": "masks"}}, {}, "labels.source"),
        ({"network": {"decoder_width": 8}}, {}, "network.decoder_width is 8"),
        ({}, {"scales": (1.0,)}, "scales is (1.0,)"),
        ({}, {"batch": 2}, "batch is 2"),
        ({}, {"layout": "coco"}, "layout is 'coco'"),
        ({}, {"images": "move"}, "images is 'move'"),
        ({}, {"crf_settings": 3}, "crf_settings is 3"),
        ({}, {"format": "npz"}, "format is 'npz', which holds scores"),
        ({}, {"format": "cocoa"}, "did you mean coco?"),
        ({}, {"format_settings": 3}, "format_settings is 3"),
        ({}, {"max_side": -1}, "max_side is -1"),
    ],
)
def test_settings_that_nothing_reads_are_refused(config, tmp_path, unchecked, changes, arguments, expected):
    assert_refused(lambda: label(replace(config, **changes), tmp_path / "out", **arguments), expected)
    assert not (tmp_path / "out").exists()


def test_with_a_run_settings_of_the_features_are_refused(tagged_folder, tmp_path):
    config = replace(PRESETS["frozen"](), data={"root": str(tagged_folder)}, features={"size": 64})
    assert_refused(lambda: label(config, tmp_path / "out", tiny_network()), "features.size is 64", "the run's network")


def test_it_is_part_of_the_package(tmp_path, unchecked):
    assert tagseg.label is label
    wrong: Any = 3
    assert_refused(lambda: label(wrong, tmp_path / "out"), "photos is 3", "a folder of photos")
    assert_refused(lambda: label(tmp_path / "absent", tmp_path / "out"), "absent")
