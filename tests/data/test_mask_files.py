"""Masks by their names: literal ones first, usual affixes, formats and folders, and what fits nothing."""

from pathlib import Path

import pytest

from tagseg.data.listing import Photos
from tagseg.data.mask_files import FoundMasks, find_masks, masks_in
from tagseg.errors import TagsegError

NAMES = ("fox 1.jpg", "fox_2.jpg", "a/owl.png", "7.jpg")


def photos(root: Path, *names: str) -> Photos:
    return Photos(root / "images", names or NAMES)


def touch(root: Path, *names: str, folder: str = "masks") -> None:
    for name in names:
        path = root / folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def files(found: FoundMasks, folder: str = "masks") -> dict[str, str]:
    return {name: path.as_posix().split(f"/{folder}/")[1] for name, path in found.of.items()}


def said(found: FoundMasks) -> str:
    return "; ".join(f"{'! ' if note.warning else ''}{note}" for note in found.notes)


def test_literal_names_need_no_word(tmp_path):
    touch(tmp_path, "fox 1.png", "fox_2.png", "a/owl.png", "7.png")
    found = find_masks(tmp_path, "auto", photos(tmp_path))
    assert files(found) == {"fox 1": "fox 1.png", "fox_2": "fox_2.png", "a/owl": "a/owl.png", "7": "7.png"}
    assert (found.notes, found.why_none) == ((), "")


@pytest.mark.parametrize(
    ("pattern", "how"),
    [
        ("{}_mask.png", "…_mask"),
        ("{}-seg.png", "…-seg"),
        ("{}_labelIds.png", "…_labelIds"),
        ("{}_gtFine_labelTrainIds.png", "…_gtFine_labelTrainIds"),
        ("mask_{}.png", "mask_…"),
        ("GT-{}.png", "GT-…"),
        ("{}.jpg.png", "….jpg"),
        ("{}.tif", "of the format tif"),
        ("{}_mask.gif", "…_mask, of the format gif"),
        ("{}_L.png", "…_L"),
        ("{}Region.png", "…Region"),
        ("{}.PNG", "of the format PNG"),
        ("sub/{}.png", "named by a longer path, found by its end"),
    ],
)
def test_other_names_are_matched_and_said(tmp_path, pattern, how):
    stems = ("fox 1", "fox_2", "7")
    touch(tmp_path, *(pattern.format(stem) for stem in stems))
    found = find_masks(tmp_path, "auto", photos(tmp_path, *(f"{stem}.jpg" for stem in stems)))
    assert files(found) == {stem: pattern.format(stem) for stem in stems}
    assert said(found).startswith(f"3 masks are named other than their image: {how}: ") or pattern.endswith("PNG")
    assert "!" not in said(found)


def test_affixes_of_images_are_left_out_too(tmp_path):
    touch(tmp_path, "mask_001.png", "b_5_gtFine_labelIds.png", "b_5_gtFine_color.png", "b_5_gtFine_instanceIds.png")
    found = find_masks(tmp_path, "auto", photos(tmp_path, "img_001.jpg", "b_5_leftImg8bit.png"))
    assert files(found) == {"img_001": "mask_001.png", "b_5_leftImg8bit": "b_5_gtFine_labelIds.png"}
    assert "2 files beside the masks" in said(found)
    assert "!" not in said(found)


def test_a_literal_mask_goes_before_others_of_its_image(tmp_path):
    touch(tmp_path, "7.png", "7_mask.png", "7_overlay.png")
    found = find_masks(tmp_path, "auto", photos(tmp_path))
    assert files(found) == {"7": "7.png"}
    assert "2 files beside the masks" in said(found)


def test_two_masks_of_one_image_are_both_named(tmp_path):
    touch(tmp_path, "7_mask.png", "7_seg.png")
    with pytest.raises(TagsegError, match=r"7_mask\.png and 7_seg\.png in .* both named like the image 7\.jpg"):
        find_masks(tmp_path, "auto", photos(tmp_path))


@pytest.mark.parametrize("names", [("7_overlay.png", "fox_2_overlay.png"), ("7_cat.png", "7_dog.png", "fox_2_cat.png")])
def test_pictures_of_something_else_are_not_taken_for_masks(tmp_path, names):
    touch(tmp_path, *names)
    found = find_masks(tmp_path, "auto", photos(tmp_path))
    assert found.of == {}
    assert f"none of the {len(names)} files" in found.why_none
    assert names[0] in found.why_none


def test_masks_of_no_image_are_counted_and_named(tmp_path):
    touch(tmp_path, "7.png", "hen.png", "yak.png")
    found = find_masks(tmp_path, "auto", photos(tmp_path))
    assert files(found) == {"7": "7.png"}
    assert said(found).startswith("! 2 files in ")
    assert "named like no image, so they are the masks of none: hen.png, yak.png" in said(found)


def test_jpeg_masks_are_not_read(tmp_path):
    touch(tmp_path, "7.jpg", "fox_2_mask.jpeg")
    found = find_masks(tmp_path, "auto", photos(tmp_path))
    assert found.of == {}
    assert found.why_none.startswith("all 2 masks in ")
    touch(tmp_path, "fox 1.png")
    assert "! 2 masks in" in said(find_masks(tmp_path, "auto", photos(tmp_path)))
    (tmp_path / "masks" / "fox 1.png").unlink()
    with pytest.raises(TagsegError, match=r"--data\.masks is 'masks', but all 2 masks in .* are JPEG"):
        find_masks(tmp_path, "masks", photos(tmp_path))


def test_photos_in_the_folder_of_the_masks_are_no_masks(tmp_path):
    touch(tmp_path, "7.png", "7_mask.png", folder="images")
    found = masks_in(tmp_path / "images", photos(tmp_path, "7.png"))
    assert files(found, "images") == {"7": "7_mask.png"}


def test_another_folder_is_found_where_it_holds_masks(tmp_path):
    (tmp_path / "masks").mkdir()
    touch(tmp_path, "7.txt", folder="annotations")
    found = find_masks(tmp_path, "auto", photos(tmp_path))
    assert found.of == {}
    assert "masks holds no mask" in found.why_none
    touch(tmp_path, "7.png", folder="Labels")
    found = find_masks(tmp_path, "auto", photos(tmp_path))
    assert files(found, "Labels") == {"7": "7.png"}
    assert "taken from" in said(found)
    touch(tmp_path, "7.png", folder="gt")
    with pytest.raises(TagsegError, match=r"Labels, .*gt all hold masks .*set --data\.masks"):
        find_masks(tmp_path, "auto", photos(tmp_path))
    assert find_masks(tmp_path, "none", photos(tmp_path)) == FoundMasks()


def test_no_folder_is_no_trouble(tmp_path):
    assert find_masks(tmp_path, "auto", photos(tmp_path)) == FoundMasks()
