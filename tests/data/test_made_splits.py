import csv
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.sources import load, made_splits_of
from tagseg.errors import TagsegError

from ..conftest import assert_refused, make_folder


def names(images: TaggedImages) -> set[str]:
    return {sample.name for sample in images.samples}


def both(config: DataConfig) -> tuple[TaggedImages, TaggedImages]:
    return load(config, "train", masks=False), load(config, "val", masks=False)


def said(images: TaggedImages, what: str) -> str:
    return next(str(note) for note in images.notes if what in str(note))


@pytest.fixture
def tagged(tmp_path: Path) -> DataConfig:
    """Twenty photos of three classes without splits and masks."""
    make_folder(tmp_path, train=20, val=0)
    rows = list(csv.reader((tmp_path / "labels.csv").open()))
    (tmp_path / "labels.csv").write_text("".join(f"{image},{labels}\n" for image, labels, _ in rows))
    shutil.rmtree(tmp_path / "masks")
    return DataConfig(root=str(tmp_path), val_share=0.25)


def test_a_share_is_held_back_with_each_tag(tagged):
    train, val = both(tagged)
    assert len(train) == 15
    assert len(val) == 5
    assert not names(train) & names(val)
    assert (val.tag_matrix().sum(axis=0) > 0).all()
    assert "train (15), val (5)" in said(train, "splits made of 20 images")
    assert "seed 0" in said(val, "splits made")
    assert val.source.endswith("split val")
    assert names(both(tagged)[1]) == names(val)


def test_the_seed_gives_other_splits(tagged):
    assert names(both(replace(tagged, split_seed=1))[1]) != names(both(tagged)[1])


def test_copies_are_on_one_side(tagged):
    root = Path(tagged.root)
    with (root / "labels.csv").open("a") as file:
        for index in (0, 1, 2, 3):
            with Image.open(root / f"images/train{index}.jpg") as photo:
                photo.save(root / f"images/copy{index}.png")
            file.write(f"copy{index}.png,square\n")
    for seed in range(3):
        train, val = both(replace(tagged, split_seed=seed))
        for index in range(4):
            assert len({f"copy{index}", f"train{index}"} & names(val)) != 1, seed
    assert said(train, "near-duplicates").startswith("8 images are near-duplicates of others (4 groups)")


def test_photos_that_all_look_alike_are_divided_and_it_is_said(tagged):
    for path in (Path(tagged.root) / "images").iterdir():
        photo = np.full((40, 40, 3), 30, np.uint8)
        photo[:20] = 200
        Image.fromarray(photo + np.uint8(len(path.stem) + int(path.stem[5:]))).save(path.with_suffix(".png"))
        path.unlink()
    labels = Path(tagged.root) / "labels.csv"
    labels.write_text(labels.read_text().replace(".jpg", ".png"))
    train, val = both(tagged)
    assert len(val) == 5
    assert "one group of near-duplicates: only equal files" in said(train, "images look so alike")


def test_where_some_have_masks_only_those_are_held_back(tmp_path):
    make_folder(tmp_path, train=20, val=0)
    (tmp_path / "labels.csv").write_text(
        "".join(f"{','.join(row.split(',')[:2])}\n" for row in (tmp_path / "labels.csv").read_text().split())
    )
    for index in range(10):
        (tmp_path / f"masks/train{index}.png").unlink()
    config = DataConfig(root=str(tmp_path), val_share=0.3)
    train, val = load(config, "train", masks=False), load(config, "val")
    assert len(val) == len(val.with_masks()) == 3
    assert len(train) == 17
    assert "0.3 of the 10 with a mask" in said(val, "splits made")


def test_the_training_split_of_data_with_splits_is_divided_and_others_stay(tagged_folder):
    config = DataConfig(root=str(tagged_folder), val_share=0.34)
    assert {sample.name[:5] for sample in load(config, "val").samples} == {"train"}
    assert len(load(config, "val")) + len(load(config, "train")) == 6
    other = replace(config, val_split="held back")
    assert names(load(other, "val")) == {"val0", "val1"}
    assert {sample.name[:5] for sample in load(other, "held back").samples} == {"train"}


def test_a_list_divides_the_images(tagged, tmp_path):
    path = tmp_path / "list.csv"
    path.write_text("image,split\ntrain0.jpg,val\ntrain1.jpg,train\ntrain2.jpg,extra\n")
    config = replace(tagged, splits=str(path))
    assert [names(load(config, split, masks=False)) for split in ("train", "val", "extra")] == [
        {"train1"}, {"train0"}, {"train2"},
    ]  # fmt: skip
    assert made_splits_of(config) == {"train0": "val", "train1": "train", "train2": "extra"}, "what a run keeps"
    assert said(load(config, "val", masks=False), "no split").startswith("17 images are not in list.csv")
    path.write_text("image,split\ntrain0.jpg,validation\n")
    assert_refused(lambda: load(config, "val"), str(path), "no image in split 'val'", "it has validation (1)")


@pytest.mark.parametrize("val_split", ["", "train"])
def test_a_share_needs_a_validation_split(tagged, val_split):
    config = replace(tagged, val_split=val_split)
    assert_refused(lambda: load(config, "train"), "data.val_share is 0.25", "set --data.val_split val")


def test_a_share_of_all_is_refused():
    with pytest.raises(TagsegError, match=r"data\.val_share is 1\.0, expected 0 or more and below 1"):
        DataConfig(val_share=1.0)
