"""What a training shows of its data, and that it does not begin with tags and masks that contradict each other."""

import json
import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.config import replace
from tagseg.errors import TagsegError
from tagseg.methods.classifier import ClassifierConfig
from tagseg.training.train import train

from ..conftest import CLASSES, make_folder, tiny_config

ORDER = {1: 2, 2: 3, 3: 1}


def other_ids(root: Path, split: str, new: dict[int, int]) -> None:
    table = np.arange(256, dtype=np.uint8)
    table[list(new)] = list(new.values())
    for path in (root / "masks").glob(f"{split}*"):
        with Image.open(path) as mask:
            changed = table[np.array(mask)]
        Image.fromarray(changed).save(path)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    return make_folder(tmp_path / "data", train=10, val=7)


def config(root: Path, **run: object):
    return tiny_config(root, root.parent / "run", run={"steps": 1, "validate_every": 1, "val_limit": 1} | run)


def test_scored_masks_that_contradict_the_tags_stop_before_the_training(root):
    other_ids(root, "val", ORDER)
    with pytest.raises(TagsegError) as error:
        train(config(root, val_limit=0))
    text = str(error.value)
    assert "contradict the tags in 6 of 7 images" in text
    assert "mask id 2 looks like 'circle', 3 looks like 'square', 1 looks like 'triangle'" in text
    assert "e.g. triangle,circle,square" in text
    assert "\n" not in text
    assert not (root.parent / "run").exists()


def test_masks_to_train_on_that_contradict_the_tags_stop_before_the_training(root):
    other_ids(root, "train", ORDER)
    by_masks = replace(config(root, validate_every=0), beyond={"labels": "masks"})
    with pytest.raises(TagsegError, match="split train contradict the tags in 9 of 10 images"):
        train(by_masks)


@pytest.mark.slow
def test_contradictions_can_be_accepted_and_are_kept_with_the_run(root, caplog):
    other_ids(root, "val", ORDER)
    accepted = replace(config(root, val_limit=0), data={"contradictions": "warn"})
    with caplog.at_level(logging.WARNING, "tagseg"):
        folder = train(accepted).folder
    assert "contradict the tags in 6 of 7 images" in caplog.text
    notes = json.loads((folder / "data.json").read_text())["notes"]
    assert any(note["warning"] and "contradict the tags" in note["text"] for note in notes)


@pytest.mark.slow
def test_what_was_read_is_shown_and_kept(root, caplog):
    with caplog.at_level(logging.INFO, "tagseg"):
        folder = train(config(root)).folder
    lines = [record.message for record in caplog.records]
    start = lines.index(f"data     {root}: photos with a tag file (labels.csv)")
    assert lines[start + 1 : start + 4] == [
        "train    10 images in images/; tags from labels.csv, 1 without tags",
        "val      7 images in images/; tags from labels.csv, 1 without tags; a mask each from masks/",
        "classes  3: circle 3, square 3, triangle 3 (images)",
    ]
    assert lines[start + 4] == "training on the tags of 10 images, scoring 1 by their masks"
    read = json.loads((folder / "data.json").read_text())
    assert read["classes"] == [{"name": name, "images": {"train": 3, "val": 2}} for name in CLASSES]


@pytest.mark.slow
def test_a_class_that_tags_cannot_teach_is_named_before_the_training(root, caplog):
    rows = (root / "labels.csv").read_text().splitlines()
    always = [rows[0], *(row.replace(",", ",circle;", 1).replace("circle;circle", "circle") for row in rows[1:])]
    (root / "labels.csv").write_text("\n".join(always))
    with caplog.at_level(logging.WARNING, "tagseg"):
        train(config(root, validate_every=0))
    assert "classes in every image: tags alone cannot separate them from the background" in caplog.text
    assert "(circle): add images without them" in caplog.text


def without_tags_of_val(root: Path) -> None:
    """In VOC's layout, in which tags of a part of the images may be absent."""
    (root / "images").rename(root / "JPEGImages")
    (root / "masks").rename(root / "SegmentationClass")
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    for split in ("train", "val"):
        names = sorted(path.stem for path in (root / "JPEGImages").glob(f"{split}*"))
        (lists / f"{split}.txt").write_text("\n".join(names))
    rows = (root / "labels.csv").read_text().splitlines()
    (root / "labels.csv").write_text("\n".join(row for row in rows if not row.startswith("val")))


@pytest.mark.slow
def test_scores_need_no_tags_of_the_scored_images(root):
    without_tags_of_val(root)
    scores = train(replace(config(root), data={"source": "voc"})).scores
    assert scores.keys() == {f"val/{who}/segmentation{w}" for who in ("student", "teacher") for w in ("", "_accuracy")}


@pytest.mark.slow
def test_a_classifier_is_scored_by_cams_and_needs_their_tags(root):
    without_tags_of_val(root)
    classifier = replace(config(root), data={"source": "voc"}, method=ClassifierConfig())
    with pytest.raises(TagsegError, match=r"labels\.csv has no tags for 7 of 7 images") as error:
        train(classifier)
    assert "\n" not in str(error.value)
