"""The folder source: layouts that people have, and the errors they will make."""

import logging
import pickle
import unicodedata
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.sources import load
from tagseg.errors import NothingToScore, TagsegError

from .conftest import true_mask

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "voc20mix"
SPLIT = "image,labels,split\na.jpg,cat,train\nb,dog;cat,train\nsub/c,,val\n"


def make(root: Path, tags: str = SPLIT, images: str = "images", names: tuple[str, ...] = ("a", "b", "sub/c")) -> None:
    for name in names:
        path = root / images / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(path)
    (root / "labels.csv").write_text(tags, "utf-8")


def get(root: Path, split: str = "train", masks: bool = True, **settings: Any) -> TaggedImages:
    return load(DataConfig(root=str(root), **settings), split, masks)


@pytest.mark.parametrize("images", ["images", "JPEGImages", "."])
def test_images_are_found(tmp_path, images):
    make(tmp_path, images=images)
    train, val = get(tmp_path), get(tmp_path, "val")
    assert [s.name for s in train.samples] == ["a", "b"]
    assert train.classes == val.classes == ("cat", "dog")
    assert train.tag_matrix().tolist() == [[1, 0], [1, 1]]
    assert train.tags_from == "labels.csv"
    assert (val.samples[0].name, val.samples[0].tags, val.samples[0].mask) == ("sub/c", (), None)
    assert val.samples[0].image == tmp_path / images / "sub/c.jpg"


def test_names_may_start_with_the_image_folder_or_differ_in_case_and_accents(tmp_path):
    names = (unicodedata.normalize("NFD", "ölkanne"), "B")
    make(tmp_path, f"image,labels\nimages/{unicodedata.normalize('NFC', 'ölkanne')}.JPG,x\nb,x\n", names=names)
    assert {s.name for s in get(tmp_path, val_split="").samples} == set(names)


def test_named_folders_tag_file_and_classes(tmp_path):
    make(tmp_path, images="photos")
    (tmp_path / "labels.csv").rename(tmp_path / "mine.csv")
    (tmp_path / "names.txt").write_text("dog\ncat\nbird\n")
    data = get(tmp_path, images="photos", tags="mine.csv", classes="names.txt")
    assert data.classes == ("dog", "cat", "bird")
    assert data.samples[1].tags == (0, 1)


def test_masks_are_found_where_there_are_any(tmp_path):
    make(tmp_path)
    (tmp_path / "masks" / "sub").mkdir(parents=True)
    ids = np.array([[0, 1, 2, 255]] * 3, np.uint8)
    for name in ("a", "sub/c"):
        Image.fromarray(ids).save(tmp_path / "masks" / f"{name}.png")
    a, b = get(tmp_path).samples
    assert pickle.loads(pickle.dumps(a)).mask().tolist() == ids.tolist()
    assert b.mask is None
    assert get(tmp_path, "val").samples[0].mask is not None
    assert get(tmp_path, masks=False).samples[0].mask is None
    assert load(DataConfig(root=str(tmp_path), masks="none"), "train").samples[0].mask is None
    with pytest.raises(TagsegError, match=r"--data\.masks is 'truth'"):
        load(DataConfig(root=str(tmp_path), masks="truth"), "train")


def test_without_a_split_column_a_hash_divides(tmp_path):
    names = tuple(f"{i:03}" for i in range(100))
    rows = [f"{name},x" for name in names]
    make(tmp_path, "\n".join(["image,labels", *rows]), names=names)
    (tmp_path / "masks").mkdir()
    train, val = ({s.name for s in get(tmp_path, split).samples} for split in ("train", "val"))
    assert train | val == set(names)
    assert not train & val
    assert 10 <= len(val) <= 30
    # an image keeps its side when others go, and the order of the rows changes nothing
    (tmp_path / "labels.csv").write_text("\n".join(["image,labels", *reversed(rows[:60])]))
    assert {s.name for s in get(tmp_path, "val").samples} == {name for name in val if name < "060"}
    assert len(get(tmp_path, "train", val_split="train")) == len(get(tmp_path, val_split="")) == 60


def test_two_images_are_enough_for_a_split_by_hash(tmp_path):
    make(tmp_path, "image,labels\na,x\nb,x\n")
    (tmp_path / "masks").mkdir()
    assert len(get(tmp_path)) == len(get(tmp_path, "val")) == 1


def test_no_image_is_kept_for_scoring_where_there_are_neither_masks_nor_a_split_column(tmp_path):
    make(tmp_path, "image,labels\na,x\nb,x\nsub/c,y\n")
    assert len(get(tmp_path)) == 3
    with pytest.raises(NothingToScore, match=r"no masks and labels\.csv no split column, .*: add masks/"):
        get(tmp_path, "val")
    with pytest.raises(TagsegError, match=r"no image in split 'test'"):
        get(tmp_path, "test")
    (tmp_path / "masks").mkdir()
    assert len(load(DataConfig(root=str(tmp_path), masks="none"), "train")) == 3
    assert len(get(tmp_path)) + len(get(tmp_path, "val")) == 3


def test_missing_images_stop_or_are_skipped(tmp_path, caplog):
    rows = "".join(f"no{i},cat,train\n" for i in range(5))
    make(tmp_path, SPLIT + rows)
    with pytest.raises(TagsegError, match=r"5 of 7 images .* no0, no1, no2 and 2 more; .*--data\.skip_missing true"):
        get(tmp_path)
    with caplog.at_level(logging.WARNING, "tagseg"):
        assert len(get(tmp_path, skip_missing=True)) == 2
    assert "5 of 7" in caplog.text
    with pytest.raises(TagsegError, match="expected at least one"):
        get(tmp_path, "x", tags=_write(tmp_path / "x.csv", "image,labels,split\nno,cat,x\n"), skip_missing=True)


def test_a_class_without_training_images_warns(tmp_path, caplog):
    make(tmp_path)
    with caplog.at_level(logging.WARNING, "tagseg"):
        get(tmp_path, "val", classes=("cat", "dog", "emu"))
        assert not caplog.records
        get(tmp_path, classes=("cat", "dog", "emu"))
    assert "no image is tagged with emu" in caplog.text


def _write(path: Path, text: str) -> str:
    path.write_text(text)
    return path.name


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"root": "nowhere"}, "data folder nowhere does not exist"),
        ({"tags": "none.csv"}, r"--data\.tags is 'none\.csv', expected a file"),
        ({"images": "pictures"}, r"--data\.images is 'pictures'"),
        ({"classes": ("cat", "dgo")}, r"tag 'dog' of 'b' \(labels\.csv line 3\).*\(cat, dgo\): did you mean 'dgo'"),
        ({"train_split": "test"}, r"no image in split 'test'; splits present: train \(2\), val \(1\)"),
    ],
)
def test_bad_settings(tmp_path, settings, message):
    make(tmp_path)
    config = DataConfig(**{"root": str(tmp_path), **settings})
    with pytest.raises(TagsegError, match=message) as error:
        load(config, config.train_split)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("tags", "names", "message"),
    [
        ("image,labels\na,x\n", ("a", "b"), "no image in split 'train'.* 1 rows and no split column"),
        ("image,labels,split\na,x,train\na.jpg,x,train\n", ("a",), "'a' and 'a.jpg', which share the name 'a'"),
    ],
)
def test_bad_rows(tmp_path, tags, names, message):
    make(tmp_path, tags, names=names)
    (tmp_path / "masks").mkdir()
    with pytest.raises(TagsegError, match=message):
        get(tmp_path)


def test_unknown_source(tmp_path):
    config = DataConfig()
    object.__setattr__(config, "source", "web")  # Python users may: nothing checks a Literal at run time
    with pytest.raises(TagsegError, match="expected one of: folder, voc, coco, scenes"):
        load(config, "train")


def test_a_name_that_fits_two_images_is_refused(tmp_path):
    make(tmp_path)
    Image.new("RGB", (1, 1)).save(tmp_path / "images" / "b.png")
    with pytest.raises(TagsegError, match=r"'b' could be b\.jpg, b\.png"):
        get(tmp_path)


def test_no_tag_file_says_how_to_write_one(tmp_path):
    with pytest.raises(TagsegError, match=r"expected one of labels\.csv, tags\.csv.*photo1\.jpg,cat;dog"):
        get(tmp_path)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared development data")
@pytest.mark.parametrize("source", ["folder", "voc"])
@pytest.mark.parametrize(("split", "count"), [("train", 675), ("val", 372)])
def test_voc20mix_loads_as_it_is(source, split, count):
    data = load(DataConfig(source=source, root=str(SHARED)), split)
    assert (len(data), len(data.with_masks()), len(data.classes)) == (count, count, 20)
    assert data.tags_from == "labels.csv"
    sample = data.samples[0]
    labels = set(np.unique(true_mask(sample)).tolist()) - {0, 255}
    assert labels == {tag + 1 for tag in sample.tags}
