"""Files of class names, as people and other tools write them."""

import json

import pytest

from tagseg.data.class_file import read_class_file
from tagseg.errors import TagsegError


def read(tmp_path, text, name="names.txt"):
    (tmp_path / name).write_text(text, "utf-8")
    return read_class_file(tmp_path / name)


@pytest.mark.parametrize(
    "text",
    [
        "background\ncat\ntraffic light\n",
        "0 background\n1 cat\n2 traffic light\n255 ignore\n",
        "0: background\n1: cat\n2: traffic light\n",
        "0,background\n1,cat\n2,traffic light\n",
        "0\tbackground\r\n1\tcat\r\n\r\n2\ttraffic light\r\n",
        "label,name,red,green,blue\n0,background,0,0,0\n1,cat,128,0,0\n2,traffic light,0,128,0\n",
        "id;name\n2;traffic light\n0;background\n1;cat\n",
    ],
)
def test_text(tmp_path, text):
    assert read(tmp_path, text) == (("background", "cat", "traffic light"), ())


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("data.yaml", "path: x\nnc: 3\nnames: [background, no, 1.0]\n"),
        ("data.yaml", "names:\n  0: background\n  1: no\n  2: 1.0\n"),
        ("classes.yml", "- background\n- no\n- 1.0\n"),
        ("classes.json", '["background", "no", "1.0"]'),
        ("names.txt", "['background', 'no', '1.0']"),
        ("classes.json", json.dumps({"id2label": {"0": "background", "2": "1.0", "1": "no"}})),
        ("classes.json", json.dumps({"no": 1, "background": 0, "1.0": 2})),
        (
            "c.json",
            json.dumps({"categories": [{"id": i, "name": n} for i, n in enumerate(("background", "no", "1.0"))]}),
        ),
    ],
)
def test_yaml_and_json(tmp_path, name, text):
    assert read(tmp_path, text, name) == (("background", "no", "1.0"), ())


def test_numbers_from_1_are_no_part_of_the_names(tmp_path):
    names, notes = read(tmp_path, "1 cat\n2 dog\n")
    assert names == ("cat", "dog")
    assert "numbered from 1" in str(notes[0])


def test_numbers_that_are_names_stay(tmp_path):
    for text in ("1 euro\n2 euro\n", "10 cent\n20 pence\n", "12 monkeys\ncat\n", "1\n2\n"):
        assert read(tmp_path, text)[0] == tuple(text.splitlines())


@pytest.mark.parametrize(("name", "text"), [("d.yaml", "names: {0: cat, 1: dog}"), ("n.txt", "0 cat\n1 dog\n")])
def test_a_class_of_id_0_is_warned_of_as_masks_have_the_background_there(tmp_path, name, text):
    names, notes = read(tmp_path, text, name)
    assert names == ("cat", "dog")
    assert notes[0].warning
    assert "gives 'cat' the id 0, which is the background in masks: there 'cat' is label 1" in str(notes[0])


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("n.txt", "0 background\n1 cat\n3 dog\n", "'3 dog', expected '2 name': number all or none"),
        ("n.txt", "0 background\n1 cat\ndog\n", "'dog', expected '2 name'"),
        ("n.txt", "1 cat\n3 dog\n", "'3 dog', expected '2 name'"),
        ("n.txt", "1 background\n2 cat\n", "gives the background id 1, expected 0"),
        ("n.txt", "salt, pepper\n", "has one line, 'salt, pepper', which can be read as one class or several"),
        ("n.csv", "id,name\n0,background\nx,cat\n", "an id that is no integer"),
        ("n.yaml", "names: {0: background, 2: cat}", "no class of id 1, expected ids from 0 or 1 on without gaps"),
        ("n.csv", "id,name\n0,background\n1,cat\n1,dog\n", "gives 'cat' and 'dog' the id 1, expected one id a class"),
        ("n.yaml", "names: {0: background, 1: cat, 1: dog}", "has '1' twice, expected each once"),
        ("n.json", '[{"id": 1, "name": "cat"}, {"id": 1, "name": "dog"}]', "gives 'cat' and 'dog' the id 1"),
        ("n.yaml", "names: [cat", "cannot be read"),
        ("n.yaml", "a: {b: c}", "has no class names, expected a list of names"),
        ("n.json", "[[1, 2]]", "has no class names"),
        ("n.yaml", "", "has no class names"),
    ],
)
def test_malformed_files(tmp_path, name, text, message):
    with pytest.raises(TagsegError, match=message) as error:
        read(tmp_path, text, name)
    assert "\n" not in str(error.value)
    assert name in str(error.value)


def test_what_is_no_text_is_named(tmp_path):
    (tmp_path / "classes.txt").write_bytes("мыши\n".encode("cp1251"))
    with pytest.raises(TagsegError, match="line 1 is not UTF-8 text"):
        read_class_file(tmp_path / "classes.txt")
