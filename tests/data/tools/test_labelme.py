"""LabelMe and X-AnyLabeling: flags, shapes, where the image is, and what is damaged."""

import shutil

import pytest

from tagseg.data.config import DataConfig
from tagseg.data.sources import load
from tagseg.data.tools.export import entries_of
from tagseg.data.tools.labelme import is_labelme, read_labelme
from tagseg.errors import TagsegError

from .exports import labelme_json, loaded, photos, said, tags_of, write

FLAGS = {"__ignore__": False, "cat": False, "dog": False}


def read(root, folder="."):
    return read_labelme(root, root / folder)


def test_flags_are_tags(tmp_path):
    photos(tmp_path, "a.jpg", "b.jpg", "c.jpg", "d.jpg", "e.jpg")
    write(tmp_path / "a.json", labelme_json("a.jpg", FLAGS | {"cat": True, "dog": True}))
    write(tmp_path / "b.json", labelme_json("b.jpg", FLAGS))
    write(tmp_path / "c.json", labelme_json("c.jpg", FLAGS | {"__ignore__": True}))
    write(tmp_path / "d.json", labelme_json("d.jpg") | {"flags": None, "checked": True})
    write(tmp_path / "package.json", {"name": "viewer", "version": "1.0.0"})
    export = read(tmp_path)
    assert tags_of(export) == {"a.jpg": ("cat", "dog"), "b.jpg": (), "d.jpg": ()}
    assert "1 images with the flag __ignore__, left out: c.jpg" in said(export)
    assert "1 JSON files of another kind, left out: package.json" in said(export)
    assert "1 images are annotated without any label: they have no class: d.jpg" in said(entries_of(export))


def test_shapes_are_tags_where_no_flag_is_true(tmp_path):
    photos(tmp_path, "a.jpg", "b.jpg")
    write(tmp_path / "a.json", labelme_json("a.jpg", {"blurred": False}, "cat", "dog", "cat", "__ignore__"))
    write(tmp_path / "b.json", labelme_json("b.jpg", {"blurred": False}))
    export = read(tmp_path)
    assert tags_of(export) == {"a.jpg": ("cat", "dog"), "b.jpg": ()}
    assert "no labels of whole images: those of its regions are the tags, shapes (cat, dog)" in said(entries_of(export))
    write(tmp_path / "b.json", labelme_json("b.jpg", {"blurred": True}, "cat"))
    with pytest.raises(TagsegError, match=r"set --data\.column flags or --data\.column shapes"):
        entries_of(read(tmp_path))
    assert tags_of(read(tmp_path), "shapes") == {"a.jpg": ("cat", "dog"), "b.jpg": ("cat",)}


@pytest.mark.parametrize("stored", ["../images/a.jpg", r"..\images\a.jpg", "a.jpg", "/home/me/photos/images/a.jpg"])
def test_images_are_found_from_files_in_a_folder_of_their_own(tmp_path, stored):
    photos(tmp_path / "images", "a.jpg", "b.jpg")
    write(tmp_path / "annotations" / "a.json", labelme_json(stored, {"cat": True}))
    images = load(DataConfig(root=str(tmp_path), val_split=""), "train")
    assert loaded(images) == {"a": ("cat",)}
    assert images.layout == "annotations of LabelMe or X-AnyLabeling (such as annotations/a.json)"
    assert images.tags_from == "the JSON files"


def test_an_image_that_is_nowhere_is_named(tmp_path):
    photos(tmp_path / "images", "b.jpg")
    write(tmp_path / "annotations" / "a.json", labelme_json("x" * 300, {"cat": True}))
    with pytest.raises(TagsegError, match=r"1 of 1 images that labelme names are not in .*images: x") as caught:
        load(DataConfig(root=str(tmp_path), val_split=""), "train")
    assert "\n" not in str(caught.value)


def test_a_renamed_image_is_that_of_the_files_own_name(tmp_path):
    photos(tmp_path, "new.JPG", "a.jpg")
    write(tmp_path / "new.json", labelme_json("old.jpg", {"cat": True}))
    write(tmp_path / "a.json", {key: v for key, v in labelme_json("", {"dog": True}).items() if key != "imagePath"})
    export = read(tmp_path)
    assert tags_of(export) == {"a.jpg": ("dog",), "new.JPG": ("cat",)}
    assert "!1 files whose imagePath is not there, taken for the image of their own name: new.json (old.jpg)" in said(
        export
    )


def test_images_without_a_file_are_counted(tmp_path):
    photos(tmp_path, "a.jpg", "b.jpg", "sub/c.jpg")
    write(tmp_path / "a.json", labelme_json("a.jpg", {"cat": True}))
    write(tmp_path / "sub" / "c.json", labelme_json("c.jpg", {"dog": True}))
    images = load(DataConfig(source="labelme", root=str(tmp_path), val_split=""), "train")
    assert loaded(images) == {"a": ("cat",), "sub/c": ("dog",)}
    assert "b.jpg" in said(images)


def test_the_folder_of_the_files_may_be_named(tmp_path):
    photos(tmp_path / "images", "a.jpg")
    write(tmp_path / "first" / "a.json", labelme_json("a.jpg", {"cat": True}))
    write(tmp_path / "second" / "a.json", labelme_json("a.jpg", {"dog": True}))
    config = DataConfig(source="labelme", root=str(tmp_path), val_split="", tags="second")
    assert loaded(load(config, "train")) == {"a": ("dog",)}
    shutil.move(tmp_path / "second", tmp_path.parent / f"{tmp_path.name}_second")
    config = DataConfig(
        source="labelme", root=str(tmp_path), val_split="", tags=str(tmp_path.parent / f"{tmp_path.name}_second")
    )
    assert loaded(load(config, "train")) == {"a": ("dog",)}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (labelme_json("a.jpg", {"cat": 1}), "has flags that are not all true or false"),  # type: ignore[dict-item]
        (labelme_json("a.jpg") | {"flags": ["cat"]}, "has flags that are not all true or false"),
        (labelme_json("a.jpg") | {"shapes": {"cat": []}}, "has shapes that are no list of objects"),
        (labelme_json("a.jpg", {}, ""), "has a shape with the label ''"),
        (labelme_json("a.jpg") | {"imagePath": 3}, "has 3 for imagePath"),
    ],
)
def test_malformed_files_are_refused_in_one_line(tmp_path, content, message):
    write(tmp_path / "a.json", content)
    with pytest.raises(TagsegError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    assert "a.json" in str(caught.value)


def test_damaged_doubled_and_missing_files_are_refused(tmp_path):
    photos(tmp_path, "a.jpg", "b.jpg")
    with pytest.raises(TagsegError, match="has no file of LabelMe or X-AnyLabeling"):
        read(tmp_path)
    write(tmp_path / "a.json", labelme_json("a.jpg", {"cat": True}))
    write(tmp_path / "b.json", labelme_json("a.jpg", {"dog": True}))
    with pytest.raises(TagsegError, match=r"a\.json and b\.json in .* are both of a\.jpg"):
        read(tmp_path)
    (tmp_path / "b.json").write_text('{"version": "5.4.1", "flags": {}, "shapes": [')
    with pytest.raises(TagsegError, match=r"b\.json line 1 is no JSON"):
        read(tmp_path)


def test_what_it_begins_with_tells_it_from_other_json(tmp_path):
    assert is_labelme(write(tmp_path / "a.json", labelme_json("a.jpg", {}, "cat")))
    assert not is_labelme(write(tmp_path / "b.json", {"version": "1.0.0", "flags": {}}))
    assert not is_labelme(write(tmp_path / "c.json", [labelme_json("a.jpg")]))
