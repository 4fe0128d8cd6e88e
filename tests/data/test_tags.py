"""Tag files and class lists: what is accepted, and the one line that says what is wrong."""

import json
import time
from pathlib import Path

import pytest

from tagseg.data.tags import ClassIndex, class_list, read_tags
from tagseg.errors import TagsegError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def test_csv_as_excel_saves_it(tmp_path):
    text = 'split,image,note,labels\r\ntrain,"a, b.jpg","x ""y""", dog ;cat;dog\r\n\r\nval,sub\\ö.jpg,,\r\n'
    table = read_tags(write(tmp_path / "labels.csv", text, "utf-8-sig"))
    assert [tuple(row) for row in table.rows] == [
        ("a, b.jpg", ("dog", "cat"), "train", 2),
        ("sub/ö.jpg", (), "val", 4),
    ]
    assert table.classes() == ("cat", "dog")
    assert (table.tags_from, table.has_splits, dict(table.splits())) == ("labels.csv", True, {"train": 1, "val": 1})


def test_background_is_no_tag(tmp_path):
    table = read_tags(write(tmp_path / "t.csv", "image,labels\na,background\nb,cat;background\n"))
    assert [row.labels for row in table.rows] == [(), ("cat",)]


def test_json_lines(tmp_path):
    lines = [{"image": "a", "labels": ["cat", "dog"], "x": 1}, {"image": "b", "labels": "dog; cat", "x": 2}]
    table = read_tags(write(tmp_path / "labels.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n"))
    assert [row.labels for row in table.rows] == [("cat", "dog"), ("dog", "cat")]
    assert not table.has_splits


def test_tags_from_masks_say_so_and_real_tags_go_first(tmp_path):
    table = read_tags(write(tmp_path / "labels.csv", "image,labels_from_mask\na,cat\n"))
    assert table.tags_from == "labels.csv (labels_from_mask)"
    table = read_tags(write(tmp_path / "labels.csv", "image,labels_from_mask,labels\na,cat,dog\n"))
    assert (table.tags_from, table.rows[0].labels) == ("labels.csv", ("dog",))


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "image,labels\na,cat\nb,dog\na,dog\n", "image 'a' on line 2 and again on line 4"),
        ("a.csv", "file,classes\na,cat\n", "columns file, classes, expected image and labels"),
        ("a.csv", "image;labels\na;cat\n", "columns image;labels, expected image and labels"),
        ("a.csv", "image,labels,labels\na,cat,dog\n", "each once"),
        ("a.csv", "", "columns none, expected"),
        ("a.csv", "image,labels\na,cat,dog\n", "line 2 has 3 fields, expected 2 .*separate tags by ';'"),
        ("a.csv", "image,labels\na\n", "line 2 has 1 fields"),
        ("a.csv", "image,labels\n ,cat\n", "line 2 names no image"),
        ("a.jsonl", '{"image": "a", "labels": []}\n{"image"', "line 2 is no JSON"),
        ("a.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("a.jsonl", '{"image": "a"}\n', "line 1 has the columns image, expected"),
        ("a.jsonl", '{"image": "a", "labels": [3]}\n', "expected a list of class names"),
        ("a.jsonl", '{"image": "a", "labels": []}\n{"image": "b", "labels": [], "split": "v"}', "line 2 has the keys"),
    ],
)
def test_malformed_files_are_named_with_the_line(tmp_path, name, text, message):
    with pytest.raises(TagsegError, match=message) as error:
        read_tags(write(tmp_path / name, text))
    assert "\n" not in str(error.value)
    assert str(tmp_path / name) in str(error.value)


def test_other_encodings_are_refused(tmp_path):
    with pytest.raises(TagsegError, match="not UTF-8"):
        read_tags(write(tmp_path / "a.csv", "image,labels\nö,cat\n", "latin-1"))


def test_two_spellings_of_a_class_are_refused(tmp_path):
    table = read_tags(write(tmp_path / "a.csv", "image,labels\na,Dog\nb,dog\n"))
    with pytest.raises(TagsegError, match="Dog, dog"):
        table.classes()


def test_no_tag_at_all_is_refused(tmp_path):
    with pytest.raises(TagsegError, match="0 classes, expected 1 to 254"):
        read_tags(write(tmp_path / "a.csv", "image,labels\na,\n")).classes()


def test_class_lists(tmp_path):
    assert class_list((), tmp_path) == ()
    assert class_list(("background", "b", "a"), tmp_path) == ("b", "a")
    write(tmp_path / "classes.txt", "\ufeffbackground\r\ncat\r\ntraffic light\r\n")
    assert class_list((), tmp_path) == class_list("", tmp_path) == ("cat", "traffic light")
    write(tmp_path / "other.txt", "0 background\n1 cat\n2 traffic light\n255 ignore\n")
    assert class_list("other.txt", tmp_path) == ("cat", "traffic light")


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("nowhere.txt", "--data.classes is 'nowhere.txt', expected a file"),
        (("a", "b", "a"), "classes twice, but for case: a, a"),
        (("a", " "), "empty class name"),
        (tuple(str(i) for i in range(255)), "255 classes, expected 1 to 254"),
        ("numbered.txt", "expected '2 name'"),
    ],
)
def test_bad_class_lists(tmp_path, setting, message):
    write(tmp_path / "numbered.txt", "0 background\n1 cat\n3 dog\n")
    with pytest.raises(TagsegError, match=message):
        class_list(setting, tmp_path)


def test_unknown_tag_names_the_image_the_classes_and_the_likely_one():
    index = ClassIndex(("cat", "dog", "sheep"))
    assert index(("sheep", "cat"), "a.jpg") == (0, 2)
    with pytest.raises(TagsegError, match=r"'Sheeps' of a\.jpg .*\(cat, dog, sheep\): did you mean 'sheep'"):
        index(("cat", "Sheeps"), "a.jpg")
    with pytest.raises(TagsegError, match="add it to the class list"):
        index(("zebra",), "a.jpg")


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared development data")
def test_the_tags_of_all_voc_load_at_once():
    start = time.process_time()  # a busy machine does not count
    table = read_tags(SHARED / "voc12_tags" / "labels.csv")
    assert time.process_time() - start < 2  # measured: 0.04 s
    assert table.tags_from == "labels.csv (labels_from_mask)"
    assert dict(table.splits()) == {"train_aug": 10582, "val": 1449}
    assert len(table.classes()) == 20
