from pathlib import Path

import pytest

from tagseg.data.class_map import class_map, find_class_map, read_class_map, unknown_names
from tagseg.errors import TagsegError

from ..conftest import assert_refused

TEXT = """
classes:            # in the order of the labels
  cat: [cat, kitten]
  dog: {from: hound, colour: "#ff0000"}
  bird:
drop: [unknown]
ignore: blurry
"""


@pytest.fixture
def written(tmp_path):
    (tmp_path / "class_map.yaml").write_text(TEXT)
    return tmp_path / "class_map.yaml"


def test_a_map_as_it_is_written(written):
    read = read_class_map(written)
    assert list(read.sources) == ["cat", "dog", "bird"]
    assert read.sources == {"cat": ("cat", "kitten"), "dog": ("dog", "hound"), "bird": ("bird",)}
    assert read.colours == {"dog": (255, 0, 0)}
    assert (read.drop, read.ignore, read.others) == (("unknown",), ("blurry",), "error")


def test_a_map_in_the_settings_is_the_same(written):
    read = read_class_map(written)
    again = find_class_map(read.as_settings(), written.parent)
    assert again is not None
    assert (again.sources, again.colours, again.drop, again.ignore, again.others) == (
        read.sources, read.colours, read.drop, read.ignore, read.others,
    )  # fmt: skip


def test_where_a_map_is_found(written, tmp_path_factory):
    root = written.parent
    assert find_class_map("auto", root) == find_class_map("class_map.yaml", root) == read_class_map(written)
    assert find_class_map("none", root) is None
    elsewhere = tmp_path_factory.mktemp("elsewhere")
    assert find_class_map("auto", elsewhere) is None
    assert find_class_map(str(written), elsewhere) == read_class_map(written)
    assert_refused(lambda: find_class_map("mapp.yaml", root), "--data.class_map mapp.yaml does not exist")


@pytest.mark.parametrize("colour", ["#00ff00", "lime", ["0", "255", "0"], [0, 255, 0], "rgb(0, 255, 0)"])
def test_colours_as_people_write_them(colour):
    assert class_map({"classes": {"cat": {"colour": colour}}}, "map").colours == {"cat": (0, 255, 0)}
    assert class_map({"classes": {"cat": {"color": colour}}}, "map").colours == {"cat": (0, 255, 0)}


def test_a_list_of_classes_gives_their_order():
    assert class_map({"classes": ["dog", "cat"]}, "map").sources == {"dog": ("dog",), "cat": ("cat",)}


def test_without_classes_others_are_kept():
    assert class_map({"drop": ["unknown"]}, "map").others == "keep"


@pytest.mark.parametrize(
    ("content", "parts"),
    [
        (None, ("map has no classes or drop",)),
        (["cat"], ("expected a class map",)),
        ({"clases": {}}, ("'clases'", "did you mean classes?")),
        ({"cat": ["kitten"]}, ("'cat'", "classes are listed below classes:")),
        ({"classes": {"cat": {"form": "kitten"}}}, ("class 'cat' has 'form'", "did you mean from?")),
        ({"classes": ["cat", "cat"]}, ("'cat' twice",)),
        ({"classes": {"cat": None, "Cat ": None}}, ("'Cat ' twice, but for case",)),
        ({"classes": "cat"}, ("classes: 'cat'", "a name a line")),
        ({"classes": {1: None}}, ("the class 1", "in quotes")),
        ({"classes": {"cat": [True]}}, ("class 'cat' has [True]", "in quotes")),
        ({"classes": {"background": ["wall"]}}, ("'background', which is label 0", "drop them")),
        ({"classes": {"cat": ["a"], "dog": ["A"]}}, ("'A' in the class 'cat' and in the class 'dog'",)),
        ({"classes": {"cat": ["a"]}, "drop": ["a"]}, ("'a' in the class 'cat' and in drop",)),
        ({"drop": ["a"], "ignore": ["a"]}, ("'a' in drop and in ignore",)),
        ({"classes": {"cat": ["dog"], "dog": ["cat"]}}, ("'dog' as a class and in the class 'cat'",)),
        ({"classes": {"cat": None}, "drop": ["cat"]}, ("'cat' as a class and in drop",)),
        ({"classes": {"cat": None}, "others": "maybe"}, ("others: 'maybe'", "error, keep, drop")),
        ({"classes": {"cat": {"colour": "redd"}}}, ("the colour 'redd'", '"#ff0000" in quotes')),
        ({"classes": {"cat": {"colour": [0, 0, 300]}}}, ("the colour [0, 0, 300]",)),
        ({"classes": {"cat": {"colour": "black"}}}, ("#000000", "the background")),
        (
            {"classes": {"cat": {"colour": "red"}, "dog": {"colour": "#ff0000"}}},
            ("gives 'dog' the colour #ff0000, which is that of 'cat'",),
        ),
    ],
)
def test_maps_that_contradict_themselves_are_refused(content, parts):
    assert_refused(lambda: class_map(content, "map"), "map", *parts)


def test_names_that_the_data_lack_are_told_with_the_nearest_one():
    read = class_map({"classes": {"cat": ["kiten"], "dog": None}}, "map")
    assert "map has 'kiten', which is no class of the data: did you mean 'kitten'?" in unknown_names(
        read, ("cat", "kitten", "dog")
    )
    assert "'dog', which is no class of the data: the data have cat, kiten" in unknown_names(read, ("cat", "kiten"))
    assert unknown_names(read, ("kiten", "DOG ")) == ""


def test_the_map_of_the_documentation_is_one(tmp_path):
    page = (Path(__file__).parents[2] / "docs/class_map.md").read_text()
    (tmp_path / "class_map.yaml").write_text(page.split("```yaml\n")[1].split("```")[0])
    read = read_class_map(tmp_path / "class_map.yaml")
    assert list(read.sources) == ["cat", "vehicle", "dog", "bird"]
    assert read.sources["bird"] == ("bird", "gull", "tern")
    assert read.colours == {"dog": (255, 0, 0), "bird": (0, 0, 255)}
    assert (read.drop, read.ignore, read.others) == (("person", "unknown"), ("blurry",), "keep")


@pytest.mark.parametrize("entry", ["  - cat: [kitten]", "  - [cat, dog]"])
def test_a_list_of_classes_holds_names_alone(tmp_path, entry):
    (tmp_path / "map.yaml").write_text(f"classes:\n{entry}\n")
    with pytest.raises(TagsegError, match=r"in its list of classes, expected names: leave the dashes out"):
        read_class_map(tmp_path / "map.yaml")
