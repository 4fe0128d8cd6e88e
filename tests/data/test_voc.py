"""The voc source on layouts as the development kit, the SBD masks and the community leave them."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from tagseg.data.config import DataConfig
from tagseg.data.dataset import TaggedImages
from tagseg.data.sources import load
from tagseg.data.voc import CLASSES
from tagseg.errors import TagsegError

from .conftest import true_mask

PERSON = "<object><name>person</name><part><name>head</name></part></object>"
XML = f"<annotation>{PERSON}<object><name>dog</name></object></annotation>"


def make(root: Path, aug: bool = False) -> None:
    """Two training images (1: person, 2: dog), one for validation; with ``aug`` a third that only SBD has."""
    lists = root / "ImageSets" / "Segmentation"
    lists.mkdir(parents=True)
    (lists / "train.txt").write_text("1\n2\n")
    (lists / "val.txt").write_text("9\n")
    for folder in ("JPEGImages", "SegmentationClass", "Annotations", *(["SegmentationClassAug"] if aug else [])):
        (root / folder).mkdir()
    for name in ("1", "2", "9", "sbd"):
        Image.new("RGB", (2, 2)).save(root / "JPEGImages" / f"{name}.jpg")
        (root / "Annotations" / f"{name}.xml").write_text(XML)
        folders = ["SegmentationClass"] * (name != "sbd") + ["SegmentationClassAug"] * (aug and name != "1")
        for folder in folders:
            ids = np.array([[0, 12], [15 if name == "1" else 12, 255]], np.uint8)
            if folder.endswith("Aug"):
                ids[0, 0] = 1
            Image.fromarray(ids).save(root / folder / f"{name}.png")


def get(root: Path, split: str = "train", masks: bool = True, **settings: Any) -> TaggedImages:
    return load(DataConfig(source="voc", root=str(root), **settings), split, masks)


def tags(data: TaggedImages) -> dict[str, list[str]]:
    return {s.name: [data.classes[t] for t in s.tags] for s in data.samples}


def save_onehot(path: Path, ids: tuple[str, ...] = ("1", "2", "9")) -> None:
    table: Any = {name: np.eye(20, dtype=np.float32)[int(name)] for name in ids}
    np.save(path, table, allow_pickle=True)


def test_tags_from_xml_leave_out_parts(tmp_path):
    make(tmp_path)
    data = get(tmp_path)
    assert data.classes == CLASSES
    assert tags(data) == {"1": ["dog", "person"], "2": ["dog", "person"]}
    assert data.tags_from == "Annotations"
    assert true_mask(data.samples[0]).tolist() == [[0, 12], [15, 255]]
    assert get(tmp_path, masks=False).samples[0].mask is None


def test_tags_from_masks_only_on_request(tmp_path):
    make(tmp_path)
    data = get(tmp_path, masks=False, tags="masks")
    assert tags(data) == {"1": ["dog", "person"], "2": ["dog"]}
    assert data.tags_from == "masks"
    assert data.samples[0].mask is None
    for path in (tmp_path / "Annotations").iterdir():
        path.unlink()
    (tmp_path / "Annotations").rmdir()
    with pytest.raises(TagsegError, match=r"has no tags, .*ask for it: --data\.tags masks"):
        get(tmp_path)


def test_auto_takes_the_csv_then_the_npy_then_the_xml(tmp_path):
    make(tmp_path)
    save_onehot(tmp_path / "cls_labels_onehot.npy")
    assert (get(tmp_path).tags_from, tags(get(tmp_path))["1"]) == ("cls_labels_onehot.npy", ["bicycle"])
    (tmp_path / "labels.csv").write_text("image,labels_from_mask\n1,cat\n2.jpg,\n")
    data = get(tmp_path)
    assert data.tags_from == "labels.csv (labels_from_mask)"
    assert tags(data) == {"1": ["cat"], "2": []}
    assert get(tmp_path, tags="xml").tags_from == "Annotations"


def test_untagged_images_are_named(tmp_path):
    make(tmp_path)
    save_onehot(tmp_path / "cls_labels_onehot.npy", ("1",))
    with pytest.raises(TagsegError, match=r"cls_labels_onehot\.npy has no tags for 1 of 2 images: 2;"):
        get(tmp_path)
    (tmp_path / "Annotations" / "2.xml").unlink()
    with pytest.raises(TagsegError, match="Annotations has no tags for 1 of 2 images: 2;"):
        get(tmp_path, tags="xml")
    (tmp_path / "Annotations" / "1.xml").write_text("<a>")
    with pytest.raises(TagsegError, match=r"1\.xml is no XML"):
        get(tmp_path, tags="xml")


def test_train_aug_is_derived_and_its_masks_go_first(tmp_path):
    make(tmp_path, aug=True)
    data = get(tmp_path, "train_aug")
    assert [s.name for s in data.samples] == ["2", "sbd"]
    assert true_mask(data.samples[0])[0, 0] == 1
    assert true_mask(get(tmp_path).samples[0])[0, 0] == 0  # image 1 has no SBD mask
    assert get(tmp_path, "train_aug", masks=True).samples[1].mask is not None
    plain = load(DataConfig(source="voc", root=str(tmp_path), masks="SegmentationClass"), "train_aug")
    assert true_mask(plain.samples[0])[0, 0] == 0


def test_lists_of_image_and_mask_pairs_are_read(tmp_path):
    make(tmp_path)
    pairs = "/JPEGImages/1.jpg /SegmentationClassAug/1.png\n/JPEGImages/2.jpg /SegmentationClassAug/2.png\n"
    (tmp_path / "ImageSets" / "Segmentation" / "train_aug.txt").write_text(pairs)
    assert [s.name for s in get(tmp_path, "train_aug").samples] == ["1", "2"]


def test_bad_layouts(tmp_path):
    with pytest.raises(TagsegError, match=r"train\.txt does not exist, splits present: none"):
        get(tmp_path)
    make(tmp_path)
    with pytest.raises(TagsegError, match=r"trainval\.txt does not exist, splits present: train, val"):
        get(tmp_path, "trainval")
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("1\n2\n1\n")
    with pytest.raises(TagsegError, match="lists images twice: 1"):
        get(tmp_path)
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("\n")
    with pytest.raises(TagsegError, match="'train' has no image"):
        get(tmp_path)
    (tmp_path / "JPEGImages" / "9.jpg").unlink()
    with pytest.raises(TagsegError, match=r"1 of 1 images that split val names .*: 9; .*skip_missing"):
        get(tmp_path, "val")
    (tmp_path / "JPEGImages").rename(tmp_path / "Photos")
    with pytest.raises(TagsegError, match="no folder JPEGImages"):
        get(tmp_path, "val")


def rename(root: Path, old: str, new: str) -> None:
    for folder, ending in (("JPEGImages", "jpg"), ("Annotations", "xml"), ("SegmentationClass", "png")):
        (root / folder / f"{old}.{ending}").rename(root / folder / f"{new}.{ending}")


def test_lists_with_spaces_in_names_flags_and_other_encodings(tmp_path):
    make(tmp_path)
    rename(tmp_path, "1", "beach  1 a".replace("  ", " "))
    path = tmp_path / "ImageSets" / "Segmentation" / "train.txt"
    path.write_text("beach 1 a.jpg\n\n2  \n")
    assert [s.name for s in get(tmp_path).samples] == ["beach 1 a", "2"]
    path.write_text("beach 1 a\n")
    assert [s.name for s in get(tmp_path).samples] == ["beach 1 a"]
    path.write_text("2  1\n9 -1\n")
    assert [s.name for s in get(tmp_path).samples] == ["2", "9"]
    path.write_bytes("plage_été\n".encode("latin-1"))
    with pytest.raises(TagsegError, match=r"train\.txt is not UTF-8 text"):
        get(tmp_path)


def test_tags_by_number_or_by_another_path_are_matched_and_said(tmp_path):
    make(tmp_path)
    rename(tmp_path, "1", "2007_000032")
    (tmp_path / "ImageSets" / "Segmentation" / "train.txt").write_text("2007_000032\n2\n")
    table: Any = {2007000032: np.eye(20)[7], 2: np.eye(20)[11], 77: np.eye(20)[0]}
    np.save(tmp_path / "tags.npy", table, allow_pickle=True)
    data = get(tmp_path, tags="tags.npy")
    assert tags(data) == {"2007_000032": ["cat"], "2": ["dog"]}
    assert any("named by their digits alone: 2007000032" in str(note) for note in data.notes)
    (tmp_path / "tags.csv").write_text("image,labels\nC:\\x\\2007_000032.JPG,cat\n2,dog\n")
    data = get(tmp_path, tags="tags.csv")
    assert tags(data) == {"2007_000032": ["cat"], "2": ["dog"]}
    assert any("found by its end" in str(note) for note in data.notes)
    (tmp_path / "tags.csv").write_text("image,labels\nx/2007_000032.jpg,cat\ny/2007_000032.jpg,dog\n2,dog\n")
    with pytest.raises(TagsegError, match="names 2007_000032 twice"):
        get(tmp_path, tags="tags.csv")
    (tmp_path / "tags.csv").write_text("image,labels\n2.jpg,cat\n2.png,dog\n2007_000032,dog\n")
    with pytest.raises(TagsegError, match="line 3 names the image '2' again"):
        get(tmp_path, tags="tags.csv")


def test_xml_of_another_image_and_objects_named_background(tmp_path):
    make(tmp_path)
    path = tmp_path / "Annotations" / "1.xml"
    other = "<filename>7.jpg</filename><object><name>Background</name></object>"
    path.write_text(XML.replace("<annotation>", f"<annotation>{other}").replace("dog", " Dog\n"))
    data = get(tmp_path)
    assert tags(data)["1"] == ["dog", "person"]
    found = " / ".join(map(str, data.notes))
    assert "<filename> is another: taken for the image of their own name: 1.xml (7.jpg)" in found
    assert "'Background', which is read as no tag" in found
