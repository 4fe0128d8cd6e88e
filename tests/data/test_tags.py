"""Tag files: what is accepted, how it is read, and the one line that says what is wrong."""

import csv
import io
import json
import re
import zipfile
from collections.abc import Mapping, Sequence
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tagseg.data.names import fold, is_background, is_doubtful, is_nothing
from tagseg.data.tag_table import parse_table
from tagseg.data.tags import TagTable, find_tag_file, read_tags
from tagseg.errors import TagsegError

SHARED = Path(__file__).parents[2].parent / "shared" / "data"


def write(path: Path, text: str, encoding: str = "utf-8") -> Path:
    path.write_bytes(text.encode(encoding))
    return path


def tags_of(table: TagTable) -> dict[str, tuple[str, ...]]:
    return {row.image: row.labels for row in table.rows}


def notes_of(table: TagTable) -> str:
    return "\n".join(f"{'!' if note.warning else ''}{note}" for note in table.notes)


def test_csv_as_excel_saves_it(tmp_path):
    text = 'split,image,note,labels\r\ntrain,"a, b.jpg","x ""y""", dog ;cat;dog\r\n\r\nval,sub\\ö.jpg,,\r\n'
    table = read_tags(write(tmp_path / "labels.csv", text, "utf-8-sig"))
    assert [tuple(row) for row in table.rows] == [
        ("a, b.jpg", ("dog", "cat"), "train", 2),
        ("sub\\ö.jpg", (), "val", 4),
    ]
    assert table.classes() == ("cat", "dog")
    assert (table.tags_from, table.has_splits, dict(table.splits())) == ("labels.csv", True, {"train": 1, "val": 1})
    assert table.notes == ()


def test_json_lines(tmp_path):
    lines = [{"image": "a", "labels": ["cat", "dog"], "x": 1}, {"image": "b", "labels": "dog; cat", "x": 2}]
    table = read_tags(write(tmp_path / "labels.jsonl", "\n".join(map(json.dumps, lines)) + "\n\n"))
    assert [row.labels for row in table.rows] == [("cat", "dog"), ("dog", "cat")]
    assert not table.has_splits
    one = read_tags(write(tmp_path / "one.jsonl", '{"filename": "a", "label": "cat"}'))
    assert tags_of(one) == {"a": ("cat",)}
    assert not read_tags(write(tmp_path / "none.jsonl", "")).rows


@pytest.mark.parametrize(
    "content",
    [
        [{"image": "a.jpg", "labels": ["cat", "salt, pepper"]}, {"image": "b.jpg", "labels": None}],
        {"a.jpg": ["cat", "salt, pepper"], "b.jpg": []},
        {"images": [{"file_name": "a.jpg", "tags": ["cat", "salt, pepper"]}, {"file_name": "b.jpg", "tags": []}]},
        {"a.jpg": {"cat": 1, "salt, pepper": 1, "dog": 0}, "b.jpg": {"cat": 0, "salt, pepper": False}},
        {"a.jpg": "cat;salt, pepper", "b.jpg": None},
    ],
)
def test_json(tmp_path, content):
    table = read_tags(write(tmp_path / "labels.json", json.dumps(content, indent=1)))
    assert tags_of(table) == {"a.jpg": ("cat", "salt, pepper"), "b.jpg": ()}


def test_tags_from_masks_say_so_and_real_tags_go_first(tmp_path):
    table = read_tags(write(tmp_path / "labels.csv", "image,labels_from_mask\na,cat\n"))
    assert table.tags_from == "labels.csv (labels_from_mask)"
    table = read_tags(write(tmp_path / "labels.csv", "image,labels_from_mask,labels\na,cat,dog\n"))
    assert (table.tags_from, table.rows[0].labels) == ("labels.csv", ("dog",))


@pytest.mark.parametrize(
    ("text", "note"),
    [
        ("image;labels\na;cat,dog\nb;dog\n", "fields of x.csv are separated by ';'"),
        ("image\tlabels\na\tcat,dog\nb\tdog\n", "separated by tabs"),
        ("sep=;\r\nimage;labels\r\na;cat,dog\r\nb;dog\r\n", "separated by ';'"),
        ("image|labels|\na|cat,dog|\nb|dog|\n", "separated by '|'"),
        ('Image Name,Finding Labels\na,"cat,dog"\nb,dog\n', "'Image Name', 'Finding Labels'"),
        ("id,filename,class\n7,a,cat\n8,a,dog\n9,b,dog\n", "1 images are on several rows, whose tags are joined: a"),
        ("image,tag1,tag2\na,cat,dog\nb,dog,\n", "'tag1', 'tag2'"),
        (",image,labels\n0,a,cat;dog\n1,b,dog\n", ""),
    ],
)
def test_tables_of_other_tools(tmp_path, text, note):
    table = read_tags(write(tmp_path / "x.csv", text))
    assert tags_of(table) == {"a": ("cat", "dog"), "b": ("dog",)}
    assert note in notes_of(table)
    assert "!" not in notes_of(table)


def test_rows_that_are_joined_though_they_hold_several_tags_may_be_a_mistake(tmp_path):
    table = read_tags(write(tmp_path / "x.csv", "image,labels\na,cat;dog\nb,dog\na,emu\n"))
    assert tags_of(table)["a"] == ("cat", "dog", "emu")
    assert "!1 images are on several rows" in notes_of(table)


def test_tags_that_a_column_denies_are_none(tmp_path):
    text = "ImageID,Source,LabelName,Confidence\na,v,cat,1\na,v,dog,0\nb,v,dog,0\nc,v,dog,1\n"
    table = read_tags(write(tmp_path / "x.csv", text))
    assert tags_of(table) == {"a": ("cat",), "b": (), "c": ("dog",)}
    assert "2 rows with 0 in 'Confidence', whose tags are not in the image: a, b" in notes_of(table)
    unsure = read_tags(write(tmp_path / "y.csv", "ImageID,LabelName,Confidence\na,cat,0.9\nb,dog,0.1\n"))
    assert "!the column 'Confidence' is not read" in notes_of(unsure)


def test_a_column_for_each_class(tmp_path):
    header = "Path,Age,View,cat,traffic light,Background,split\n"
    text = f"{header}a.jpg,61,Front,1.0,,0.0,train\nb.jpg,40,Side,-1.0,1.0,1,val\n"
    table = read_tags(write(tmp_path / "x.csv", text))
    assert tags_of(table) == {"a.jpg": ("cat",), "b.jpg": ("traffic light",)}
    assert [row.split for row in table.rows] == ["train", "val"]
    notes = notes_of(table)
    assert "a column for each class, 3 columns of 0 and 1" in notes
    assert "2 columns of x.csv are not read, as they do not hold 0 and 1: Age, View" in notes
    assert "1 blank cells" in notes
    assert "!1 cells with -1 (uncertain), read as no tag" in notes
    assert "1 images with the tag 'Background', which is read as no tag: b.jpg" in notes
    listed = read_tags(tmp_path / "x.csv", ("Cat",))
    assert tags_of(listed) == {"a.jpg": ("Cat",), "b.jpg": ()}


def test_minus_one_and_one_are_absent_and_present(tmp_path):
    table = read_tags(write(tmp_path / "x.csv", "image,cat,dog\na,1,-1\nb,-1,1\n"))
    assert tags_of(table) == {"a": ("cat",), "b": ("dog",)}
    assert "!" not in notes_of(table)


@pytest.mark.parametrize("empty", ["nan", "None", "NULL", "[]", "Background", "_bg_", "-", "N/A"])
def test_placeholders_mean_no_tag_and_are_counted(tmp_path, empty):
    table = read_tags(write(tmp_path / "x.csv", f"image,labels\na,{empty}\nb,cat\nc,{empty}\nd,\n"))
    assert tags_of(table) == {"a": (), "b": ("cat",), "c": (), "d": ()}
    assert notes_of(table) == f"2 images with the tag {empty!r}, which is read as no tag: a, c"
    assert tags_of(read_tags(tmp_path / "x.csv", ("cat", "emu"), separator="none"))["a"] == ()


def test_background_as_documented_is_no_tag_without_a_word(tmp_path):
    table = read_tags(write(tmp_path / "t.csv", "image,labels\na,background\nb,cat;background\n"))
    assert [row.labels for row in table.rows] == [(), ("cat",)]
    assert table.notes == ()


def test_a_class_list_decides_what_is_a_tag(tmp_path):
    path = write(tmp_path / "x.csv", "image,labels\na,null\nb,CAT\n")
    assert tags_of(read_tags(path, ("null", "cat"))) == {"a": ("null",), "b": ("cat",)}
    assert "1 tags spelled unlike their class, read as it ('CAT' as 'cat')" in notes_of(
        read_tags(path, ("null", "cat"))
    )


def test_a_tag_that_may_mean_none_is_a_class_and_warned_of(tmp_path):
    path = write(tmp_path / "x.csv", "image,labels\na,no finding\nb,cat\n")
    table = read_tags(path)
    assert table.classes() == ("cat", "no finding")
    assert (
        """!1 images with the tag 'no finding', kept as a class: if it means "no tag", set --data.no_tag"""
        in notes_of(table)
    )
    assert tags_of(read_tags(path, no_tag=("No Finding",))) == {"a": (), "b": ("cat",)}
    assert not read_tags(path, ("cat", "no finding")).notes


def test_spellings_of_one_class_are_one_and_counted(tmp_path):
    table = read_tags(
        write(tmp_path / "a.csv", "image,labels\na,Dog\nb,dog\nc,dog;DOG\nd,traffic  light;traffic light\n")
    )
    assert table.classes() == ("dog", "traffic light") or table.classes() == ("dog", "traffic  light")
    assert tags_of(table)["c"] == ("dog",)
    assert "1 tags 'Dog', read as the class 'dog'" in notes_of(table)


def test_classes_are_in_natural_order(tmp_path):
    table = read_tags(write(tmp_path / "a.csv", "image,labels\na,class10;class9\nb,class1\n"))
    assert table.classes() == ("class1", "class9", "class10")


def test_numbers_for_tags_are_warned_of(tmp_path):
    table = read_tags(write(tmp_path / "a.csv", "image,labels\na,0\nb,10\nc,9\n"))
    assert "!all tags are numbers (0, 9, 10): each is the name of a class, 0 too" in notes_of(table)


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("a.csv", "file,kind\na,cat\n", "columns file, kind, expected image and labels"),
        ("a.csv", "a.jpg,cat\nb.jpg,dog\n", "first line is no header, write image,labels above it"),
        ("a.csv", "image,labels,labels\na,cat,dog\n", "labels and labels, .* each once"),
        ("a.csv", "image,class,category\na,cat,dog\n", "class and category, which could both hold the tags"),
        ("a.csv", "", "columns none, expected"),
        ("a.csv", "image,labels\na,cat,dog\n", "line 2 has 3 fields, expected 2 .*separate tags by ';'"),
        ("a.csv", "image,labels\na\n", "line 2 has 1 fields"),
        ("a.csv", "image,labels\n ,cat\n", "line 2 names no image"),
        ("a.csv", 'image,labels\na,"cat\nb,dog\n', "line 3 is no CSV"),
        ("a.csv", "image,labels,split\na,cat,train\na,dog,val\n", r"'train' \(line 2\) and 'val' \(line 3\)"),
        ("a.csv", "image,cat,dog\na,1,0\nb,0,1\nc,1,2\n", "line 4 has '2' in the column 'dog' of zeros and ones"),
        ("a.csv", "image,labels\na,[0 1]\nb,[1 1]\n", "a vector of zeros and ones, expected class names"),
        ("a.jsonl", '{"image": "a", "labels": []}\n{"image"', "line 2 is no JSON"),
        ("a.jsonl", "[1]\n", "line 1 is no JSON object"),
        ("a.jsonl", '{"image": "a"}\n', "has the columns image, expected"),
        ("a.jsonl", '{"image": "a", "labels": [3]}\n', "expected a list of class names"),
        ("a.jsonl", '{"image": "a", "labels": []}\n{"image": "b", "labels": [], "split": "v"}', "line 1 has the keys"),
        ("a.json", '{"images": [], "annotations": [], "categories": []}', "COCO.*--data.source coco"),
        ("a.json", '{"cat": ["a.jpg", "b.jpg"]}', "gives classes with their images"),
        ("a.json", "[" * 100_000, "nested too deeply|no JSON"),
        ("a.json", '[{"image": "a", "labels": 3}]', "entry 1 has labels = 3, expected a list"),
    ],
)
def test_malformed_files_are_named_with_the_line(tmp_path, name, text, message):
    with pytest.raises(TagsegError, match=message) as error:
        read_tags(write(tmp_path / name, text))
    assert "\n" not in str(error.value)
    assert str(tmp_path / name) in str(error.value)


def test_the_tag_file_is_found_or_what_is_there_is_named(tmp_path):
    with pytest.raises(TagsegError, match=r"has no tag file, expected one of labels\.csv"):
        find_tag_file(tmp_path, "auto")
    with zipfile.ZipFile(tmp_path / "train.xlsx", "w") as file:
        file.writestr("xl/workbook.xml", "")
    with pytest.raises(TagsegError, match=r"train\.xlsx is an Excel workbook: save it as CSV"):
        find_tag_file(tmp_path, "auto")
    write(tmp_path / "people.csv", "image,labels\n")
    with pytest.raises(TagsegError, match=r"it has people\.csv, train\.xlsx.* set --data\.tags people\.csv"):
        find_tag_file(tmp_path, "auto")
    write(tmp_path / "labels.json", "{}")
    assert find_tag_file(tmp_path, "auto").name == "labels.json"
    assert find_tag_file(tmp_path, "people.csv").name == "people.csv"


def test_no_tag_at_all_is_refused(tmp_path):
    with pytest.raises(TagsegError, match="0 classes, expected 1 to 254"):
        read_tags(write(tmp_path / "a.csv", "image,labels\na,\n")).classes()


LETTERS = st.characters(codec="utf-8", categories=["L", "M", "N"]) | st.sampled_from(" -_.'")
ANY = st.characters(codec="utf-8", exclude_categories=["C", "Z"]) | st.just(" ")
PLAIN = st.sampled_from(("cat", "dog", "traffic light", "hot dog", "Ölkanne", "t-shirt", "C#", "no", "1.0", "class10"))


def names(letters: st.SearchStrategy[str]) -> st.SearchStrategy[str]:
    """Names that mean a class."""
    special = (is_nothing, is_background, is_doubtful)
    return st.text(letters, min_size=1, max_size=8).filter(lambda name: not any(test(name) for test in special))


def _lists(assignment: dict[str, tuple[str, ...]]) -> str:
    return json.dumps(
        [{"image": image, "labels": list(tags)} for image, tags in assignment.items()], ensure_ascii=False
    )


def _lines(assignment: dict[str, tuple[str, ...]]) -> str:
    return "\n".join(json.dumps({"image": image, "labels": list(tags)}) for image, tags in assignment.items())


def _mapping(assignment: dict[str, tuple[str, ...]]) -> str:
    return json.dumps({image: list(tags) for image, tags in assignment.items()})


def _csv(header: tuple[str, ...], rows: Sequence[tuple[str, ...]], delimiter: str = ",") -> str:
    file = io.StringIO(newline="")
    csv.writer(file, delimiter=delimiter).writerows([header, *rows])
    return file.getvalue()


def _columns(assignment: dict[str, tuple[str, ...]]) -> str:
    classes = sorted({tag for tags in assignment.values() for tag in tags})
    rows = [(image, *(str(int(name in tags)) for name in classes)) for image, tags in assignment.items()]
    return _csv(("image", *classes), rows)


def _row_a_tag(assignment: dict[str, tuple[str, ...]]) -> str:
    return _csv(("image", "labels"), [(image, tag) for image, tags in assignment.items() for tag in tags or ("",)])


def assignments(tags: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, tuple[str, ...]]]:
    each = st.lists(tags, max_size=4, unique_by=fold).map(tuple)
    return st.lists(each, min_size=1, max_size=6).map(lambda rows: {f"{i}.jpg": row for i, row in enumerate(rows)})


def agrees(table: TagTable, assignment: Mapping[str, tuple[str, ...]]) -> bool:
    """Whether each image has its tags, but for the spelling of the class and the order."""
    read = tags_of(table)
    return {k: {fold(t) for t in tags} for k, tags in read.items()} == {
        k: {fold(t) for t in tags} for k, tags in assignment.items()
    }


@pytest.mark.parametrize("write_as", [_lists, _lines, _mapping])
@given(assignment=assignments(names(ANY)))
def test_any_tags_survive_json(tmp_path_factory, write_as, assignment):
    suffix = ".jsonl" if write_as is _lines else ".json"
    path = write(tmp_path_factory.mktemp("json") / f"labels{suffix}", write_as(assignment))
    assert agrees(read_tags(path), assignment)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16"])
@pytest.mark.parametrize("write_as", [_columns, _row_a_tag])
@given(assignment=assignments(PLAIN).filter(lambda rows: any(rows.values())))
def test_plain_names_survive_tables(tmp_path_factory, write_as, encoding, assignment):
    path = write(tmp_path_factory.mktemp("csv") / "labels.csv", write_as(assignment), encoding)
    assert agrees(read_tags(path), assignment)


@settings(max_examples=200)
@given(
    assignment=assignments(names(LETTERS) | PLAIN),
    separator=st.sampled_from([";", "|", "\n", ", ", ",", "#", " / "]),
    delimiter=st.sampled_from([",", ";", "\t"]),
)
def test_joined_tags_are_told_apart_refused_or_one_where_nothing_tells(
    tmp_path_factory, assignment, separator, delimiter
):
    character = separator.strip() or "\n"
    kept = {image: tuple(tag for tag in tags if character not in tag) for image, tags in assignment.items()}
    rows = [(image, separator.join(tags)) for image, tags in kept.items()]
    path = write(tmp_path_factory.mktemp("csv") / "labels.csv", _csv(("image", "labels"), rows, delimiter))
    assert agrees(read_tags(path, separator="newline" if character == "\n" else character), kept)
    one_tag = {image: (separator.join(tags),) if tags else () for image, tags in kept.items()}
    try:
        found = read_tags(path)
    except TagsegError as error:
        message = str(error)
    else:
        assert agrees(found, kept) or (character in "#/" and agrees(found, one_tag))
        return
    assert re.search(r"can be read as one tag or, .* for several tags, or --data\.separator|a vector of zeros", message)


@pytest.mark.skipif(not SHARED.is_dir(), reason="needs the shared development data")
def test_the_tags_of_all_voc_are_read():
    table = read_tags(SHARED / "voc12_tags" / "labels.csv")
    assert table.tags_from == "labels.csv (labels_from_mask)"
    assert dict(table.splits()) == {"train_aug": 10582, "val": 1449}
    assert len(table.classes()) == 20
    assert table.notes == ()


def test_an_image_twice_in_one_json_object_is_refused_as_the_first_would_be_lost(tmp_path):
    (tmp_path / "labels.json").write_text('{"a.jpg": ["cat"], "a.jpg": ["dog"]}')
    with pytest.raises(TagsegError, match=r"cannot be read .the key 'a.jpg' twice in one object."):
        read_tags(tmp_path / "labels.json")


def test_a_table_of_excel_on_a_mac(tmp_path):
    (tmp_path / "labels.csv").write_bytes(b"sep=;\rimage;labels\ra.jpg;cat\r")
    assert [(row.image, row.labels) for row in read_tags(tmp_path / "labels.csv").rows] == [("a.jpg", ("cat",))]


def test_a_list_of_json_in_a_cell_may_spell_letters_by_their_numbers(tmp_path):
    row = json.dumps(["vélo", "cat"]).replace('"', '""')
    (tmp_path / "labels.csv").write_text(f'image,labels\na.jpg,"{row}"\n')
    assert [row.labels for row in read_tags(tmp_path / "labels.csv").rows] == [("vélo", "cat")]


def test_a_text_is_understood_once_and_a_changed_one_anew(tmp_path, monkeypatch):
    parsed = []
    monkeypatch.setattr("tagseg.data.tags.parse_table", lambda *args: parsed.append(args) or parse_table(*args))
    path = tmp_path / "labels.csv"
    path.write_text("image,labels\na.jpg,cat\n")
    assert read_tags(path) == read_tags(path)
    assert len(parsed) == 1
    path.write_text("image,labels\na.jpg,dog\n")  # as long, and written at once
    assert read_tags(path).rows[0].labels == ("dog",)
    assert read_tags(path, no_tag=("dog",)).rows[0].labels == ()
