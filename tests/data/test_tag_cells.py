"""Separators of tags: found from the whole column, or refused with both readings."""

import pytest

from tagseg.data.tag_cells import find_splitter
from tagseg.errors import TagsegError


def split(cells: list[str], known: tuple[str, ...] = (), setting: str = "auto") -> list[list[str]]:
    numbered = [(cell, f"line {line}") for line, cell in enumerate(cells, 2)]
    splitter = find_splitter(numbered, known, setting, "x.csv")
    return [[tag.strip() for tag in splitter.split(cell)] for cell in cells]


def notes(cells: list[str], known: tuple[str, ...] = (), setting: str = "auto") -> list[str]:
    return [str(note) for note in find_splitter([(cell, "here") for cell in cells], known, setting, "x.csv").notes]


@pytest.mark.parametrize(
    "separator", [";", "|", ",", ", ", " ; ", "\n", "\t", "/", " / ", "#", " & ", "+", " ", "_", "、"]
)
def test_what_separates_is_found_where_the_column_tells(separator):
    cells = [separator.join(("cat", "dog")), "cat", "dog", separator.join(("dog", "emu", "cat")), "emu"]
    assert split(cells) == [["cat", "dog"], ["cat"], ["dog"], ["dog", "emu", "cat"], ["emu"]]
    said = notes(cells)
    assert len(said) == (0 if separator.strip(" ") == ";" else 1)
    assert all("tags in x.csv are separated by" in each for each in said)


@pytest.mark.parametrize("separator", [",", "/", "#"])
def test_parts_that_occur_in_other_cells_tell_too(separator):
    pairs = [("cat", "dog"), ("dog", "emu"), ("emu", "cat")]
    assert split([separator.join(pair) for pair in pairs]) == [list(pair) for pair in pairs]


@pytest.mark.parametrize(
    "cells",
    [
        ["traffic light", "hot dog", "dog", "t-shirt", "C#", "AC/DC", "R&B", "1:1", "class_1"],
        ["polar bear", "brown bear", "panda"],
        ["healthy_apple", "rotten_apple", "healthy_pear", "rotten_pear"],
        ["Saccharomyces cerevisiae"],
    ],
)
def test_names_stay_whole_where_nothing_tells_otherwise(cells):
    assert split(cells) == [[cell] for cell in cells]
    assert not notes(cells)


@pytest.mark.parametrize(
    ("cells", "known", "text"),
    [
        (["salt, pepper", "cat, dog", "cat", "dog"], (), "x.csv line 2 has 'salt, pepper'"),
        (["cat", "salt, pepper", "dog"], (), "line 3 has 'salt, pepper'"),
        (["salt,pepper", "salt", "pepper"], ("salt,pepper", "salt", "pepper"), "has 'salt,pepper'"),
        (["a;b", "a"], ("a;b", "a", "b"), "has 'a;b'.* --data.separator ';' for several"),
        (["cat;dog", "cat|emu"], (), r"'cat\|emu'.* --data.separator ';' for one"),
        (["cat;dog", "cat, dog"], (), "'cat, dog'"),
        (["hot dog", "hot", "dog", "polar bear"], (), "'hot dog'.* --data.separator space for several"),
        (["left hand", "right hand", "left foot", "right foot"], (), "separated by spaces"),
        (["cat#dog", "cat"], (), "'cat#dog'.*'cat', 'dog'"),
    ],
)
def test_what_can_be_read_two_ways_stops_with_both(cells, known, text):
    with pytest.raises(TagsegError, match=f"{text}.*one tag or, separated by|{text}") as error:
        split(cells, known)
    assert "which can be read as one tag or, separated by" in str(error.value)
    assert "\n" not in str(error.value)
    assert " for several tags, or --data.separator" in str(error.value)


def test_a_class_list_keeps_its_names_whole_and_tells_the_rest():
    cells = ["salt, pepper", "cat, dog"]
    known = ("Salt, pepper", "cat", "dog")
    assert split(cells, known) == [["salt, pepper"], ["cat", "dog"]]
    assert "1 cells with ',' are one tag each, by the class list: salt, pepper" in notes(cells, known)
    assert split(["traffic light", "cat dog"], ("traffic light", "cat dog", "light", "traffic")) == [
        ["traffic light"],
        ["cat dog"],
    ]


def test_settings_decide():
    cells = ["salt, pepper", "cat;dog"]
    assert split(cells, setting="none") == [["salt, pepper"], ["cat;dog"]]
    assert split(cells, setting=";") == [["salt, pepper"], ["cat", "dog"]]
    assert split(cells, setting="comma") == [["salt", "pepper"], ["cat;dog"]]
    assert split(["a b", "c"], setting="space") == [["a", "b"], ["c"]]
    assert split(["salt, pepper"], ("salt, pepper", "salt", "pepper"), ",") == [["salt", "pepper"]]
    assert notes(cells, setting="|") == ["--data.separator '|' occurs in no cell of x.csv: each cell is one tag"]


def test_lists_in_cells_are_read_as_lists():
    cells = [
        "['salt, pepper', 'dog']",
        '["dog"]',
        "[cat, dog]",
        "['cat' 'emu']",
        "{cat,dog}",
        '{"choices": ["a", "b"]}',
    ]
    expected = [["salt, pepper", "dog"], ["dog"], ["cat", "dog"], ["cat", "emu"], ["cat", "dog"], ["a", "b"]]
    assert split([*cells, "cat", "(other)"]) == [*expected, ["cat"], ["(other)"]]
    assert notes(cells) == ["6 cells are written as lists, and read as such: here, here, here and 3 more"]
    assert split(["['it\\'s', \"5\\\" disk\"]"]) == [["it's", '5" disk']]


def test_placeholders_are_no_evidence():
    assert split(["n/a", "", "[]", "cat"]) == [["n/a"], [""], ["[]"], ["cat"]]


def test_no_separator_is_none_not_the_empty_text():
    with pytest.raises(TagsegError, match=r"--data\.separator is empty, expected auto, none"):
        split(["cat"], setting="")
