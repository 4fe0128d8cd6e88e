"""Colour lists as annotation tools write them."""

import json

import pytest

from tagseg.data.colour_list import find_colour_list, has_colours, read_colour_list
from tagseg.errors import TagsegError

GREEN, RED = 0x204080, 0xB07020


@pytest.mark.parametrize(
    ("name", "text"),
    [
        (
            "labelmap.txt",
            "# label:color_rgb:parts:actions\nbackground:0,0,0::\nred kite:176,112,32::\nowl:32,64,128::\n",
        ),
        ("l.txt", "0 0 0\tbackground\n176 112 32\tred kite\n32 64 128\towl\n"),
        ("l.csv", "name,r,g,b\nbackground,0,0,0\nred kite,176,112,32\nowl,32,64,128\n"),
        ("l.csv", "label,name,red,green,blue\n0,background,0,0,0\n1,red kite,176,112,32\n2,owl,32,64,128\n"),
        ("l.txt", "background 0 0 0\nred kite 176 112 32\n\nowl 32 64 128"),
        ("l.txt", "0 0 0 0 background\n1 176 112 32 red kite\n2 32 64 128 owl\n"),
        ("l.csv", "name,r,g,b,id\nbackground,0,0,0,0\nred kite,176,112,32,1\nowl,32,64,128,2\n"),
        ("l.txt", "background 0 0 0 255\nred kite 176 112 32 255\nowl 32 64 128 255"),
        ("l.txt", "background #000000\nred kite: #b07020\nowl = #204080"),
        ("l.json", json.dumps({"background": [0, 0, 0], "red kite": [176, 112, 32], "owl": "#204080"})),
        (
            "l.json",
            json.dumps(
                [{"name": n, "color": c} for n, c in (("bg", "#000000"), ("red kite", "#B07020"), ("owl", "#204080"))]
            ),
        ),
    ],
)
def test_usual_forms_are_read(tmp_path, name, text):
    (tmp_path / name).write_text(text)
    colours = read_colour_list(tmp_path / name)
    assert colours.classes() == ("red kite", "owl")
    assert colours.labels(("owl", "Red Kite")) == {0: 0, RED: 2, GREEN: 1}
    assert name.endswith("json") or has_colours(tmp_path / name)


@pytest.mark.parametrize("name", ["ns-1", "class 1", "type_2"])
def test_a_number_at_the_end_of_a_name_is_no_colour(tmp_path, name):
    (tmp_path / "l.csv").write_text(f"name,r,g,b\n{name},167,156,67\nowl,32,64,128\n")
    assert read_colour_list(tmp_path / "l.csv").names == {0xA79C43: name, 0x204080: "owl"}


def test_void_is_ignored_and_classes_that_are_not_wanted_have_no_label(tmp_path):
    (tmp_path / "l.txt").write_text("void:1,1,1\n__unlabeled__:2,2,2\nowl:3,3,3\nkite:4,4,4\n")
    labels = read_colour_list(tmp_path / "l.txt").labels(("kite",))
    assert labels == {0x010101: 255, 0x020202: 255, 0x040404: 1}


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("l.txt", "owl:1,2,3\nkite\n", "line 2 is 'kite', expected a line 'name:red,green,blue'"),
        ("l.txt", "owl:1,2,3\nkite:1,2,3\n", "gives 'owl' and 'kite' one colour, 1,2,3"),
        ("l.txt", "owl:1,2,300\n", "is not understood"),
        ("l.txt", "owl\n", "names no colour"),
        ("l.txt", "owl:1,2,3000\nkite:1,2,3\n", "line 1 is 'owl:1,2,3000', expected a line"),
        ("l.txt", "owl 1 2 3 4\nkite 7 5 6 7\n", "line 1 has the 4 numbers 1, 2, 3, 4, expected a line"),
        ("l.json", '{"a":' * 20000, "is not understood"),
        ("l.json", '{"owl": [1e999, 0, 0]}', "is not understood"),
        ("l.json", "{", "is not understood"),
        ("l.json", '["owl"]', "is not understood"),
        ("l.json", '{"owl": "green"}', "the colour 'green' of 'owl'"),
    ],
)
def test_other_files_are_refused_in_one_line(tmp_path, name, text, message):
    (tmp_path / name).write_text(text)
    with pytest.raises(TagsegError, match=message) as error:
        read_colour_list(tmp_path / name)
    assert "\n" not in str(error.value)


def test_a_list_is_found_in_the_data_folder(tmp_path):
    assert find_colour_list("auto", tmp_path) is None
    (tmp_path / "classes.txt").write_text("owl\nkite\n")
    assert find_colour_list("auto", tmp_path) is None
    (tmp_path / "classes.txt").write_text("owl 1 2 3\nkite 3 4 5\n")
    found = find_colour_list("auto", tmp_path)
    assert found is not None
    assert found.path.name == "classes.txt"
    (tmp_path / "labelmap.txt").write_text("owl:1,2,3::\n")
    found = find_colour_list("auto", tmp_path)
    assert found is not None
    assert found.path.name == "labelmap.txt"
    assert find_colour_list("ids", tmp_path) is None
    with pytest.raises(TagsegError, match=r"--data\.colours is 'mine\.txt', expected a file"):
        find_colour_list("mine.txt", tmp_path)
