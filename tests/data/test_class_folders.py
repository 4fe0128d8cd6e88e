"""A folder for each class: which folders are classes, splits, images of nothing or masks, and what is refused."""

import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.sources import load, load_for_network
from tagseg.errors import NothingToScore, TagsegError

from ..conftest import assert_refused
from .conftest import true_mask


def photo(path: Path, like: str = "") -> None:
    """A photo with pixels of its own, or of the name that it is like."""
    path.parent.mkdir(parents=True, exist_ok=True)
    seed = list((like or str(path)).encode())
    Image.fromarray(np.random.default_rng(seed).integers(0, 255, (3, 4, 3), np.uint8)).save(path)


def lay(root: Path, *names: str) -> Path:
    for name in names:
        photo(root / name)
    return root


def mask(path: Path, label: int = 1) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.array([[0, label, label, 255]] * 3, np.uint8)).save(path)


def get(root: Path, split: str = "train", **settings: Any) -> TaggedImages:
    return load(DataConfig(root=str(root), **settings), split)


def tags(images: TaggedImages) -> dict[str, set[str]]:
    return {sample.name: {images.classes[tag] for tag in sample.tags} for sample in images.samples}


def notes(images: TaggedImages, warning: bool | None = None) -> str:
    return "\n".join(str(note) for note in images.notes if warning in (None, note.warning))


def test_each_folder_is_a_class_and_names_do_not_collide(tmp_path):
    images = get(lay(tmp_path, "cat/1.jpg", "cat/far/in/2.jpg", "dog/1.jpg"))
    assert tags(images) == {"cat/1": {"cat"}, "cat/far/in/2": {"cat"}, "dog/1": {"dog"}}
    assert images.layout == "a folder per class (2 classes in 2 folders)"
    assert images.tags_from == "the names of the folders"
    assert images.notes == ()
    assert all(sample.image.is_file() for sample in images.samples)


@pytest.mark.parametrize("container", ["images", "photos", "data"])
def test_class_folders_in_a_folder_of_images(tmp_path, container):
    lay(tmp_path / container, "cat/1.jpg", "dog/1.jpg")
    mask(tmp_path / "masks" / "dog" / "1.png", 2)
    (images,) = [get(tmp_path, val_split="")]
    assert tags(images) == {"cat/1": {"cat"}, "dog/1": {"dog"}}
    assert true_mask(images.samples[1])[0].tolist() == [0, 2, 2, 255]


@pytest.mark.parametrize(("train", "val"), [("train", "val"), ("Training", "valid"), ("train2017", "validation")])
def test_splits_above_the_class_folders(tmp_path, train, val):
    lay(tmp_path, *(f"{train}/{name}" for name in ("cat/1.jpg", "cat/2.jpg", "dog/1.jpg")))
    lay(tmp_path, *(f"{val}/{name}" for name in ("cat/1.jpg", "dog/7.jpg")))
    mask(tmp_path / "masks" / val / "cat" / "1.png")
    assert tags(get(tmp_path)) == {f"{train}/cat/1": {"cat"}, f"{train}/cat/2": {"cat"}, f"{train}/dog/1": {"dog"}}
    scored = get(tmp_path, "val")
    assert list(tags(scored)) == [f"{val}/cat/1", f"{val}/dog/7"]
    assert [sample.mask is not None for sample in scored.samples] == [True, False]
    assert scored.layout == f"a folder per class (2 classes in 2 folders), split by {train}/ and {val}/"


def test_without_a_folder_for_validation_nothing_is_scored(tmp_path):
    lay(tmp_path, "train/cat/1.jpg", "train/dog/1.jpg", "test/cat/2.jpg", "test/bird/3.jpg")
    assert get(tmp_path).classes == ("bird", "cat", "dog")
    with pytest.raises(NothingToScore, match=r"no folder val, .* train \(2\), test \(2\)|test \(2\), train \(2\)"):
        get(tmp_path, "val")
    assert len(get(tmp_path, "test", val_split="test")) == 2
    assert_refused(lambda: get(tmp_path, "mine"), "has no image in split 'mine'; splits present: ", "train (2)")


def test_without_splits_a_fifth_of_those_with_masks_is_held_back(tmp_path):
    names = [f"{name}/{i}" for name in ("cat", "dog") for i in range(10)]
    lay(tmp_path, *(f"{name}.jpg" for name in names))
    with pytest.raises(NothingToScore, match="no masks and no folders train/ and val/, so all images train"):
        get(tmp_path, "val")
    for name in names:
        mask(tmp_path / "masks" / f"{name}.png", 1 if "cat" in name else 2)
    train, val = set(tags(get(tmp_path))), set(tags(get(tmp_path, "val")))
    assert train | val == set(names)
    assert not train & val
    assert 1 <= len(val) <= 8
    assert len(get(tmp_path, val_split="")) == 20
    assert_refused(lambda: get(tmp_path, "mine"), "it has 20 photos and no folders train/ and val/")


@pytest.mark.parametrize("name", ["good", "Background", "negative", "none", "normal", "empty", "no_finding"])
def test_a_folder_of_nothing_is_said_and_can_be_a_class(tmp_path, name):
    lay(tmp_path, "scratch/1.jpg", f"{name}/1.jpg", f"{name}/2.jpg")
    images = get(tmp_path)
    assert tags(images) == {"scratch/1": {"scratch"}, f"{name}/1": set(), f"{name}/2": set()}
    assert f"2 photos in {name}/, read as images of nothing" in notes(images)
    assert images.layout == f"a folder per class (1 class in 2 folders, {name}/ holds images of nothing)"
    if name != "Background":  # which no class may be called
        listed = get(tmp_path, classes=("scratch", name))
        assert tags(listed)[f"{name}/1"] == {name}
        assert "images of nothing" not in listed.layout + notes(listed)


def test_a_setting_names_more_folders_of_nothing(tmp_path):
    images = get(lay(tmp_path, "scratch/1.jpg", "Intact/1.jpg"), no_tag="intact")
    assert tags(images) == {"scratch/1": {"scratch"}, "Intact/1": set()}


def test_a_folder_that_nobody_tagged_is_left_out(tmp_path):
    images = get(lay(tmp_path, "cat/1.jpg", "dog/1.jpg", "unlabeled/1.jpg"))
    assert tags(images) == {"cat/1": {"cat"}, "dog/1": {"dog"}}
    assert "1 photos in unlabeled/, which nobody tagged by its name: left out: unlabeled/1.jpg" in notes(images, True)
    assert len(get(tmp_path, classes="cat,dog,unlabeled")) == 3


def test_spellings_of_one_class_and_doubtful_names(tmp_path):
    images = get(lay(tmp_path, "train/Cat/1.jpg", "train/Cat/2.jpg", "train/cat/3.jpg", "train/other/1.jpg"))
    assert images.classes == ("Cat", "other")
    assert "1 tags 'cat', read as the class 'Cat'" in notes(images)
    assert "'other', kept as a class" in notes(images, True)


def test_a_class_list_orders_the_classes_and_must_have_all(tmp_path):
    lay(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "classes.txt").write_text("dog\ncat\nbird\n")
    assert [sample.tags for sample in get(tmp_path).samples] == [(1,), (0,)]
    assert_refused(lambda: get(tmp_path, classes="cat,dgo"), "'dog' of 'dog/1.jpg' (the names of the folders)", "'dgo'")
    config = DataConfig(root=str(tmp_path))
    (tmp_path / "classes.txt").unlink()
    assert load_for_network(config, "train", ("bird", "cat", "dog"), tags=True).samples[0].tags == (1,)


def test_the_same_photo_in_several_folders_is_one_with_several_tags(tmp_path):
    lay(tmp_path, "cat/1.jpg", "cat/2.jpg", "dog/3.jpg")
    for name in ("dog/7.jpg", "horse/1.jpg"):
        photo(tmp_path / name, like=str(tmp_path / "cat/2.jpg"))
    mask(tmp_path / "masks" / "dog" / "7.png")
    images = get(tmp_path, val_split="")
    assert tags(images) == {"cat/1": {"cat"}, "cat/2": {"cat", "dog", "horse"}, "dog/3": {"dog"}}
    assert images.samples[1].mask is not None
    assert "1 photos are in several class folders (same bytes), read as one photo with several tags: " in notes(images)
    assert "cat/2.jpg = dog/7.jpg = horse/1.jpg" in notes(images)


def test_photos_of_one_name_size_and_other_bytes_are_two(tmp_path):
    for name, value in (("cat", 1), ("dog", 2)):
        (tmp_path / name).mkdir()
        Image.new("L", (4, 4), value).save(tmp_path / name / "1.bmp")
    assert len(get(tmp_path)) == 2


def test_equal_photos_of_one_class_stay_two_and_those_of_nothing_or_two_splits_are_warned_of(tmp_path):
    for name in ("train/cat/1.jpg", "train/cat/2.jpg", "train/dog/1.jpg", "train/dog/2.jpg", "train/good/1.jpg"):
        photo(tmp_path / name, like=name[:9])
    photo(tmp_path / "train/good/2.jpg", like="train/dog")
    photo(tmp_path / "val/cat/3.jpg", like="train/cat")
    images = get(tmp_path)
    assert {name: each for name, each in tags(images).items() if "cat" in name} == {
        "train/cat/1": {"cat"},
        "train/cat/2": {"cat"},
    }
    assert tags(images)["train/dog/1"] == {"dog"}
    assert "train/good/2" not in tags(images)
    assert "in a class folder and in one of images of nothing (same bytes), read as tagged" in notes(images, True)
    assert "in several splits (same bytes), so scores may be too good: train/cat/1.jpg = val/cat/3" in notes(
        images, True
    )


def test_masks_in_each_class_folder_are_no_photos(tmp_path):
    for name in ("COVID", "Lung"):
        for i in range(2):
            photo(tmp_path / name / "images" / f"{i}.png")
            mask(tmp_path / name / "masks" / f"{i}.png", 1 if name == "COVID" else 2)
    images = get(tmp_path, val_split="")
    assert list(tags(images)) == ["COVID/images/0", "COVID/images/1", "Lung/images/0", "Lung/images/1"]
    assert [true_mask(sample).max() for sample in images.samples] == [255] * 4
    assert true_mask(images.samples[2])[0, 1] == 2
    assert "2 folders in class folders taken for masks, not for photos: COVID/masks, Lung/masks" in notes(images)


def test_masks_beside_the_photos_are_no_photos(tmp_path):
    lay(tmp_path, "benign/a (1).png", "malignant/a (1).png")
    mask(tmp_path / "benign" / "a (1)_mask.png")
    mask(tmp_path / "benign" / "a (1)_mask_1.png")
    images = get(tmp_path, val_split="")
    assert list(tags(images)) == ["benign/a (1)", "malignant/a (1)"]
    assert [sample.mask is not None for sample in images.samples] == [True, False]
    assert "2 files named like a photo and a mask, not taken for photos" in notes(images)


@pytest.mark.parametrize("name", ["masks", "SegmentationClass", "labels", "ground_truth", "truth"])
def test_a_folder_of_masks_is_no_class(tmp_path, name):
    lay(tmp_path, "cat/1.jpg", "dog/1.jpg")
    for place in ("cat", "dog"):
        mask(tmp_path / name / place / "1.png", 1 if place == "cat" else 2)
    images = get(tmp_path, val_split="", **({"masks": "truth"} if name == "truth" else {}))
    assert images.classes == ("cat", "dog")
    assert all(sample.mask is not None for sample in images.samples)
    if name in ("masks", "labels"):
        assert get(tmp_path, val_split="", masks="none").classes == ("cat", "dog", name)


def test_results_of_tagseg_are_no_class(tmp_path):
    lay(tmp_path, "cat/1.jpg", "dog/1.jpg", "predictions/overlays/1.jpg", "runs/one/pictures/1.png")
    (tmp_path / "predictions" / "data.json").write_text("{}")
    (tmp_path / "runs" / "one" / "config.yaml").write_text("")
    images = get(tmp_path)
    assert images.classes == ("cat", "dog")
    assert "2 folders taken for masks or results, not for classes" in notes(images)


def test_what_is_no_photo_and_empty_folders_are_said(tmp_path):
    lay(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "cat" / "2.heic").write_bytes(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(99))
    (tmp_path / "bird").mkdir()
    images = get(tmp_path)
    assert images.classes == ("cat", "dog")
    assert "HEIC photos" in notes(images, True)
    assert "1 class folders without a photo, left out: bird/" in notes(images, True)


def test_a_class_may_be_called_train(tmp_path):
    assert get(lay(tmp_path, "bus/1.jpg", "train/1.jpg")).classes == ("bus", "train")


@pytest.mark.parametrize(
    ("names", "parts"),
    [
        (["cat/1.jpg"], ["one folder alone, cat/", "a class or photos without tags", "--data.source class_folders"]),
        (["cat/1.jpg", "dog/1.jpg", "2.jpg"], ["1 in none (2.jpg)", "--data.source class_folders", "labels.csv"]),
        (["train/cat/1.jpg", "train/dog/1.jpg", "test/1.jpg"], ["1 in none (test/1.jpg)"]),
        (["train/1.jpg", "val/1.jpg"], ["photos in train/, val/ and nothing that says", "train/cat/1.jpg"]),
        (["train/cat/1.jpg", "train/dog/1.jpg", "bird/1.jpg"], ["bird/ beside train/", "move bird/"]),
        (["cat/1.jpg", "dog/1.jpg", "test/1.jpg"], ["test/ beside cat/, dog/", "classes or splits"]),
        (["good/1.jpg", "empty/1.jpg"], ["empty/, good/", "of images of nothing", "--data.classes"]),
        (["pets/cat/1.jpg", "pets/dog/1.jpg"], ["one folder, pets/, with cat/, dog/ in it", "give", "/pets"]),
        (["cat/train/1.jpg", "cat/val/2.jpg", "dog/train/1.jpg"], ["2 of the folders with train/, val/", "e.g. "]),
    ],
)
def test_what_could_be_meant_otherwise_is_refused_with_the_way_out(tmp_path, names, parts):
    assert_refused(lambda: get(lay(tmp_path, *names)), str(tmp_path), *parts)


def test_the_setting_decides_where_it_could_be_meant_otherwise(tmp_path):
    lay(tmp_path, "cat/1.jpg", "2.jpg")
    images = get(tmp_path, source="class_folders")
    assert tags(images) == {"cat/1": {"cat"}}
    assert "1 photos in no class folder, left out: 2.jpg" in notes(images, True)
    assert_refused(lambda: get(tmp_path, images="cat"), "no tag file", "or a folder for each class")
    assert images.layout == "a folder per class (1 class in 1 folder)"


def test_a_folder_as_mvtec_has_them(tmp_path):
    lay(tmp_path, "train/good/0.png", "test/good/0.png", "test/broken/0.png", "test/broken/1.png")
    for i in range(2):
        mask(tmp_path / "ground_truth" / "broken" / f"{i}_mask.png")
    assert_refused(
        lambda: get(tmp_path), "1 photos in train/, all of them images of nothing", "--data.train_split test"
    )
    images = get(tmp_path, "test", train_split="test")
    assert tags(images) == {"test/broken/0": {"broken"}, "test/broken/1": {"broken"}, "test/good/0": set()}
    assert [sample.mask is not None for sample in images.samples] == [True, True, False]
    shutil.copytree(tmp_path, tmp_path.parent / "all" / "bottle")
    assert_refused(lambda: get(tmp_path.parent / "all"), "ground_truth/, test/, train/", "e.g. ", "/all/bottle")


def test_two_photos_of_one_name_in_a_folder_are_refused(tmp_path):
    lay(tmp_path, "cat/1.jpg", "cat/1.png", "dog/1.jpg")
    assert_refused(lambda: get(tmp_path), "cat/1.jpg and cat/1.png, which share the name 'cat/1'")


def test_no_class_folder_at_all(tmp_path):
    mask(tmp_path / "masks" / "1.png")
    expected = "has no photos in class folders (it has masks/), expected a folder for each class"
    assert_refused(lambda: get(tmp_path, source="class_folders"), expected)
    assert_refused(lambda: get(tmp_path / "absent", source="class_folders"), "does not exist")
    with pytest.raises(TagsegError, match=r"--data\.images is 'absent'"):
        get(tmp_path, source="class_folders", images="absent")


def test_folders_of_anything_are_no_classes_and_not_read_through(tmp_path):
    lay(tmp_path, "Documents/1.jpg", "Programs/logo.png")
    for name in ("Documents/a.pdf", "Documents/b.docx", "Programs/far/in/c.py", "Programs/d.py"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text("")
    assert_refused(lambda: get(tmp_path), "has no tag file")
    assert len(get(tmp_path, source="class_folders")) == 2


def test_a_table_that_is_not_read_is_said(tmp_path):
    lay(tmp_path, "cat/1.jpg", "dog/1.jpg")
    (tmp_path / "people.csv").write_text("image,labels\ncat/1.jpg,person\ndog/1.jpg,\n")
    assert (
        "1 tables beside the class folders, not read: to read one instead, set --data.tags to it: people.csv"
        in notes(get(tmp_path))
    )
    assert get(tmp_path, tags="people.csv").classes == ("person",)


def test_sidecar_files_do_not_matter(tmp_path):
    lay(tmp_path, "cat/1.jpg", "dog/1.jpg")
    for name in ("cat/1.txt", "cat/2.txt", "dog/1.xml", "dog/Thumbs.db", "dog/README"):
        (tmp_path / name).write_text("")
    assert get(tmp_path).classes == ("cat", "dog")
