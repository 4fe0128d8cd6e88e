"""The folder source: layouts that people have, and the errors they will make."""

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

from ..conftest import assert_refused
from .conftest import true_mask

SHARED = Path(__file__).parents[2].parent / "shared" / "data" / "voc20mix"
SPLIT = "image,labels,split\na.jpg,cat,train\nb,dog;cat,train\nsub/c,,val\n"


def make(root: Path, tags: str = SPLIT, images: str = "images", names: tuple[str, ...] = ("a", "b", "sub/c")) -> None:
    for name in names:
        path = root / images / f"{name}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (4, 3)).save(path)
    (root / "labels.csv").write_text(tags, "utf-8")


def save_masks(root: Path, *names: str, folder: str = "masks", ending: str = ".png") -> None:
    for name in names:
        path = root / folder / f"{name}{ending}"
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array([[0, 1, 1, 255]] * 3, np.uint8)).save(path)


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
    save_masks(tmp_path, *names)
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
    save_masks(tmp_path, "a", "b")
    assert len(get(tmp_path)) == len(get(tmp_path, "val")) == 1


def test_no_image_is_kept_for_scoring_where_there_are_neither_masks_nor_a_split_column(tmp_path):
    make(tmp_path, "image,labels\na,x\nb,x\nsub/c,y\n")
    assert len(get(tmp_path)) == 3
    with pytest.raises(NothingToScore, match=r"no masks and labels\.csv no split column, .*: add masks/"):
        get(tmp_path, "val")
    with pytest.raises(TagsegError, match=r"no image in split 'test'"):
        get(tmp_path, "test")
    save_masks(tmp_path, "a", "sub/c")
    assert len(load(DataConfig(root=str(tmp_path), masks="none"), "train")) == 3
    kept = [s.name for s in get(tmp_path, "val").samples]
    assert len(get(tmp_path)) + len(kept) == 3
    assert kept in (["a"], ["sub/c"])  # an image without a mask is not kept from training


def test_missing_images_stop_or_are_skipped(tmp_path):
    rows = "".join(f"no{i},cat,train\n" for i in range(5))
    make(tmp_path, SPLIT + rows)
    with pytest.raises(TagsegError, match=r"5 of 7 images .* no0, no1, no2 and 2 more; .*--data\.skip_missing true"):
        get(tmp_path)
    data = get(tmp_path, skip_missing=True)
    assert len(data) == 2
    (note,) = data.notes
    assert note.warning
    assert str(note).startswith("5 of 7 images that labels.csv names are not in")
    with pytest.raises(TagsegError, match="expected at least one"):
        get(tmp_path, "x", tags=_write(tmp_path / "x.csv", "image,labels,split\nno,cat,x\n"), skip_missing=True)


def test_names_of_other_machines_are_found_and_said(tmp_path):
    rows = "".join(f"{name},cat,train\n" for name in (r"C:\set\images\a.jpg", "/old/b.jpg", "c"))
    make(tmp_path, f"image,labels,split\n{rows}")
    data = get(tmp_path)
    assert [s.name for s in data.samples] == ["a", "b", "sub/c"]
    assert [(note.count, note.warning) for note in data.notes] == [(1, False), (2, False), (1, False)]
    assert "b.jpg → b.jpg" in str(data.notes[1])


def test_a_name_that_is_absolute_or_begins_with_the_root_is_literal(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    make(
        tmp_path / "pets",
        f"image,labels,split\n{tmp_path}/pets/images/a.jpg,cat,train\npets/images/b.jpg,x,train\nsub/c,x,\n",
    )
    data = get(Path("pets"))
    assert [s.name for s in data.samples] == ["a", "b"]
    assert data.notes == ()


def test_a_file_elsewhere_of_the_same_name_is_not_mistaken(tmp_path):
    make(tmp_path, f"image,labels,split\n{tmp_path}/other/a.jpg,cat,train\n")
    assert len(get(tmp_path)) == 1
    make(tmp_path / "x", names=("a",), images="../other")
    (tmp_path / "labels.csv").write_text(f"image,labels,split\n{tmp_path}/other/a.jpg,cat,train\nb,dog,train\n")
    with pytest.raises(TagsegError, match=r"other/a\.jpg exists, but .*images/a\.jpg is another file of that name"):
        get(tmp_path)


def test_absolute_paths_may_be_in_folders_that_share_nothing_else(tmp_path):
    make(tmp_path / "x", names=("a", "one/b"), images="photos")
    make(tmp_path / "y", names=("a",), images="photos")
    paths = [tmp_path / "x/photos/a.jpg", tmp_path / "x/photos/one/b.jpg", tmp_path / "y/photos/a.jpg"]
    make(tmp_path / "set", "image,labels\n" + "".join(f"{path},cat\n" for path in paths))
    assert_refused(lambda: get(tmp_path / "set", val_split=""), "labels.csv line 2 names", "--data.outside allow")
    data = get(tmp_path / "set", val_split="", outside="allow")
    assert [s.name for s in data.samples] == ["x/photos/a", "x/photos/one/b", "y/photos/a"]
    assert all(s.image.is_file() for s in data.samples)
    assert data.notes == ()
    (tmp_path / "set" / "labels.csv").write_text(f"image,labels\n{paths[0]},cat\n{tmp_path}/absent.jpg,cat\n")
    with pytest.raises(TagsegError, match=r"1 of 2 images that labels\.csv names are not in .*absent\.jpg"):
        get(tmp_path / "set", val_split="", outside="allow")


def test_photos_that_the_file_does_not_name_are_counted(tmp_path):
    make(tmp_path, "image,labels,split\na,cat,train\nb.jpg,dog,val\n")
    assert "1 photos of" in str(get(tmp_path).notes[-1])
    assert str(get(tmp_path).notes[-1]).endswith("images that labels.csv does not name, left out: sub/c.jpg")


def test_a_split_by_another_usual_name_is_found(tmp_path):
    make(tmp_path, "image,labels,split\na,cat,train\nb,dog,valid\nsub/c,dog,test\n")
    assert [s.name for s in get(tmp_path, "val").samples] == ["b"]


def test_two_rows_of_one_image_are_refused(tmp_path):
    make(tmp_path, "image,labels,split\na.jpg,cat,train\n/old/a.jpg,dog,train\n")
    with pytest.raises(TagsegError, match=r"names 'a\.jpg' and '/old/a\.jpg', which share the name 'a'"):
        get(tmp_path)


def test_the_nearest_name_or_what_the_file_is_helps(tmp_path):
    make(tmp_path, "image,labels,split\nsub/cc.jpg,cat,train\n")
    with pytest.raises(TagsegError, match=r"the nearest name to the first is sub/c\.jpg"):
        get(tmp_path)
    (tmp_path / "images" / "cc.jpg").write_bytes(b"")
    (tmp_path / "images" / "cc.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    (tmp_path / "labels.csv").write_text("image,labels,split\ncc.heic,cat,train\n")
    (tmp_path / "images" / "cc.jpg").unlink()
    with pytest.raises(TagsegError, match=r"cc\.heic is a"):
        get(tmp_path)


def test_masks_by_other_names_are_scored(tmp_path):
    make(tmp_path)
    save_masks(tmp_path, "a_mask", "sub/c_mask")
    (sample,) = get(tmp_path, "val").samples
    assert sample.mask is not None
    assert "…_mask" in str(get(tmp_path).notes)


@pytest.mark.parametrize(("names", "ending"), [(("yak", "zebu"), ".png"), (("a", "b"), ".jpg")])
def test_masks_of_no_use_keep_nothing_from_training(tmp_path, names, ending):
    make(tmp_path, "image,labels\na,x\nb,x\nsub/c,y\n")
    save_masks(tmp_path, *names, ending=ending)
    data = get(tmp_path, masks=False)
    assert len(data) == 3
    (note,) = data.notes
    assert note.warning
    assert "no image has a mask, so all images train" in str(note)
    with pytest.raises(NothingToScore, match=r"no image is scored, and all train: .*masks"):
        get(tmp_path, "val")
    make(tmp_path)
    with pytest.raises(NothingToScore, match="no image is scored: "):
        get(tmp_path, "val")


def test_masks_of_colours_are_read_by_the_list_beside_them(tmp_path):
    make(tmp_path)
    (tmp_path / "labelmap.txt").write_text(
        "# label:color_rgb\nsky:1,2,3::\nbackground:9,9,9::\ndog:0,0,0::\ncat:7,0,0::\n"
    )
    (tmp_path / "masks").mkdir()
    colours = np.array([[[9, 9, 9], [0, 0, 0], [7, 0, 0], [7, 0, 0]]] * 3, np.uint8)
    Image.fromarray(colours).save(tmp_path / "masks" / "b.png")
    data = get(tmp_path)
    assert data.classes == ("cat", "dog")
    assert true_mask(pickle.loads(pickle.dumps(data.samples[1])))[0].tolist() == [0, 2, 1, 1]
    assert "labelmap.txt" in str(data.notes)
    with pytest.raises(TagsegError, match="holds the colours"):
        true_mask(get(tmp_path, colours="ids").samples[1])
    assert get(tmp_path, masks=False).notes == ()


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
    save_masks(tmp_path, "a")
    with pytest.raises(TagsegError, match=message):
        get(tmp_path)


def test_unknown_source(tmp_path):
    config = DataConfig()
    object.__setattr__(config, "source", "web")  # Python users may: nothing checks a Literal at run time
    with pytest.raises(TagsegError, match=r"expected one of: folder, .*scenes"):
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
