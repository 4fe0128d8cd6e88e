import json
import logging
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tagseg.data.config import DataConfig
from tagseg.data.dataset import Sample, TaggedImages
from tagseg.data.notes import Note
from tagseg.data.reading import FILE, folder_of, reading_of, reading_of_photos
from tagseg.errors import TagsegError


@dataclass(frozen=True)
class FileMask:
    path: Path

    def __call__(self) -> np.ndarray:
        raise AssertionError("no mask is read to show what was read")


def split(root: Path, count: int, masks: int = 0, known: bool = True, classes: int = 2) -> TaggedImages:
    samples = [
        Sample(
            f"i{n}",
            root / "images" / "sub" / f"i{n}.jpg",
            () if n % 3 == 2 or not known else (n % 3,),
            FileMask(root / "masks" / f"i{n}.png") if n < masks else None,
            tags_known=known,
        )
        for n in range(count)
    ]
    names = tuple(f"class{k}" for k in range(classes))
    return TaggedImages(f"folder ({root})", names, tuple(samples), "labels.csv" if known else "")


def test_what_is_shown_of_two_splits(tmp_path):
    config = DataConfig(root=str(tmp_path))
    reading = reading_of(config, {"train": split(tmp_path, 7), "val": split(tmp_path, 3, masks=3)})
    assert reading.lines() == [
        f"data     folder ({tmp_path})",
        "train    7 images in images/; tags from labels.csv, 2 without tags",
        "val      3 images in images/; tags from labels.csv, 1 without tags; a mask each from masks/",
        "classes  2: class0 3, class1 2 (images)",
    ]


def test_the_file_has_the_counts_of_each_split(tmp_path):
    config = DataConfig(root=str(tmp_path))
    note = Note.of("rows left out", ["a", "b"])
    reading = reading_of(config, {"train": split(tmp_path, 7), "val": split(tmp_path, 3, masks=2)}, note)
    reading.save(tmp_path / "run")
    saved = json.loads((tmp_path / "run" / FILE).read_text())
    assert saved["source"] == "folder"
    assert saved["root"] == str(tmp_path)
    assert saved["classes"][0] == {"name": "class0", "images": {"train": 3, "val": 1}}
    assert saved["splits"]["val"] == {
        "images": 3,
        "images in": "images/",
        "tags from": "labels.csv",
        "without tags": 1,
        "tags not known": 0,
        "masks": 2,
        "masks from": "masks/",
    }
    assert saved["notes"] == [{"text": "rows left out", "count": 2, "examples": ["a", "b"], "warning": False}]


def test_twenty_classes_are_shown_and_the_number_of_the_others(tmp_path):
    (line,) = reading_of(DataConfig(), {"train": split(tmp_path, 3, classes=23)}).lines()[2:]
    assert line.startswith("classes  23: class0 1, class1 1, class2 0,")
    assert line.endswith("class19 0 … and 3 more (images)")


def test_tags_that_are_not_known_are_not_counted(tmp_path):
    lines = reading_of(DataConfig(), {"val": split(tmp_path, 4, masks=2, known=False)}).lines()
    assert "no tags known; 2 masks from" in lines[1]
    assert lines[2].endswith("2: class0, class1")


def test_notes_are_shown_once_and_warnings_as_warnings(tmp_path, caplog):
    images = split(tmp_path, 3)
    images = TaggedImages(images.source, images.classes, images.samples, "x", (Note("seen"), Note("odd", warning=True)))
    reading = reading_of(DataConfig(), {"train": images, "val": images}, [Note("odd", warning=True)])
    with caplog.at_level(logging.INFO, "tagseg"):
        reading.show()
    levels = {record.message: record.levelname for record in caplog.records}
    assert levels["odd"] == "WARNING"
    assert levels["note     seen"] == "INFO"
    assert caplog.text.count("odd") == caplog.text.count("seen") == 1
    caplog.clear()
    reading.show(quiet=True)
    assert [record.message for record in caplog.records] == ["odd"]


def test_what_is_shown_of_photos_to_predict(tmp_path):
    reading = reading_of_photos(3, "photos", ("cat", "dog"), Note.of("files left out, no images", ["a.txt"]))
    assert reading.lines() == [
        "photos   3 in photos",
        "classes  2: cat, dog",
        "note     1 files left out, no images: a.txt",
    ]
    reading.save(tmp_path)
    assert json.loads((tmp_path / FILE).read_text())["classes"] == ["cat", "dog"]


@pytest.mark.parametrize("root", [".", "d", "d/", "/data/d"])
def test_folders_are_named_below_the_root(root):
    files = [Path(root) / "images" / "a" / "1.jpg", Path(root) / "images" / "2.jpg", Path(root) / "more" / "3.jpg"]
    assert folder_of(files, root) == "images/, more/"
    assert folder_of([Path(root) / "1.jpg"], root) == ""
    assert folder_of([Path("/elsewhere/x/1.jpg")], root) == "/elsewhere/x/"


def test_a_folder_that_cannot_be_written_is_one_line(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(TagsegError) as error:
        reading_of_photos(1, "p", ("cat",)).save(tmp_path / "file")
    assert "\n" not in str(error.value)
