"""Faults planted in a clean folder, each of which is found, alone and with all others."""

from __future__ import annotations

import json
import logging

import numpy as np
import pytest
from PIL import Image

from tagseg.check.check import check
from tagseg.data.config import DataConfig
from tagseg.errors import TagsegError

from .conftest import Photos, photo


def test_a_clean_folder_has_no_finding(photos):
    assert photos.check() == {}


def missing(photos: Photos) -> None:
    (photos.root / "images" / "p03.jpg").unlink()
    (photos.root / "masks" / "p03.png").unlink()


def corrupt(photos: Photos) -> None:
    path = photos.root / "images" / "p04.jpg"
    path.write_bytes(b"\0\1" * 400)


def truncated(photos: Photos) -> None:
    path = photos.root / "images" / "p05.jpg"
    path.write_bytes(path.read_bytes()[:-200])


def copied_across_splits(photos: Photos) -> None:
    copy = photos.root / "images" / "p30.jpg"
    copy.write_bytes((photos.root / "images" / "p06.jpg").read_bytes())


def nearly_copied_across_splits(photos: Photos) -> None:
    with Image.open(photos.root / "images" / "p07.jpg") as image:
        image.save(photos.root / "images" / "p28.jpg", quality=40)


def copied_with_other_tags(photos: Photos) -> None:
    copy = photos.root / "images" / "p09.jpg"
    copy.write_bytes((photos.root / "images" / "p08.jpg").read_bytes())


def misspelt(photos: Photos) -> None:
    photos.rows["p10.jpg"] = (["hrose"], "train")


def in_another_case(photos: Photos) -> None:
    photos.rows["p11.jpg"] = (["HORSE", "cat"], "train")


def always_together(photos: Photos) -> None:
    photos.classes = (*(photos.classes or ()), "cup", "saucer")
    for index in range(12):
        photos.add(f"cup{index}", ["cup", "saucer"])


def in_every_photo(photos: Photos) -> None:
    photos.classes = (*(photos.classes or ()), "sky")
    photos.rows = {name: ([*tags, "sky"], split) for name, (tags, split) in photos.rows.items()}


def hardly_any(photos: Photos) -> None:
    photos.classes = (*(photos.classes or ()), "zebra")
    photos.rows["p14.jpg"] = ([*photos.rows["p14.jpg"][0], "zebra"], "train")


def small(photos: Photos) -> None:
    photos.add("small", ["cat"], image=photo(900, (40, 50)))


def long(photos: Photos) -> None:
    photos.add("long", ["cat"], image=photo(901, (96, 480)))


def of_other_ids(photos: Photos) -> None:
    table = np.array([0, 2, 3, 1], np.uint8)
    for path in (photos.root / "masks").iterdir():
        with Image.open(path) as mask:
            changed = table[np.array(mask)]
        Image.fromarray(changed).save(path)


def unreadable_mask(photos: Photos) -> None:
    Image.fromarray(np.zeros((10, 10), np.uint8)).save(photos.root / "masks" / "p15.png")


PLANTS = {
    missing: ("missing_images", "error", "p03.jpg"),
    corrupt: ("unreadable_images", "error", "p04.jpg"),
    truncated: ("truncated_images", "error", "p05.jpg"),
    copied_across_splits: ("duplicates_across_splits", "error", "train: p06 = val: p30"),
    nearly_copied_across_splits: ("near_duplicates_across_splits", "warning", "train: p07 = val: p28"),
    copied_with_other_tags: ("duplicates_with_other_tags", "error", "p08 = p09"),
    misspelt: ("unknown_tags", "error", "'hrose' (1, like 'horse')"),
    in_another_case: ("respelled_tags", "warning", "tags spelled unlike their class, read as it ('HORSE' as 'horse')"),
    always_together: ("always_together", "error", "cup and saucer (12)"),
    in_every_photo: ("class_in_every_photo", "error", "sky"),
    hardly_any: ("hardly_any_photos", "warning", "zebra (1)"),
    small: ("small_images", "warning", "small.jpg (50 × 40)"),
    long: ("extreme_shapes", "warning", "long.jpg (480 × 96)"),
    unreadable_mask: ("unreadable_masks", "error", "p15: the mask"),
}


@pytest.mark.parametrize("plant", PLANTS, ids=lambda plant: plant.__name__)
def test_a_planted_fault_is_found_with_its_name(photos, plant):
    code, severity, example = PLANTS[plant]
    plant(photos)
    found = photos.check(masks="auto" if plant is unreadable_mask else "none")
    assert code in found, found
    assert found[code].severity == severity
    assert found[code].count == 1
    assert found[code].examples[0].startswith(example)
    assert found[code].way_out
    assert set(found) == {code}, "and nothing else"


def test_masks_of_other_ids_are_found_with_the_cause(photos):
    of_other_ids(photos)
    photos.rows = {name: (tags, "train") for name, (tags, _) in photos.rows.items()}
    found = photos.check(val_split="")
    assert set(found) == {"masks_contradict_tags"}
    assert found["masks_contradict_tags"].severity == "error"
    assert "mask id 2 looks like 'cat'" in found["masks_contradict_tags"].way_out


def test_all_faults_at_once_are_all_found(photos):
    apart = {in_every_photo, nearly_copied_across_splits, unreadable_mask}  # `sky` would be with each pair
    for plant in PLANTS:
        if plant not in apart:
            plant(photos)
    found = photos.check(masks="none")
    assert {PLANTS[plant][0] for plant in PLANTS if plant not in apart} <= set(found)
    severities = [finding.severity for finding in found.values()]
    assert severities == sorted(severities, key=["error", "warning", "note"].index), "the worst first"


def test_what_was_read_is_shown_and_warnings_are_said_once(photos, caplog):
    missing(photos)
    photos.write()
    with caplog.at_level(logging.INFO, "tagseg"):
        result = check(DataConfig(root=str(photos.root)))
    assert "classes  3: cat" in caplog.text
    assert not [record for record in caplog.records if record.levelno >= logging.WARNING]
    assert [finding.code for finding in result.findings] == ["missing_images"]
    assert result.photos == {"train": 26, "val": 6}


def test_a_folder_that_does_not_exist_is_the_users_error(tmp_path):
    with pytest.raises(TagsegError, match="does not exist"):
        check(DataConfig(root=str(tmp_path / "none")), quiet=True)


def test_json_has_what_the_page_promises(photos):
    missing(photos)
    photos.write()
    content = json.loads(check(DataConfig(root=str(photos.root)), quiet=True).as_json())
    assert content.keys() == {
        *("root", "photos", "classes", "not_scored", "findings", "counts", "contact_sheet", "seconds", "exit_code"),
    }
    assert content["photos"] == {"train": 26, "val": 6}
    assert content["classes"]["cat"] == {"train": 10, "val": 2}
    assert content["counts"] == {"error": 1, "warning": 0, "note": 0}
    assert content["exit_code"] == 1
    [finding] = content["findings"]
    assert finding.keys() == {"code", "severity", "count", "examples", "message", "way_out"}
    assert finding["examples"] == ["p03.jpg"]
