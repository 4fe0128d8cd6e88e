import pytest

from tagseg.data.split_list import counted, matched, read_splits, save_splits

from ..conftest import assert_refused

NAMES = ["a/one", "a/two", "b/three"]


def listed(tmp_path, text):
    (tmp_path / "list.csv").write_text(text)
    return tmp_path / "list.csv"


def test_what_is_saved_is_read_back(tmp_path):
    splits = {"a/one": "train", "naïve, photo": "val", "b/three": "train"}
    save_splits(tmp_path / "run" / "split.csv", splits)
    assert read_splits(tmp_path / "run" / "split.csv") == splits
    assert counted(splits) == "train (2), val (1)"


@pytest.mark.parametrize(
    "text",
    ["image,split\none.jpg,train\ntwo.jpg,val\n", "split;File_Name;more\ntrain;one.jpg;1\nval;two.jpg;2\n"],
)
def test_lists_as_people_write_them(tmp_path, text):
    assert read_splits(listed(tmp_path, text)) == {"one.jpg": "train", "two.jpg": "val"}


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (
            "image,labels\na,cat\n",
            ("the columns image, labels", "expected a CSV file with the columns image and split"),
        ),
        ("image,split\na,\n", ("line 2 names no split",)),
        ("image,split\na,train\na,val\n", ("line 3 has 'a' in val, before in train",)),
        ("image,split\n", ("no rows",)),
    ],
)
def test_malformed_lists_are_refused(tmp_path, text, parts):
    path = listed(tmp_path, text)
    assert_refused(lambda: read_splits(path), str(path), *parts)


def test_an_absent_list_is_refused(tmp_path):
    assert_refused(lambda: read_splits(tmp_path / "no.csv"), "no.csv cannot be read", "columns image and split")


def test_images_are_matched_as_their_names_are_everywhere(tmp_path):
    written = {"one.jpg": "train", "a\\two": "val", "gone.jpg": "val"}
    found, notes = matched(written, NAMES, tmp_path / "list.csv")
    assert found == {"a/one": "train", "a/two": "val"}
    assert [str(note) for note in notes if note.warning] == [
        "1 images of list.csv are not in the data: gone.jpg",
        "1 images are not in list.csv, so in no split: b/three",
    ]


def test_a_list_of_other_images_is_refused(tmp_path):
    assert_refused(
        lambda: matched({"x": "train"}, NAMES, tmp_path / "list.csv"),
        "none of them is in the data",
        "--data.splits none",
    )


def test_one_image_by_two_names_in_two_splits_is_refused(tmp_path):
    written = {"a/one": "train", "a/one.jpg": "val"}
    assert_refused(lambda: matched(written, NAMES, tmp_path / "list.csv"), "'a/one' in val and in train")
